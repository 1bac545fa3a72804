//! A load balancer in memory: which servers it sends requests to.

use std::collections::BTreeMap;

use model::plan::{Action, StepOutcome};

/// HAProxy's runtime socket as far as releases use it.
#[derive(Clone, Debug, Default)]
pub struct SimulatedBalancer {
    /// By server: whether it gets requests.
    pub servers: BTreeMap<String, bool>,
    /// Its socket does not answer.
    pub gone: bool,
}

impl SimulatedBalancer {
    /// Performs an action; `is_up` is what its own health check sees.
    pub fn perform(&mut self, action: &Action, is_up: impl FnOnce(&str) -> bool) -> StepOutcome {
        if self.gone {
            return StepOutcome::Unreachable { why: "connection refused".into() };
        }
        match action {
            Action::BalancerOut { server, .. } => drop(self.servers.insert(server.clone(), false)),
            Action::BalancerIn { server, .. } if !is_up(server) => {
                return StepOutcome::Failed { why: format!("{server} is not seen up") };
            }
            Action::BalancerIn { server, .. } => drop(self.servers.insert(server.clone(), true)),
            Action::Drain { .. } => {}
            other => return StepOutcome::Failed { why: format!("{} is no business of a balancer", other.word()) },
        }
        StepOutcome::Done { note: String::new() }
    }

    /// How many get requests.
    pub fn in_service(&self) -> usize {
        self.servers.values().filter(|is_in| **is_in).count()
    }
}
