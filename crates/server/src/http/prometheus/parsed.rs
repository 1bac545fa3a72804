//! Queries that were parsed: dashboards and rules ask the same ones again and again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::query::{Expr, Features, ParseError, parse_with};
use ahash::AHashMap;

/// Most queries that are kept.
const KEPT_MAX: usize = 512;
/// Longest query that is kept, in bytes.
const KEPT_LEN_MAX: usize = 2 * 1024;

/// A lookback that is asked for is at most so long where a query is answered at once.
pub const LOOKBACK_MAX: Duration = Duration::from_secs(300);

/// A query and what is known about it.
#[derive(Debug)]
pub struct ParsedQuery {
    /// The tree.
    pub expr: Expr,
    /// Whether each of its selectors names one metric and leaves no label to a regex: finding its series is cheap.
    pub is_narrow: bool,
    /// How far before its first step it reads at most, the lookback included; none: at a fixed instant.
    pub reach: Option<Duration>,
}

/// The latest queries by their text.
#[derive(Debug)]
pub struct ParsedQueries {
    allowed: Features,
    kept: Mutex<AHashMap<Box<str>, Arc<ParsedQuery>>>,
}

impl ParsedQueries {
    /// None yet; what is experimental and not allowed is refused.
    pub fn new(allowed: Features) -> ParsedQueries {
        ParsedQueries { allowed, kept: Mutex::default() }
    }

    /// The tree of a query.
    pub fn get(&self, text: &str) -> Result<Arc<ParsedQuery>, ParseError> {
        if let Some(known) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(text) {
            return Ok(known.clone());
        }
        let expr = parse_with(text, &self.allowed)?;
        let parsed = Arc::new(ParsedQuery { is_narrow: is_narrow(&expr), reach: reach(&expr), expr });
        if text.len() <= KEPT_LEN_MAX {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT_MAX {
                // Those that are still asked come back at once.
                kept.clear();
            }
            kept.insert(text.into(), parsed.clone());
        }
        Ok(parsed)
    }
}

fn reach(expr: &Expr) -> Option<Duration> {
    let uses = ::query::selectors(expr);
    let windows = uses.iter().map(|selector| selector.at.is_none().then(|| selector.window(LOOKBACK_MAX)));
    windows.collect::<Option<Vec<_>>>().map(|windows| windows.into_iter().max().unwrap_or_default())
}

fn is_narrow(expr: &Expr) -> bool {
    use ::query::source::MatchOp;
    ::query::selectors(expr).iter().all(|selector| {
        let names = |matcher: &::query::source::Matcher| {
            matcher.name == model::labels::METRIC_NAME && matcher.op == MatchOp::Equal && !matcher.value.is_empty()
        };
        let plain = |op: MatchOp| matches!(op, MatchOp::Equal | MatchOp::NotEqual);
        selector.matchers.iter().any(names) && selector.matchers.iter().all(|matcher| plain(matcher.op))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cheap_to_find() {
        let parsed = ParsedQueries::new(Features::STABLE);
        for (query, narrow) in [
            ("up", true),
            ("1 + 1", true),
            ("rate(a{b=\"c\",d!=\"e\"}[5m]) / on(f) sum(g)", true),
            ("{b=\"c\"}", false),
            ("a{b=~\"c.*\"}", false),
            ("a + {__name__=~\".+\"}", false),
        ] {
            assert_eq!(parsed.get(query).unwrap().is_narrow, narrow, "{query}");
            assert!(Arc::ptr_eq(&parsed.get(query).unwrap(), &parsed.get(query).unwrap()));
        }
        assert!(parsed.get("sum(").is_err());
        for n in 0..2_000 {
            parsed.get(&format!("a{n}")).unwrap();
        }
        assert!(parsed.kept.lock().unwrap().len() <= KEPT_MAX);
    }
}
