//! What a query may use, and how it is stopped.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use model::Time;
use query::testing::MemorySource;
use query::{EvalError, Limits, Params, Value, evaluate, parse};

fn source() -> MemorySource {
    MemorySource::from_text("load 1m\n a{i=\"1\"} 0+1x100\n a{i=\"2\"} 0+1x100\n a{i=\"3\"} 0+1x100").unwrap()
}

fn error(query: &str, params: &Params<'_>) -> String {
    evaluate(&parse(query).unwrap(), params, &source()).map(|answer| answer.value).unwrap_err().to_string()
}

#[test]
fn ranges_that_make_no_sense_are_refused() {
    let minute = Duration::from_secs(60);
    let long = Params::range(Time(0), Time::from_secs(11_000 * 60), minute);
    assert_eq!(
        error("a", &long),
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
    );
    let longest = Params::range(Time(0), Time::from_secs(10_999 * 60), minute);
    assert!(evaluate(&parse("a").unwrap(), &longest, &source()).is_ok());
    assert_eq!(error("a", &Params::range(Time::from_secs(60), Time(0), minute)), "the end of the range lies before its start");
    assert_eq!(error("a", &Params::instant(Time::MAX)), "the times of the query are out of range");
    let ranged = error("a[5m]", &Params::range(Time(0), Time::from_secs(60), minute));
    assert_eq!(ranged, "a query over a range must be a scalar or an instant vector, this is a range vector");
}

#[test]
fn a_query_that_reads_too_much_is_stopped() {
    let mut params = Params::instant(Time::from_secs(6_000));
    params.limits = Limits { samples: 100, ..Limits::default() };
    assert_eq!(error("sum_over_time(a[2h])", &params), "the query holds too many samples at once: 100 at most");
    params.limits = Limits { read: 299, ..Limits::default() };
    assert_eq!(error("sum(sum_over_time(a[2h]))", &params), "the query reads too many samples: 299 at most");
    params.limits = Limits { read: 303, samples: 200, ..Limits::default() };
    assert!(evaluate(&parse("sum(sum_over_time(a[2h]))").unwrap(), &params, &source()).is_ok());
    params.limits = Limits { series: 2, ..Limits::default() };
    assert_eq!(error("a", &params), "3 series match, the limit is 2: narrow the selector");
    params.limits = Limits { samples: 1_000, ..Limits::default() };
    assert_eq!(error("max_over_time((a + 1)[10h:1s])", &params), "this subquery has too many steps");
}

/// Times at the ends of 64 bits saturate: an answer or an error, never an overflow.
#[test]
fn extreme_times_do_no_harm() {
    let far = Time((1 << 62) - 1);
    for query in [
        "a offset 292y",
        "a @ 9.19e12 offset -292y",
        "rate(a[292y] @ -9.19e12 offset 292y)",
        "predict_linear(a[292y] offset -292y, 1e300)",
        "deriv(a[292y] @ 9.19e12)",
        "max_over_time(a[292y:292y] @ 9.19e12 offset -292y)",
        "max_over_time(a[292y:1ms])",
        "sum_over_time(max_over_time(a[292y:290y] @ -9.19e12 offset 292y)[292y:291y])",
        "year(vector(1e300)) + hour(vector(-1e300)) + day_of_year(vector(Inf))",
        "timestamp(a @ 9.19e12)",
    ] {
        let expr = parse(query).unwrap();
        for at in [Time(0), far, Time(-far.0)] {
            let lookback = Duration::from_secs(u64::MAX / 2);
            for params in [Params::instant(at), Params { lookback, ..Params::range(at, at, Duration::MAX) }] {
                // Whichever it is, it must come.
                let _ = evaluate(&expr, &params, &source());
            }
        }
        assert!(query::selectors(&expr).len() <= 1);
    }
}

#[test]
fn a_caller_can_stop_a_query() {
    let asked = AtomicU32::new(0);
    let stop = || asked.fetch_add(1, Ordering::Relaxed) >= 2;
    let params = Params::instant(Time(0)).with_cancel(&stop);
    let result = evaluate(&parse("a + a + a + a").unwrap(), &params, &source());
    assert!(matches!(result, Err(EvalError::Cancelled)), "{result:?}");
    assert!(evaluate(&parse("1 + 1").unwrap(), &Params::instant(Time(0)), &source()).is_ok());
}

#[test]
fn what_is_not_built_says_so_and_where() {
    let text = "1 + histogram_count(a)";
    let result = evaluate(&parse(text).unwrap(), &Params::instant(Time(0)), &source());
    let Err(error @ EvalError::NotYet { span, .. }) = result else { panic!("{result:?}") };
    assert_eq!(span.of(text), "histogram_count(a)");
    assert_eq!(error.to_string(), "not yet: the function `histogram_count`");
}

#[test]
fn the_deepest_query_fits_on_a_small_stack() {
    let deepest = format!("{}a{}", "abs(".repeat(110), ")".repeat(110));
    let chain = format!("a{}", " + a".repeat(190));
    let small = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        for text in [deepest, chain] {
            let expr = parse(&text).unwrap();
            let answer =
                evaluate(&expr, &Params::range(Time(0), Time::from_secs(60), Duration::from_secs(60)), &source()).unwrap();
            assert!(matches!(answer.value, Value::Matrix(series) if series.len() == 3));
            assert_eq!(query::selectors(&expr.clone()).len(), text.matches('a').count() - text.matches("abs").count());
        }
    });
    small.unwrap().join().unwrap();
}

#[test]
fn a_bare_range_answers_its_samples() {
    let answer = evaluate(&parse("a{i=\"1\"}[3m]").unwrap(), &Params::instant(Time::from_secs(600)), &source()).unwrap();
    let Value::Matrix(series) = answer.value else { panic!() };
    assert_eq!(series[0].values, [8.0, 9.0, 10.0]);
    assert_eq!(series[0].times, [480, 540, 600].map(Time::from_secs));
    assert_eq!(answer.samples_read, 3);
}
