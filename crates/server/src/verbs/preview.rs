//! What a changing verb would do, with figures: for confirmations, dry runs and the review of an order. Changes nothing.

use engine::State;
use engine::release::{Draft, plan};
use model::command::{Refusal, RefusalKind};
use model::config::ReleaseConfig;
use model::order::{HostState, Order, OrderKind, OrderState};
use model::plan::Plan;
use model::signal::ReleaseOnHost;
use model::{ArtifactDigest, OrderNumber, Text, Verb};

/// The number in the plan of an order that is not made.
const NOT_MADE: &str = "not-made-yet";

/// The plan that an order would have now; none for verbs that make no order.
pub fn plan_of(state: &State, verb: &Verb) -> Result<Option<Plan>, Refusal> {
    let number = OrderNumber::from(NOT_MADE);
    let usual = |service| match state.config.service(service) {
        Some((_, of)) => of.release.strategy,
        None => ReleaseConfig::default().strategy,
    };
    match verb {
        Verb::Deploy { service, environment, artifact, version, size, strategy, hosts, .. } => {
            let release = ReleaseOnHost { version: version.clone(), digest: artifact.clone() };
            let strategy = strategy.unwrap_or_else(|| usual(service));
            let kind = OrderKind::Deploy;
            let draft =
                Draft { number: &number, kind, service, environment, release: &release, size: *size, strategy, chosen: hosts };
            plan(state, &draft).map(Some)
        }
        Verb::Restart { service, environment, hosts, .. } => {
            let release = ReleaseOnHost { version: String::new(), digest: ArtifactDigest::from("") };
            let (kind, strategy) = (OrderKind::Restart, usual(service));
            let draft =
                Draft { number: &number, kind, service, environment, release: &release, size: 0, strategy, chosen: hosts };
            plan(state, &draft).map(Some)
        }
        _ => Ok(None),
    }
}

/// What would happen, as a sentence with figures; an error is the engine's own refusal, said before anybody confirms.
pub fn what(state: &State, verb: &Verb) -> Result<Option<Text>, Refusal> {
    let text = match verb {
        Verb::Deploy { service, environment, version, .. } => {
            let Some(plan) = plan_of(state, verb)? else { return Ok(None) };
            let from = versions_before(&plan);
            figures(state, Text::new("confirm.deploy"), &plan)
                .with("service", service)
                .with("environment", environment)
                .with("from", from)
                .with("to", version)
        }
        Verb::Restart { service, environment, .. } => {
            let Some(plan) = plan_of(state, verb)? else { return Ok(None) };
            figures(state, Text::new("confirm.restart"), &plan).with("service", service).with("environment", environment)
        }
        Verb::Rollback { order } => {
            let Some(order) = state.orders.get(order) else { return Ok(None) };
            let final_text = || Text::new("verb.final").with("order", &order.number).with("state", order.state.word());
            if order.state.is_final() && order.state != OrderState::Done {
                return Err(Refusal { kind: RefusalKind::State, text: final_text() });
            }
            Text::new("confirm.rollback")
                .with("service", &order.service)
                .with("environment", &order.environment)
                .with("count", touched(order))
                .with("from", &order.release.version)
                .with("to", versions_before(&order.plan))
                .with("order", &order.number)
        }
        Verb::Approve { order, digest } => {
            let Some(order) = state.orders.get(order) else { return Ok(None) };
            Text::new("confirm.approve")
                .with("digest", digest.short())
                .with("order", &order.number)
                .with("service", &order.service)
                .with("to", &order.release.version)
                .with("count", servers_with_steps(&order.plan))
        }
        _ => return Ok(None),
    };
    Ok(Some(text))
}

fn figures(state: &State, text: Text, plan: &Plan) -> Text {
    let of = state.config.place(&plan.service, &plan.environment).map_or(0, |place| place.servers.len());
    text.with("count", servers_with_steps(plan))
        .with("batches", plan.batches.len())
        .with("min", plan.min_in_service)
        .with("of", of)
}

/// Servers that a plan changes.
pub fn servers_with_steps(plan: &Plan) -> usize {
    plan.batches.iter().flat_map(|batch| &batch.lanes).filter(|lane| !lane.steps.is_empty()).count()
}

/// Servers that an order has changed, or is changing.
fn touched(order: &Order) -> usize {
    let with_steps = order.plan.batches.iter().flat_map(|batch| &batch.lanes).filter(|lane| !lane.steps.is_empty());
    with_steps.filter(|lane| order.hosts.get(&lane.host).is_some_and(|host| host.state != HostState::NotTouched)).count()
}

fn versions_before(plan: &Plan) -> String {
    let lanes = plan.batches.iter().flat_map(|batch| &batch.lanes).filter(|lane| !lane.steps.is_empty());
    let mut versions: Vec<&str> = lanes.filter_map(|lane| lane.before.as_ref().map(|before| before.version.as_str())).collect();
    versions.sort_unstable();
    versions.dedup();
    if versions.is_empty() { "-".into() } else { versions.join(", ") }
}
