//! Where series come from: how many there are by metric, by label, by pair of label and value, and by sender.
//!
//! Counts what is in memory now. The index is asked once for the series; counting holds no lock.

use ahash::{AHashMap, AHashSet};
use model::Labels;
use model::api::store::{Cardinality, LabelCount, PairCount, SeriesCount};
use query::source::Matcher;

use crate::store::{Options, Store};

/// What to count.
#[derive(Clone, Debug, Default)]
pub struct Counting {
    /// Series that fit any of these; empty: all.
    pub selectors: Vec<Vec<Matcher>>,
    /// Most rows of each list.
    pub limit: usize,
    /// The label whose values are counted too.
    pub label: Option<String>,
}

impl Store {
    /// Counts the series in memory. Takes about a second for a million of them: not for a thread that must not wait.
    pub fn cardinality(&self, what: &Counting) -> Cardinality {
        let mut found: Vec<Labels> = Vec::new();
        {
            let head = self.inner.head();
            if what.selectors.is_empty() {
                found.extend(head.series().map(|(_, labels)| labels.clone()));
            }
            let mut seen = AHashSet::new();
            for matchers in &what.selectors {
                let fitting = head.matching(matchers).into_iter();
                let fresh = fitting.filter(|id| what.selectors.len() == 1 || seen.insert(*id));
                found.extend(fresh.filter_map(|id| head.labels(id).cloned()));
            }
        }
        count(found.iter(), &self.inner.options, what)
    }
}

#[derive(Default)]
struct OfLabel<'a> {
    series: u64,
    values: AHashMap<&'a str, u64>,
}

/// Counts these series.
fn count<'a>(all: impl Iterator<Item = &'a Labels>, options: &Options, what: &Counting) -> Cardinality {
    let mut series = 0;
    let mut labels: AHashMap<&str, OfLabel<'_>> = AHashMap::new();
    for one in all {
        series += 1;
        for (name, value) in one.iter() {
            let label = labels.entry(name).or_default();
            label.series += 1;
            *label.values.entry(value).or_default() += 1;
        }
    }
    let of = |name: &str| {
        let values = labels.get(name).map(|label| &label.values);
        let rows = values.into_iter().flatten().map(|(value, series)| (*series, *value));
        let counts = most(rows, what.limit).into_iter().map(|(series, name)| SeriesCount { name: name.to_owned(), series });
        (counts.collect(), values.map_or(0, |values| values.len() as u64))
    };
    let (metrics, metrics_total) = of(model::labels::METRIC_NAME);
    let (sources, sources_total) = of(&options.source_label);
    let (values, values_total) = what.label.as_deref().map_or_else(Default::default, of);
    let pairs = labels.iter().flat_map(|(name, label)| label.values.iter().map(|(value, series)| (*series, (*name, *value))));
    let pairs = most(pairs, what.limit).into_iter();
    let by_values = most(labels.iter().map(|(name, label)| (label.values.len() as u64, *name)), what.limit).into_iter();
    Cardinality {
        series,
        series_max: options.series_max as u64,
        series_per_source_max: options.series_per_source_max as u64,
        source_label: options.source_label.clone(),
        metrics,
        metrics_total,
        labels: by_values
            .map(|(values, name)| {
                let label = &labels[name];
                let value_bytes = label.values.keys().map(|value| value.len() as u64).sum();
                LabelCount { name: name.to_owned(), series: label.series, values, value_bytes }
            })
            .collect(),
        labels_total: labels.len() as u64,
        pairs: pairs
            .map(|(series, (name, value))| PairCount { name: name.to_owned(), value: value.to_owned(), series })
            .collect(),
        pairs_total: labels.values().map(|label| label.values.len() as u64).sum(),
        sources,
        sources_total,
        values,
        values_total,
    }
}

/// The rows with the highest counts, those of one count by name. Holds twice the limit at most.
fn most<T: Ord>(rows: impl Iterator<Item = (u64, T)>, limit: usize) -> Vec<(u64, T)> {
    let order = |a: &(u64, T), b: &(u64, T)| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1));
    let mut kept = Vec::new();
    for row in rows {
        kept.push(row);
        if kept.len() >= limit.saturating_mul(2).max(64) {
            kept.sort_unstable_by(order);
            kept.truncate(limit);
        }
    }
    kept.sort_unstable_by(order);
    kept.truncate(limit);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use query::source::MatchOp;

    fn named(text: &[(&str, &str)]) -> Labels {
        Labels::new(text.iter().copied()).unwrap()
    }

    #[test]
    fn the_longest_lists_first_and_how_long_they_would_be() {
        let all: Vec<Labels> = (0..100)
            .map(|n| {
                let (path, host) = (format!("/item/{n}"), format!("web-{}", n % 2));
                named(&[("__name__", "requests"), ("path", &path), ("instance", &host)])
            })
            .chain([named(&[("__name__", "up"), ("instance", "web-0")])])
            .collect();
        let what = Counting { limit: 2, label: Some("path".into()), ..Counting::default() };
        let counted = count(all.iter(), &Options::new("/data"), &what);
        let one = |name: &str, series| SeriesCount { name: name.to_owned(), series };
        assert_eq!((counted.series, counted.metrics_total, counted.labels_total, counted.pairs_total), (101, 2, 3, 104));
        assert_eq!(counted.metrics, [one("requests", 100), one("up", 1)]);
        assert_eq!(counted.sources, [one("web-0", 51), one("web-1", 50)]);
        assert_eq!((counted.values, counted.values_total), (vec![one("/item/0", 1), one("/item/1", 1)], 100));
        assert_eq!(counted.labels[0], LabelCount { name: "path".into(), series: 100, values: 100, value_bytes: 790 });
        assert_eq!(counted.pairs[0], PairCount { name: "__name__".into(), value: "requests".into(), series: 100 });
        assert_eq!(counted.pairs.len(), 2);
    }

    #[test]
    fn a_series_that_fits_two_selectors_counts_once() {
        let files = crate::files::Simulated::new(1);
        let options = crate::Options { driven_by_caller: true, ..crate::Options::new("/data") };
        let now = model::Time::from_secs(100);
        let store = Store::open(options, std::sync::Arc::new(files), now).unwrap();
        let mut batch = model::SampleBatch::new();
        for host in ["a", "b", "c"] {
            batch.push(&named(&[("__name__", "up"), ("instance", host)]), now, 1.0);
        }
        let _ = store.append(&batch, now).unwrap();
        let fits = |op, value: &str| vec![Matcher::new("instance", op, value).unwrap()];
        let selectors = vec![fits(MatchOp::Regex, "a|b"), fits(MatchOp::Equal, "b")];
        assert_eq!(store.cardinality(&Counting { selectors, limit: 9, label: None }).series, 2);
        assert_eq!(store.cardinality(&Counting { limit: 9, ..Counting::default() }).sources_total, 3);
    }
}
