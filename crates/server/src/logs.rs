//! The newest lines of every service's log, in memory: what `log`, the Deploy page and the stream show.
//!
//! A ring per service and host. Lines are telemetry of the second order here: they are shown, not kept over a restart.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use model::signal::LogLine;
use model::{HostName, ServiceName, Time};
use tokio::sync::broadcast;

/// Lines kept per service and host.
pub const LINES_PER_RING: usize = 1_000;
/// Rings kept; past that the one that was silent longest goes.
pub const RINGS_MAX: usize = 2_000;
/// Longest line kept, in bytes.
pub const LINE_LEN_MAX: usize = 8 * 1024;

/// The newest lines, and a feed of those to come.
pub struct Logs {
    rings: Mutex<BTreeMap<(ServiceName, HostName), VecDeque<LogLine>>>,
    feed: broadcast::Sender<LogLine>,
}

impl Default for Logs {
    fn default() -> Logs {
        Logs { rings: Mutex::default(), feed: broadcast::channel(4_096).0 }
    }
}

impl Logs {
    /// Takes a line.
    pub fn push(&self, mut line: LogLine) {
        if line.text.len() > LINE_LEN_MAX {
            let end = (0..=LINE_LEN_MAX).rev().find(|end| line.text.is_char_boundary(*end)).unwrap_or(0);
            line.text.truncate(end);
        }
        let _ = self.feed.send(line.clone());
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (line.service.clone(), line.host.clone());
        if rings.len() >= RINGS_MAX && !rings.contains_key(&key) {
            let oldest =
                rings.iter().min_by_key(|(_, ring)| ring.back().map_or(Time::MIN, |line| line.at)).map(|(key, _)| key.clone());
            oldest.and_then(|key| rings.remove(&key));
        }
        let ring = rings.entry(key).or_default();
        if ring.len() >= LINES_PER_RING {
            ring.pop_front();
        }
        ring.push_back(line);
    }

    /// The newest `limit` lines that fit, oldest first.
    pub fn last(&self, service: Option<&ServiceName>, host: Option<&HostName>, limit: usize) -> Vec<LogLine> {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |(of, at): &(ServiceName, HostName)| {
            service.is_none_or(|service| service == of) && host.is_none_or(|host| host == at)
        };
        let mut lines: Vec<LogLine> = rings
            .iter()
            .filter(|(key, _)| fits(key))
            .flat_map(|(_, ring)| ring.range(ring.len().saturating_sub(limit)..))
            .cloned()
            .collect();
        // Lines that came together have one time: the sort keeps them as they were written.
        lines.sort_by_key(|line| line.at);
        let skip = lines.len().saturating_sub(limit);
        lines.split_off(skip)
    }

    /// Lines from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<LogLine> {
        self.feed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_of_what_is_asked_for() {
        let logs = Logs::default();
        for number in 0..2_500_i64 {
            let host = HostName::new(if number % 2 == 0 { "a" } else { "b" }).unwrap();
            let text = format!("{number}{}", "ü".repeat(5_000 * usize::from(number == 2_499)));
            logs.push(LogLine { at: Time(number), host, service: ServiceName::new("shop").unwrap(), text });
        }
        let last = logs.last(Some(&ServiceName::new("shop").unwrap()), None, 3);
        assert_eq!(last.iter().map(|line| line.at.0).collect::<Vec<_>>(), [2_497, 2_498, 2_499]);
        assert!(last[2].text.len() <= LINE_LEN_MAX);
        assert_eq!(logs.last(None, Some(&HostName::new("a").unwrap()), 5_000).len(), LINES_PER_RING);
        assert!(logs.last(Some(&ServiceName::new("pay").unwrap()), None, 3).is_empty());
    }

    #[test]
    fn lines_of_one_instant_stay_as_they_were_written() {
        let logs = Logs::default();
        for text in ["draining", "stopped", "listens"] {
            let (host, service) = (HostName::new("a").unwrap(), ServiceName::new("shop").unwrap());
            logs.push(LogLine { at: Time(7), host, service, text: text.to_owned() });
        }
        let texts = |limit| logs.last(None, None, limit).into_iter().map(|line| line.text).collect::<Vec<_>>();
        assert_eq!(texts(3), ["draining", "stopped", "listens"]);
        assert_eq!(texts(2), ["stopped", "listens"]);
    }
}
