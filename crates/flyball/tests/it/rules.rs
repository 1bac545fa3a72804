//! The server killed while rules wait, fire and are kept: what they remember outlives it, and nobody is told of the kill.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::Time;
use serde_json::Value;

use crate::rig::{Hook, Up, report, within, write};

/// `Soon` fires after this.
const SOON: Duration = Duration::from_secs(3);
/// A kill may take with it what rules remembered so shortly before.
const JUST_NOW: Duration = Duration::from_millis(400);
/// Shops are in trouble for so many rounds.
const ROUNDS_BAD: u64 = 3;

const RULES: &str = "
groups:
  - name: shops
    interval: 1s
    rules:
      - { record: 'shop:load:avg', expr: 'avg by (shop) (load_v)' }
      - { alert: Waiting, expr: 'shop:load:avg > 5', for: 1h }
      - { alert: Soon, expr: 'shop:load:avg > 5', for: 3s, annotations: { summary: '{{ $labels.shop }} is slow' } }
      - { alert: Now, expr: 'load_v > 5' }
      - { alert: Kept, expr: 'spike_v > 5', keep_firing_for: 1h }
";

/// An alert as `/api/v1/alerts` has it, by its name and shop.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    state: String,
    active_at: Time,
    kept_until: Option<String>,
    /// When it was seen first like this, but for its state, and when first in its state.
    at: Instant,
    state_at: Instant,
}

type Alerts = BTreeMap<(String, String), Seen>;

fn alerts(up: &Up) -> Alerts {
    let answer = up.json("/api/v1/alerts");
    let rows = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |row: &Value| {
        let key = (text(&row["labels"]["alertname"]), text(&row["labels"]["shop"]));
        let active_at = Time::parse(&text(&row["activeAt"])).expect("a time");
        let kept_until = row["flyballKeptUntil"].as_str().map(str::to_owned);
        let now = Instant::now();
        (key, Seen { state: text(&row["state"]), active_at, kept_until, at: now, state_at: now })
    };
    rows.iter().map(row).collect()
}

/// What is known of alerts, each since it was seen first as it is.
fn note(known: &mut Alerts, now: Alerts) {
    known.retain(|key, _| now.contains_key(key));
    for (key, seen) in now {
        let old = known.get(&key).filter(|old| old.active_at == seen.active_at && old.kept_until == seen.kept_until);
        let at = old.map_or(seen.at, |old| old.at);
        let state_at = old.filter(|old| old.state == seen.state).map_or(seen.state_at, |old| old.state_at);
        known.insert(key, Seen { at, state_at, ..seen });
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)) % end
    }
}

fn configure(folder: &Path, hook: &str) -> std::path::PathBuf {
    let config = folder.join("config");
    let main = format!(
        "outgoing: {{ allow: [\"{hook}\"] }}\nnotification:\n  receivers:\n    hook: {{ webhook: {{ url: \"http://{hook}/\" }} }}\n  \
         default: [hook]\n"
    );
    write(&config, "main.yaml", &main);
    write(&config, "rules/shops.yaml", RULES);
    config
}

/// What the receiver was told, as status and onset by alert and shop, each key once.
fn told(hook: &Hook) -> BTreeMap<(String, String), Vec<(String, Time)>> {
    let mut keys = BTreeSet::new();
    let mut out: BTreeMap<(String, String), Vec<(String, Time)>> = BTreeMap::new();
    for (key, body) in hook.got.lock().unwrap().iter() {
        if !keys.insert(key.clone().expect("a key")) {
            continue;
        }
        for alert in body["alerts"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let began = Time::parse(&text(&alert["startsAt"])).expect("a time");
            let name = (text(&alert["labels"]["alertname"]), text(&alert["labels"]["shop"]));
            out.entry(name).or_default().push((text(&alert["status"]), began));
        }
    }
    out
}

fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros() as i64)
}

#[test]
fn rules_killed_at_any_moment_remember() {
    let rounds: u64 = std::env::var("FLYBALL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let seed = std::env::var("FLYBALL_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(now().0 as u64);
    report(&format!("FLYBALL_SEED={seed}, {rounds} kills"));
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let hook = Hook::start();
    let config = configure(folder.path(), &hook.address);
    let data = folder.path().join("data");
    let start = || Up::start(&data, &["--config", config.to_str().unwrap()]);
    let mut up = start();
    let put = |up: &Up, lines: &str| {
        let (status, said) = up.post("/write", "text/plain", lines.as_bytes());
        assert_eq!(status, 204, "{said}");
    };
    let (mut known, mut compared, mut latest_ms) = (Alerts::new(), 0, 0);
    for round in 0..rounds + ROUNDS_BAD {
        let last_kill = round >= rounds;
        if !last_kill {
            put(&up, &format!("load,shop=s{round} v=9\nspike,shop=s{round} v=9\n"));
        }
        if let Some(well) = round.checked_sub(ROUNDS_BAD) {
            put(&up, &format!("load,shop=s{well} v=1\n"));
        }
        // Until the kill all shops go on sending; the spike is over in the middle.
        let (began, lives) = (Instant::now(), Duration::from_millis(600 + random.below(2_400)));
        let spike_ends = lives / 2;
        let mut spikes = true;
        while began.elapsed() < lives {
            if spikes && began.elapsed() >= spike_ends && !last_kill {
                put(&up, &format!("spike,shop=s{round} v=0\n"));
                spikes = false;
            }
            let bad = round.saturating_sub(ROUNDS_BAD - 1)..(round + 1).min(rounds);
            let lines: String = bad.map(|shop| format!("load,shop=s{shop} v=9\n")).collect();
            put(&up, &lines);
            note(&mut known, alerts(&up));
            std::thread::sleep(Duration::from_millis(50));
        }
        if last_kill {
            continue;
        }
        let killed = Instant::now();
        up.kill();
        std::thread::sleep(Duration::from_millis(random.below(1_500)));
        up = start();
        let down = killed.elapsed();
        // At once, from memory, and again after every rule has been evaluated.
        for pause in [0, 1_300] {
            std::thread::sleep(Duration::from_millis(pause));
            let after = alerts(&up);
            // The shop that has just got well may end at any moment; how it ended is looked at below.
            let ending = round.checked_sub(ROUNDS_BAD).map(|well| format!("s{well}"));
            let settled = |(key, seen): &(&(String, String), &Seen)| {
                killed.duration_since(seen.at) >= JUST_NOW && Some(&key.1) != ending.as_ref()
            };
            for (key, seen) in known.iter().filter(settled) {
                let found = after.get(key);
                let same = found.is_some_and(|found| {
                    // What fired just before the kill fires again: the journal, which decides who is told, may not know of it.
                    let just_fired = killed.duration_since(seen.state_at) < JUST_NOW;
                    let state = found.state == seen.state || (key.0 == "Soon" && (seen.state == "pending" || just_fired));
                    state && found.active_at == seen.active_at && found.kept_until == seen.kept_until
                });
                assert!(same, "round {round}, {pause} ms after the start, {key:?}: {seen:?} became {found:?}");
                compared += 1;
            }
        }
        // `for` went on: the oldest that waits is told on time, or at once where the server was away.
        let soon = ("Soon".to_owned(), format!("s{round}"));
        let fired = within("Soon fires", || {
            note(&mut known, alerts(&up));
            known.get(&soon).filter(|seen| seen.state == "firing").cloned()
        });
        let late = now().since(fired.active_at + SOON);
        assert!(late <= down + Duration::from_secs(4), "round {round}: {late:?} late, the server was away for {down:?}");
        latest_ms = latest_ms.max(late.as_millis());
    }
    let names = |alert: &str| (0..rounds).map(|shop| (alert.to_owned(), format!("s{shop}"))).collect::<Vec<_>>();
    let ended = || {
        let told = told(&hook);
        names("Now").iter().chain(&names("Soon")).all(|key| told.get(key).is_some_and(|said| said.len() >= 2))
    };
    hook.wait("all that are over are told so", |_| ended());
    std::thread::sleep(Duration::from_secs(2));
    let told = told(&hook);
    for (key, said) in &told {
        let statuses: Vec<&str> = said.iter().map(|(status, _)| status.as_str()).collect();
        match key.0.as_str() {
            "Now" | "Soon" => assert_eq!(statuses, ["firing", "resolved"], "{key:?}"),
            "Kept" => assert_eq!(statuses, ["firing"], "{key:?}: it is kept for an hour"),
            _ => panic!("{key:?} was told: {said:?}"),
        }
        assert!(said.iter().all(|(_, began)| *began == said[0].1), "{key:?}: one trouble, one onset: {said:?}");
    }
    let wanted: BTreeSet<_> = ["Now", "Soon", "Kept"].into_iter().flat_map(names).collect();
    assert_eq!(told.keys().cloned().collect::<BTreeSet<_>>(), wanted);
    assert!(compared as u64 > rounds * 4, "only {compared} alerts were old enough to compare");
    report(&format!(
        "{rounds} kills, {compared} alerts compared, each told once; `for` at most {latest_ms} ms late, with the time away"
    ));
}
