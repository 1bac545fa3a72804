//! HAProxy's runtime API as typed data: commands to text, answers to what they mean. The socket is the caller's.
//!
//! A name goes into a command only if it is one that HAProxy's own configuration allows, so nothing can be smuggled in.
//! [`stat`] reads the counters of `show stat`.

pub mod stat;

use std::fmt;
use std::net::IpAddr;

use crate::report::excerpt;

/// Longest name of a backend or server, in bytes.
pub const NAME_LEN_MAX: usize = 128;
/// Longest answer that is read, in bytes.
pub const ANSWER_LEN_MAX: usize = 16 * 1024 * 1024;
/// Most rows of an answer.
pub const ROWS_MAX: usize = 100_000;

/// A server in a backend; both names are checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerName {
    backend: String,
    server: String,
}

/// What an operator wants a server to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedState {
    /// In the balancer.
    Ready,
    /// No new sessions, those that are go on.
    Drain,
    /// Out of the balancer, not checked.
    Maint,
}

impl WantedState {
    /// The runtime API's word.
    pub fn word(self) -> &'static str {
        match self {
            WantedState::Ready => "ready",
            WantedState::Drain => "drain",
            WantedState::Maint => "maint",
        }
    }
}

/// A command of the runtime API. Its text, without a newline, is its `Display`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Puts a server in or out.
    SetState {
        /// Which.
        server: ServerName,
        /// How it shall be.
        state: WantedState,
    },
    /// Moves a server to another address.
    SetAddr {
        /// Which.
        server: ServerName,
        /// The new address.
        address: IpAddr,
        /// The new port.
        port: u16,
    },
    /// Changes a server's share, in its own unit 0 to 256.
    SetWeight {
        /// Which.
        server: ServerName,
        /// The new weight.
        weight: u16,
    },
    /// The counters of everything; see [`stat::parse`].
    ShowStat,
    /// The state of all servers; see [`parse_servers_state`].
    ShowServersState,
}

/// Why a name can't be used in a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` can't be a {what} in HAProxy: 1 to {NAME_LEN_MAX} letters, digits, `-`, `_`, `.` or `:`")]
pub struct NameError {
    /// `backend` or `server`.
    pub what: &'static str,
    /// The name, cut.
    pub name: String,
}

/// What HAProxy answered in place of doing it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// The backend is not in its configuration.
    #[error("HAProxy knows no such backend: {0}")]
    NoSuchBackend(String),
    /// The server is not in its configuration.
    #[error("HAProxy knows no such server: {0}")]
    NoSuchServer(String),
    /// The socket is not of level admin.
    #[error("HAProxy refuses: {0}; the stats socket needs `level admin`")]
    PermissionDenied(String),
    /// Too old, or a mistake of ours.
    #[error("HAProxy does not know the command: {0}")]
    UnknownCommand(String),
    /// Any other sentence.
    #[error("HAProxy answered: {0}")]
    Refused(String),
    /// A table that can't be read.
    #[error("read HAProxy's answer, line {line}: {reason}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
}

impl ServerName {
    /// Checks both names.
    pub fn new(backend: &str, server: &str) -> Result<ServerName, NameError> {
        check_name("backend", backend)?;
        check_name("server", server)?;
        Ok(ServerName { backend: backend.to_owned(), server: server.to_owned() })
    }

    /// The backend's name.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// The server's name.
    pub fn server(&self) -> &str {
        &self.server
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.backend, self.server)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::SetState { server, state } => write!(f, "set server {server} state {}", state.word()),
            Command::SetAddr { server, address, port } => write!(f, "set server {server} addr {address} port {port}"),
            Command::SetWeight { server, weight } => write!(f, "set server {server} weight {weight}"),
            Command::ShowStat => f.write_str("show stat"),
            Command::ShowServersState => f.write_str("show servers state"),
        }
    }
}

impl Command {
    /// What is written to the socket: one command, then HAProxy closes.
    pub fn line(&self) -> String {
        format!("{self}\n")
    }

    /// Reads the answer of a command that changes something: silence is consent, and so are the two sentences that tell
    /// of a changed address.
    pub fn check_answer(&self, answer: &str) -> Result<(), RuntimeError> {
        let answer = answer.trim();
        let is_well = match self {
            Command::SetAddr { .. } => {
                answer.is_empty()
                    || answer.starts_with("IP changed from")
                    || answer.starts_with("port changed from")
                    || answer.starts_with("no need to change")
            }
            Command::SetState { .. } | Command::SetWeight { .. } => answer.is_empty(),
            Command::ShowStat | Command::ShowServersState => answer.starts_with(['#', '1']),
        };
        if is_well { Ok(()) } else { Err(RuntimeError::of(answer)) }
    }
}

impl RuntimeError {
    /// Sorts a sentence of HAProxy's.
    fn of(answer: &str) -> RuntimeError {
        let said = excerpt(answer.lines().next().unwrap_or("").trim().as_bytes(), 0);
        let lower = said.to_ascii_lowercase();
        if lower.contains("no such backend") || lower.contains("can't find backend") || lower.contains("unknown backend") {
            RuntimeError::NoSuchBackend(said)
        } else if lower.contains("no such server") {
            RuntimeError::NoSuchServer(said)
        } else if lower.contains("permission denied") {
            RuntimeError::PermissionDenied(said)
        } else if lower.contains("unknown command") {
            RuntimeError::UnknownCommand(said)
        } else {
            RuntimeError::Refused(if said.is_empty() { "nothing".into() } else { said })
        }
    }
}

/// One server of `show servers state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerState {
    /// Its backend.
    pub backend: String,
    /// Its name.
    pub server: String,
    /// Its address; empty if it has none.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// What it is doing.
    pub operation: Operation,
    /// True if an operator or the configuration has taken it out.
    pub is_maintained: bool,
    /// True if an operator or the configuration lets it drain.
    pub is_draining: bool,
    /// Its weight now, in its own unit.
    pub weight: u16,
    /// Seconds since its state changed.
    pub changed_secs_ago: u64,
}

/// What a server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Down.
    Stopped,
    /// Up, and its share still growing.
    Starting,
    /// Up.
    Running,
    /// Up, takes no new sessions.
    Stopping,
}

/// Reads the answer of `show servers state`: version 1, columns found by their names.
pub fn parse_servers_state(answer: &str) -> Result<Vec<ServerState>, RuntimeError> {
    const MAINTAINED: u64 = 0x01 | 0x02 | 0x04 | 0x20 | 0x40;
    const DRAINING: u64 = 0x08 | 0x10;
    let bad = |line: usize, reason: String| RuntimeError::Malformed { line: line + 1, reason };
    let mut lines = answer.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    match lines.next() {
        Some((_, "1")) => {}
        Some((_, other)) => return Err(RuntimeError::of(other)),
        None => return Err(RuntimeError::of("")),
    }
    let header =
        lines.next().and_then(|(_, line)| line.strip_prefix('#')).ok_or_else(|| bad(1, "the header is missing".into()))?;
    let column = |name: &str| {
        let place = header.split_ascii_whitespace().position(|have| have == name);
        place.ok_or_else(|| bad(1, format!("the column {name} is missing")))
    };
    let places = [
        column("be_name")?,
        column("srv_name")?,
        column("srv_addr")?,
        column("srv_port")?,
        column("srv_op_state")?,
        column("srv_admin_state")?,
        column("srv_uweight")?,
        column("srv_time_since_last_change")?,
    ];
    let mut servers = Vec::new();
    for (line, text) in lines {
        if servers.len() >= ROWS_MAX {
            return Err(bad(line, format!("more than {ROWS_MAX} servers")));
        }
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let word = |which: usize| words.get(places[which]).copied().ok_or_else(|| bad(line, "a column is missing".to_owned()));
        let number = |which: usize| {
            let word = word(which)?;
            word.parse::<u64>().map_err(|_| bad(line, format!("`{}` is not a number", excerpt(word.as_bytes(), 0))))
        };
        let short = |which: usize| {
            number(which).and_then(|wide| u16::try_from(wide).map_err(|_| bad(line, format!("{wide} is too large"))))
        };
        let admin = number(5)?;
        servers.push(ServerState {
            backend: word(0)?.to_owned(),
            server: word(1)?.to_owned(),
            address: Some(word(2)?).filter(|address| *address != "-").unwrap_or("").to_owned(),
            port: short(3)?,
            operation: match number(4)? {
                0 => Operation::Stopped,
                1 => Operation::Starting,
                2 => Operation::Running,
                3 => Operation::Stopping,
                other => return Err(bad(line, format!("{other} is no state of a server"))),
            },
            is_maintained: admin & MAINTAINED != 0,
            is_draining: admin & DRAINING != 0,
            weight: short(6)?,
            changed_secs_ago: number(7)?,
        });
    }
    Ok(servers)
}

fn check_name(what: &'static str, name: &str) -> Result<(), NameError> {
    let is_well = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    if name.is_empty() || name.len() > NAME_LEN_MAX || !name.bytes().all(is_well) {
        return Err(NameError { what, name: excerpt(name.as_bytes(), 0) });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    #[test]
    fn commands_as_text() {
        let server = ServerName::new("shop", "web-1").unwrap();
        let cases = [
            (Command::SetState { server: server.clone(), state: WantedState::Ready }, "set server shop/web-1 state ready\n"),
            (Command::SetState { server: server.clone(), state: WantedState::Drain }, "set server shop/web-1 state drain\n"),
            (Command::SetState { server: server.clone(), state: WantedState::Maint }, "set server shop/web-1 state maint\n"),
            (
                Command::SetAddr { server: server.clone(), address: "127.0.0.11".parse().unwrap(), port: 8080 },
                "set server shop/web-1 addr 127.0.0.11 port 8080\n",
            ),
            (Command::SetWeight { server, weight: 10 }, "set server shop/web-1 weight 10\n"),
            (Command::ShowStat, "show stat\n"),
            (Command::ShowServersState, "show servers state\n"),
        ];
        for (command, text) in cases {
            assert_eq!(command.line(), text);
        }
    }

    #[test]
    fn nothing_is_smuggled_into_a_name() {
        for name in ["", "a b", "a;show info", "a\nb", "a/b", "ä", "a\0", &"x".repeat(NAME_LEN_MAX + 1)] {
            assert_eq!(ServerName::new(name, "s").unwrap_err().what, "backend", "{name:?}");
            assert_eq!(ServerName::new("b", name).unwrap_err().what, "server", "{name:?}");
        }
    }

    #[test]
    fn answers() {
        let server = ServerName::new("shop", "web-1").unwrap();
        let state = Command::SetState { server: server.clone(), state: WantedState::Ready };
        let addr = Command::SetAddr { server, address: "::1".parse().unwrap(), port: 1 };
        assert_eq!(state.check_answer("\n"), Ok(()));
        assert_eq!(addr.check_answer("IP changed from '127.0.0.1' to '::1' by 'stats socket command'\n"), Ok(()));
        assert_eq!(addr.check_answer("no need to change the addr, port by 'stats socket command'\n"), Ok(()));
        assert_eq!(state.check_answer("No such server.\n"), Err(RuntimeError::NoSuchServer("No such server.".into())));
        assert_eq!(state.check_answer("No such backend.\n\n"), Err(RuntimeError::NoSuchBackend("No such backend.".into())));
        assert_eq!(state.check_answer("Permission denied\n"), Err(RuntimeError::PermissionDenied("Permission denied".into())));
        assert!(matches!(state.check_answer("Unknown command: 'sett'.\nhelp"), Err(RuntimeError::UnknownCommand(_))));
        assert!(matches!(state.check_answer("IP changed from"), Err(RuntimeError::Refused(_))));
        assert!(matches!(Command::ShowStat.check_answer(""), Err(RuntimeError::Refused(_))));
    }

    const STATE: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
        srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state \
        bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n\
        3 shop 1 web-1 127.0.0.11 2 0 1 1 47 6 3 7 6 0 0 0 - 8080 - 0 0 - - 0\n\
        3 shop 2 web-2 127.0.0.12 0 1 100 1 5 6 3 7 6 0 0 0 - 8080 - 0 0 - - 0\n\
        3 shop 3 web-3 - 3 8 1 1 0 1 0 1 0 0 0 0 - 0 - 0 0 - - 0\n\n";

    #[test]
    fn state_of_servers() {
        let servers = parse_servers_state(STATE).unwrap();
        let shown: Vec<String> = servers
            .iter()
            .map(|s| {
                format!(
                    "{}/{} {}:{} {:?} maint {} drain {} weight {} {} s",
                    s.backend,
                    s.server,
                    s.address,
                    s.port,
                    s.operation,
                    s.is_maintained,
                    s.is_draining,
                    s.weight,
                    s.changed_secs_ago
                )
            })
            .collect();
        expect![[r#"
            shop/web-1 127.0.0.11:8080 Running maint false drain false weight 1 47 s
            shop/web-2 127.0.0.12:8080 Stopped maint true drain false weight 100 5 s
            shop/web-3 :0 Stopping maint false drain true weight 1 0 s"#]]
        .assert_eq(&shown.join("\n"));
    }

    #[test]
    fn bad_tables_name_the_line() {
        for (answer, said) in [
            ("", "HAProxy answered: nothing"),
            ("Can't find backend.\n", "HAProxy knows no such backend: Can't find backend."),
            ("1\n", "read HAProxy's answer, line 2: the header is missing"),
            ("1\n# be_name\n", "read HAProxy's answer, line 2: the column srv_name is missing"),
            (&STATE.replace("127.0.0.12 0 1 100", "127.0.0.12 x 1 100"), "read HAProxy's answer, line 4: `x` is not a number"),
            (
                &STATE.replace("127.0.0.12 0 1 100", "127.0.0.12 9 1 100"),
                "read HAProxy's answer, line 4: 9 is no state of a server",
            ),
            (&STATE.replace("- 3 8 1", "- 3 8 70000"), "read HAProxy's answer, line 5: 70000 is too large"),
        ] {
            assert_eq!(parse_servers_state(answer).unwrap_err().to_string(), said);
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(answer in ".{0,80}", cut in 0usize..900) {
            let _ = parse_servers_state(&answer);
            let _ = parse_servers_state(&STATE[..cut.min(STATE.len())]);
            let _ = Command::ShowStat.check_answer(&answer);
        }
    }
}
