//! A change: an event that altered something. What every incident asks for first.

use serde::{Deserialize, Serialize};

use crate::id::{EnvironmentName, EventId, HostName, OrderNumber, ProjectName, ServiceName};
use crate::text::Text;
use crate::time::Time;

/// What sort of thing was altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A program was released.
    Release,
    /// Configuration, also flyball's own.
    Configuration,
    /// SQL on a user's database.
    Sql,
    /// The system below: packages, kernel, reboot, files.
    System,
    /// Something outside: traffic, a provider.
    Outside,
}

/// Where a change or an alert belongs. Empty: nobody said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Scope {
    /// The project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// The environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
    /// The hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostName>,
}

/// Something was altered, by whom, where, when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// Made where it was noticed; the same id twice is one change.
    pub id: EventId,
    /// What sort.
    pub kind: ChangeKind,
    /// One sentence that says what.
    pub what: Text,
    /// Where.
    #[serde(default)]
    pub scope: Scope,
    /// Who: a person, a program, or nobody known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// When it was made by the sender's own clock. Ranking uses the receive time of the journal, and shows this one.
    pub at: Time,
    /// A diff or other details; masked, 16 KiB at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The release order that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderNumber>,
}
