//! `check` and `status`: looks at servers and hosts now, and says how they are.

use std::time::Duration;

use engine::State;
use model::api::{Answer, AnswerPart, Cell, ServiceRow};
use model::order::{Order, OrderKind, OrderState};
use model::{AlertState, HostName, ServiceName, Text, Time};
use query::source::Source;

use super::grammar::Target;
use super::names::{Thing, Where};
use super::{Question, names};
use crate::http::app::App;
use crate::http::error::HttpError;
use crate::http::own;
use crate::view::overview::{self, PlaceFigures};
use crate::view::{numbers, place, rows, servers};

/// Agents report once a second: a look waits for figures younger than the question at most so long.
const FRESH_WITHIN: Duration = Duration::from_millis(1_500);
const FRESH_PAUSE: Duration = Duration::from_millis(100);

/// Reads series on a thread that may block, in its turn among queries.
pub async fn measured<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&dyn Source, Time) -> T + Send + 'static,
) -> Result<T, HttpError> {
    let turn = app.limits.query_turn().await?;
    let (source, at) = (app.telemetry.source(), app.clock.now());
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work(&*source, at)
    });
    done.await.map_err(|error| HttpError::internal(&error))
}

impl Question<'_> {
    /// The table of servers, freshly looked at; for a host its figures.
    pub(super) async fn check(&self, target: &Target) -> Result<Answer, HttpError> {
        match self.app.pump.read_state(|state| names::thing(state, target))? {
            Thing::Host(host) => {
                let of = format!("{{host={:?}}}", host.as_str());
                self.fresh(&format!("timestamp(node_time_seconds{of}) or timestamp(flyball_service_up{of})")).await?;
                self.look_at_host(host).await
            }
            Thing::Service(places) => {
                let name = places.first().map_or(target.name.as_str(), |place| place.service.as_str());
                self.fresh(&format!("timestamp(flyball_service_up{{service={name:?}}})")).await?;
                self.look_at_places(places).await
            }
        }
    }

    /// Waits until all figures are younger than the question. Who has been silent for 5 s is not waited for.
    async fn fresh(&self, reported_at: &str) -> Result<(), HttpError> {
        let asked = self.app.clock.now();
        let until = tokio::time::Instant::now() + FRESH_WITHIN;
        loop {
            let query = format!("min(({reported_at}) > time() - 5)");
            let oldest = measured(self.app, move |source, at| numbers::one(source, &query, at)).await?;
            let is_fresh = oldest.is_none_or(|at| Time::from_secs_f64(at) >= asked);
            if is_fresh || tokio::time::Instant::now() >= until {
                return Ok(());
            }
            tokio::time::sleep(FRESH_PAUSE).await;
        }
    }

    async fn look_at_places(&self, places: Vec<Where>) -> Result<Answer, HttpError> {
        let wanted = places.clone();
        let figures: Vec<servers::Figures> = measured(self.app, move |source, at| {
            wanted.iter().map(|place| servers::Figures::read(source, at, &place.service, &place.place)).collect()
        })
        .await?;
        let parts: Vec<AnswerPart> = self.app.pump.read_state(|state| {
            let looked = places.iter().zip(&figures);
            looked.map(|(place, figures)| servers_part(state, place, figures)).collect()
        });
        Ok(servers_answer(&places, parts))
    }

    async fn look_at_host(&self, host: HostName) -> Result<Answer, HttpError> {
        let wanted = overview::machine_numbers(&host);
        let values: Vec<(String, Option<f64>, String, Option<f64>)> = measured(self.app, move |source, at| {
            let value = |query: &str| numbers::one(source, query, at);
            wanted.into_iter().map(|number| (number.title, value(&number.query), number.unit, number.limit)).collect()
        })
        .await?;
        let language = self.language();
        let (row, on_it) = self.app.pump.read_state(|state| {
            let row = rows::hosts(state).into_iter().find(|row| row.host == host);
            (row, services_on(state, &host))
        });
        let (text, well, agent) = match &row {
            Some(row) => (host_text(&host, row.state, row.since), row.state == AlertState::Ok, row.agent_version.clone()),
            None => (host_text(&host, AlertState::NoData, None), false, String::new()),
        };
        let mut figures =
            vec![vec![plain("state"), cell(text.render(language), row.map(|row| row.state))], vec![plain("agent"), plain(agent)]];
        figures.extend(values.into_iter().map(|(title, value, unit, limit)| {
            let state = match (value, limit) {
                (None, _) => AlertState::NoData,
                (Some(value), Some(limit)) if value > limit => AlertState::Bad,
                _ => AlertState::Ok,
            };
            let shown = match (value, unit.as_str()) {
                (None, _) => "no data".to_owned(),
                (Some(value), "B/s") => format!("{:.1} kB/s", value / 1_000.0),
                (Some(value), unit) => format!("{value:.1} {unit}").trim_end().to_owned(),
            };
            vec![plain(title), cell(shown, Some(state))]
        }));
        let mut parts = vec![AnswerPart::Table { heads: vec!["number".into(), "value".into()], rows: figures }];
        if !on_it.is_empty() {
            let heads = ["service", "state", "since", "release"].map(str::to_owned).to_vec();
            parts.push(AnswerPart::Table { heads, rows: on_it });
        }
        Ok(Answer { understood: format!("check {host}"), text, well, parts, confirm: None, outcome: None })
    }

    /// How things are: the Overview's sentence and every service.
    pub(super) async fn status(&self) -> Result<Answer, HttpError> {
        let Some(overview) = own::overview(self.app).await else {
            return Err(HttpError::not_now("the overview can't be put together now"));
        };
        let parts = vec![services_part(&overview.services)];
        let well = overview.state == AlertState::Ok;
        Ok(Answer { understood: "status".into(), text: overview.sentence, well, parts, confirm: None, outcome: None })
    }

    /// How one service is in each of its environments; of a host the same as `check`.
    pub(super) async fn status_of(&self, target: &Target) -> Result<Answer, HttpError> {
        let places = match self.app.pump.read_state(|state| names::thing(state, target))? {
            Thing::Host(host) => return self.look_at_host(host).await,
            Thing::Service(places) => places,
        };
        let wanted = places.clone();
        let figures: Vec<PlaceFigures> = measured(self.app, move |source, at| {
            wanted.iter().map(|place| overview::measure_place(source, at, &place.service, &place.place)).collect()
        })
        .await?;
        let (services, parts): (Vec<ServiceRow>, Vec<AnswerPart>) = self.app.pump.read_state(|state| {
            let looked = places.iter().zip(&figures);
            looked
                .map(|(place, figures)| {
                    let of = (&place.project, &place.service, &place.environment);
                    (overview::service_row(state, figures, of, &place.place), servers_part(state, place, &figures.servers))
                })
                .unzip()
        });
        let mut answer = servers_answer(&places, parts);
        answer.well = answer.well && services.iter().all(|row| row.state == AlertState::Ok);
        answer.understood = answer.understood.replacen("check", "status", 1);
        answer.parts = vec![services_part(&services)];
        Ok(answer)
    }
}

fn servers_answer(places: &[Where], parts: Vec<AnswerPart>) -> Answer {
    let (mut up_all, mut of_all) = (0, 0);
    for part in &parts {
        if let AnswerPart::Servers { up, of, .. } = part {
            (up_all, of_all) = (up_all + up, of_all + of);
        }
    }
    let service = places.first().map_or("-", |place| place.service.as_str());
    let (text, understood) = match (&parts[..], places) {
        ([AnswerPart::Servers { environment, wanted, up, of, .. }], _) => (
            Text::new("verb.servers")
                .with("service", service)
                .with("environment", environment)
                .with("up", up)
                .with("of", of)
                .with("wanted", wanted),
            format!("check {service} {environment}"),
        ),
        _ => (
            Text::new("verb.places").with("service", service).with("up", up_all).with("of", of_all).with("count", places.len()),
            format!("check {service}"),
        ),
    };
    Answer { understood, text, well: of_all > 0 && up_all == of_all, parts, confirm: None, outcome: None }
}

fn servers_part(state: &State, of: &Where, figures: &servers::Figures) -> AnswerPart {
    let servers = servers::rows(state, figures, &of.service, &of.environment, &of.place);
    AnswerPart::Servers {
        service: of.service.clone(),
        environment: of.environment.clone(),
        wanted: wanted_release(state, of),
        up: servers.iter().filter(|row| servers::is_up(row)).count() as u32,
        of: servers.len() as u32,
        servers,
    }
}

/// The release that should be on line: of the order that runs, else of the last that ended, else what is there. An older
/// order that was taken back later counts later.
fn wanted_release(state: &State, of: &Where) -> String {
    let there =
        |order: &&Order| order.service == of.service && order.environment == of.environment && order.kind == OrderKind::Deploy;
    let started = state.orders.values().filter(there).filter(|order| order.started_at.is_some());
    let newest = started.max_by_key(|order| (order.ended_at.is_none(), order.ended_at, order.started_at));
    let before = |order: &Order| {
        let lanes = order.plan.batches.iter().flat_map(|batch| &batch.lanes);
        lanes.filter_map(|lane| lane.before.as_ref()).map(|before| before.version.clone()).next()
    };
    let by_order = newest.and_then(|order| match order.state {
        OrderState::Running | OrderState::Done => Some(order.release.version.clone()),
        OrderState::RollingBack | OrderState::RolledBack => before(order),
        _ => None,
    });
    by_order.unwrap_or_else(|| {
        let versions = place::on_line(state, &of.service, &of.environment);
        if versions.is_empty() { "-".into() } else { versions.join(", ") }
    })
}

fn services_part(services: &[ServiceRow]) -> AnswerPart {
    let heads = ["service", "environment", "state", "requests", "bad", "on_line", "servers"].map(str::to_owned).to_vec();
    let number = |value: Option<f64>, unit: &str| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}{unit}"));
    let rows = services
        .iter()
        .map(|row| {
            vec![
                plain(&row.service),
                plain(&row.environment),
                cell(state_word(row.state), Some(row.state)),
                plain(number(row.requests, "/s")),
                plain(number(row.bad_share.map(|share| share * 100.0), " %")),
                plain(row.on_line.join(", ")),
                plain(format!("{} of {}", row.servers_in, row.servers)),
            ]
        })
        .collect();
    AnswerPart::Table { heads, rows }
}

fn services_on(state: &State, host: &HostName) -> Vec<Vec<Cell>> {
    let here = state.services.iter().filter(|(key, _)| key.host == *host);
    here.map(|(key, seen)| {
        let well = if seen.state == model::signal::ServiceState::Running { AlertState::Ok } else { AlertState::Bad };
        let release = seen.release.as_ref().map_or("-", |release| release.version.as_str());
        vec![plain(&key.service), cell(service_word(seen.state), Some(well)), plain(seen.since), plain(release)]
    })
    .collect()
}

fn host_text(host: &HostName, state: AlertState, since: Option<Time>) -> Text {
    let id = match state {
        AlertState::Ok => "verb.host_up",
        AlertState::NoData => return Text::new("verb.host_new").with("host", host),
        AlertState::Bad | AlertState::SourceDown => "verb.host_down",
    };
    Text::new(id).with("host", host).with("since", since.map_or_else(|| "-".to_owned(), Time::clock))
}

fn state_word(state: AlertState) -> &'static str {
    match state {
        AlertState::Ok => "ok",
        AlertState::Bad => "bad",
        AlertState::NoData => "no data",
        AlertState::SourceDown => "source down",
    }
}

fn service_word(state: model::signal::ServiceState) -> &'static str {
    use model::signal::ServiceState;
    match state {
        ServiceState::Stopped => "stopped",
        ServiceState::Starting => "starting",
        ServiceState::Running => "running",
        ServiceState::Stopping => "stopping",
        ServiceState::Crashed => "crashed",
    }
}

fn plain(text: impl ToString) -> Cell {
    Cell { text: text.to_string(), state: None }
}

fn cell(text: impl ToString, state: Option<AlertState>) -> Cell {
    Cell { text: text.to_string(), state }
}

/// PromQL that picks a service's own process figures; the label is what agents send.
pub(super) fn of_service(metric: &str, service: &ServiceName) -> String {
    format!("{metric}{{service={:?}}}", service.as_str())
}
