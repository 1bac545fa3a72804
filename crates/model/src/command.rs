//! Commands: what people ask to be changed, from whichever surface. Reading verbs never get here.

use serde::{Deserialize, Serialize};

use crate::id::{
    ArtifactDigest, EnvironmentName, EventId, HostName, IncidentNumber, OrderNumber, PersonName, PlanDigest, ProjectName,
    RoomName, ServiceName,
};
use crate::order::Strategy;
use crate::text::Text;

/// Somebody's wish to change something, already authenticated and authorised at the edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Command {
    /// Made at the edge; the same id twice is one command.
    pub id: EventId,
    /// Who.
    pub by: Actor,
    /// What.
    pub verb: Verb,
}

/// Who asks, and from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Actor {
    /// A person's or a token's name.
    pub name: String,
    /// From where.
    pub via: Surface,
}

/// From where somebody speaks to flyball.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// The command line.
    Cli,
    /// The web page.
    Page,
    /// A chat room.
    Chat,
    /// A program with a token; who does not say from where is one.
    #[default]
    Api,
    /// flyball itself.
    Flyball,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Verb {
    /// Make a release order; it starts by itself where no approval is needed and nothing is in its way.
    Deploy {
        /// The project.
        project: ProjectName,
        /// The service.
        service: ServiceName,
        /// The environment.
        environment: EnvironmentName,
        /// What.
        artifact: ArtifactDigest,
        /// The version as people say it.
        version: String,
        /// Bytes of the artifact.
        size: u64,
        /// Why.
        #[serde(default)]
        reason: String,
        /// How; none: as the service's configuration says.
        #[serde(default)]
        strategy: Option<Strategy>,
        /// Only these servers; empty: all.
        #[serde(default)]
        hosts: Vec<HostName>,
    },
    /// Restart a service, host by host as an order does it.
    Restart {
        /// The project.
        project: ProjectName,
        /// The service.
        service: ServiceName,
        /// The environment.
        environment: EnvironmentName,
        /// Only these servers; empty: all.
        #[serde(default)]
        hosts: Vec<HostName>,
    },
    /// Approve a plan by its digest.
    Approve {
        /// Which order.
        order: OrderNumber,
        /// What was read.
        digest: PlanDigest,
    },
    /// End an order before it began.
    Cancel {
        /// Which order.
        order: OrderNumber,
    },
    /// Stop now.
    Halt {
        /// Which order.
        order: OrderNumber,
    },
    /// Stop after this batch.
    Brake {
        /// Which order.
        order: OrderNumber,
    },
    /// Go on where it stopped.
    Resume {
        /// Which order.
        order: OrderNumber,
    },
    /// Ask the failed step again, then go on.
    Retry {
        /// Which order.
        order: OrderNumber,
    },
    /// Take back exactly what was touched, in reverse. Of a running, a halted or the last done order of its target.
    Rollback {
        /// Which order.
        order: OrderNumber,
    },
    /// "I have it": stops paging.
    Acknowledge {
        /// Which.
        incident: IncidentNumber,
    },
    /// It is over.
    Resolve {
        /// Which.
        incident: IncidentNumber,
    },
    /// Write into an incident's story.
    Note {
        /// Which.
        incident: IncidentNumber,
        /// What, 4 KiB at most.
        text: String,
    },
    /// Give an incident to somebody else.
    Reassign {
        /// Which.
        incident: IncidentNumber,
        /// To whom.
        to: PersonName,
    },
    /// Open an incident by hand.
    Trigger {
        /// On which service.
        service: ServiceName,
        /// One sentence.
        summary: String,
        /// P1 to P5.
        priority: crate::incident::Priority,
    },
    /// Say something in a room.
    Say {
        /// Where.
        room: RoomName,
        /// What, 4 KiB at most.
        text: String,
    },
}

/// What came of a command, known when its event is on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Outcome {
    /// It will be done, or is done.
    Accepted {
        /// One sentence.
        text: Text,
        /// The order that it made or touched.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderNumber>,
        /// The incident that it made or touched.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        incident: Option<IncidentNumber>,
    },
    /// It will not be done.
    Refused(Refusal),
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Refusal {
    /// Which kind, for status and exit code.
    pub kind: RefusalKind,
    /// One sentence, and what would be right.
    pub text: Text,
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// No such thing: 404.
    Unknown,
    /// Not in this state: 409.
    State,
    /// Not by this person: 403.
    Right,
    /// Not like this: 400.
    Form,
}
