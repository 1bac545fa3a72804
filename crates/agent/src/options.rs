//! What an agent is started with, and why it could not start.

use std::path::PathBuf;

use model::HostName;

use crate::folder::FolderError;
use crate::identity::IdentityError;
use crate::policy::PolicyError;

/// What an agent is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its folder, made if it is not there: identity, journal, releases. One agent per folder.
    pub dir: PathBuf,
    /// The host's name; none: the machine's own. Counts at the enrolment only, later the identity does.
    pub host: Option<HostName>,
    /// The server's link address, `name-or-ip:port`; none: what the token or the identity says.
    pub server: Option<String>,
    /// The one-time token, for the first start.
    pub token: Option<String>,
    /// The host's policy file; none: `policy.yaml` in the folder. Without the file the agent only observes.
    pub policy: Option<PathBuf>,
    /// Whether the services end with the agent; otherwise they run on and the next agent finds them.
    pub stop_services_at_exit: bool,
}

impl Options {
    /// With everything but the folder left to its default.
    pub fn new(dir: impl Into<PathBuf>) -> Options {
        Options { dir: dir.into(), host: None, server: None, token: None, policy: None, stop_services_at_exit: false }
    }
}

/// Why an agent could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its folder can't be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It has no identity and could not get one.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The policy file is there and can't be read: it is not guessed what was meant.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}
