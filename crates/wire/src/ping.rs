//! Paths of heartbeats, as Healthchecks has them: `/ping/<id>[/start|/fail|/log|/<exit code>]`.
//!
//! The id is the sender's secret: it is never put into an error.

/// Longest id, in bytes.
pub const PING_ID_MAX: usize = 128;

/// What a job says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PingKind {
    /// It is done, and well.
    Success,
    /// It begins.
    Start,
    /// It failed.
    Fail,
    /// It has something to tell; says nothing about how it goes.
    Log,
    /// It ended with this exit code; 0 is well.
    Exit(u8),
}

/// A heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ping<'a> {
    /// Which check: letters, digits, `-`, `_` and `.`; a ping key and a slug are joined by `/`.
    pub id: &'a str,
    /// What it says.
    pub kind: PingKind,
}

/// Why a path is no heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PingError {
    /// Something else than `/ping/...`.
    #[error("a heartbeat's path is /ping/<id>[/start|/fail|/log|/<exit code>]")]
    NotAPing,
    /// The id is empty, too long or has a strange character.
    #[error("the heartbeat's id has 1 to {PING_ID_MAX} letters, digits, `-`, `_` or `.`")]
    BadId,
    /// A number that is no exit code.
    #[error("an exit code is 0 to 255")]
    BadExitCode,
}

impl Ping<'_> {
    /// True if the job is well as far as this heartbeat says.
    pub fn is_well(&self) -> bool {
        !matches!(self.kind, PingKind::Fail | PingKind::Exit(1..))
    }
}

/// Reads the path of a request; a trailing `/` is allowed.
pub fn parse(path: &str) -> Result<Ping<'_>, PingError> {
    let rest = path.strip_prefix("/ping/").ok_or(PingError::NotAPing)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (id, kind) = match rest.rsplit_once('/') {
        None => (rest, PingKind::Success),
        Some((id, "start")) => (id, PingKind::Start),
        Some((id, "fail")) => (id, PingKind::Fail),
        Some((id, "log")) => (id, PingKind::Log),
        Some((id, code)) if !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit()) => {
            (id, PingKind::Exit(code.parse().map_err(|_| PingError::BadExitCode)?))
        }
        Some(_) => (rest, PingKind::Success),
    };
    let part_is_well = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    if id.len() > PING_ID_MAX || id.split('/').count() > 2 || !id.split('/').all(part_is_well) {
        return Err(PingError::BadId);
    }
    Ok(Ping { id, kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form() {
        let cases = [
            ("/ping/abc-1", Ok(("abc-1", PingKind::Success))),
            ("/ping/abc-1/", Ok(("abc-1", PingKind::Success))),
            ("/ping/abc/start", Ok(("abc", PingKind::Start))),
            ("/ping/abc/fail", Ok(("abc", PingKind::Fail))),
            ("/ping/abc/log", Ok(("abc", PingKind::Log))),
            ("/ping/abc/0", Ok(("abc", PingKind::Exit(0)))),
            ("/ping/abc/255", Ok(("abc", PingKind::Exit(255)))),
            ("/ping/key/backup.db", Ok(("key/backup.db", PingKind::Success))),
            ("/ping/key/backup/fail", Ok(("key/backup", PingKind::Fail))),
            ("/ping/abc/256", Err(PingError::BadExitCode)),
            ("/ping/", Err(PingError::BadId)),
            ("/ping//start", Err(PingError::BadId)),
            ("/ping/a b", Err(PingError::BadId)),
            ("/ping/a/b/c", Err(PingError::BadId)),
            ("/pong/a", Err(PingError::NotAPing)),
        ];
        for (path, wanted) in cases {
            assert_eq!(parse(path).map(|ping| (ping.id, ping.kind)), wanted, "{path}");
        }
    }

    #[test]
    fn well_or_not() {
        for (path, well) in [("/ping/a", true), ("/ping/a/0", true), ("/ping/a/1", false), ("/ping/a/fail", false)] {
            assert_eq!(parse(path).unwrap().is_well(), well, "{path}");
        }
        assert_eq!(parse(&format!("/ping/{}", "a".repeat(PING_ID_MAX + 1))), Err(PingError::BadId));
    }

    proptest! {
        #[test]
        fn any_path_is_read_or_refused(path in "(/ping/)?.{0,40}") {
            if let Ok(ping) = parse(&path) {
                prop_assert!(!ping.id.is_empty() && path.contains(ping.id));
            }
        }
    }
}
