//! The step `verify`: asks an address of this host until it shows the version that it should.
//!
//! Only this host's own addresses are asked: a step must not make an agent talk to strangers. A version is a word of its
//! own in the answer, so that 1.2 is not taken for 11.2.3.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use dial::{Dialer, Request};
use model::{ProbeName, ServiceName};

use super::Executor;
use crate::collect::{Names, Sink};
use crate::link::chain;
use crate::probe::{self, Seen};

/// Between two looks at a version.
const VERIFY_EVERY: Duration = Duration::from_millis(100);
/// Longest wait for one answer.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(2);

impl Executor {
    /// What a look at a version saw, as figures of the probe that it was made by.
    pub(super) fn figures(&self, probe: Option<&ProbeName>, service: &ServiceName, url: &str, seen: &Seen) {
        if let (Some(probe), Some(duty)) = (probe, self.duty.borrow().as_ref()) {
            let mut names = Names::of(duty);
            let mut sink = Sink::new(&mut names);
            probe::put(probe, probe::Target { http: Some(url), tcp: None, service: Some(service) }, seen, &mut sink);
            self.outbox.samples(sink.frame(self.clock.now()));
        }
    }

    pub(super) async fn verify(
        &self,
        url: &str,
        version: &str,
        deadline: Instant,
        figures: &(dyn Fn(&Seen) + Sync),
    ) -> Result<String, String> {
        if version.is_empty() {
            return Err("no version to look for".into());
        }
        let dialer = self.own_dialer(url)?;
        let mut last = "nothing answered yet".to_owned();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left < Duration::from_millis(20) {
                return Err(format!("did not see {version} at {url}: {last}"));
            }
            // A little before the step's own limit, so that its answer can say what was seen last.
            let timeout = VERIFY_TIMEOUT.min(left.mul_f32(0.9));
            let request = Request { timeout, body_max: 64 * 1024, ..Request::get(url) };
            let begun = Instant::now();
            match dialer.send(&request).await {
                Ok(response) => {
                    let header = response.headers.get("x-release").and_then(|value| value.to_str().ok()).unwrap_or("");
                    let body = String::from_utf8_lossy(&response.body);
                    let seen = shows(&body, version) || shows(header, version);
                    let success = response.status.is_success() && seen;
                    let status = Some(response.status.as_u16());
                    figures(&Seen { success, status, timings: response.timings, whole: response.timings.whole });
                    if success {
                        return Ok(format!("{version} answers in {} ms", response.timings.whole.as_millis()));
                    }
                    last = format!("it answers {} {:?}", response.status.as_u16(), body.chars().take(80).collect::<String>());
                }
                Err(error) => {
                    last = chain(&error);
                    figures(&Seen { success: false, status: None, timings: dial::Timings::default(), whole: begun.elapsed() });
                }
            }
            tokio::time::sleep(VERIFY_EVERY.min(left / 10)).await;
        }
    }

    /// A dialer for this host's own addresses and no other: a step must not make an agent ask strangers.
    fn own_dialer(&self, url: &str) -> Result<Dialer, String> {
        let uri: http::Uri = url.parse().map_err(|_| format!("`{url}` is no URL"))?;
        let named = uri.host().unwrap_or("").trim_start_matches('[').trim_end_matches(']').to_owned();
        let mut own: Vec<String> = Vec::new();
        if let Some(duty) = self.duty.borrow().as_ref() {
            own.push(duty.config.address.clone());
            own.extend(duty.services.iter().map(|service| service.address.clone()));
        }
        // An address of the configuration may come with a port.
        let plain = |address: &String| match address.parse::<SocketAddr>() {
            Ok(address) => address.ip().to_string(),
            Err(_) => address
                .rsplit_once(':')
                .map_or(address.as_str(), |(host, _)| if host.contains(':') { address } else { host })
                .to_owned(),
        };
        let is_loopback = named.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) || named == "localhost";
        let is_own = own.iter().map(plain).any(|address| !address.is_empty() && address == named);
        if !is_loopback && !is_own {
            return Err(format!("`{named}` is not an address of this host"));
        }
        let mut allow = vec![format!("{}/8", Ipv4Addr::new(127, 0, 0, 0)), "::1".to_owned()];
        if let Ok(ip) = named.parse::<IpAddr>() {
            allow.push(ip.to_string());
        }
        Ok(Dialer::new(dial::Policy::new(allow).map_err(|error| error.to_string())?))
    }
}

/// Whether a text shows a version as a word of its own: `1.2` is not in `11.2.3`.
fn shows(text: &str, version: &str) -> bool {
    let in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
    text.match_indices(version).any(|(place, found)| {
        let (before, after) = (&text[..place], &text[place + found.len()..]);
        let begins = before.chars().next_back().is_none_or(|c| c == 'v' || !in_word(c) && c != '.');
        let mut next = after.chars();
        let ends = match next.next() {
            None => true,
            Some('.') => next.next().is_none_or(|c| !in_word(c)),
            Some(c) => !in_word(c),
        };
        begins && ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_word_of_its_own() {
        for (text, version, seen) in [
            ("4.12.0", "4.12.0", true),
            (r#"{"version":"4.12.0"}"#, "4.12.0", true),
            ("version v4.12.0.", "4.12.0", true),
            ("14.12.0", "4.12.0", false),
            ("4.12.01", "4.12.0", false),
            ("4.12.0.1", "4.12.0", false),
            ("4.12.0-rc1", "4.12.0", false),
            ("1.4.12.0", "4.12.0", false),
            ("4.12.01 and 4.12.0", "4.12.0", true),
            ("", "4.12.0", false),
        ] {
            assert_eq!(shows(text, version), seen, "{text}");
        }
    }
}
