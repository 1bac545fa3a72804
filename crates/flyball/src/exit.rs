//! Exit codes, and what ends a command early.

use model::api::ApiError;

/// Well.
pub const WELL: u8 = 0;
/// Asked and answered, and the answer is: not well.
pub const NOT_WELL: u8 = 1;
/// Written in a wrong way.
pub const USAGE: u8 = 2;
/// Refused: not allowed, not in this state, no such thing.
pub const REFUSED: u8 = 3;
/// The server can't be reached.
pub const NOT_REACHABLE: u8 = 4;
/// Anything else that failed.
pub const FAILED: u8 = 5;

/// Why a command ended.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Written in a wrong way.
    #[error("{0}")]
    Usage(String),
    /// The server said no.
    #[error("{}", said(.0))]
    Refused(Box<ApiError>),
    /// No answer.
    #[error("failed to reach flyball at {server}: {why}")]
    NotReachable {
        /// Where.
        server: String,
        /// Why.
        why: String,
    },
    /// Anything else, "failed to ...".
    #[error("failed to {0}")]
    Failed(String),
}

impl Failure {
    /// Its exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) => USAGE,
            Failure::Refused(_) => REFUSED,
            Failure::NotReachable { .. } => NOT_REACHABLE,
            Failure::Failed(_) => FAILED,
        }
    }
}

/// An error with its causes. A cause that the sentence before ends with already is not said twice.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !out.ends_with(&said) {
            out.push_str(": ");
            out.push_str(&said);
        }
        source = cause.source();
    }
    out
}

/// Place, message and hint as sentences; a place that the message names already is not said twice.
fn said(error: &ApiError) -> String {
    let place = error.place.as_ref().filter(|place| !error.message.contains(place.as_str()));
    let place = place.map_or(String::new(), |place| format!("{place}: "));
    let hint = error.hint.as_ref().map_or(String::new(), |hint| format!(". {hint}"));
    let id = error.id.as_ref().map_or(String::new(), |id| format!(" ({id})"));
    format!("{place}{}{hint}{id}", error.message.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Listen {
        #[error("listen on 127.0.0.1:7071")]
        Silent(#[source] std::io::Error),
        #[error("listen on 127.0.0.1:7071: {0}")]
        Said(#[source] std::io::Error),
    }

    #[test]
    fn causes_are_said_once() {
        let cause = || std::io::Error::other("address in use");
        for error in [Listen::Silent(cause()), Listen::Said(cause())] {
            assert_eq!(chain(&error), "listen on 127.0.0.1:7071: address in use");
        }
    }
}
