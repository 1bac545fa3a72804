//! `log`, `incidents`, `orders`, `changes`, `help`: lists, newest first; logs oldest first.

use model::api::{Answer, AnswerPart, VerbHelp};
use model::order::Order;
use model::signal::LogLine;
use model::{HostName, IncidentNumber, Language, OrderNumber, ServiceName, Text, Time};

use super::grammar::{self, Target, VERBS, VerbEntry};
use super::names::Thing;
use super::{Question, names, of_grammar};
use crate::http::app::App;
use crate::http::error::HttpError;
use crate::journal::{IncidentFilter, OrderFilter, RangeFilter};
use crate::view::rows;

/// Rows of a list.
const ROWS: u32 = 20;
/// Changes looked through for those of a host.
const CHANGES_LOOKED_AT: u32 = 500;

impl Question<'_> {
    pub(super) async fn log(&self, target: &Target, lines: usize) -> Result<Answer, HttpError> {
        let thing = self.app.pump.read_state(|state| {
            if let Some(order) = names::order_by_number(state, &target.name) {
                return order.map(|order| Ok(order.number.clone()));
            }
            names::thing(state, target).map(Err)
        });
        let (what, lines) = match thing {
            Ok(Ok(number)) => {
                let order = self.app.projections.order(&number).await?;
                let order = order.ok_or_else(|| HttpError::unknown("this order is not on disk yet").at("order"))?;
                (number.to_string(), order_log(self.app, &order, self.language(), lines))
            }
            Ok(Err(Thing::Host(host))) => (host.to_string(), self.app.logs.last(None, Some(&host), lines)),
            Ok(Err(Thing::Service(places))) => {
                let service = places.first().map(|place| place.service.clone());
                let named = target.environment.is_some();
                let hosts: Vec<&HostName> =
                    places.iter().flat_map(|place| &place.place.servers).map(|server| &server.host).collect();
                let mut found: Vec<LogLine> = if named {
                    hosts.iter().flat_map(|host| self.app.logs.last(service.as_ref(), Some(host), lines)).collect()
                } else {
                    self.app.logs.last(service.as_ref(), None, lines)
                };
                found.sort_by_key(|line| line.at);
                let skip = found.len().saturating_sub(lines);
                (target.name.clone(), found.split_off(skip))
            }
            // Orders that ended long ago are in the projections only.
            Err(unknown) => match self.app.projections.order(&OrderNumber::from(target.name.as_str())).await? {
                Some(order) => (order.number.to_string(), order_log(self.app, &order, self.language(), lines)),
                None => return Err(unknown),
            },
        };
        let text = Text::new("verb.lines").with("count", lines.len()).with("what", &what);
        Ok(reading(format!("log {what}"), text, AnswerPart::Log { lines }))
    }

    pub(super) async fn incidents(&self, all: bool) -> Result<Answer, HttpError> {
        let filter = IncidentFilter { unresolved: !all, limit: ROWS, ..IncidentFilter::default() };
        let incidents: Vec<_> = self.app.projections.incidents(&filter).await?.iter().map(rows::incident).collect();
        let well =
            incidents.iter().all(|row| row.state == model::incident::IncidentState::Resolved || row.recovered_at.is_some());
        let text = counted("verb.incident_one", "verb.incidents", incidents.len());
        let understood = if all { "incidents all" } else { "incidents" };
        Ok(Answer { well, ..reading(understood.into(), text, AnswerPart::Incidents { incidents }) })
    }

    pub(super) async fn orders(&self, of: Option<String>) -> Result<Answer, HttpError> {
        let service =
            of.map(|name| names::service(&self.app.config(), &name).map(|(_, service, _)| service.clone())).transpose()?;
        let understood = service.as_ref().map_or_else(|| "orders".to_owned(), |service| format!("orders {service}"));
        let filter = OrderFilter { service, limit: ROWS, ..OrderFilter::default() };
        let orders: Vec<_> = self.app.projections.orders(&filter).await?.iter().map(rows::order).collect();
        let text = counted("verb.order_one", "verb.orders", orders.len());
        Ok(reading(understood, text, AnswerPart::Orders { orders }))
    }

    pub(super) async fn changes(&self, of: Option<String>) -> Result<Answer, HttpError> {
        let thing = of.map(|name| {
            let target = Target { name, environment: None };
            self.app.pump.read_state(|state| names::thing(state, &target))
        });
        let (service, host): (Option<ServiceName>, Option<HostName>) = match thing.transpose()? {
            Some(Thing::Service(places)) => (places.first().map(|place| place.service.clone()), None),
            Some(Thing::Host(host)) => (None, Some(host)),
            None => (None, None),
        };
        let name = service.as_ref().map(ToString::to_string).or(host.as_ref().map(ToString::to_string));
        let limit = if host.is_some() { CHANGES_LOOKED_AT } else { ROWS };
        let filter = RangeFilter { service, limit, ..RangeFilter::default() };
        let mut changes = self.app.projections.changes(&filter).await?;
        changes.retain(|row| host.as_ref().is_none_or(|host| row.change.scope.hosts.contains(host)));
        changes.truncate(ROWS as usize);
        let text = counted("verb.change_one", "verb.changes", changes.len());
        let understood = name.map_or_else(|| "changes".to_owned(), |name| format!("changes {name}"));
        Ok(reading(understood, text, AnswerPart::Changes { changes }))
    }
}

/// The verbs, or one of them.
pub fn help(verb: Option<&str>) -> Result<Answer, HttpError> {
    let entries: Vec<&VerbEntry> = match verb {
        Some(word) => vec![grammar::verb(word).map_err(of_grammar)?],
        None => VERBS.iter().collect(),
    };
    let verbs: Vec<VerbHelp> = entries
        .iter()
        .map(|entry| VerbHelp {
            verb: entry.verb.into(),
            usage: entry.usage.into(),
            text: Text::new(entry.text),
            right: entry.right,
        })
        .collect();
    let (understood, text) = match (&entries[..], verb) {
        ([entry], Some(_)) => (format!("help {}", entry.verb), Text::new(entry.text)),
        _ => ("help".to_owned(), Text::new("verb.verbs").with("count", verbs.len())),
    };
    Ok(reading(understood, text, AnswerPart::Help { verbs }))
}

/// An order's story and what its agents wrote while they did it, oldest first: the newest `limit` lines.
pub fn order_log(app: &App, order: &Order, language: Language, limit: usize) -> Vec<LogLine> {
    let mut lines = order_story(order, language);
    if let (Some(from), Ok(deploy)) = (order.started_at, ServiceName::new("deploy")) {
        let to = order.ended_at.unwrap_or(Time::MAX);
        for host in order.hosts.keys() {
            let of_host = app.logs.last(Some(&deploy), Some(host), limit);
            lines.extend(of_host.into_iter().filter(|line| line.at >= from && line.at <= to));
        }
    }
    lines.sort_by_key(|line| line.at);
    let skip = lines.len().saturating_sub(limit);
    lines.split_off(skip)
}

/// An order's story as lines of a log.
pub fn order_story(order: &Order, language: Language) -> Vec<LogLine> {
    let (Ok(everywhere), Ok(deploy)) = (HostName::new("flyball"), ServiceName::new("deploy")) else { return Vec::new() };
    let line = |note: &model::order::OrderNote| {
        let sentence = note.text.render(language);
        let text = if note.note.is_empty() { sentence } else { format!("{sentence}: {}", note.note) };
        LogLine { at: note.at, host: note.host.clone().unwrap_or_else(|| everywhere.clone()), service: deploy.clone(), text }
    };
    order.story.iter().map(line).collect()
}

/// The number in `#12` or `12`.
pub fn incident_number(text: &str) -> Result<IncidentNumber, HttpError> {
    let number = text.trim_start_matches('#').parse().map(IncidentNumber);
    number.map_err(|_| HttpError::bad_request("an incident's number is wanted").at("number"))
}

fn reading(understood: String, text: Text, part: AnswerPart) -> Answer {
    Answer { understood, text, well: true, parts: vec![part], confirm: None, outcome: None }
}

/// A count as a sentence: English has another word for one.
fn counted(one: &str, many: &str, count: usize) -> Text {
    if count == 1 { Text::new(one) } else { Text::new(many).with("count", count) }
}
