//! Properties that hold for whatever comes: nothing panics, what is printed parses to the same, all steps at once answer
//! what one step after the other answers.

use std::time::Duration;

use model::Time;
use proptest::prelude::*;
use query::ast::{Expr, Span};
use query::testing::MemorySource;
use query::{Params, Value, evaluate, parse};

fn name() -> BoxedStrategy<String> {
    prop_oneof![Just("a".into()), Just("b".into()), Just("c_total".into()), Just("job:x".into()), Just("sum".into())].boxed()
}

fn duration() -> BoxedStrategy<String> {
    prop_oneof![
        Just("1m".into()),
        Just("5m".into()),
        Just("90".into()),
        Just("2m * 2".into()),
        Just("(1m + 30s)".into()),
        Just("max_of(1m, 3m)".into()),
    ]
    .boxed()
}

fn shift() -> BoxedStrategy<String> {
    prop_oneof![
        Just(String::new()),
        Just(String::new()),
        Just(String::new()),
        Just(" offset 1m".into()),
        Just(" offset -90s".into()),
        Just(" @ 300".into()),
        Just(" @ end() offset 1m".into()),
        Just(" @ start()".into()),
    ]
    .boxed()
}

fn selector() -> BoxedStrategy<String> {
    let matchers = prop_oneof![Just(""), Just(""), Just("{i=\"1\"}"), Just("{i!~\"2|3\", \"x.y\"=\"\"}"), Just("{i=~\"[12]\"}")];
    (name(), matchers).prop_map(|(name, matchers)| format!("{name}{matchers}")).boxed()
}

fn number() -> BoxedStrategy<String> {
    prop_oneof![
        any::<f64>().prop_map(|value| if value.is_nan() {
            "NaN".into()
        } else {
            format!("{:e}", value.abs()).replace("inf", "Inf")
        }),
        (0u32..100).prop_map(|value| value.to_string()),
        Just("5m".into()),
        Just("0x1f".into()),
        Just("-1".into()),
    ]
    .boxed()
}

/// Texts of queries that are instant vectors.
fn vector() -> BoxedStrategy<String> {
    let leaf = (selector(), shift()).prop_map(|(selector, shift)| format!("{selector}{shift}"));
    leaf.prop_recursive(4, 24, 3, |inner| {
        let over_time: BoxedStrategy<&str> = prop_oneof![
            Just("rate"),
            Just("increase"),
            Just("delta"),
            Just("irate"),
            Just("avg_over_time"),
            Just("sum_over_time"),
            Just("min_over_time"),
            Just("last_over_time"),
            Just("changes"),
            Just("deriv"),
            Just("absent_over_time"),
            Just("stddev_over_time"),
        ]
        .boxed();
        let plain =
            prop_oneof![Just("abs"), Just("ceil"), Just("absent"), Just("-"), Just(""), Just("hour"), Just("timestamp")].boxed();
        let op = prop_oneof![
            Just("+"),
            Just("-"),
            Just("*"),
            Just("/"),
            Just("%"),
            Just("^"),
            Just("atan2"),
            Just("=="),
            Just("> bool"),
            Just("<"),
            Just("and"),
            Just("or"),
            Just("unless"),
            Just("* on (i)"),
            Just("- ignoring (i) group_left ()"),
            Just("and on ()"),
        ]
        .boxed();
        let scalar_op = prop_oneof![Just("+"), Just("/"), Just("^"), Just(">="), Just("!= bool")].boxed();
        let aggregation = prop_oneof![
            Just("sum("),
            Just("avg by (i) ("),
            Just("count without (i) ("),
            Just("max("),
            Just("topk(2, "),
            Just("quantile(0.3, "),
            Just("stddev by (i) ("),
            Just("bottomk by (i) (1, "),
            Just("group("),
        ]
        .boxed();
        prop_oneof![
            (over_time.clone(), selector(), duration(), shift()).prop_map(|(f, s, d, at)| format!("{f}({s}[{d}]{at})")).boxed(),
            (over_time, inner.clone(), duration(), shift()).prop_map(|(f, v, d, at)| format!("{f}(({v})[{d}:30s]{at})")).boxed(),
            (plain, inner.clone()).prop_map(|(f, v)| format!("{f}({v})")).boxed(),
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")).boxed(),
            (inner.clone(), scalar_op, number()).prop_map(|(a, op, n)| format!("({a} {op} {n})")).boxed(),
            (aggregation, inner.clone()).prop_map(|(f, v)| format!("{f}{v})")).boxed(),
            inner.clone().prop_map(|v| format!("label_replace({v}, \"j\", \"$1x\", \"i\", \"(.*)\")")).boxed(),
            inner.prop_map(|v| format!("({v} + scalar(a{{i=\"1\"}}))")).boxed(),
        ]
    })
    .boxed()
}

/// The tree without its places, as text: enough to compare two.
fn shape(expr: &Expr) -> String {
    let text = format!("{expr:?}");
    let place = regex_lite(&text);
    assert!(!place.contains("Span { start"), "{place}");
    place
}

fn regex_lite(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("Span {") {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        rest = &rest[rest.find('}').map_or(rest.len(), |end| end + 1)..];
    }
    out + rest
}

fn source() -> MemorySource {
    let text = "load 30s
        a{i=\"1\"} 1+2x10 _x3 stale 5 6 7x9
        a{i=\"2\"} 10-1x15 _x8 3x8
        a{i=\"3\", k=\"z\"} NaN 1 _ 4 Inf 3x20
        b{i=\"1\"} 0x30
        b{i=\"2\"} _x5 2+1x20
        c_total{i=\"1\"} 0+3x8 0+7x20
        job:x{i=\"9\"} 1 _x25 8x5";
    MemorySource::from_text(text).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_parses_to_the_same(text in vector()) {
        let expr = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let printed = expr.to_string();
        let again = parse(&printed).unwrap_or_else(|error| panic!("{text} -> {printed}: {error}"));
        prop_assert_eq!(&printed, &again.to_string());
        // A whole number of seconds is printed as a duration inside of brackets: the only change of shape.
        if !text.contains("[90") {
            prop_assert_eq!(shape(&expr), shape(&again), "{} -> {}", text, printed);
        }
    }

    #[test]
    fn any_text_parses_or_says_why(text in "[ -~\\n\u{e9}]{0,60}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.line >= 1 && error.column >= 1 && !error.message.is_empty());
        }
    }

    #[test]
    fn words_of_the_language_in_any_order_never_panic(
        words in prop::collection::vec(prop_oneof![
            Just("("), Just(")"), Just("["), Just("]"), Just("{"), Just("}"), Just("a"), Just("5m"), Just("1"), Just("sum"), Just("by"),
            Just("rate"), Just("offset"), Just("@"), Just(":"), Just(","), Just("-"), Just("^"), Just("on"), Just("group_left"), Just("\"x\""),
            Just("="), Just("=~"), Just("start"), Just("bool"), Just(">"), Just("#"), Just("'"), Just("step"), Just("max_of"), Just("fill"),
        ], 0..25)
    ) {
        let text = words.join(" ");
        match parse(&text) {
            Ok(expr) => {
                let printed = expr.to_string();
                prop_assert!(parse(&printed).is_ok(), "{} -> {}", text, printed);
            }
            Err(error) => prop_assert!(error.span.end as usize <= text.len() + 2),
        }
    }

    #[test]
    fn all_steps_at_once_answer_what_each_step_answers(text in vector()) {
        let source = source();
        let expr = parse(&text).unwrap();
        let (start, end, step) = (Time::from_secs(0), Time::from_secs(900), Duration::from_secs(45));
        let pinned = text.contains("end()") || text.contains("start()");
        let whole = evaluate(&expr, &Params::range(start, end, step), &source);
        let Ok(whole) = whole else {
            // Then some step alone must fail too, unless two series only differ in name and never meet.
            return Ok(());
        };
        let Value::Matrix(series) = whole.value else { panic!("{text}") };
        for place in 0..=20 {
            let at = start + step * place;
            if pinned {
                break;
            }
            let alone = evaluate(&expr, &Params::instant(at), &source).unwrap_or_else(|error| panic!("{text} at {at}: {error}"));
            let Value::Vector(samples) = alone.value else { panic!("{text}") };
            let here = |series: &&query::Series| series.times.contains(&at);
            prop_assert_eq!(samples.len(), series.iter().filter(here).count(), "{} at {}", text, at);
            for sample in samples {
                let found = series.iter().find(|series| series.labels == sample.labels && series.times.contains(&at));
                let Some(found) = found else { panic!("{text} at {at}: {} is missing", sample.labels) };
                let value = found.values[found.times.iter().position(|time| *time == at).unwrap()];
                prop_assert!(value == sample.value || value.is_nan() && sample.value.is_nan(), "{} at {}: {} {}", text, at, value, sample.value);
            }
        }
    }
}

#[test]
fn places_lie_inside_of_the_text() {
    let text = "sum by (i) (rate(a{i=\"1\"}[5m] offset 1m)) / on (i) group_left b > bool 2";
    fn check(expr: &Expr, text: &str) {
        assert!(!expr.span.of(text).is_empty(), "{expr}");
        assert_ne!(expr.span, Span::default());
        expr.each_child(|child| {
            assert!(child.span.start >= expr.span.start && child.span.end <= expr.span.end, "{child} in {expr}");
            check(child, text);
        });
    }
    check(&parse(text).unwrap(), text);
}
