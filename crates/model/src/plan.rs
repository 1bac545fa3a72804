//! A plan: what exactly a release will do, before it does it. It leaves no choice to whoever executes it.
//!
//! A plan is batches, a batch is lanes (one per host, side by side), a lane is steps (one after the other), and a gate
//! closes the batch. Every step names host, paths, versions, limits and its undo. The canonical text is what people read
//! and diff; its sha256 is what an approval signs, undo included.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::{
    ArtifactDigest, BalancerName, EffectKey, EnvironmentName, Epoch, HostName, OrderNumber, PersonName, PlanDigest, ProbeName,
    ProjectName, RuleName, ServiceName,
};
use crate::signal::ReleaseOnHost;
use crate::text::Text;
use crate::time::Time;

/// The version of the plan's schema that this program writes.
pub const PLAN_SCHEMA: u16 = 1;

/// What exactly a release will do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Plan {
    /// [`PLAN_SCHEMA`] of its writer.
    pub schema: u16,
    /// Whose plan.
    pub order: OrderNumber,
    /// The project.
    pub project: ProjectName,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// Never fewer servers than this in the balancer while it runs.
    pub min_in_service: u32,
    /// First to last.
    pub batches: Vec<Batch>,
}

/// Servers that change side by side, and the gate behind them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Batch {
    /// One per host.
    pub lanes: Vec<Lane>,
    /// What must hold before the next batch starts.
    pub gate: Gate,
}

/// The steps on one host, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Lane {
    /// Where.
    pub host: HostName,
    /// What was on line there when the plan was made; what an undo goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ReleaseOnHost>,
    /// In order.
    pub steps: Vec<Step>,
}

/// Watches after a batch is in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Gate {
    /// For how long, in milliseconds.
    pub watch_ms: u64,
    /// Rules that must not be bad, on alerts of this service.
    pub rules: Vec<RuleName>,
    /// Whether the judge compares new with old.
    pub judge: bool,
}

/// One step: an action, its limit, how it is checked, and what takes it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Step {
    /// Its place in the plan, from 0, unique in the plan.
    pub ordinal: u32,
    /// What is done.
    pub action: Action,
    /// Longest time until its answer, in milliseconds.
    pub time_limit_ms: u64,
    /// What takes it back, in order; empty where nothing has to be.
    pub undo: Vec<UndoStep>,
}

/// One action of an undo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UndoStep {
    /// What is done.
    pub action: Action,
    /// Longest time until its answer, in milliseconds.
    pub time_limit_ms: u64,
}

/// The closed list of what a step can do. Each is idempotent; its verification is named with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// Agent: fetch the artifact over the link and check its sha256. Verified by the digest of the file.
    Fetch {
        /// Of which service.
        service: ServiceName,
        /// What.
        digest: ArtifactDigest,
        /// How big, in bytes.
        size: u64,
    },
    /// Agent: unpack it into its own folder beside the old release. Verified by a marker written last.
    Unpack {
        /// Of which service.
        service: ServiceName,
        /// What.
        release: ReleaseOnHost,
    },
    /// Balancer: no new requests. Verified by the balancer's own state.
    BalancerOut {
        /// Which balancer.
        balancer: BalancerName,
        /// Its backend.
        backend: String,
        /// Its server.
        server: String,
    },
    /// Balancer: wait until no session is left, at most so long; then go on. Verified by its count of sessions.
    Drain {
        /// Which balancer.
        balancer: BalancerName,
        /// Its backend.
        backend: String,
        /// Its server.
        server: String,
        /// Go on after this, in milliseconds.
        at_most_ms: u64,
    },
    /// Agent: stop the process, with the service's stop signal, then kill. Verified: no process.
    Stop {
        /// Which.
        service: ServiceName,
    },
    /// Agent: point `current` to this release by an atomic rename; none takes the link away. Verified by reading the link.
    Switch {
        /// Which.
        service: ServiceName,
        /// To what.
        to: Option<ReleaseOnHost>,
    },
    /// Agent: start the process of the release that `current` points to; refused when its checksum is wrong. Verified: it runs.
    Start {
        /// Which.
        service: ServiceName,
    },
    /// Agent: probe until the answer shows this version. Verified by itself.
    Verify {
        /// Which service.
        service: ServiceName,
        /// By which probe: `http://127.0.0.11:8080/version`.
        url: String,
        /// What the body or the header `x-release` must contain.
        version: String,
        /// The probe's name in the configuration, for its figures.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        probe: Option<ProbeName>,
    },
    /// Balancer: in again, and seen up. Verified by the balancer's own state.
    BalancerIn {
        /// Which balancer.
        balancer: BalancerName,
        /// Its backend.
        backend: String,
        /// Its server.
        server: String,
    },
    /// Agent: stop and start without a switch.
    Restart {
        /// Which.
        service: ServiceName,
    },
}

/// Who performs an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Doer {
    /// The host's agent.
    Agent,
    /// The server, at a load balancer.
    Balancer,
}

impl Action {
    /// Who performs it.
    pub fn doer(&self) -> Doer {
        match self {
            Action::BalancerOut { .. } | Action::Drain { .. } | Action::BalancerIn { .. } => Doer::Balancer,
            Action::Fetch { .. }
            | Action::Unpack { .. }
            | Action::Stop { .. }
            | Action::Switch { .. }
            | Action::Start { .. }
            | Action::Verify { .. }
            | Action::Restart { .. } => Doer::Agent,
        }
    }

    /// One word for logs and pages, also the id of its text: `step.fetch`.
    pub fn word(&self) -> &'static str {
        match self {
            Action::Fetch { .. } => "fetch",
            Action::Unpack { .. } => "unpack",
            Action::BalancerOut { .. } => "balancer_out",
            Action::Drain { .. } => "drain",
            Action::Stop { .. } => "stop",
            Action::Switch { .. } => "switch",
            Action::Start { .. } => "start",
            Action::Verify { .. } => "verify",
            Action::BalancerIn { .. } => "balancer_in",
            Action::Restart { .. } => "restart",
        }
    }

    /// The step as people read it.
    pub fn text(&self) -> Text {
        let text = Text::new(&format!("step.{}", self.word()));
        match self {
            Action::Fetch { digest, .. } => text.with("digest", digest.as_str().get(..12).unwrap_or(digest.as_str())),
            Action::Unpack { release, .. } => text.with("version", &release.version),
            Action::Switch { to, .. } => text.with("version", to.as_ref().map_or("none", |to| to.version.as_str())),
            Action::Verify { version, .. } => text.with("version", version),
            Action::Stop { service } | Action::Start { service } | Action::Restart { service } => text.with("service", service),
            Action::BalancerOut { .. } | Action::Drain { .. } | Action::BalancerIn { .. } => text,
        }
    }
}

impl Plan {
    /// All steps with their host, in the plan's order.
    pub fn steps(&self) -> impl Iterator<Item = (&HostName, &Step)> {
        self.batches.iter().flat_map(|batch| &batch.lanes).flat_map(|lane| lane.steps.iter().map(move |step| (&lane.host, step)))
    }

    /// The canonical text: what people read and diff, and what is signed. One line per step and per undo.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "plan {} schema {}\nproject {} service {} environment {}\nnever fewer than {} in service",
            self.order, self.schema, self.project, self.service, self.environment, self.min_in_service
        );
        for (place, batch) in self.batches.iter().enumerate() {
            let _ = writeln!(out, "batch {}", place + 1);
            for lane in &batch.lanes {
                let before =
                    lane.before.as_ref().map_or("nothing".to_owned(), |before| format!("{} {}", before.version, before.digest));
                let _ = writeln!(out, "  host {} before {before}", lane.host);
                for step in &lane.steps {
                    let _ = writeln!(out, "    {:>3} {} within {} ms", step.ordinal, line(&step.action), step.time_limit_ms);
                    for undo in &step.undo {
                        let _ = writeln!(out, "        undo {} within {} ms", line(&undo.action), undo.time_limit_ms);
                    }
                }
            }
            let rules: Vec<&str> = batch.gate.rules.iter().map(RuleName::as_str).collect();
            let judge = if batch.gate.judge { " judge" } else { "" };
            let _ = writeln!(out, "  gate {} ms rules [{}]{judge}", batch.gate.watch_ms, rules.join(" "));
        }
        out
    }

    /// The sha256 of the canonical text.
    pub fn digest(&self) -> PlanDigest {
        PlanDigest::from(hex::encode(Sha256::digest(self.text().as_bytes())))
    }
}

/// An action as one line of the canonical text. Texts that a configuration gave are quoted, so that a line stays a line.
fn line(action: &Action) -> String {
    match action {
        Action::Fetch { service, digest, size } => format!("fetch {service} sha256 {digest} of {size} bytes"),
        Action::Unpack { service, release } => format!("unpack {service} {:?} {}", release.version, release.digest),
        Action::BalancerOut { balancer, backend, server } => format!("balancer-out {balancer} {backend:?} {server:?}"),
        Action::Drain { balancer, backend, server, at_most_ms } => {
            format!("drain {balancer} {backend:?} {server:?} at most {at_most_ms} ms")
        }
        Action::Stop { service } => format!("stop {service}"),
        Action::Switch { service, to: Some(to) } => format!("switch {service} to {:?} {}", to.version, to.digest),
        Action::Switch { service, to: None } => format!("switch {service} to nothing"),
        Action::Start { service } => format!("start {service}"),
        Action::Verify { service, url, version, probe } => {
            let probe = probe.as_ref().map_or(String::new(), |probe| format!(" probe {probe}"));
            format!("verify {service} at {url:?} shows {version:?}{probe}")
        }
        Action::BalancerIn { balancer, backend, server } => format!("balancer-in {balancer} {backend:?} {server:?}"),
        Action::Restart { service } => format!("restart {service}"),
    }
}

/// A step as it is asked of whoever performs it. Its JSON bytes are what is signed and sent to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StepRequest {
    /// The same key is the same step: it gets the recorded answer.
    pub key: EffectKey,
    /// The server's start that asks; an agent obeys only the highest that it has seen.
    pub epoch: Epoch,
    /// Of which order; a restart by hand has one too.
    pub order: OrderNumber,
    /// Where.
    pub host: HostName,
    /// What.
    pub action: Action,
    /// True where it takes something back.
    pub undo: bool,
    /// Longest time for doing it, in milliseconds.
    pub time_limit_ms: u64,
    /// Not begun after this, on the server's clock.
    pub expires_at: Time,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StepAnswer {
    /// Of which request.
    pub key: EffectKey,
    /// Of which order.
    pub order: OrderNumber,
    /// Where.
    pub host: HostName,
    /// How it ended.
    pub outcome: StepOutcome,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum StepOutcome {
    /// Done and verified.
    Done {
        /// One line for the deploy log.
        note: String,
    },
    /// Not done, or done and not verified.
    Failed {
        /// Why, "failed to ..." without that beginning.
        why: String,
    },
    /// Not begun: signature, expiry, policy, an older epoch.
    Refused {
        /// Why.
        why: String,
    },
    /// The balancer or the agent can't be reached; nothing is known.
    Unreachable {
        /// Why.
        why: String,
    },
}

/// A signature over a plan's digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Approval {
    /// Over what.
    pub digest: PlanDigest,
    /// By whom.
    pub by: PersonName,
    /// When.
    pub at: Time,
}
