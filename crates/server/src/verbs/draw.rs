//! `graph`: numbers of a service or a host, or any PromQL, as a picture and as series, with the changes marked.

use std::time::Duration;

use model::api::{Answer, AnswerPart, PictureSeries};
use model::config::Span;
use model::time::spoken;
use model::{HostName, ServiceName, Text, Time};

use super::grammar::Target;
use super::look::{measured, of_service};
use super::names::Thing;
use super::picture::{Flag, draw};
use super::{Question, names};
use crate::http::error::HttpError;
use crate::journal::RangeFilter;
use crate::view::numbers::{self, NumberError};
use crate::view::overview;

/// Most points of a line.
const POINTS_MAX: u64 = 200;
/// Most series of a picture; more are said, not sent.
const SERIES_MAX: usize = 50;
/// Most pictures of a service or a host.
const PICTURES_MAX: usize = 4;
/// Most changes marked.
const FLAGS_MAX: u32 = 50;
/// Longest name of a flag, in characters.
const FLAG_LEN: usize = 24;
/// How far back at most.
const BACK_MAX: Duration = Duration::from_secs(400 * 24 * 3600);

struct Drawing {
    title: String,
    query: String,
}

impl Question<'_> {
    pub(super) async fn graph(&self, what: &str, back: Span) -> Result<Answer, HttpError> {
        let back = back.duration();
        if back > BACK_MAX {
            return Err(HttpError::bad_request("400 days back at most").at("text"));
        }
        let target = Target { name: what.to_owned(), environment: None };
        let (drawings, service, host, name) = match self.app.pump.read_state(|state| names::thing(state, &target)) {
            Ok(Thing::Service(places)) => {
                let service = places.first().map(|place| place.service.clone());
                let drawings = service.as_ref().map(|service| self.of_service(service)).unwrap_or_default();
                let name = service.as_ref().map_or_else(|| what.to_owned(), ToString::to_string);
                (drawings, service, None, name)
            }
            Ok(Thing::Host(host)) => (of_host(&host), None, Some(host.clone()), host.to_string()),
            Err(unknown) => {
                // A bare word that is no metric either was meant as a name.
                let is_word = what.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
                if is_word && !self.is_metric(what).await? {
                    return Err(unknown);
                }
                query::parse_with(what, &self.app.features).map_err(|error| of_number(NumberError::Parse(error)))?;
                (vec![Drawing { title: what.to_owned(), query: what.to_owned() }], None, None, what.to_owned())
            }
        };
        let step = Duration::from_secs(back.as_secs().div_ceil(POINTS_MAX).max(1));
        let now = self.app.clock.now();
        // Steps lie on round times, so that the same graph asked for again shows the same points.
        let to = Time(now.0 - now.0.rem_euclid(step.as_micros() as i64));
        let from = to - step * (back.as_secs() / step.as_secs()).min(POINTS_MAX - 1) as u32;
        let drawn: Result<Vec<(String, Vec<PictureSeries>)>, NumberError> = measured(self.app, move |source, _| {
            let series = |drawing: Drawing| Ok((drawing.title, numbers::over(source, &drawing.query, from, to, step)?));
            drawings.into_iter().map(series).collect()
        })
        .await?;
        let drawn = drawn.map_err(of_number)?;
        let flags = self.flags(service.as_ref(), host.as_ref(), from, to).await?;
        let empty = drawn.iter().all(|(_, series)| series.is_empty());
        let parts = drawn
            .into_iter()
            .filter(|(_, series)| !series.is_empty())
            .map(|(title, mut series)| {
                series.truncate(SERIES_MAX);
                let svg = draw(&title, &series, &flags, from, to);
                AnswerPart::Picture { media_type: "image/svg+xml".into(), svg, series, title }
            })
            .collect();
        let text = Text::new(if empty { "verb.no_series" } else { "verb.drawn" }).with("what", &name).with("back", spoken(back));
        let understood = format!("graph {what} {}s", back.as_secs());
        Ok(Answer { understood, text, well: !empty, parts, confirm: None, outcome: None })
    }

    /// The numbers that its team chose; else what its processes use.
    fn of_service(&self, service: &ServiceName) -> Vec<Drawing> {
        let config = self.app.config();
        let chosen = config.service(service).map(|(_, of)| of.numbers.clone()).unwrap_or_default();
        if !chosen.is_empty() {
            let drawing = |number: model::config::NumberConfig| {
                let title = format!("{service}: {} {}", number.title, number.unit).trim_end().to_owned();
                Drawing { title, query: number.query }
            };
            return chosen.into_iter().take(PICTURES_MAX).map(drawing).collect();
        }
        vec![
            Drawing {
                title: format!("{service}: CPU, cores"),
                query: format!("rate({}[15s])", of_service("flyball_service_cpu_seconds_total", service)),
            },
            Drawing { title: format!("{service}: memory, bytes"), query: of_service("flyball_service_memory_bytes", service) },
        ]
    }

    async fn is_metric(&self, name: &str) -> Result<bool, HttpError> {
        let query = format!("count({{__name__={name:?}}})");
        Ok(measured(self.app, move |source, at| numbers::one(source, &query, at)).await?.is_some())
    }

    async fn flags(
        &self,
        service: Option<&ServiceName>,
        host: Option<&HostName>,
        from: Time,
        to: Time,
    ) -> Result<Vec<Flag>, HttpError> {
        let service = service.cloned();
        let filter = RangeFilter { from: Some(from), to: Some(to), service, limit: FLAGS_MAX, ..RangeFilter::default() };
        let changes = self.app.projections.changes(&filter).await?;
        let language = self.language();
        let here = |hosts: &[HostName]| host.is_none_or(|host| hosts.is_empty() || hosts.contains(host));
        Ok(changes
            .into_iter()
            .filter(|row| here(&row.change.scope.hosts))
            .map(|row| Flag { at: row.received_at, name: row.change.what.render(language).chars().take(FLAG_LEN).collect() })
            .collect())
    }
}

fn of_host(host: &HostName) -> Vec<Drawing> {
    let drawing = |number: model::config::NumberConfig| {
        let title = format!("{host}: {} {}", number.title, number.unit).trim_end().to_owned();
        Drawing { title, query: number.query }
    };
    overview::machine_numbers(host).into_iter().take(2).map(drawing).collect()
}

fn of_number(error: NumberError) -> HttpError {
    match error {
        NumberError::Parse(error) => HttpError::bad_request(error.to_string()).at("text"),
        NumberError::Evaluate(error) => HttpError::unprocessable(error.to_string()).at("text"),
    }
}
