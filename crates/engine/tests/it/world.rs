//! A world with a clock that stands still: events go in one by one, what is owed comes out.

use engine::effect::AlertNotice;
use engine::{Effect, State, TellBody, step};
use model::command::{Actor, Surface};
use model::config::Config;
use model::event::{Card, EVENT_SCHEMA};
use model::incident::Incident;
use model::text::Language;
use model::*;

/// A shop behind a balancer on two hosts, which needs a database; a person on call, a webhook and a room.
pub const SHOP: &str = "
hosts:
  shop-1: {address: 10.0.0.1}
  shop-2: {address: 10.0.0.2}
  db-1: {address: 10.0.0.9}
environments: {prod: {}, uat: {}}
projects:
  mall:
    services:
      shop:
        on_call: li
        depends_on: [db]
        notify: [pager, shop-room]
        environments:
          prod: {balancer: edge, servers: [{host: shop-1, port: 80}, {host: shop-2, port: 80}]}
      db: {depends_on: [disk], environments: {prod: {servers: [{host: db-1, port: 5432}]}}}
      disk: {}
      mail: {}
balancers: {edge: {haproxy: /run/edge.sock}}
notification:
  receivers:
    pager: {webhook: {url: 'http://127.0.0.1:9/'}}
    shop-room: {room: shop}
heartbeats:
  backup: {id: abcdefghijklmnopq, every: 1h, grace: 5m, service: db, priority: P2}
users: {li: {}, wang: {}}
";

pub struct World {
    pub state: State,
    pub now: Time,
    /// Everything that was recorded, for replays.
    pub book: Vec<Recorded>,
    /// What the last event owed to the world.
    pub owed: Vec<Effect>,
}

impl World {
    pub fn new() -> World {
        World::with(SHOP)
    }

    pub fn with(config: &str) -> World {
        let config: Config = serde_saphyr::from_str(config).unwrap();
        let now = Time::parse("2026-11-22T10:00:00Z").unwrap();
        let mut world = World { state: State::default(), now, book: Vec::new(), owed: Vec::new() };
        world.does(Event::Configured { config: Box::new(config), change: None });
        world
    }

    /// Sets the clock: `10:15:00` on the day of the stories.
    pub fn at(&mut self, clock: &str) -> &mut World {
        self.now = time(clock);
        self
    }

    pub fn does(&mut self, event: Event) -> &mut World {
        let recorded = Recorded { seq: Seq(self.state.seq.0 + 1), at: self.now, schema: EVENT_SCHEMA, event };
        self.owed.clear();
        step(&mut self.state, &recorded, &mut self.owed);
        self.book.push(recorded);
        self
    }

    /// Lets time pass to a clock, with a tick whenever something is due.
    pub fn passes_to(&mut self, clock: &str) -> Vec<Effect> {
        let mut owed = Vec::new();
        let end = time(clock);
        while let Some(due) = engine::next_due(&self.state).filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.does(Event::Tick);
            owed.append(&mut self.owed);
        }
        self.now = end;
        owed
    }

    pub fn alert(&mut self, rule: &str, labels: &[(&str, &str)], to: AlertState) -> &mut World {
        let event = transition(rule, labels, to, self.now);
        self.does(Event::Alert(event))
    }

    pub fn bad(&mut self, rule: &str, labels: &[(&str, &str)]) -> &mut World {
        self.alert(rule, labels, AlertState::Bad)
    }

    pub fn ok(&mut self, rule: &str, labels: &[(&str, &str)]) -> &mut World {
        self.alert(rule, labels, AlertState::Ok)
    }

    pub fn changes(&mut self, change: Change) -> &mut World {
        self.does(Event::Changed(change))
    }

    pub fn asks(&mut self, id: &str, who: &str, verb: Verb) -> Outcome {
        let by = Actor { name: who.into(), via: Surface::Cli };
        self.does(Event::Command(Command { id: EventId::from(id), by, verb }));
        let answers: Vec<Outcome> = self
            .owed
            .iter()
            .filter_map(|effect| match effect {
                Effect::Answer { command, outcome } if command.as_str() == id => Some(outcome.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(answers.len(), 1, "one command, one answer");
        answers[0].clone()
    }

    pub fn incident(&self, number: u64) -> &Incident {
        &self.state.incidents[&IncidentNumber(number)]
    }

    pub fn story(&self, number: u64) -> Vec<String> {
        self.incident(number).story.iter().map(|line| line.text.render(Language::En)).collect()
    }

    /// What the last event tells, as `receiver: text`; webhooks as `receiver: state alertname`.
    pub fn told(&self) -> Vec<String> {
        said(&self.owed)
    }
}

pub fn said(owed: &[Effect]) -> Vec<String> {
    owed.iter()
        .filter_map(|effect| match effect {
            Effect::Tell(tell) => Some(match &tell.body {
                TellBody::Alert(notice) => {
                    format!("{}: {:?} {}", tell.receiver, notice.state, notice.labels.get("alertname").unwrap_or(""))
                }
                TellBody::Card { room, card } => format!("#{room}: {}", card.text.render(Language::En)),
            }),
            _ => None,
        })
        .collect()
}

pub fn cards(owed: &[Effect]) -> Vec<Card> {
    owed.iter()
        .filter_map(|effect| match effect {
            Effect::Tell(engine::Tell { body: TellBody::Card { card, .. }, .. }) => Some(card.clone()),
            _ => None,
        })
        .collect()
}

pub fn notices(owed: &[Effect]) -> Vec<(EffectKey, AlertNotice)> {
    owed.iter()
        .filter_map(|effect| match effect {
            Effect::Tell(engine::Tell { key, body: TellBody::Alert(notice), .. }) => Some((key.clone(), notice.clone())),
            _ => None,
        })
        .collect()
}

pub fn time(clock: &str) -> Time {
    Time::parse(&format!("2026-11-22T{clock}Z")).unwrap()
}

pub fn transition(rule: &str, labels: &[(&str, &str)], to: AlertState, onset: Time) -> Transition {
    let labels = Labels::new(labels.iter().copied().chain([("alertname", rule)])).unwrap();
    let rule = RuleName::from(rule);
    Transition {
        alert: AlertKey::of(&rule, &labels),
        annotations: [("summary".to_owned(), format!("{rule} hurts"))].into(),
        rule,
        labels,
        from: AlertState::Ok,
        to,
        value: Some(0.31),
        onset,
        expr: "errors > 0.1".into(),
    }
}

/// A change on a service or on a host.
pub fn change(id: &str, kind: ChangeKind, service: &str, host: &str) -> Change {
    Change {
        id: EventId::from(id),
        kind,
        what: Text::plain(id),
        scope: Scope {
            service: (!service.is_empty()).then(|| ServiceName::new(service).unwrap()),
            hosts: (!host.is_empty()).then(|| HostName::new(host).unwrap()).into_iter().collect(),
            ..Scope::default()
        },
        author: None,
        at: Time(0),
        detail: None,
        link: None,
        order: None,
    }
}
