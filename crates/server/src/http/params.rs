//! Parameters of a request, from its query and, where it has one, its form: each with its name in the error.

use axum::extract::{FromRequestParts, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use model::Time;

use super::error::HttpError;

/// Most parameters of one request.
const PARAMS_MAX: usize = 1_000;

/// Names and values in the order in which they came; a name may come twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Those of an address.
    pub fn of_uri(uri: &Uri) -> Result<Params, HttpError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| HttpError::bad_request(error.to_string()).at("query"))?;
        Params(Vec::new()).and(pairs)
    }

    /// These and more.
    pub fn and(mut self, pairs: Vec<(String, String)>) -> Result<Params, HttpError> {
        self.0.extend(pairs);
        if self.0.len() > PARAMS_MAX {
            return Err(HttpError::bad_request(format!("{} parameters, {PARAMS_MAX} at most", self.0.len())).at("query"));
        }
        Ok(self)
    }

    /// The first of that name that is not empty.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(have, value)| have == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// All of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// One that must be there.
    pub fn required(&self, name: &str) -> Result<&str, HttpError> {
        self.one(name).ok_or_else(|| HttpError::bad_request(format!("the parameter `{name}` is missing")).at(name))
    }

    /// A text that something can be made of: a name, a number.
    pub fn parsed<T, E: std::fmt::Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, HttpError> {
        self.one(name).map(|text| parse(text).map_err(|error| HttpError::bad_request(error.to_string()).at(name))).transpose()
    }

    /// A whole number.
    pub fn number(&self, name: &str) -> Result<Option<u64>, HttpError> {
        self.parsed(name, |text| text.parse().map_err(|_| format!("`{}` is not a whole number", short(text))))
    }

    /// An instant: RFC 3339, or seconds since the epoch.
    pub fn time(&self, name: &str) -> Result<Option<Time>, HttpError> {
        self.parsed(name, parse_time)
    }
}

/// Reads RFC 3339 or seconds since the epoch.
pub fn parse_time(text: &str) -> Result<Time, String> {
    if let Ok(secs) = text.parse::<f64>() {
        // A thousand years on either side of the epoch: microseconds of it still fit.
        if secs.is_finite() && secs.abs() < 3.2e10 {
            return Ok(Time::from_secs_f64(secs));
        }
        return Err(format!("`{}` seconds are too far away", short(text)));
    }
    Time::parse(text)
        .map_err(|_| format!("`{}` is not a time: write it as 2026-11-22T10:15:00Z or in seconds since the epoch", short(text)))
}

/// The first characters of something that was sent, for an error.
pub fn short(text: &str) -> String {
    let head: String = text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if head.len() < text.len() { format!("{head}...") } else { head }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params, HttpError> {
        Params::of_uri(&parts.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_errors() {
        let params = Params::of_uri(&"/x?a=1&b=&a=2&when=5x&n=-1&t=2026-11-22T10:15:00Z&s=1.5".parse().unwrap()).unwrap();
        assert_eq!(params.one("a"), Some("1"));
        assert_eq!(params.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(params.one("b"), None);
        assert_eq!(params.time("s").unwrap(), Some(Time(1_500_000)));
        assert_eq!(params.time("t").unwrap().unwrap().to_string(), "2026-11-22T10:15:00Z");
        for (name, error) in
            [("when", params.time("when").err()), ("n", params.number("n").err()), ("none", params.required("none").err())]
        {
            assert_eq!(error.unwrap().body().place.as_deref(), Some(name));
        }
    }

    #[test]
    fn far_times_are_refused_not_wrapped() {
        for text in ["1e300", "NaN", "inf", "-4e10", "", "yesterday"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
        assert_eq!(parse_time("-1").unwrap(), Time(-1_000_000));
    }
}
