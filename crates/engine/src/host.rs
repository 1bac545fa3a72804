//! Hosts and the services on them, as their agents see them.
//!
//! A link that flaps opens no incident: only a host that stays away for [`LOST_AFTER`] is lost. Releases hear at once.

use std::time::Duration;

use model::api::TimelineRow;
use model::order::Tone;
use model::signal::{HostSeen, ServiceSeen, ServiceState};
use model::{
    AlertKey, AlertState, Change, ChangeKind, EventId, HostName, Labels, Recorded, RuleName, Scope, Text, Time, Transition,
};

use crate::state::{HostState, ServiceOnHost};
use crate::{Effect, State, alert, release, suspect};

/// A host whose link is down for so long is lost: its alert says "source down".
pub const LOST_AFTER: Duration = Duration::from_secs(30);

/// A host's link came up or went down.
pub fn seen(state: &mut State, recorded: &Recorded, seen: &HostSeen, effects: &mut Vec<Effect>) {
    let before = state.hosts.get(&seen.host);
    let is_new = before.is_none();
    let was_up = before.is_some_and(|host| host.seen.up);
    let rebooted = before.is_some_and(|host| {
        seen.up && !host.seen.boot_id.is_empty() && !seen.boot_id.is_empty() && host.seen.boot_id != seen.boot_id
    });
    let since = before.filter(|_| was_up == seen.up).map_or(recorded.at, |host| host.since);
    let lost_at = match before {
        _ if seen.up => None,
        // Down already: counted down, told, or ended by a person's word.
        Some(host) if !host.seen.up => host.lost_at,
        _ => Some(recorded.at + LOST_AFTER),
    };
    // A link that broke says nothing of the machine: what was known of it stays.
    let boot_id = if seen.boot_id.is_empty() {
        before.map(|host| host.seen.boot_id.clone()).unwrap_or_default()
    } else {
        seen.boot_id.clone()
    };
    state.hosts.insert(seen.host.clone(), HostState { seen: HostSeen { boot_id, ..seen.clone() }, since, lost_at });
    if is_new && seen.up {
        change(state, recorded, &seen.host, "change.host_new", format!("host/{}/joined", seen.host), effects);
    }
    if rebooted {
        change(state, recorded, &seen.host, "change.reboot", format!("host/{}/boot/{}", seen.host, seen.boot_id), effects);
    }
    if seen.up {
        turn(state, recorded, &seen.host, AlertState::Ok, recorded.at, effects);
    }
    // Each time that a link is made, also where the state never knew that it broke: after a restart of the server.
    if seen.up || was_up {
        release::host(state, recorded, &seen.host, seen.up, effects);
    }
}

/// A server took over: no link is made yet. A host that does not come back in time is lost like any other.
pub fn take_over(state: &mut State, recorded: &Recorded) {
    for host in state.hosts.values_mut().filter(|host| host.seen.up) {
        host.lost_at = Some(recorded.at + LOST_AFTER);
    }
}

/// Looks for hosts whose link has been down for too long.
pub fn lost(state: &mut State, recorded: &Recorded, effects: &mut Vec<Effect>) {
    let lost: Vec<(HostName, Time)> = state
        .hosts
        .iter()
        .filter(|(_, host)| host.lost_at.is_some_and(|lost| lost <= recorded.at))
        .map(|(name, host)| (name.clone(), host.since))
        .collect();
    for (host, since) in lost {
        let Some(known) = state.hosts.get_mut(&host) else { continue };
        known.lost_at = None;
        let never_came_back = known.seen.up;
        if never_came_back {
            known.seen.up = false;
            known.since = recorded.at;
        }
        turn(state, recorded, &host, AlertState::SourceDown, if never_came_back { recorded.at } else { since }, effects);
        if never_came_back {
            release::host(state, recorded, &host, false, effects);
        }
    }
}

/// When the next host would be lost.
pub fn next_due(state: &State) -> Option<Time> {
    state.hosts.values().filter_map(|host| host.lost_at).min()
}

/// A service's process changed its state.
pub fn service_seen(state: &mut State, recorded: &Recorded, seen: &ServiceSeen) {
    let at = ServiceOnHost { service: seen.service.clone(), host: seen.host.clone() };
    let before = state.services.insert(at, seen.clone());
    let crashed = seen.state == ServiceState::Crashed && before.is_none_or(|before| before.state != ServiceState::Crashed);
    if !crashed {
        return;
    }
    let project = state.config.service(&seen.service).map(|(project, _)| project.clone());
    let scope = Scope { project, service: Some(seen.service.clone()), environment: None, hosts: vec![seen.host.clone()] };
    let text = Text::new("self.service_crashed").with("service", &seen.service).with("host", &seen.host);
    let (seq, at) = (recorded.seq, recorded.at);
    let row = TimelineRow { seq, at, text, tone: Tone::Bad, flag: None, by: None, scope, incident: None, order: None };
    state.touched.timeline.push(row);
}

fn rule(host: &HostName) -> RuleName {
    RuleName::from(format!("host/{host}"))
}

fn turn(state: &mut State, recorded: &Recorded, host: &HostName, to: AlertState, onset: Time, effects: &mut Vec<Effect>) {
    let rule = rule(host);
    let labels = Labels::new([("alertname", rule.as_str()), ("host", host.as_str()), ("priority", "P3")]).unwrap_or_default();
    let alert = AlertKey::of(&rule, &labels);
    let from = alert::state_of(state, &alert);
    let summary = Text::new("self.host_lost").with("host", host).render(state.config.flyball.language);
    let annotations = [("summary".to_owned(), summary)].into();
    let turned = Transition { alert, rule, labels, annotations, from, to, value: None, onset, expr: String::new() };
    alert::observe(state, recorded, &turned, effects);
}

fn change(state: &mut State, recorded: &Recorded, host: &HostName, what: &str, id: String, effects: &mut Vec<Effect>) {
    let change = Change {
        id: EventId::from(id),
        kind: ChangeKind::System,
        what: Text::new(what).with("host", host),
        scope: Scope { hosts: vec![host.clone()], ..Scope::default() },
        author: None,
        at: recorded.at,
        detail: None,
        link: None,
        order: None,
    };
    suspect::changed(state, recorded, &change, effects);
}
