//! Why a request came to nothing, in a form that callers can tell apart.

use std::time::Duration;

use crate::policy::Refusal;
use crate::tls::RootsError;

/// Where in a request something took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking up the name.
    Resolve,
    /// Opening the connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Waiting for the answer.
    Answer,
    /// Waiting for its turn to read a long answer.
    Turn,
}

impl Phase {
    /// One word, as metrics use it: `resolve`, `connect`, `tls`, `processing`, `turn`.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Tls => "tls",
            Phase::Answer => "processing",
            Phase::Turn => "turn",
        }
    }
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Not an address that can be dialled; nothing was sent.
    #[error("read the address `{url}`: {why}")]
    Address {
        /// As it was given, cut.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The policy says no; nothing was sent.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The name is unknown.
    #[error("look up `{host}`: {why}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        why: String,
    },
    /// No connection.
    #[error("connect to {address}")]
    Connect {
        /// The last address that was tried.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The handshake failed: a certificate, a version, a peer that does not speak TLS.
    #[error("agree on TLS with `{host}`")]
    Tls {
        /// The name that was asked for.
        host: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The certificates that are trusted can't be read.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// Too slow.
    #[error("{} took longer than the {} ms that the request may take", phase.word(), limit.as_millis())]
    Timeout {
        /// Where it hung.
        phase: Phase,
        /// The limit of the whole request.
        limit: Duration,
    },
    /// The peer broke off, or did not speak HTTP.
    #[error("talk HTTP with `{host}`")]
    Http {
        /// The name that was asked for.
        host: String,
        /// Why.
        #[source]
        source: hyper::Error,
    },
    /// The answer is longer than asked for.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}
