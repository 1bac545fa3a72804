//! `match[]`: selectors of series, as Prometheus' API and the store's own take them.

use query::ast::{ExprKind, Shift};
use query::source::Matcher;

use super::error::HttpError;
use super::params::Params;

/// Most selectors of one request.
const SELECTORS_MAX: usize = 100;

/// Each `match[]`: the matchers of one selector.
pub fn selectors(params: &Params) -> Result<Vec<Vec<Matcher>>, HttpError> {
    read(params.all("match[]"), "match[]")
}

/// Each of these texts: the matchers of one selector. `place` is where they stand, for an error.
pub fn read<'a>(texts: impl Iterator<Item = &'a str>, place: &str) -> Result<Vec<Vec<Matcher>>, HttpError> {
    let texts: Vec<&str> = texts.collect();
    if texts.len() > SELECTORS_MAX {
        return Err(HttpError::bad_request(format!("{} selectors, {SELECTORS_MAX} at most", texts.len())).at(place));
    }
    texts.into_iter().map(|text| selector(text).map_err(|why| HttpError::bad_request(why).at(place))).collect()
}

fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    match query::parse(text).map_err(|error| error.to_string())?.kind {
        // An offset or an edge moves what a query reads; series have none.
        ExprKind::Vector(selector) if selector.shift == Shift::default() && selector.edges.is_none() => Ok(selector.matchers),
        _ => Err("a selector is wanted, as up{job=\"shop\"}".into()),
    }
}
