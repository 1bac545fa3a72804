//! Stories of the whole loop: the same on the memory journal and on SQLite, killed at random points.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{AlertState, EffectKey, Event};

use super::{Random, World, seeds, webhook_config};
use crate::journal::{Database, Fault, Journal, MemoryJournal, SqliteJournal};

const HOOK: &str = "http://127.0.0.1:9/hook";

/// Starts again after each kill, until it runs.
async fn revive(world: &mut World) {
    while !world.is_running() {
        world.start().await.expect("a journal that opens");
    }
}

/// Submits until it is acknowledged, as a sender does.
async fn submit(world: &mut World, event: &Event) {
    while world.submit(vec![event.clone()]).await.is_err() {
        revive(world).await;
    }
}

async fn run(world: &mut World, span: Duration) {
    let end = world.now() + span;
    while world.now() < end || !world.is_running() {
        revive(world).await;
        let _ = world.run(end.since(world.now())).await;
    }
}

/// How often each key was read.
fn counts(world: &World) -> BTreeMap<EffectKey, u64> {
    let mut counts = BTreeMap::new();
    for told in &world.told {
        *counts.entry(told.key.clone()).or_insert(0) += 1;
    }
    counts
}

/// F-21 and F-22: alerts go bad, the server is killed at a random point, nobody sends anything again.
async fn killed_between_accept_and_send(journal: Arc<dyn Journal>, seed: u64) {
    let mut random = Random::new(seed);
    let mut world = World::new(journal, seed);
    revive(&mut world).await;
    submit(&mut world, &webhook_config(HOOK, &[])).await;
    world.kill_after(1 + random.below(60));
    let mut accepted = Vec::new();
    for number in 0..5 {
        let alert = world.alert(&format!("Alert{number}"), AlertState::Ok, AlertState::Bad);
        if world.submit(vec![alert.clone()]).await.is_ok() {
            accepted.push(format!("Alert{number}"));
        }
        revive(&mut world).await;
        run(&mut world, Duration::from_millis(random.below(300))).await;
    }
    run(&mut world, Duration::from_secs(60)).await;
    for name in accepted {
        let told = world.told.iter().filter(|told| told.notice.labels.get("alertname") == Some(&name)).count();
        assert!(told >= 1, "seed {seed}: {name} was accepted and never told");
    }
    for (key, count) in counts(&world) {
        assert!(count <= 1 + world.kills, "seed {seed}: {key} was told {count} times after {} kills", world.kills);
    }
    let alerts: std::collections::BTreeSet<_> = world.told.iter().map(|told| told.notice.labels.clone()).collect();
    assert_eq!(counts(&world).len(), alerts.len(), "seed {seed}: one key per alert");
    assert_eq!(world.owed(), 0, "seed {seed}: something is still owed");
}

/// A receiver is down for an hour while alerts go bad and are over: all arrives, in its order, each once.
async fn receiver_down_an_hour(journal: Arc<dyn Journal>, seed: u64, kill: bool) {
    const ALERTS: u64 = 20;
    let mut random = Random::new(seed);
    let mut world = World::new(journal, seed);
    revive(&mut world).await;
    submit(&mut world, &webhook_config(HOOK, &[])).await;
    world.receiver_is_down = true;
    let down_since = world.now();
    for number in 0..ALERTS {
        let alert = world.alert(&format!("Alert{number}"), AlertState::Ok, AlertState::Bad);
        submit(&mut world, &alert).await;
        run(&mut world, Duration::from_secs(60)).await;
    }
    let over = world.alert("Alert0", AlertState::Bad, AlertState::Ok);
    submit(&mut world, &over).await;
    if kill {
        world.kill_after(1 + random.below(200));
    }
    let left = Duration::from_secs(3_600).saturating_sub(world.now().since(down_since));
    run(&mut world, left).await;
    assert!(world.told.is_empty());
    world.receiver_is_down = false;
    let back = world.now();
    run(&mut world, Duration::from_secs(30)).await;
    assert_eq!(world.told.len() as u64, ALERTS + 1, "seed {seed}");
    assert!(counts(&world).values().all(|count| *count == 1), "seed {seed}: something was told twice");
    let first = world.told[0].at.since(back);
    assert!(first <= Duration::from_secs(5), "seed {seed}: the first came {first:?} after it was back");
    let first_alert: Vec<AlertState> = world
        .told
        .iter()
        .filter(|told| told.notice.labels.get("alertname") == Some("Alert0"))
        .map(|told| told.notice.state)
        .collect();
    assert_eq!(first_alert, [AlertState::Bad, AlertState::Ok], "seed {seed}");
    // Once in 10 s for each alert at most, besides the first seconds and what was told.
    let most = (ALERTS + 1) * (360 + 12);
    assert!(world.tries <= most, "seed {seed}: {} tries", world.tries);
}

#[tokio::test]
async fn f21_f22_nothing_accepted_is_lost_and_a_repeat_has_the_same_key() {
    for seed in 0..seeds(200) {
        killed_between_accept_and_send(Arc::new(MemoryJournal::new()), seed).await;
    }
}

#[tokio::test]
async fn f02_the_power_goes_during_a_commit_and_nothing_accepted_is_lost() {
    for seed in 0..seeds(200) {
        let journal = MemoryJournal::new();
        let mut random = Random::new(seed);
        for fault in [Fault::CutBefore, Fault::CutAfter] {
            journal.fail(2 + random.below(12), fault);
        }
        killed_between_accept_and_send(Arc::new(journal), seed).await;
    }
}

#[tokio::test]
async fn f22_an_answer_lost_after_the_body_was_read_repeats_the_same_key() {
    for seed in 0..seeds(100) {
        let mut world = World::new(Arc::new(MemoryJournal::new()), seed);
        world.answers_lost_one_in = 3;
        revive(&mut world).await;
        submit(&mut world, &webhook_config(HOOK, &[])).await;
        for number in 0..10 {
            let alert = world.alert(&format!("Alert{number}"), AlertState::Ok, AlertState::Bad);
            submit(&mut world, &alert).await;
        }
        run(&mut world, Duration::from_secs(300)).await;
        assert_eq!(counts(&world).len(), 10, "seed {seed}");
        assert_eq!(world.owed(), 0, "seed {seed}");
    }
}

#[tokio::test]
async fn f20_a_receiver_down_an_hour_loses_nothing_and_is_told_nothing_twice() {
    for seed in 0..seeds(10) {
        receiver_down_an_hour(Arc::new(MemoryJournal::new()), seed, false).await;
        receiver_down_an_hour(Arc::new(MemoryJournal::new()), seed, true).await;
    }
}

#[tokio::test]
async fn the_same_stories_on_sqlite() {
    for seed in 0..seeds(5) {
        for story in 0..2 {
            let folder = tempfile::tempdir().unwrap();
            let database = Database::open(folder.path()).await.unwrap();
            let journal = Arc::new(SqliteJournal::new(database.clone()));
            match story {
                0 => killed_between_accept_and_send(journal, seed).await,
                _ => receiver_down_an_hour(journal, seed, true).await,
            }
            database.close().await;
        }
    }
}
