//! What Explore and the palette complete: metrics and labels of the data, PromQL's words, services, hosts, verbs.

use axum::Json;
use axum::extract::State;
use model::rights::Right;
use model::{HostName, ServiceName};
use query::source::{MatchOp, Matcher, TimeRange};
use serde::Serialize;
use std::time::Duration;

use super::limit;
use crate::http::app::App;
use crate::http::error::HttpError;
use crate::http::params::Params;
use crate::http::routes::{Access, Routes, json};
use crate::verbs::grammar::VERBS;
use crate::verbs::measured;

/// Names are looked for in the data of this while.
const BACK: Duration = Duration::from_secs(3_600);
/// Longest beginning of a word, and longest name of a metric or a label, in bytes.
const WORD_LEN_MAX: usize = 256;

/// Adds its route.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes.get(
        "/api/flyball/v1/completion",
        Access::Needs(Right::View),
        "Words that begin with `prefix`: metrics, labels (of `metric`), values (of `label`), PromQL, services, hosts, verbs; `limit` each",
        json::<Completion>(),
        completion,
    )
}

/// GET /completion
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Completion {
    /// Names of metrics.
    pub metrics: Vec<String>,
    /// Names of labels, on `metric` where one is named.
    pub labels: Vec<String>,
    /// Values of `label`, where one is named.
    pub values: Vec<String>,
    /// Functions, aggregations and keywords of PromQL.
    pub words: Vec<CompletionWord>,
    /// Services.
    pub services: Vec<ServiceName>,
    /// Hosts.
    pub hosts: Vec<HostName>,
    /// Verbs of the grammar.
    pub verbs: Vec<String>,
}

/// A word of PromQL.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CompletionWord {
    /// The word.
    pub word: String,
    /// `function`, `aggregation` or `keyword`.
    pub kind: String,
    /// Its signature, empty for keywords.
    pub signature: String,
    /// One line of help.
    pub help: String,
}

async fn completion(State(app): State<App>, params: Params) -> Result<Json<Completion>, HttpError> {
    let limit = limit(&params)? as usize;
    let text = |name: &str| {
        params.parsed(name, |text| if text.len() <= WORD_LEN_MAX { Ok(text.to_owned()) } else { Err("256 bytes at most") })
    };
    let (prefix, metric, label) = (text("prefix")?.unwrap_or_default(), text("metric")?, text("label")?);
    let begins = prefix.to_lowercase();
    let read = measured(&app, move |source, at| {
        let range = TimeRange { from: at - BACK, to: at };
        let of_metric = match metric {
            Some(name) => vec![Matcher::new("__name__", MatchOp::Equal, name).map_err(|error| error.to_string())?],
            None => Vec::new(),
        };
        let failed = |error: query::source::SourceError| error.to_string();
        let metrics = source.label_values("__name__", &[], range).map_err(failed)?;
        let labels = source.label_names(&of_metric, range).map_err(failed)?;
        let values = label.map_or(Ok(Vec::new()), |label| source.label_values(&label, &of_metric, range)).map_err(failed)?;
        Ok::<_, String>((metrics, labels, values))
    });
    let (metrics, labels, values) = read.await?.map_err(HttpError::unprocessable)?;
    let fits = |word: &str| word.to_lowercase().starts_with(&begins);
    let some = |all: Vec<String>| all.into_iter().filter(|name| fits(name)).take(limit).collect();
    let allowed = |word: &query::Word| app.features.functions || !word.experimental;
    let words = query::completion_words().into_iter().filter(|word| allowed(word) && fits(word.word)).take(limit);
    let config = app.config();
    let hosts = app.pump.read_state(crate::view::rows::hosts);
    Ok(Json(Completion {
        metrics: some(metrics),
        labels: some(labels),
        values: some(values),
        words: words
            .map(|word| CompletionWord {
                word: word.word.to_owned(),
                kind: format!("{:?}", word.kind).to_lowercase(),
                signature: word.signature,
                help: word.help.to_owned(),
            })
            .collect(),
        services: config.services().map(|(_, name, _)| name.clone()).filter(|name| fits(name.as_str())).take(limit).collect(),
        hosts: hosts.into_iter().map(|row| row.host).filter(|host| fits(host.as_str())).take(limit).collect(),
        verbs: VERBS.iter().map(|entry| entry.verb.to_owned()).filter(|verb| fits(verb)).collect(),
    }))
}
