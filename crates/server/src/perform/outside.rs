//! The performer of a server: webhooks, rooms, agents, balancers. Which of them, the effect says.

use std::sync::Arc;

use async_trait::async_trait;
use engine::effect::{Tell, TellBody};
use model::plan::{Action, Doer, StepOutcome, StepRequest};

use super::{Performer, balancer, outgoing::Outgoing, webhook};
use crate::clock::SharedClock;
use crate::outbox::{Asked, Attempt};
use crate::pump::PumpHandle;

/// Hands steps to agents.
#[async_trait]
pub trait Links: Send + Sync + 'static {
    /// Signs the step and sends it to its host; false where the host has no link.
    async fn ask(&self, request: &StepRequest) -> bool;
}

/// Everything that is really outside.
pub struct Outside {
    pump: PumpHandle,
    clock: SharedClock,
    outgoing: Outgoing,
    links: Arc<dyn Links>,
}

impl Outside {
    /// Reads receivers and balancers from the state as they are when they are needed.
    pub fn new(pump: PumpHandle, clock: SharedClock, outgoing: Outgoing, links: Arc<dyn Links>) -> Outside {
        Outside { pump, clock, outgoing, links }
    }

    async fn at_balancer(&self, request: &StepRequest) -> StepOutcome {
        let (Action::BalancerOut { balancer: name, .. }
        | Action::Drain { balancer: name, .. }
        | Action::BalancerIn { balancer: name, .. }) = &request.action
        else {
            return StepOutcome::Failed { why: format!("`{}` is not done at a balancer", request.action.word()) };
        };
        let now = self.clock.now();
        if now > request.expires_at {
            return StepOutcome::Refused { why: format!("it expired at {}, now it is {now}", request.expires_at) };
        }
        match self.pump.read_state(|state| state.config.balancers.get(name).cloned()) {
            Some(config) => balancer::perform(&config, request).await,
            None => StepOutcome::Failed { why: format!("find the balancer `{name}` in the configuration") },
        }
    }
}

#[async_trait]
impl Performer for Outside {
    async fn tell(&self, tell: &Tell) -> Attempt {
        let notice = match &tell.body {
            // A room is the journal itself: the event that says it is what people read.
            TellBody::Card { .. } => return Attempt::Delivered,
            TellBody::Alert(notice) => notice,
        };
        let (config, external_url) = self.pump.read_state(|state| {
            let receiver = state.config.notification.receivers.get(&tell.receiver);
            let url = state.config.flyball.external_url.trim_end_matches('/').to_owned();
            (receiver.and_then(|receiver| receiver.webhook.clone()), url)
        });
        match config {
            Some(config) => webhook::send(&self.outgoing.dialer(), &config, &external_url, tell, notice).await,
            None => Attempt::Never { why: format!("the configuration has no webhook `{}` any more", tell.receiver) },
        }
    }

    async fn ask(&self, request: &StepRequest) -> Asked {
        match request.action.doer() {
            Doer::Balancer => Asked::Ended(self.at_balancer(request).await),
            Doer::Agent if self.links.ask(request).await => Asked::Sent,
            Doer::Agent => Asked::NoLink,
        }
    }
}
