//! The catalogue of functions: names, signatures and one line of help each, and the words that an editor can complete.
//!
//! A table only; what a function does stands in the evaluator.

use std::cmp::Reverse;
use std::fmt;

use serde::Serialize;

use crate::ast::{AggregateOp, ValueType};

/// A function of PromQL.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// What its arguments must be; the last repeats where more are allowed.
    pub args: &'static [ValueType],
    /// Fewest arguments.
    pub args_min: usize,
    /// Most arguments.
    pub args_max: usize,
    /// What it answers.
    pub returns: ValueType,
    /// True where Prometheus has it behind `--enable-feature=promql-experimental-functions`.
    pub experimental: bool,
    /// Its arguments as documentation shows them.
    pub arg_names: &'static str,
    /// What it is for, in one line.
    pub help: &'static str,
}

impl Function {
    /// The function of that name. Case matters, as in Prometheus.
    pub fn named(name: &str) -> Option<&'static Function> {
        FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().map(|place| &FUNCTIONS[place])
    }

    /// What its argument number `place` must be.
    pub fn arg(&self, place: usize) -> Option<ValueType> {
        self.args.get(place).or(self.args.last()).copied()
    }
}

impl fmt::Display for Function {
    /// `rate(r: range vector) instant vector`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (place, name) in self.arg_names.split(", ").filter(|name| !name.is_empty()).enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            match self.arg(place) {
                Some(kind) if name != "..." => write!(f, "{comma}{name}: {}", kind.text())?,
                _ => write!(f, "{comma}{name}")?,
            }
        }
        write!(f, ") {}", self.returns.text())
    }
}

const V: ValueType = ValueType::Vector;
const M: ValueType = ValueType::Matrix;
const S: ValueType = ValueType::Scalar;
const T: ValueType = ValueType::String;
/// Most arguments of a function that takes any number: far above any sense, below any harm.
const MANY: usize = 256;

#[allow(clippy::too_many_arguments, reason = "one row of the table below")]
const fn f(
    name: &'static str,
    args: &'static [ValueType],
    args_min: usize,
    args_max: usize,
    returns: ValueType,
    experimental: bool,
    arg_names: &'static str,
    help: &'static str,
) -> Function {
    Function { name, args, args_min, args_max, returns, experimental, arg_names, help }
}

/// All functions, sorted by name.
#[rustfmt::skip]
pub static FUNCTIONS: &[Function] = &[
    f("abs", &[V], 1, 1, V, false, "v", "Absolute value of each sample."),
    f("absent", &[V], 1, 1, V, false, "v", "1 when the vector is empty, else nothing."),
    f("absent_over_time", &[M], 1, 1, V, false, "r", "1 when the range holds no sample, else nothing."),
    f("acos", &[V], 1, 1, V, false, "v", "Arc cosine, in radians."),
    f("acosh", &[V], 1, 1, V, false, "v", "Inverse hyperbolic cosine."),
    f("asin", &[V], 1, 1, V, false, "v", "Arc sine, in radians."),
    f("asinh", &[V], 1, 1, V, false, "v", "Inverse hyperbolic sine."),
    f("atan", &[V], 1, 1, V, false, "v", "Arc tangent, in radians."),
    f("atanh", &[V], 1, 1, V, false, "v", "Inverse hyperbolic tangent."),
    f("avg_over_time", &[M], 1, 1, V, false, "r", "Mean of the samples in the range."),
    f("ceil", &[V], 1, 1, V, false, "v", "Rounds up to the next integer."),
    f("changes", &[M], 1, 1, V, false, "r", "How often the value changed in the range."),
    f("clamp", &[V, S, S], 3, 3, V, false, "v, min, max", "Limits values to between min and max."),
    f("clamp_max", &[V, S], 2, 2, V, false, "v, max", "Limits values from above."),
    f("clamp_min", &[V, S], 2, 2, V, false, "v, min", "Limits values from below."),
    f("cos", &[V], 1, 1, V, false, "v", "Cosine of radians."),
    f("cosh", &[V], 1, 1, V, false, "v", "Hyperbolic cosine."),
    f("count_over_time", &[M], 1, 1, V, false, "r", "How many samples are in the range."),
    f("day_of_month", &[V], 0, 1, V, false, "v = vector(time())", "Day of the month of a UTC time, 1 to 31."),
    f("day_of_week", &[V], 0, 1, V, false, "v = vector(time())", "Day of the week of a UTC time, 0 is Sunday."),
    f("day_of_year", &[V], 0, 1, V, false, "v = vector(time())", "Day of the year of a UTC time, 1 to 366."),
    f("days_in_month", &[V], 0, 1, V, false, "v = vector(time())", "Days in the month of a UTC time, 28 to 31."),
    f("deg", &[V], 1, 1, V, false, "v", "Radians to degrees."),
    f("delta", &[M], 1, 1, V, false, "r", "Difference between last and first sample of a gauge, extrapolated to the range."),
    f("deriv", &[M], 1, 1, V, false, "r", "Per-second slope of a gauge by linear regression."),
    f("double_exponential_smoothing", &[M, S, S], 3, 3, V, true, "r, sf, tf", "Smoothed value of a gauge, by smoothing and trend factors."),
    f("end", &[], 0, 0, S, true, "", "Last step of the query, in seconds since 1970."),
    f("exp", &[V], 1, 1, V, false, "v", "e to the power of each value."),
    f("first_over_time", &[M], 1, 1, V, false, "r", "Oldest sample in the range."),
    f("floor", &[V], 1, 1, V, false, "v", "Rounds down to the next integer."),
    f("histogram_avg", &[V], 1, 1, V, false, "v", "Mean observation of native histograms."),
    f("histogram_count", &[V], 1, 1, V, false, "v", "Count of observations of native histograms."),
    f("histogram_fraction", &[S, S, V], 3, 3, V, false, "lower, upper, v", "Share of observations between two bounds."),
    f("histogram_quantile", &[S, V], 2, 2, V, false, "phi, v", "Quantile out of the buckets of a histogram."),
    f("histogram_quantiles", &[V, T, S, S], 3, 12, V, true, "v, label, phi, phi, ...", "Several quantiles out of the buckets of a histogram, with a label for each."),
    f("histogram_stddev", &[V], 1, 1, V, false, "v", "Standard deviation of native histograms."),
    f("histogram_stdvar", &[V], 1, 1, V, false, "v", "Variance of native histograms."),
    f("histogram_sum", &[V], 1, 1, V, false, "v", "Sum of observations of native histograms."),
    f("hour", &[V], 0, 1, V, false, "v = vector(time())", "Hour of a UTC time, 0 to 23."),
    f("idelta", &[M], 1, 1, V, false, "r", "Difference between the last two samples of a gauge."),
    f("increase", &[M], 1, 1, V, false, "r", "Growth of a counter over the range, extrapolated, resets counted."),
    f("info", &[V, V], 1, 2, V, true, "v, labels", "Adds labels of info metrics."),
    f("irate", &[M], 1, 1, V, false, "r", "Per-second growth of a counter by its last two samples."),
    f("label_join", &[V, T, T, T], 3, MANY, V, false, "v, dst, separator, src, ...", "Joins the values of labels into one label."),
    f("label_replace", &[V, T, T, T, T], 5, 5, V, false, "v, dst, replacement, src, regex", "Sets a label from another by a regular expression."),
    f("last_over_time", &[M], 1, 1, V, false, "r", "Newest sample in the range."),
    f("ln", &[V], 1, 1, V, false, "v", "Natural logarithm."),
    f("log10", &[V], 1, 1, V, false, "v", "Decimal logarithm."),
    f("log2", &[V], 1, 1, V, false, "v", "Binary logarithm."),
    f("mad_over_time", &[M], 1, 1, V, true, "r", "Median absolute deviation of the samples in the range."),
    f("max_of", &[S, S], 2, 2, S, true, "a, b", "The larger of two scalars."),
    f("max_over_time", &[M], 1, 1, V, false, "r", "Largest sample in the range."),
    f("min_of", &[S, S], 2, 2, S, true, "a, b", "The smaller of two scalars."),
    f("min_over_time", &[M], 1, 1, V, false, "r", "Smallest sample in the range."),
    f("minute", &[V], 0, 1, V, false, "v = vector(time())", "Minute of a UTC time, 0 to 59."),
    f("month", &[V], 0, 1, V, false, "v = vector(time())", "Month of a UTC time, 1 to 12."),
    f("pi", &[], 0, 0, S, false, "", "The number pi."),
    f("predict_linear", &[M, S], 2, 2, V, false, "r, seconds", "Value of a gauge so many seconds ahead, by linear regression."),
    f("present_over_time", &[M], 1, 1, V, false, "r", "1 for each series with a sample in the range."),
    f("quantile_over_time", &[S, M], 2, 2, V, false, "phi, r", "Quantile of the samples in the range."),
    f("rad", &[V], 1, 1, V, false, "v", "Degrees to radians."),
    f("range", &[], 0, 0, S, true, "", "Length of the query, in seconds."),
    f("rate", &[M], 1, 1, V, false, "r", "Per-second growth of a counter over the range, extrapolated, resets counted."),
    f("resets", &[M], 1, 1, V, false, "r", "How often a counter started again in the range."),
    f("round", &[V, S], 1, 2, V, false, "v, to_nearest = 1", "Rounds to the nearest integer, or multiple."),
    f("scalar", &[V], 1, 1, S, false, "v", "The value of a vector of one series, else NaN."),
    f("sgn", &[V], 1, 1, V, false, "v", "-1, 0 or 1 by the sign of each value."),
    f("sin", &[V], 1, 1, V, false, "v", "Sine of radians."),
    f("sinh", &[V], 1, 1, V, false, "v", "Hyperbolic sine."),
    f("sort", &[V], 1, 1, V, false, "v", "Sorts by value, smallest first; instant queries only."),
    f("sort_by_label", &[V, T], 1, MANY, V, true, "v, label, ...", "Sorts by labels; instant queries only."),
    f("sort_by_label_desc", &[V, T], 1, MANY, V, true, "v, label, ...", "Sorts by labels, last first; instant queries only."),
    f("sort_desc", &[V], 1, 1, V, false, "v", "Sorts by value, largest first; instant queries only."),
    f("sqrt", &[V], 1, 1, V, false, "v", "Square root."),
    f("start", &[], 0, 0, S, true, "", "First step of the query, in seconds since 1970."),
    f("start_timestamp", &[V], 1, 1, V, true, "v", "When the counter of each sample started, in seconds."),
    f("stddev_over_time", &[M], 1, 1, V, false, "r", "Standard deviation of the samples in the range."),
    f("stdvar_over_time", &[M], 1, 1, V, false, "r", "Variance of the samples in the range."),
    f("step", &[], 0, 0, S, true, "", "Step of the query, in seconds."),
    f("sum_over_time", &[M], 1, 1, V, false, "r", "Sum of the samples in the range."),
    f("tan", &[V], 1, 1, V, false, "v", "Tangent of radians."),
    f("tanh", &[V], 1, 1, V, false, "v", "Hyperbolic tangent."),
    f("time", &[], 0, 0, S, false, "", "The instant of evaluation, in seconds since 1970."),
    f("timestamp", &[V], 1, 1, V, false, "v", "When each sample was taken, in seconds since 1970."),
    f("ts_of_first_over_time", &[M], 1, 1, V, true, "r", "Time of the oldest sample in the range."),
    f("ts_of_last_over_time", &[M], 1, 1, V, true, "r", "Time of the newest sample in the range."),
    f("ts_of_max_over_time", &[M], 1, 1, V, true, "r", "Time of the largest sample in the range."),
    f("ts_of_min_over_time", &[M], 1, 1, V, true, "r", "Time of the smallest sample in the range."),
    f("vector", &[S], 1, 1, V, false, "s", "A scalar as a vector of one series without labels."),
    f("year", &[V], 0, 1, V, false, "v = vector(time())", "Year of a UTC time."),
];

/// Words of the language that are neither function nor aggregation, with what they are for.
pub static KEYWORDS: &[(&str, &str)] = &[
    ("and", "Series of the left that the right has too."),
    ("or", "Series of the left, and those of the right that the left has not."),
    ("unless", "Series of the left that the right has not."),
    ("atan2", "Arc tangent of left over right, by quadrant."),
    ("by", "Groups by these labels."),
    ("without", "Groups by all labels but these."),
    ("on", "Matches the two sides by these labels only."),
    ("ignoring", "Matches the two sides by all labels but these."),
    ("group_left", "Lets many series on the left match one on the right."),
    ("group_right", "Lets many series on the right match one on the left."),
    ("bool", "Lets a comparison answer 0 or 1 instead of filtering."),
    ("offset", "Looks so far back."),
    ("start", "With @: the first step of the query."),
    ("end", "With @: the last step of the query."),
    ("inf", "Infinity."),
    ("nan", "Not a number."),
];

/// What kind of word a completion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WordKind {
    /// A function.
    Function,
    /// An aggregation.
    Aggregation,
    /// Any other word of the language.
    Keyword,
}

/// A word that an editor can complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Word {
    /// The word.
    pub word: &'static str,
    /// What it is.
    pub kind: WordKind,
    /// Its signature, empty for keywords.
    pub signature: String,
    /// One line of help.
    pub help: &'static str,
    /// True where Prometheus calls it experimental.
    pub experimental: bool,
}

/// All words of PromQL for an editor: functions, aggregations, keywords.
pub fn completion_words() -> Vec<Word> {
    let functions = FUNCTIONS.iter().map(|function| Word {
        word: function.name,
        kind: WordKind::Function,
        signature: function.to_string(),
        help: function.help,
        experimental: function.experimental,
    });
    let aggregations = AggregateOp::ALL.into_iter().map(|op| Word {
        word: op.text(),
        kind: WordKind::Aggregation,
        signature: match op.parameter() {
            Some(kind) => format!("{} by (labels) (parameter: {}, v: instant vector) instant vector", op.text(), kind.text()),
            None => format!("{} by (labels) (v: instant vector) instant vector", op.text()),
        },
        help: aggregation_help(op),
        experimental: matches!(op, AggregateOp::Limitk | AggregateOp::LimitRatio),
    });
    let keywords = KEYWORDS.iter().map(|&(word, help)| Word {
        word,
        kind: WordKind::Keyword,
        signature: String::new(),
        help,
        experimental: false,
    });
    functions.chain(aggregations).chain(keywords).collect()
}

fn aggregation_help(op: AggregateOp) -> &'static str {
    match op {
        AggregateOp::Sum => "Sum of the group.",
        AggregateOp::Avg => "Mean of the group.",
        AggregateOp::Min => "Smallest of the group.",
        AggregateOp::Max => "Largest of the group.",
        AggregateOp::Count => "How many series the group has.",
        AggregateOp::Group => "1 for each group.",
        AggregateOp::Stddev => "Standard deviation of the group.",
        AggregateOp::Stdvar => "Variance of the group.",
        AggregateOp::Topk => "The k largest series of the group.",
        AggregateOp::Bottomk => "The k smallest series of the group.",
        AggregateOp::Quantile => "A quantile of the group.",
        AggregateOp::CountValues => "How many series of the group have each value.",
        AggregateOp::Limitk => "Any k series of the group, always the same.",
        AggregateOp::LimitRatio => "A share of the group, always the same.",
    }
}

/// The known word nearest to `word`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than any word of the language: nothing is near, and comparing would take long.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    known
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(word.len()) / 3).max(1))
        .min_by_key(|(distance, candidate)| (*distance, Reverse(same_start(&word, candidate))))
        .map(|(_, candidate)| candidate)
}

fn same_start(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_each_name_finds_itself() {
        assert!(FUNCTIONS.is_sorted_by_key(|function| function.name));
        for function in FUNCTIONS {
            assert_eq!(Function::named(function.name), Some(function));
            assert!(function.args_min <= function.args_max && function.args_max >= function.args.len().min(1), "{function}");
        }
        assert_eq!(Function::named("Rate"), None);
    }

    #[test]
    fn signatures_as_an_editor_shows_them() {
        let shown = |name| Function::named(name).unwrap().to_string();
        assert_eq!(shown("rate"), "rate(r: range vector) instant vector");
        assert_eq!(shown("round"), "round(v: instant vector, to_nearest = 1: scalar) instant vector");
        assert_eq!(shown("time"), "time() scalar");
        assert!(completion_words().iter().any(|word| word.word == "topk" && word.kind == WordKind::Aggregation));
    }

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = || FUNCTIONS.iter().map(|function| function.name);
        assert_eq!(nearest("rtae", known()), Some("rate"));
        assert_eq!(nearest("histogram_quantil", known()), Some("histogram_quantile"));
        assert_eq!(nearest("xyzzy", known()), None);
    }
}
