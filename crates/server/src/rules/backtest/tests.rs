//! A back-test beside the live rules whose feed was kept: what each told, and when. Generated rules over feeds with late, lost and
//! doubled batches, each from a seed.

use store::files::{Files, Random, Simulated};

use super::*;

/// The feed begins here, and goes on for so long.
const BEGIN: i64 = 1_700_000_000;
const SECONDS: u64 = 900;
const HOSTS: u64 = 4;
const URL: &str = "https://flyball.example";

fn at(second: u64) -> Time {
    Time::from_secs(BEGIN + second as i64)
}

/// Batches in the order of their arrival.
fn feed(random: &mut Random) -> Vec<(Time, SampleBatch)> {
    let mut batches: Vec<(Time, SampleBatch)> = Vec::new();
    let mut counters = [0.0; HOSTS as usize];
    for second in 0..SECONDS {
        for host in 0..HOSTS {
            counters[host as usize] += random.below(20) as f64;
            // Each host in its own time; some rest for minutes.
            let rests = (second / 180 + host) % 5 == 0;
            if second % (host * 4 + 3) != 0 || rests || random.chance(8) {
                continue;
            }
            let time = Time(at(second).0 - random.below(900_000) as i64);
            let mut batch = SampleBatch::new();
            let instance = format!("host-{host}");
            let mut push = |name: &str, value: f64| {
                let labels = [("__name__", name), ("instance", &instance), ("job", if host % 2 == 0 { "even" } else { "odd" })];
                batch.push(&Labels::new(labels).unwrap(), time, value);
            };
            push("requests_total", counters[host as usize]);
            push("load", random.below(100) as f64 / 10.0);
            push("temperature", if random.chance(20) { f64::NAN } else { 20.0 + random.below(20) as f64 });
            push("up", if random.chance(90) { 1.0 } else { 0.0 });
            let late = if random.chance(12) { random.below(400) } else { 0 };
            let received = Time(at(second + late).0 + random.below(999_000) as i64);
            if random.chance(10) {
                batches.push((received + Duration::from_millis(random.below(9_000)), batch.clone()));
            }
            batches.push((received, batch));
        }
    }
    batches.sort_by_key(|(received, _)| *received);
    batches
}

/// A rule file: one to four rules in groups with offsets, intervals and limits of their own.
fn rules(random: &mut Random) -> Vec<RuleGroup> {
    const EXPRS: [&str; 18] = [
        "load > 5",
        "load{instance=\"host-1\"} > 7",
        "rate(requests_total[1m]) > 3",
        "sum by (job) (rate(requests_total[2m])) > 8",
        "increase(requests_total[90s]) < 200",
        "avg by (job) (load) > 5",
        "max(temperature) > 38",
        "up == 0",
        "absent(load{instance=\"host-3\"})",
        "count(up == 1) < 3",
        "load > 3 and on (instance) temperature > 30",
        "load > 6 or temperature > 37",
        "temperature unless on (instance) (load < 8)",
        "avg_over_time(load[1m]) > 5",
        "changes(up[5m]) > 2",
        "topk(1, load) > 8",
        "recorded:load:avg > 5",
        "time() - timestamp(load) > 40",
    ];
    const HOLDS: [&str; 4] = ["", "        for: 10s\n", "        for: 1m\n", "        keep_firing_for: 45s\n"];
    let mut text = String::from("groups:\n");
    for group in 0..1 + random.below(2) {
        let interval = ["5s", "10s", "15s", "1m"][random.below(4) as usize];
        text.push_str(&format!("  - name: g{group}\n    interval: {interval}\n"));
        if random.chance(20) {
            text.push_str("    query_offset: 20s\n");
        }
        text.push_str("    rules:\n");
        if random.chance(40) {
            text.push_str("      - record: recorded:load:avg\n        expr: avg(load)\n");
        }
        for rule in 0..1 + random.below(3) {
            let expr = EXPRS[random.below(EXPRS.len() as u64) as usize];
            let hold = HOLDS[random.below(4) as usize];
            text.push_str(&format!("      - alert: A{group}{rule}\n        expr: '{expr}'\n{hold}"));
            if random.chance(30) {
                text.push_str("        annotations: { summary: '{{ $labels.instance }} {{ $value }} {{ $externalURL }}' }\n");
            }
        }
    }
    serde_saphyr::from_str::<crate::config::RuleFile>(&text).unwrap().groups
}

fn options() -> store::Options {
    store::Options { driven_by_caller: true, ..store::Options::new("/live") }
}

/// What live rules told, and the store that kept what they were told of. As the evaluator's thread does it.
fn live(groups: &[RuleGroup], feed: &[(Time, SampleBatch)]) -> (Store, Vec<(Time, model::Transition)>) {
    live_on(&Arc::new(Simulated::new(7)), options(), groups, feed)
}

fn live_on(
    files: &Arc<Simulated>,
    options: store::Options,
    groups: &[RuleGroup],
    feed: &[(Time, SampleBatch)],
) -> (Store, Vec<(Time, model::Transition)>) {
    let store = Store::open(options, files.clone(), at(0)).unwrap();
    store.watch(&[], true);
    let mut around = Around { store, recorded: BTreeMap::new(), refused: None };
    let begin = Time(at(0).0 - 3_600_000_000);
    let rules = Rules::compile(groups).unwrap().with_outside(Outside { url: URL.to_owned(), ..Outside::default() });
    let mut live = Live::new(rules, RuleState::default(), &BTreeMap::new(), begin, &mut around);
    let mut told = Vec::new();
    let end = at(SECONDS + 420);
    for (received, batch) in feed.iter().map(|(received, batch)| (*received, Some(batch))).chain([(end, None)]) {
        while let Some(due) = live.next_due().filter(|due| *due < received) {
            live.tick(due, &mut around);
            while live.work(due, &mut around).is_some() {}
            told.extend(live.take().transitions.into_iter().map(|one| (due, one)));
        }
        let Some(batch) = batch else { continue };
        let appended = around.store.append(batch, received).unwrap();
        around.store.pump();
        live.arrive(received, appended.touched.into_iter().map(arrived), &appended.new_series, &mut around);
        while live.work(received, &mut around).is_some() {}
        told.extend(live.take().transitions.into_iter().map(|one| (received, one)));
    }
    (around.store, told)
}

/// The same samples in time order, each received at its own time.
fn in_order(feed: &[(Time, SampleBatch)]) -> Vec<(Time, SampleBatch)> {
    let mut sorted: BTreeMap<Time, BTreeMap<Labels, f64>> = BTreeMap::new();
    for (key, sample) in feed.iter().flat_map(|(_, batch)| batch.iter()) {
        sorted.entry(sample.time).or_default().insert(Labels::from_key(key).unwrap(), sample.value);
    }
    let batch = |time, samples: BTreeMap<Labels, f64>| {
        let mut batch = SampleBatch::new();
        samples.iter().for_each(|(labels, value)| batch.push(labels, time, *value));
        (time, batch)
    };
    sorted.into_iter().map(|(time, samples)| batch(time, samples)).collect()
}

/// Sealed, the log dropped, and opened anew: what there is lies in parts, and memory has none of it.
fn on_disk_alone(files: &Arc<Simulated>, options: store::Options, store: Store) -> Store {
    store.flush().unwrap();
    store.close().unwrap();
    drop(store);
    let store = Store::open(options, files.clone(), at(SECONDS + 420)).unwrap();
    assert!(store.stats().samples == 0 && store.stats().history.samples > 0, "{:?}", store.stats());
    store
}

/// The same with a memory of a few kilobytes: most of what rules look at lies in parts, live and in the back-test.
fn tight() -> store::Options {
    store::Options { memory_bytes: 2 << 10, checkpoint_bytes: 8 << 10, segment_bytes: 64 << 10, ..options() }
}

fn backtest(store: &Store, groups: &[RuleGroup], from: Time) -> BacktestReport {
    let asked = Asked { groups, from, to: Time(at(SECONDS + 420).0 - 1), features: Features::STABLE, url: URL, stop: &|| false };
    run(store, &asked).unwrap()
}

/// One generated rule file over one feed; how much was told, and whether anything came late.
fn equal(seed: u64, options: store::Options) -> (usize, bool) {
    let mut random = Random::new(seed);
    let (groups, feed) = (rules(&mut random), feed(&mut random));
    let (store, mut told) = live_on(&Arc::new(Simulated::new(7)), options, &groups, &feed);
    // Live rules have been there for an hour: what was missing then was told before the back-test begins.
    told.retain(|(told_at, _)| *told_at >= at(0));
    let report = backtest(&store, &groups, at(0));
    let replayed: Vec<_> = report.changes.iter().map(|change| (change.at, change.transition.clone())).collect();
    for (place, (ours, theirs)) in replayed.iter().zip(&told).enumerate() {
        assert_eq!(ours, theirs, "seed {seed}, change {place}");
    }
    assert_eq!(replayed.len(), told.len(), "seed {seed}");
    (told.len(), report.late > 0 && report.samples > report.late)
}

#[test]
fn backtest_equals_live() {
    let seeds: u64 = std::env::var("FLYBALL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let runs: Vec<(usize, bool)> = (1..=seeds).map(|seed| equal(seed, options())).collect();
    let told: usize = runs.iter().map(|(told, _)| told).sum();
    assert!(told > seeds as usize * 5, "{told} changes: the rules are too quiet to compare");
    let late = runs.iter().filter(|(_, late)| *late).count();
    assert!(late * 10 > runs.len() * 9, "something came late in {late} feeds only");
}

/// One generated rule file over one feed in time order: how much was told.
fn equal_from_parts(seed: u64, options: store::Options) -> usize {
    let mut random = Random::new(seed);
    let (groups, feed) = (rules(&mut random), in_order(&feed(&mut random)));
    let files = Arc::new(Simulated::new(7));
    let (store, mut told) = live_on(&files, options.clone(), &groups, &feed);
    told.retain(|(told_at, _)| *told_at >= at(0));
    let report = backtest(&on_disk_alone(&files, options, store), &groups, at(0));
    let replayed: Vec<_> = report.changes.iter().map(|change| (change.at, change.transition.clone())).collect();
    for (place, (ours, theirs)) in replayed.iter().zip(&told).enumerate() {
        assert_eq!(ours, theirs, "seed {seed}, change {place}");
    }
    assert_eq!((replayed.len(), report.exact_from, &report.missed[..]), (told.len(), None, &[][..]), "seed {seed}");
    told.len()
}

#[test]
fn backtest_over_parts_equals_live_for_a_feed_in_order() {
    let seeds: u64 = std::env::var("FLYBALL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let told: usize = (1..=seeds).map(|seed| equal_from_parts(seed, options())).sum();
    assert!(told > seeds as usize * 5, "{told} changes: the rules are too quiet to compare");
}

#[test]
fn a_memory_that_is_shorter_than_the_windows_changes_nothing() {
    let seeds: u64 = std::env::var("FLYBALL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let told: usize = (1..=seeds).map(|seed| equal(seed, tight()).0 + equal_from_parts(seed, tight())).sum();
    assert!(told > seeds as usize * 10, "{told} changes: the rules are too quiet to compare");
}

#[test]
fn what_looks_at_an_instant_of_its_own_finds_it() {
    let rules = "groups:\n  - name: g\n    rules:\n      - { alert: Above, expr: 'load > 2 * (load @ 1700000000)' }\n";
    let groups = serde_saphyr::from_str::<crate::config::RuleFile>(rules).unwrap().groups;
    let feed: Vec<_> = (0..SECONDS + 300)
        .step_by(10)
        .map(|second| {
            let mut batch = SampleBatch::new();
            batch.push(&Labels::new([("__name__", "load")]).unwrap(), at(second), if second > SECONDS { 5.0 } else { 2.0 });
            (at(second), batch)
        })
        .collect();
    let files = Arc::new(Simulated::new(7));
    let (store, told) = live_on(&files, tight(), &groups, &feed);
    assert_eq!(told.len(), 1, "{told:?}");
    // The back-test begins long after that instant.
    let report = backtest(&on_disk_alone(&files, tight(), store), &groups, at(SECONDS));
    assert_eq!((report.changes.len(), report.changes[0].at), (1, told[0].0), "{:?}", report.changes);
}

#[test]
fn damage_in_the_history_is_said() {
    let mut random = Random::new(3);
    let (groups, feed) = (rules(&mut random), in_order(&feed(&mut random)));
    let files = Arc::new(Simulated::new(7));
    drop(on_disk_alone(&files, options(), live_on(&files, options(), &groups, &feed).0));
    let history = std::path::Path::new("/live/history");
    for name in files.list(history).unwrap().into_iter().filter(|name| name.ends_with(".part")) {
        let mut bytes = files.contents(&history.join(&name)).unwrap();
        let half = bytes.len() / 2;
        bytes[512..half].iter_mut().for_each(|byte| *byte ^= 0x10);
        files.put(&history.join(&name), bytes);
    }
    let store = Store::open(options(), files.clone(), at(SECONDS + 420)).unwrap();
    let report = backtest(&store, &groups, at(0));
    assert_eq!(report.missed.len(), 1, "{:?}", report.missed);
    assert!(report.missed[0].contains("of 2023-11-14 can't be read"), "{:?}", report.missed);
}

#[test]
fn a_feed_in_order_is_the_same_from_the_history() {
    let groups = serde_saphyr::from_str::<crate::config::RuleFile>(
        "groups:\n  - name: g\n    interval: 10s\n    rules:\n      - { alert: High, expr: load > 5, for: 10s }\n      - \
         { alert: Fast, expr: 'rate(requests_total[1m]) > 3' }\n",
    );
    let groups = groups.unwrap().groups;
    let mut feed = Vec::new();
    for second in (0..600).step_by(5) {
        let mut batch = SampleBatch::new();
        let time = at(second);
        batch.push(&Labels::new([("__name__", "load")]).unwrap(), time, if second % 200 > 120 { 7.0 } else { 1.0 });
        batch.push(&Labels::new([("__name__", "requests_total")]).unwrap(), time, (second * second) as f64 / 100.0);
        feed.push((time, batch));
    }
    let (store, told) = live(&groups, &feed);
    // The same samples, but by the history alone.
    let options = options();
    let asked = Asked {
        groups: &groups,
        from: at(0),
        to: Time(at(SECONDS + 420).0 - 1),
        features: Features::STABLE,
        url: URL,
        stop: &|| false,
    };
    let rules = Rules::compile(&groups).unwrap();
    let reads = Reads::of(&rules, &groups, &Features::STABLE);
    let reach = reads.reach(at(0));
    let mut play = Play::new(rules, &asked, &reach, &options).unwrap();
    play.history(&store, &reads, &reach, Time(asked.to.0 + 1), &InLog::default()).unwrap();
    play.tick(asked.to).unwrap();
    let report = play.book.finish(None);
    let replayed: Vec<_> = report.changes.iter().map(|change| (change.at, change.transition.clone())).collect();
    assert!(told.len() >= 8, "{}", told.len());
    assert_eq!(replayed, told);
    assert_eq!(report.exact_from, None);
    let high = &report.rules[0];
    assert_eq!((high.name.as_str(), high.times, high.spells.len()), ("High", 3, 3));
    assert!(high.bad_for.0 > 400_000 && high.longest.0 > 300_000 && report.rules[1].times > 0, "{:?}", report.rules);
    let bar = picture::bar(&report, high, 40);
    assert_eq!(bar.chars().count(), 40);
    assert!(bar.starts_with("··") && bar.contains('█'), "{bar}");
    let svg = picture::svg(&report, model::Language::En);
    // Each spell and each name has one.
    assert!(svg.contains("High (3)") && svg.matches("<title>").count() == 6, "{svg}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let store = Store::open(options(), Arc::new(Simulated::new(1)), at(0)).unwrap();
    let groups = [];
    let ask = |from, to| run(&store, &Asked { groups: &groups, from, to, features: Features::STABLE, url: URL, stop: &|| false });
    assert!(matches!(ask(at(10), at(10)), Err(BacktestError::Times(_))));
    assert!(matches!(ask(at(0), at(400 * 86_400)), Err(BacktestError::Times(_))));
    let empty = ask(at(0), at(10)).unwrap();
    assert_eq!((empty.exact_from, empty.samples, empty.rules.len()), (None, 0, 0));
}

fn groups(text: &str) -> Vec<RuleGroup> {
    serde_saphyr::from_str::<crate::config::RuleFile>(text).unwrap().groups
}

/// A sample of each series every ten seconds, from the beginning on.
fn steady(series: &[&[(&str, &str)]], seconds: u64) -> Vec<(Time, SampleBatch)> {
    let batch = |second| {
        let mut batch = SampleBatch::new();
        series.iter().for_each(|labels| batch.push(&Labels::new(labels.iter().copied()).unwrap(), at(second), 1.0));
        (at(second), batch)
    };
    (0..seconds).step_by(10).map(batch).collect()
}

#[test]
fn windows_over_what_rules_record_are_full_when_the_report_begins() {
    // The second recording rule counts what the first recorded, the alert what the second recorded: twenty minutes each.
    let groups = groups(
        "groups:\n  - name: g\n    interval: 10s\n    rules:\n      - { record: 'r:x', expr: load }\n      - \
         { record: 'r:y', expr: 'count_over_time(r:x[20m]) > 100' }\n      - \
         { alert: Few, expr: 'count_over_time(r:y[20m]) < 115' }\n",
    );
    let files = Arc::new(Simulated::new(7));
    let (store, _) = live_on(&files, options(), &groups, &steady(&[&[("__name__", "load")]], 7_200));
    let ask = |store: &Store| {
        let (from, to) = (at(5_400), at(7_190));
        run(store, &Asked { groups: &groups, from, to, features: Features::STABLE, url: URL, stop: &|| false }).unwrap()
    };
    let by_log = ask(&store);
    assert_eq!((&by_log.changes[..], by_log.exact_from), (&[][..], Some(at(5_400))));
    assert!(by_log.rules[0].recorded > 300, "{:?}", by_log.rules);
    store.flush().unwrap();
    store.close().unwrap();
    drop(store);
    let by_history = ask(&Store::open(options(), files, at(7_200)).unwrap());
    assert_eq!((&by_history.changes[..], by_history.exact_from), (&[][..], None));
}

#[test]
fn a_rule_that_reads_itself_looks_back_once() {
    let groups = groups(
        "groups:\n  - name: g\n    interval: 1m\n    rules:\n      - \
         { record: 'r:n', expr: 'max_over_time(r:n[1h]) + 1 or load' }\n      - { alert: A, expr: 'r:n > 5' }\n",
    );
    let rules = Rules::compile(&groups).unwrap();
    let reach = Reads::of(&rules, &groups, &Features::STABLE).reach(at(0));
    assert_eq!((reach.window.as_secs(), reach.warm.as_secs()), (3_600, 300 + 120 + 300 + 120 + 3_600 + 120));
}

#[test]
fn it_gives_up_where_there_is_nothing_to_read() {
    let store = Store::open(options(), Arc::new(Simulated::new(1)), at(0)).unwrap();
    let stopped_after = |text: &str, most: u32| {
        let groups = groups(text);
        let asks = std::cell::Cell::new(0);
        let stop = || asks.replace(asks.get() + 1) >= most;
        let (from, to) = (at(0), at(7 * 86_400));
        let ran = run(&store, &Asked { groups: &groups, from, to, features: Features::STABLE, url: URL, stop: &stop });
        assert!(matches!(ran, Err(BacktestError::Stopped)), "{text}: asked {} times", asks.get());
    };
    // A day has 144 pieces: the first stops while it is read, the second while rules are evaluated.
    stopped_after("groups: []\n", 900);
    stopped_after("groups:\n  - name: g\n    interval: 1s\n    rules: [{ record: r, expr: x }]\n", 1_100);
}

#[test]
fn what_only_a_template_reads_is_fed() {
    let groups = groups(
        "groups:\n  - name: g\n    interval: 10s\n    rules:\n      - alert: High\n        expr: load > 0\n        \
         annotations: { summary: '{{ with query \"last_over_time(build[10m])\" }}{{ . | first | label \"version\" }}{{ end }}' }\n",
    );
    let feed = steady(&[&[("__name__", "load")], &[("__name__", "build"), ("version", "1.4.2")]], 600);
    let files = Arc::new(Simulated::new(7));
    let store = on_disk_alone(&files, options(), live_on(&files, options(), &groups, &feed).0);
    let report = backtest(&store, &groups, at(0));
    assert_eq!(report.changes[0].transition.annotations["summary"], "1.4.2");
}
