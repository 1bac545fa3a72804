//! Rules on arrival: samples come, alerts change.

use engine::rule::{Evaluated, RuleId, RuleState, Rules, evaluate};
use model::config::RuleGroup;
use model::sample::STALE_NAN;
use model::{AlertState, Event, Labels, Time};

use crate::book::Book;
use crate::world::{World, time};

/// Rules, their memory and a book of samples.
pub struct Bench {
    pub rules: Rules,
    pub state: RuleState,
    pub book: Book,
    pub now: Time,
}

impl Bench {
    pub fn new(groups: &str) -> Bench {
        let groups: Vec<RuleGroup> = serde_saphyr::from_str(groups).unwrap();
        Bench::of(&groups)
    }

    pub fn of(groups: &[RuleGroup]) -> Bench {
        let rules = Rules::compile(groups).unwrap();
        Bench { rules, state: RuleState::default(), book: Book::default(), now: time("10:00:00") }
    }

    /// A sample arrives; the rules that it touches are evaluated. Says what changed, as `name{label}: from -> to`.
    pub fn arrives(&mut self, clock: &str, series: &[(&str, &str)], value: f64) -> Vec<String> {
        self.now = time(clock);
        let which = self.write(series, value);
        said(&self.run(&which))
    }

    pub fn write(&mut self, series: &[(&str, &str)], value: f64) -> Vec<RuleId> {
        let labels = Labels::new(series.iter().copied()).unwrap();
        let (series, is_new) = self.book.write(&labels, self.now, value);
        if is_new {
            self.rules.on_new_series(series, &labels);
        }
        self.rules.touched([series])
    }

    pub fn run(&mut self, which: &[RuleId]) -> Evaluated {
        let found = evaluate(&self.rules, &mut self.state, which, self.now, &self.book);
        assert!(found.failed.is_empty(), "{:?}", found.failed);
        found
    }

    /// The interval comes round.
    pub fn interval(&mut self, clock: &str) -> Vec<String> {
        self.now = time(clock);
        let all = self.rules.all();
        said(&self.run(&all))
    }
}

fn said(found: &Evaluated) -> Vec<String> {
    let word = |state| match state {
        AlertState::Ok => "ok",
        AlertState::Bad => "bad",
        AlertState::NoData => "no data",
        AlertState::SourceDown => "source down",
    };
    let line = |alert: &model::Transition| {
        let who = alert.labels.get("instance").or(alert.labels.get("service")).unwrap_or("");
        format!("{} {who}: {} -> {}", alert.rule, word(alert.from), word(alert.to))
    };
    found.transitions.iter().map(line).collect()
}

const ERRORS: &str = "
- name: shop
  rules:
    - alert: Errors
      expr: errors > 10
      labels: {severity: critical, team: '{{ $labels.service }}-team'}
      annotations: {summary: '{{ $labels.service }} has {{ $value | humanize }} errors'}
";

fn errors(instance: &'static str) -> [(&'static str, &'static str); 4] {
    [("__name__", "errors"), ("service", "shop"), ("job", "shop"), ("instance", instance)]
}

#[test]
fn a_bad_sample_is_an_alert_at_once() {
    let mut bench = Bench::new(ERRORS);
    assert!(bench.arrives("10:00:00", &errors("a"), 3.0).is_empty());
    assert_eq!(bench.arrives("10:00:01", &errors("a"), 31.0), ["Errors a: ok -> bad"]);
    assert!(bench.arrives("10:00:02", &errors("a"), 32.0).is_empty(), "told once");
    assert_eq!(bench.arrives("10:00:03", &errors("b"), 4_200.0), ["Errors b: ok -> bad"]);
    assert_eq!(bench.arrives("10:00:04", &errors("a"), 1.0), ["Errors a: bad -> ok"]);
}

#[test]
fn an_alert_says_what_its_rule_says() {
    let mut bench = Bench::new(ERRORS);
    bench.now = time("10:00:01");
    let which = bench.write(&errors("a"), 4_200.0);
    let alert = bench.run(&which).transitions.remove(0);
    let labels = r#"{alertname="Errors", instance="a", job="shop", service="shop", severity="critical", team="shop-team"}"#;
    assert_eq!(alert.labels.to_string(), labels);
    assert_eq!(alert.annotations["summary"], "shop has 4.2k errors");
    assert_eq!((alert.value, alert.onset, alert.expr.as_str()), (Some(4_200.0), bench.now, "errors > 10"));
}

#[test]
fn from_a_bad_sample_to_a_webhook_and_back() {
    let mut bench = Bench::new(ERRORS);
    let mut world = World::new();
    let mut arrives = |clock: &str, value: f64| {
        bench.now = time(clock);
        let which = bench.write(&errors("a"), value);
        let mut told = Vec::new();
        for transition in bench.run(&which).transitions {
            world.at(clock).does(Event::Alert(transition));
            told.extend(world.told());
        }
        told
    };
    assert!(arrives("10:14:59", 3.0).is_empty());
    assert_eq!(arrives("10:15:00", 31.0), ["pager: Bad Errors", "#shop: Errors is bad: shop has 31 errors"]);
    assert!(arrives("10:15:01", 33.0).is_empty());
    assert_eq!(arrives("10:16:00", 1.0), ["#shop: #1 recovered after 1 min 00 s", "pager: Ok Errors"]);
}

#[test]
fn a_limit_that_shrinks_calls_nothing_ok() {
    let mut bench = Bench::new(ERRORS);
    for instance in ["a", "b", "c"] {
        assert_eq!(bench.arrives("10:00:00", &errors(instance), 31.0).len(), 1);
    }
    let groups: Vec<RuleGroup> = serde_saphyr::from_str(&ERRORS.replace("- name: shop", "- name: shop\n  limit: 1")).unwrap();
    bench.rules = Rules::compile(&groups).unwrap();
    bench.rules.bind(&bench.book, bench.now).unwrap();
    assert_eq!(bench.interval("10:00:01"), ["Errors : ok -> bad"], "only that there are too many");
}

#[test]
fn it_has_to_hold_and_may_be_kept() {
    let mut bench = Bench::new("[{name: g, rules: [{alert: Errors, expr: errors > 10, for: 10s, keep_firing_for: 20s}]}]");
    assert!(bench.arrives("10:00:00", &errors("a"), 31.0).is_empty());
    let (due, rule) = bench.state.next_due(&bench.rules).unwrap();
    assert_eq!((due, bench.rules.name(rule).unwrap().as_str()), (time("10:00:10"), "Errors"));
    assert!(bench.arrives("10:00:09", &errors("a"), 1.0).is_empty(), "a gap begins it anew");
    assert!(bench.arrives("10:00:10", &errors("a"), 31.0).is_empty());
    assert_eq!(bench.interval("10:00:20"), ["Errors a: ok -> bad"]);
    assert!(bench.arrives("10:00:21", &errors("a"), 1.0).is_empty(), "kept");
    assert!(bench.arrives("10:00:40", &errors("a"), 31.0).is_empty());
    assert!(bench.arrives("10:00:41", &errors("a"), 1.0).is_empty());
    assert_eq!(bench.interval("10:01:01"), ["Errors a: bad -> ok"]);
}

#[test]
fn a_clock_that_is_set_back_puts_nothing_off() {
    let mut bench = Bench::new(HELD);
    bench.arrives("10:00:00", &errors("a"), 31.0);
    bench.book = Book::default();
    bench.rules = Rules::compile(&serde_saphyr::from_str::<Vec<RuleGroup>>(HELD).unwrap()).unwrap();
    assert!(bench.arrives("09:00:00", &errors("a"), 31.0).is_empty());
    assert_eq!(bench.arrives("09:00:10", &errors("a"), 31.0), ["Errors a: ok -> bad"]);
}

const HELD: &str = "[{name: g, rules: [{alert: Errors, expr: errors > 10, for: 10s, keep_firing_for: 10s}]}]";

#[test]
fn a_vanished_series_is_never_ok() {
    let mut bench = Bench::new(ERRORS);
    bench.arrives("10:00:00", &errors("a"), 31.0);
    bench.arrives("10:00:00", &errors("b"), 31.0);
    // One ends with a marker, the other just stops.
    assert_eq!(bench.arrives("10:00:15", &errors("a"), STALE_NAN), ["Errors a: bad -> no data"]);
    assert_eq!(bench.interval("10:05:01"), ["Errors b: bad -> no data"]);
    assert!(bench.interval("11:00:00").is_empty(), "said once");
    assert_eq!(bench.arrives("11:00:01", &errors("a"), 3.0), ["Errors a: no data -> ok"]);
    assert_eq!(bench.arrives("11:00:02", &errors("b"), 40.0), ["Errors b: no data -> bad"]);
}

#[test]
fn a_target_that_does_not_answer_is_source_down() {
    let mut bench = Bench::new(ERRORS);
    let up = [("__name__", "up"), ("job", "shop"), ("instance", "a")];
    bench.arrives("10:00:00", &up, 1.0);
    bench.arrives("10:00:00", &errors("a"), 31.0);
    bench.arrives("10:00:15", &up, 0.0);
    assert_eq!(bench.arrives("10:00:15", &errors("a"), STALE_NAN), ["Errors a: bad -> source down"]);
    bench.arrives("10:00:30", &up, 1.0);
    assert_eq!(bench.arrives("10:00:30", &errors("a"), 31.0), ["Errors a: source down -> bad"]);
}

#[test]
fn what_a_rule_needs_is_read_off_its_expression() {
    let service = |name: &'static str| [("__name__", name), ("service", "shop")];
    let last = |expr: &str, gone: &[&'static str]| {
        let mut bench = Bench::new(&format!("[{{name: g, rules: [{{alert: R, expr: '{expr}'}}]}}]"));
        bench.arrives("10:00:00", &service("b"), 1.0);
        bench.arrives("10:00:00", &service("a"), 100.0);
        assert_eq!(bench.interval("10:00:01"), [""; 0], "{expr}");
        assert!(!bench.state.clone().eq(&RuleState::default()), "{expr} is bad");
        bench.now = time("10:00:02");
        for name in gone {
            bench.write(&service(name), STALE_NAN);
        }
        let rest = ["a", "b"].into_iter().filter(|name| !gone.contains(name)).collect::<Vec<_>>();
        for name in rest {
            bench.write(&service(name), 1.0);
        }
        bench.interval("10:00:02").pop().unwrap_or_default()
    };
    assert_eq!(last("a > 10", &["a"]), "R shop: bad -> no data");
    assert_eq!(last("a > 10", &["b"]), "R shop: bad -> ok");
    assert_eq!(last("a / b > 10", &["b"]), "R shop: bad -> no data");
    assert_eq!(last("a > 10 unless b > 50", &["b"]), "R shop: bad -> ok");
    assert_eq!(last("a > 10 or b > 10", &["b"]), "R shop: bad -> ok");
    assert_eq!(last("sum by (service) (a) > 10", &["a"]), "R shop: bad -> no data");
}

#[test]
fn absence_is_the_alert_and_its_end_is_ok() {
    let mut bench = Bench::new("[{name: g, rules: [{alert: Gone, expr: 'absent(errors{service=\"shop\"})'}]}]");
    assert_eq!(bench.interval("10:00:00"), ["Gone shop: ok -> bad"]);
    assert_eq!(bench.arrives("10:00:01", &errors("a"), 1.0), ["Gone shop: bad -> ok"]);
    assert_eq!(bench.interval("10:05:02"), ["Gone shop: ok -> bad"]);
}

#[test]
fn too_many_is_said_once_and_the_first_are_kept() {
    let mut bench = Bench::new("[{name: g, limit: 2, rules: [{alert: Errors, expr: errors > 10}]}]");
    bench.arrives("10:00:00", &errors("c"), 31.0);
    let names = ["a", "b", "d"];
    for name in names {
        bench.now = time("10:00:01");
        bench.write(&errors(name), 31.0);
    }
    let mut said = bench.interval("10:00:01");
    said.sort();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[0], "Errors : ok -> bad", "the note that there are too many");
    assert!(bench.interval("10:00:02").is_empty());
    bench.arrives("10:00:03", &errors("a"), 1.0);
    let last = bench.arrives("10:00:04", &errors("b"), 1.0);
    assert!(last.contains(&"Errors : bad -> ok".to_owned()), "{last:?}");
}

#[test]
fn a_touched_rule_reads_and_does_not_look_up() {
    let mut bench = Bench::new(ERRORS);
    let all: Vec<_> = (0..100).map(|place| format!("i{place}")).collect();
    for name in &all {
        bench.write(&[("__name__", "errors"), ("instance", name)], 1.0);
        bench.write(&[("__name__", "other"), ("instance", name)], 1.0);
    }
    assert!(bench.write(&[("__name__", "other"), ("instance", "i1")], 2.0).is_empty(), "touches nothing");
    let which = bench.write(&[("__name__", "errors"), ("instance", "i1")], 2.0);
    assert_eq!(which.len(), 1);
    bench.run(&which);
    assert_eq!(bench.book.looked_up.lock().unwrap().get(), 0);
    assert_eq!(bench.book.read.lock().unwrap().get(), 100, "its own series, each once");
    // After a start the series are found once.
    let groups: Vec<RuleGroup> = serde_saphyr::from_str(ERRORS).unwrap();
    let mut rules = Rules::compile(&groups).unwrap();
    rules.bind(&bench.book, bench.now).unwrap();
    assert_eq!(rules.of(query::source::SeriesRef(0)).len(), 1);
    rules.on_series_gone(query::source::SeriesRef(0));
    assert!(rules.touched([query::source::SeriesRef(0)]).is_empty());
}

#[test]
fn recording_rules_run_at_their_interval_and_end_their_series() {
    let mut bench = Bench::new(
        "[{name: g, interval: 15s, rules: [{record: 'job:errors:sum', expr: 'sum by (job) (errors)', labels: {by: us}}]}]",
    );
    bench.now = time("10:00:01");
    assert!(bench.write(&errors("a"), 31.0).is_empty(), "not on arrival");
    bench.write(&errors("b"), 11.0);
    assert!(bench.rules.due(time("10:00:01"), time("10:00:14")).is_empty());
    assert_eq!(bench.rules.next_due(time("10:00:01")), Some(time("10:00:15")));
    let due = bench.rules.due(time("10:00:14"), time("10:00:15"));
    bench.now = time("10:00:15");
    let recorded = bench.run(&due).recorded;
    let rows: Vec<_> = recorded.iter().map(|(key, sample)| (Labels::from_key(key).unwrap().to_string(), sample.value)).collect();
    assert_eq!(rows, [(r#"job:errors:sum{by="us", job="shop"}"#.to_owned(), 42.0)]);
    bench.now = time("10:10:00");
    let ended = bench.run(&due).recorded;
    assert!(model::sample::is_stale(ended.iter().next().unwrap().1.value));
    assert!(bench.run(&due).recorded.is_empty());
}

#[test]
fn memory_survives_a_restart_and_agrees_with_the_journal() {
    let mut bench = Bench::new(ERRORS);
    bench.now = time("10:00:00");
    let which = bench.write(&errors("a"), 31.0);
    let alert = bench.run(&which).transitions.remove(0);
    bench.state = serde_json::from_str(&serde_json::to_string(&bench.state).unwrap()).unwrap();
    assert!(bench.arrives("10:00:01", &errors("a"), 32.0).is_empty(), "told already");
    // The journal has never heard of it: said again.
    bench.state.agree(&bench.rules, &Default::default());
    assert_eq!(bench.arrives("10:00:02", &errors("a"), 33.0), ["Errors a: ok -> bad"]);
    // The memory is lost, the journal knows: its end is seen.
    bench.state = RuleState::default();
    bench.state.agree(&bench.rules, &[(alert.alert.clone(), alert)].into());
    assert!(bench.arrives("10:00:03", &errors("a"), 33.0).is_empty());
    assert_eq!(bench.arrives("10:00:04", &errors("a"), 3.0), ["Errors a: bad -> ok"]);
}

#[test]
fn templates_see_the_metrics_name_and_alerts_are_without_it() {
    let mut bench = Bench::new(
        "[{name: g, rules: [{alert: Disk, expr: '{__name__=~\"disk_(read|write)_errors\"} > 0', labels: {metric: '{{ $labels.__name__ }}'}}]}]",
    );
    let disk = |name: &'static str| [("__name__", name), ("job", "shop"), ("instance", "a")];
    bench.now = time("10:00:00");
    bench.write(&disk("disk_read_errors"), 1.0);
    let which = bench.write(&disk("disk_write_errors"), 1.0);
    let found = bench.run(&which);
    let labels: Vec<String> = found.transitions.iter().map(|alert| alert.labels.to_string()).collect();
    let of = |metric: &str| format!(r#"{{alertname="Disk", instance="a", job="shop", metric="{metric}"}}"#);
    assert_eq!((labels, found.failed), (vec![of("disk_read_errors"), of("disk_write_errors")], Vec::new()));
}

/// What was remembered before templates saw the name, and what only the journal knows, is without it.
#[test]
fn a_memory_without_the_metrics_name_is_the_same_alert() {
    let mut bench =
        Bench::new("[{name: g, rules: [{alert: R, expr: 'errors > 0', annotations: {s: '{{ $labels.__name__ }}'}}]}]");
    bench.now = time("10:00:00");
    let which = bench.write(&errors("a"), 31.0);
    let alert = bench.run(&which).transitions.remove(0);
    assert_eq!(alert.annotations["s"], "errors");
    let mut kept: serde_json::Value = serde_json::to_value(&bench.state).unwrap();
    let text = kept.to_string();
    let read =
        kept["rules"].as_object_mut().unwrap().values_mut().flat_map(|rule| rule["alerts"].as_object_mut().unwrap().values_mut());
    read.for_each(|held| {
        held["read"] = held["read"].as_object().unwrap().clone().into_iter().filter(|(name, _)| name != "__name__").collect()
    });
    assert_ne!(kept.to_string(), text, "the name was there");
    let memories = [serde_json::from_value(kept).unwrap(), RuleState::default()];
    for mut memory in memories {
        RuleState::agree(&mut memory, &bench.rules, &[(alert.alert.clone(), alert.clone())].into());
        bench.state = memory;
        assert!(bench.arrives("10:00:03", &errors("a"), 33.0).is_empty());
        bench.now = time("10:00:04");
        let which = bench.write(&errors("a"), 0.0);
        let over = bench.run(&which).transitions.remove(0);
        assert_eq!((&over.alert, over.annotations["s"].as_str()), (&alert.alert, "errors"));
    }
}

#[test]
fn an_evaluation_that_fails_changes_nothing() {
    let mut bench = Bench::new("[{name: g, rules: [{alert: R, expr: 'a * on (job) b > 0'}]}]");
    let series = |name: &'static str, instance: &'static str| [("__name__", name), ("job", "j"), ("instance", instance)];
    bench.arrives("10:00:00", &series("a", "1"), 1.0);
    assert_eq!(bench.arrives("10:00:00", &series("b", "1"), 1.0), ["R : ok -> bad"]);
    bench.now = time("10:00:01");
    let which = bench.write(&series("b", "2"), 1.0);
    let found = evaluate(&bench.rules, &mut bench.state, &which, bench.now, &bench.book);
    assert_eq!((found.failed.len(), found.transitions.len()), (1, 0), "{found:?}");
    assert_eq!(bench.state.next_due(&bench.rules), None);
}

#[test]
fn mistakes_name_group_rule_and_place() {
    let groups: Vec<RuleGroup> = serde_saphyr::from_str(
        "
- name: g
  rules:
    - {alert: A, expr: 'sum(up'}
    - {alert: B, expr: up, annotations: {summary: 'x {{ $value | humanise }}'}}
    - {alert: C, record: c, expr: up}
    - {record: 'not a name', expr: up}
    - {expr: up}
    - {alert: D, expr: up}
",
    )
    .unwrap();
    let errors = Rules::compile(&groups).unwrap_err();
    let said: Vec<String> = errors.iter().map(|error| format!("{} {}", error.rule, error.field)).collect();
    assert_eq!(said, ["A expr", "B annotations.summary", "C record", "not a name record", " alert"]);
    assert_eq!(errors[1].place.unwrap().of("x {{ $value | humanise }}"), "humanise");
    assert!(errors[0].place.is_some());
}

#[test]
fn rules_that_stand_twice_are_two() {
    let groups: Vec<RuleGroup> = serde_saphyr::from_str(
        "
- name: g
  rules:
    - {alert: X, expr: sum(a) > 1}
    - {alert: X, expr: sum(b) > 1}
    - {alert: X, expr: sum(b) > 1, labels: {severity: page}}
    - {record: 'r:r', expr: sum(a)}
- name: h
  labels: {severity: page}
  rules:
    - {alert: X, expr: sum(c) > 1}
    - {record: 'r:r', expr: sum(b)}
",
    )
    .unwrap();
    let places: Vec<_> = engine::rule::repeated(&groups).into_iter().map(|found| (found.at, found.first)).collect();
    assert_eq!(places, [((0, 1), (0, 0)), ((1, 0), (0, 2))]);
    let mut bench = Bench::of(&groups[..1]);
    let series = |name: &'static str| [("__name__", name)];
    let mut known = std::collections::BTreeMap::new();
    let mut arrives = |bench: &mut Bench, clock: &str, name: &'static str, value: f64| -> Vec<String> {
        bench.now = time(clock);
        let which = bench.write(&series(name), value);
        let found = bench.run(&which);
        for one in &found.transitions {
            known.insert(one.alert.clone(), one.clone());
        }
        found.transitions.iter().map(|one| format!("{} {:?}", one.expr, one.to)).collect()
    };
    assert_eq!(arrives(&mut bench, "10:00:00", "a", 2.0), ["sum(a) > 1 Bad"]);
    assert_eq!(arrives(&mut bench, "10:00:01", "b", 2.0), ["sum(b) > 1 Bad", "sum(b) > 1 Bad"]);
    assert_eq!(arrives(&mut bench, "10:00:02", "a", 1.0), ["sum(a) > 1 Ok"], "the other holds still");
    assert_eq!(arrives(&mut bench, "10:00:03", "a", 2.0), ["sum(a) > 1 Bad"]);
    // What the engine knows finds its own rule again after the memory was lost.
    bench.state = RuleState::default();
    let told = known.clone();
    bench.state.agree(&bench.rules, &told);
    assert_eq!(bench.interval("10:00:04"), [""; 0]);
    let mut arrives = |clock: &str, name: &'static str, value: f64| {
        bench.now = time(clock);
        let which = bench.write(&series(name), value);
        bench.run(&which).transitions
    };
    let over = arrives("10:00:05", "b", 1.0);
    assert_eq!(over.iter().map(|one| one.expr.as_str()).collect::<Vec<_>>(), ["sum(b) > 1", "sum(b) > 1"]);
    assert!(over.iter().all(|one| told.contains_key(&one.alert) && one.to == AlertState::Ok));
    // A copy that is gone is over, and the first is not touched by it.
    let one: Vec<RuleGroup> = serde_saphyr::from_str("[{name: g, rules: [{alert: X, expr: sum(a) > 1}]}]").unwrap();
    let mut left = Bench { rules: Rules::compile(&one).unwrap(), ..bench };
    left.state.agree(&left.rules, &told.into_iter().filter(|(_, one)| one.labels.get("severity").is_none()).collect());
    let copy = over.iter().find(|one| one.alert.as_str().ends_with("/2")).unwrap();
    let labels = Labels::new(series("a")).unwrap();
    left.now = time("10:00:06");
    let (place, _) = left.book.write(&labels, left.now, 2.0);
    left.rules.on_new_series(place, &labels);
    let all = left.rules.all();
    let ended = left.run(&all).transitions;
    assert_eq!(ended.iter().map(|one| (&one.alert, one.to)).collect::<Vec<_>>(), [(&copy.alert, AlertState::Ok)]);
}
