//! Signs of life: hosts that come and go, heartbeats of jobs, services as their agents see them.

use serde::{Deserialize, Serialize};

use crate::id::{ArtifactDigest, EventId, HeartbeatName, HostName, ServiceName};
use crate::time::Time;

/// An agent's link came up or went down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HostSeen {
    /// Whose.
    pub host: HostName,
    /// Whether the link is up.
    pub up: bool,
    /// The agent's version.
    pub agent_version: String,
    /// The kernel's boot id; another one than before is a reboot.
    pub boot_id: String,
    /// How far the agent's clock is ahead of the server's, in microseconds.
    pub clock_ahead_us: i64,
}

/// What a job says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HeartbeatPing {
    /// Made at the edge.
    pub id: EventId,
    /// Which job.
    pub heartbeat: HeartbeatName,
    /// What it says.
    pub sign: HeartbeatSign,
    /// The first bytes of what it sent along, as text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

/// Start, success, failure with an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeartbeatSign {
    /// The job begins.
    Start,
    /// The job ended well.
    Success,
    /// The job failed, with its exit code where it has one.
    Fail(Option<u8>),
}

/// A service's process on one host, as its agent sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServiceSeen {
    /// Where.
    pub host: HostName,
    /// Which.
    pub service: ServiceName,
    /// What it does now.
    pub state: ServiceState,
    /// The release that `current` points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseOnHost>,
    /// Since when, on the server's clock.
    pub since: Time,
    /// Process id while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Starts since the agent began to watch it, without those that a step asked for.
    #[serde(default)]
    pub restarts: u32,
}

/// The state of a supervised process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// Not running, and not meant to.
    Stopped,
    /// Started, not yet seen well.
    Starting,
    /// Runs.
    Running,
    /// Asked to stop.
    Stopping,
    /// Ended by itself; started again with a growing pause.
    Crashed,
}

/// A release as a host has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReleaseOnHost {
    /// Its version as people say it.
    pub version: String,
    /// Its artifact.
    pub digest: ArtifactDigest,
}

/// The judge compared new with old and changed its mind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Judged {
    /// Whose release.
    pub order: crate::id::OrderNumber,
    /// What it says now.
    pub verdict: crate::order::JudgeVerdict,
    /// The counts behind it.
    pub evidence: crate::order::JudgeEvidence,
}

/// Lines that a supervised process wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogLine {
    /// When, on the server's clock.
    pub at: Time,
    /// Where.
    pub host: HostName,
    /// Whose: a service, or `deploy` for the agent's own work.
    pub service: ServiceName,
    /// The text, 8 KiB at most, without its line end.
    pub text: String,
}
