//! TCP connections by state, from /proc/net/tcp and tcp6.
//!
//! The kernel walks its whole table for these files, so they are read in a thread of their own and rest a thousand times as
//! long as the reading took.

use std::fs::File;
use std::io::{BufRead, BufReader};

use super::Sink;

/// States by their number in the files, from 1.
const STATES: [&str; 11] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
];
/// Beyond so many connections the rest is not counted: reading them all would take the machine's time.
const LINES_MAX: usize = 1_000_000;

/// How many connections are in which state, and what waits in their queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct States {
    counts: [u64; 11],
    receive_queue: u64,
    send_queue: u64,
}

/// Reads both files.
pub fn read() -> States {
    let mut states = States::default();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        if let Ok(file) = File::open(path) {
            states.add(BufReader::with_capacity(64 * 1024, file));
        }
    }
    states
}

impl States {
    fn add(&mut self, mut lines: impl BufRead) {
        let mut line = Vec::new();
        for _ in 0..LINES_MAX {
            line.clear();
            if lines.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
                return;
            }
            self.line(str::from_utf8(&line).unwrap_or(""));
        }
    }

    /// `0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 ...`; the line of titles does not fit and is left out.
    fn line(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace().skip(3);
        let (Some(state), Some(queues)) = (words.next(), words.next()) else { return };
        let (Ok(state), Some((send, receive))) = (usize::from_str_radix(state, 16), queues.split_once(':')) else { return };
        // New sockets of a SYN that waits are a state of their own in the kernel, and syn_recv for everybody else.
        let state = if state == 12 { 3 } else { state };
        let Some(count) = state.checked_sub(1).and_then(|place| self.counts.get_mut(place)) else { return };
        *count += 1;
        self.send_queue += u64::from_str_radix(send, 16).unwrap_or(0);
        self.receive_queue += u64::from_str_radix(receive, 16).unwrap_or(0);
    }

    /// Puts one sample per state.
    pub fn put(&self, sink: &mut Sink<'_>) {
        const METRIC: &str = "node_tcp_connection_states";
        for (state, count) in STATES.iter().zip(self.counts) {
            sink.put(METRIC, &[("state", state)], count as f64);
        }
        sink.put(METRIC, &[("state", "rx_queued_bytes")], self.receive_queue as f64);
        sink.put(METRIC, &[("state", "tx_queued_bytes")], self.send_queue as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fixture::samples;

    #[test]
    fn states_and_queues() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:0\n   1: 0100007F:1F90 0100007F:9C40 01 00000010:00000002 00:0\n   2: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 06 00000000:00000000 03:0\n   3: x y 0C 00000000:00000000\n broken\n";
        let found = samples(text, |text, sink| {
            let mut states = States::default();
            states.add(text.as_bytes());
            states.put(sink);
        });
        for line in [
            r#"node_tcp_connection_states{state="listen"} 1"#,
            r#"node_tcp_connection_states{state="established"} 1"#,
            r#"node_tcp_connection_states{state="time_wait"} 1"#,
            r#"node_tcp_connection_states{state="syn_recv"} 1"#,
            r#"node_tcp_connection_states{state="closing"} 0"#,
            r#"node_tcp_connection_states{state="tx_queued_bytes"} 16"#,
            r#"node_tcp_connection_states{state="rx_queued_bytes"} 2"#,
        ] {
            assert!(found.iter().any(|have| have == line), "no {line} in {found:?}");
        }
    }

    #[test]
    fn a_listener_is_counted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(read().counts[9] >= 1);
        drop(listener);
    }
}
