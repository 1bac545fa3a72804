//! The words of a release: reasons with their figures, timeline rows, changes, and which alerts a gate listens to.

use std::time::Duration;

use model::api::TimelineRow;
use model::change::{Change, ChangeKind, Scope};
use model::order::{JudgeEvidence, Order, OrderKind, OrderState, Tone};
use model::time::spoken;
use model::{AlertState, EventId, Labels, Recorded, RuleName, Text, Transition};

use super::work::Work;
use crate::State;
use crate::alert::{figure, summary};
use crate::incident::HALT_RULE;

/// A line of the timeline that belongs to no order.
pub fn row(state: &mut State, recorded: &Recorded, text: Text) {
    let scope = Scope::default();
    let (seq, at) = (recorded.seq, state.at);
    state.touched.timeline.push(TimelineRow {
        seq,
        at,
        text,
        tone: Tone::Change,
        flag: None,
        by: None,
        scope,
        incident: None,
        order: None,
    });
}

/// Whether an alert speaks of what this order does.
pub fn is_gate_alert(order: &Order, rule: &RuleName, labels: &Labels) -> bool {
    if rule.as_str() == HALT_RULE {
        return false;
    }
    let rules =
        order.plan.batches.get(order.batch as usize).or(order.plan.batches.last()).map_or(&[][..], |batch| &batch.gate.rules[..]);
    let names = |label: &str, name: &str| labels.get(label).is_none_or(|value| value == name);
    let environment = names("environment", order.environment.as_str());
    match rules {
        [] => labels.get("service") == Some(order.service.as_str()) && environment,
        rules => rules.contains(rule) && names("service", order.service.as_str()) && environment,
    }
}

/// New is worse than old, with the counts.
pub fn because_judge(evidence: &JudgeEvidence) -> Text {
    let share = |bad: u64, all: u64| format!("{:.1} %", if all == 0 { 0.0 } else { 100.0 * bad as f64 / all as f64 });
    Text::new("because.judge")
        .with("new_bad", grouped(evidence.new_bad))
        .with("new_all", grouped(evidence.new_all))
        .with("new_share", share(evidence.new_bad, evidence.new_all))
        .with("old_bad", grouped(evidence.old_bad))
        .with("old_all", grouped(evidence.old_all))
        .with("old_share", share(evidence.old_bad, evidence.old_all))
}

/// A rule is bad, with its value.
pub fn because_rule(transition: &Transition) -> Text {
    let value = transition.value.map_or_else(|| summary(transition), figure);
    Text::new("because.rule").with("rule", &transition.rule).with("value", value)
}

/// `4680` as `4,680`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What a host did, as the deploy log shows it: what the agent said, and how long it took.
pub fn took(note: &str, took_ms: u64) -> String {
    let took = spoken(Duration::from_millis(took_ms));
    if note.is_empty() { took } else { format!("{note} ({took})") }
}

/// Which sentence says that an order starts.
pub fn started(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Deploy => "order.started",
        OrderKind::Restart => "order.restart_started",
    }
}

/// From which version, where all servers had the same.
pub fn from_version(order: &Order) -> Option<String> {
    let mut versions = order
        .plan
        .batches
        .iter()
        .flat_map(|batch| &batch.lanes)
        .filter(|lane| !lane.steps.is_empty())
        .map(|lane| lane.before.as_ref().map_or("-", |before| before.version.as_str()));
    let first = versions.next()?.to_owned();
    versions.all(|version| version == first).then_some(first)
}

impl Work<'_> {
    /// The order's head as a sentence: service, from and to filled in.
    pub fn headed(&self, id: &str) -> Text {
        Text::new(id)
            .with("order", &self.order.number)
            .with("service", &self.order.service)
            .with("from", from_version(&self.order).unwrap_or_else(|| "-".into()))
            .with("to", &self.order.release.version)
    }

    /// What the order concerns: all hosts with steps.
    pub fn scope(&self) -> Scope {
        Scope {
            project: Some(self.order.project.clone()),
            service: Some(self.order.service.clone()),
            environment: Some(self.order.environment.clone()),
            hosts: self.run.lanes.keys().cloned().collect(),
        }
    }

    /// A line of the timeline; `flagged` where graphs show it.
    pub fn timeline(&mut self, text: Text, tone: Tone, flag: Option<String>, by: Option<String>) {
        let scope = self.scope();
        let order = Some(self.order.number.clone());
        let (seq, at) = (self.recorded.seq, self.now());
        self.state.touched.timeline.push(TimelineRow { seq, at, text, tone, flag, by, scope, incident: None, order });
    }

    /// The release itself, as a change: journalled before the first step is asked.
    pub fn note_release(&mut self) {
        let hosts: Vec<&str> = self.run.lanes.keys().map(|host| host.as_str()).collect();
        let (kind, what) = match self.order.kind {
            OrderKind::Deploy => (ChangeKind::Release, self.headed("change.release")),
            OrderKind::Restart => {
                let text = Text::new("change.restart").with("service", &self.order.service);
                (ChangeKind::System, text.with("hosts", hosts.join(", ")))
            }
        };
        let change = self.change("release", kind, what.clone(), Some(self.order.author.clone()));
        self.tell_change(change);
        let flag = match self.order.kind {
            OrderKind::Deploy => format!("{} {}", self.order.service, self.order.release.version),
            OrderKind::Restart => format!("restart {}", self.order.service),
        };
        self.timeline(what, Tone::Change, Some(flag), Some(self.order.author.clone()));
    }

    /// The rollback as a change, by whoever asked for it.
    pub fn note_rollback(&mut self, to: &str) {
        let what = self.headed("change.rollback").with("to", to);
        let change = self.change("rollback", ChangeKind::Release, what.clone(), None);
        self.tell_change(change);
        let flag = format!("{} {to}", self.order.service);
        self.timeline(what, Tone::RolledBack, Some(flag), None);
    }

    fn change(&self, does: &str, kind: ChangeKind, what: Text, author: Option<String>) -> Change {
        Change {
            id: EventId::from(format!("{}/{does}/{}", self.order.number, self.recorded.seq)),
            kind,
            what,
            scope: self.scope(),
            author,
            at: self.now(),
            detail: (!self.order.reason.is_empty()).then(|| self.order.reason.clone()),
            link: None,
            order: Some(self.order.number.clone()),
        }
    }

    /// Alerts that a gate of this order listens to and that are in this state now.
    pub fn gate_alerts(&self, wanted: AlertState) -> impl Iterator<Item = &Transition> {
        self.state
            .alerts
            .values()
            .filter(move |alert| alert.to == wanted && is_gate_alert(&self.order, &alert.rule, &alert.labels))
    }

    /// No alert of the gate is bad but those that were known when it began.
    pub fn gate_is_well(&self) -> bool {
        self.gate_alerts(AlertState::Bad).all(|alert| self.run.excused.contains(&alert.alert))
    }

    /// The state has been seen by whoever let the order go on: what is bad now does not halt it again.
    pub fn excuse_known_alerts(&mut self) {
        self.run.excused = self.gate_alerts(AlertState::Bad).map(|alert| alert.alert.clone()).collect();
    }

    /// Halted, with the reason: no new step is asked, those that are out may finish.
    pub fn halt(&mut self, because: Text) {
        let now = self.now();
        self.order.state = OrderState::Halted;
        self.order.halted_at = Some(now);
        self.order.because = Some(because.clone());
        self.order.watching_since = None;
        self.run.look_again_at = None;
        let text = Text::new("order.halted").with("because", because.render(self.state.config.flyball.language));
        self.note(text.clone(), Tone::Halted);
        self.timeline(text, Tone::Halted, None, None);
    }
}
