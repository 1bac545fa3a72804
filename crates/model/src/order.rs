//! A release order: who wants what where and why, its plan, and how far it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{ArtifactDigest, EnvironmentName, HostName, OrderNumber, PlanDigest, ProjectName, ServiceName};
use crate::plan::{Approval, Plan};
use crate::signal::ReleaseOnHost;
use crate::text::Text;
use crate::time::Time;

/// A release order. The engine's own state, the stored projection and the API's answer are this one type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Order {
    /// Its number.
    pub number: OrderNumber,
    /// The project.
    pub project: ProjectName,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// What is released.
    pub release: ReleaseOnHost,
    /// How big the artifact is, in bytes.
    pub size: u64,
    /// What it does.
    pub kind: OrderKind,
    /// Who made it.
    pub author: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How the servers take turns.
    pub strategy: Strategy,
    /// Only these servers; empty: all of the service in the environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chosen: Vec<HostName>,
    /// The plan.
    pub plan: Plan,
    /// The plan's digest.
    pub digest: PlanDigest,
    /// Who approved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// The state.
    pub state: OrderState,
    /// Behind which order it waits, while approved and not yet running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<OrderNumber>,
    /// Why it was halted, or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Text>,
    /// The batch that runs or is being watched, from 0.
    pub batch: u32,
    /// Set while the gate of `batch` watches: since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watching_since: Option<Time>,
    /// Stop after this batch.
    #[serde(default)]
    pub brake: bool,
    /// Progress per host, in the plan's order of hosts.
    pub hosts: BTreeMap<HostName, HostProgress>,
    /// What the judge said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<JudgeState>,
    /// When it was made.
    pub created_at: Time,
    /// When its first step was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it was halted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted_at: Option<Time>,
    /// When it reached a final state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// What happened, oldest first; 500 lines at most, then the middle is left out.
    pub story: Vec<OrderNote>,
}

/// What an order does on its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// Another release.
    Deploy,
    /// The same release, started anew.
    Restart,
}

/// How the servers take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// One after the other.
    Serial,
    /// First one server as canary, then so many at once.
    Parallel(u32),
    /// One half, then the other.
    Halves,
}

/// Where an order is. The last four are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Made, waits for approval.
    Draft,
    /// May run; waits its turn.
    Approved,
    /// Steps are being done, or a gate watches.
    Running,
    /// Stopped; a person resumes, retries or rolls back.
    Halted,
    /// Taking back what was touched.
    RollingBack,
    /// All servers have it.
    Done,
    /// Neither new everywhere nor taken back: its story names each host.
    Failed,
    /// Taken back.
    RolledBack,
    /// Ended before anything was touched.
    Cancelled,
}

impl OrderState {
    /// True for the states that nothing leaves.
    pub fn is_final(self) -> bool {
        matches!(self, OrderState::Done | OrderState::Failed | OrderState::RolledBack | OrderState::Cancelled)
    }

    /// The word of the glossary: `rolling back`.
    pub fn word(self) -> &'static str {
        match self {
            OrderState::Draft => "draft",
            OrderState::Approved => "approved",
            OrderState::Running => "running",
            OrderState::Halted => "halted",
            OrderState::RollingBack => "rolling back",
            OrderState::Done => "done",
            OrderState::Failed => "failed",
            OrderState::RolledBack => "rolled back",
            OrderState::Cancelled => "cancelled",
        }
    }
}

/// How far one host is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HostProgress {
    /// The state.
    pub state: HostState,
    /// The step that was asked last: its ordinal in the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// The step's word, for pages: `drain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
    /// When it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Time>,
    /// When the host's part ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
}

/// The state of one host within an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// Waits its turn.
    NotTouched,
    /// A step is being done.
    Working,
    /// Has the new release and is in.
    New,
    /// A step is being taken back.
    Undoing,
    /// Back on what it had, and in.
    Old,
    /// It does not answer: not touched until it does, then probed.
    Unknown,
    /// Its undo failed: left as it is.
    Stuck,
}

/// One line of an order's story and of its deploy log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OrderNote {
    /// When.
    pub at: Time,
    /// Where; none: the plan as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// What.
    pub text: Text,
    /// What the agent said to it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// How it looks: a glyph of the page.
    pub tone: Tone,
}

/// How a line of a story looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// Goes on.
    Running,
    /// Good.
    Ok,
    /// Bad.
    Bad,
    /// Stopped.
    Halted,
    /// Taken back.
    RolledBack,
    /// A person did it.
    Person,
    /// Somebody was told.
    Told,
    /// A change.
    Change,
}

/// What the judge thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JudgeVerdict {
    /// Not enough seen, or no difference.
    Undecided,
    /// New is worse than old, beyond the bound.
    Worse,
}

/// The counts since the first new server is in, and the bound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JudgeEvidence {
    /// Bad answers of servers with the new release.
    pub new_bad: u64,
    /// All answers of servers with the new release.
    pub new_all: u64,
    /// Bad answers of servers with the old release.
    pub old_bad: u64,
    /// All answers of servers with the old release.
    pub old_all: u64,
    /// The e-value of the sequential test: 1,000 means that a good release shows this at most once in 1,000, however
    /// often it was looked at.
    pub e_value: f64,
}

/// The judge within an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JudgeState {
    /// What it says.
    pub verdict: JudgeVerdict,
    /// Why.
    pub evidence: JudgeEvidence,
    /// When it said so.
    pub at: Time,
}

/// An artifact that was pushed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Artifact {
    /// Its sha256.
    pub digest: ArtifactDigest,
    /// The file's name when it was pushed.
    pub name: String,
    /// The version as people say it: given with the push, or read from the name.
    pub version: String,
    /// Bytes.
    pub size: u64,
    /// By whom.
    pub by: String,
    /// When.
    pub at: Time,
}
