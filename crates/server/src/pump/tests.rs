//! The pump with a real clock, a real disk and a real receiver; and what happens when one of them fails.

use std::sync::Arc;
use std::time::Duration;

use model::{AlertState, Epoch, Event, Seq};
use tokio::sync::mpsc;

use super::{Fold, PumpError, PumpHandle, pump};
use crate::clock::{SharedClock, SystemClock};
use crate::journal::{
    Database, Fault, IncidentFilter, Journal, MemoryJournal, Projections as _, SqliteJournal, SqliteProjections, broken_link,
};
use crate::outbox::Outbox;
use crate::perform::outgoing::Outgoing;
use crate::perform::outside::Outside;
use crate::perform::{self, LinkNews};
use crate::testing::{NoLinks, Random, WebhookReceiver, World, webhook_config};

/// A pump with its performers.
async fn start(journal: Arc<dyn Journal>) -> (PumpHandle, tokio::task::JoinHandle<()>) {
    let clock: SharedClock = Arc::new(SystemClock::new());
    let (fold, owed) = Fold::open(journal, clock.clone()).await.unwrap();
    let (dues, dues_out) = mpsc::channel(64);
    let (handle, running) = pump(fold, dues, Duration::from_secs(3_600));
    let running = tokio::spawn(running.run());
    let performer = Outside::new(handle.clone(), clock.clone(), Outgoing::new(handle.clone(), Vec::new()), Arc::new(NoLinks));
    let (_, news) = LinkNews::channel();
    tokio::spawn(perform::run(Outbox::new(owed, 1), dues_out, news, Arc::new(performer), handle.clone(), clock));
    let epoch = handle.read_state(|state| Epoch(state.epoch.0 + 1));
    handle.submit(Event::Started { epoch, version: "test".into() }).await.unwrap();
    (handle, running)
}

fn bad(name: &str) -> Event {
    World::new(Arc::new(MemoryJournal::new()), 0).alert(name, AlertState::Ok, AlertState::Bad)
}

async fn stop(handle: PumpHandle, running: tokio::task::JoinHandle<()>) {
    handle.stop();
    running.await.unwrap();
}

#[tokio::test]
async fn an_event_reaches_the_receiver_and_the_projections_and_a_start_finds_the_same_state() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).await.unwrap();
    let receiver = WebhookReceiver::start().await.unwrap();
    let (handle, running) = start(Arc::new(SqliteJournal::open(database.clone()).await.unwrap())).await;
    handle.submit(webhook_config(&receiver.url(), &["127.0.0.0/8".to_owned()])).await.unwrap();
    receiver.answer(503);
    let submitted = handle.submit(bad("CheckoutErrors")).await.unwrap();
    assert_eq!(submitted.seq, Seq(3));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(receiver.received().is_empty());
    receiver.answer(200);
    let received = receiver.wait_for(1).await;
    let told = wire::alertmanager::decode(received[0].body.as_bytes()).unwrap();
    assert_eq!((told.version.as_str(), told.receiver.as_str(), told.alerts.len()), ("4", "hook", 1));
    assert!(!received[0].key.is_empty());
    let mut commits = handle.subscribe();
    let projections = SqliteProjections::new(database.clone());
    while handle.read_state(|state| {
        state.incidents.values().any(|incident| {
            incident
                .told
                .iter()
                .any(|told| !matches!(told.result, model::incident::TellResult::Delivered { .. }) && told.receiver == "hook")
        })
    }) {
        commits.recv().await.unwrap();
    }
    assert_eq!(projections.incidents(&IncidentFilter::default()).await.unwrap().len(), 1);
    stop(handle.clone(), running).await;
    let before = handle.read_state(Clone::clone);
    database.close().await;

    let database = Database::open(folder.path()).await.unwrap();
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::new(database.clone()));
    let (fold, _) = Fold::open(journal, Arc::new(SystemClock::new())).await.unwrap();
    assert_eq!(*fold.state().read().unwrap(), before);
    database.close().await;
}

#[tokio::test]
async fn a_refused_commit_is_an_error_for_who_waits_and_is_tried_again_for_who_does_not() {
    let journal = MemoryJournal::new();
    let (handle, running) = start(Arc::new(journal.clone())).await;
    let before = handle.read_state(Clone::clone);
    journal.fail(0, Fault::Full);
    let refused = handle.submit(bad("A")).await;
    assert!(matches!(refused, Err(PumpError::Journal(crate::journal::JournalError::Full { .. }))), "{refused:?}");
    assert_eq!(handle.read_state(Clone::clone), before, "the state is that of the disk");
    journal.fail(0, Fault::Refused);
    handle.enqueue(bad("B")).await.unwrap();
    let mut commits = handle.subscribe();
    let committed = commits.recv().await.unwrap();
    assert_eq!(committed.recorded[0].event.clone(), bad("B"));
    stop(handle, running).await;
}

/// No event from outside makes the engine panic, as far as we know: this one does, in tests only.
fn poison() -> Event {
    Event::Started { epoch: Epoch(99), version: "poison".into() }
}

pub(super) fn is_poison(event: &Event) -> bool {
    matches!(event, Event::Started { version, .. } if version == "poison")
}

#[tokio::test]
async fn an_event_on_which_the_engine_panics_is_kept_and_marked_and_the_pump_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).await.unwrap();
    let (handle, running) = start(Arc::new(SqliteJournal::open(database.clone()).await.unwrap())).await;
    let mut commits = handle.subscribe();
    let (before, poisoned, after) = tokio::join!(handle.submit(bad("A")), handle.submit(poison()), handle.submit(bad("B")));
    let (before, after) = (before.unwrap(), after.unwrap());
    let Err(PumpError::Poisoned { seq, why }) = poisoned else { panic!("{poisoned:?}") };
    assert_eq!((before.seq, seq, after.seq), (Seq(2), Seq(3), Seq(4)));
    assert!(why.contains("poisoned by a test"), "{why}");
    let mut marked = Vec::new();
    while marked.is_empty() {
        marked = commits.recv().await.unwrap().poisoned.clone();
    }
    assert_eq!(marked, [seq]);
    // The panic came after the step: nothing of the half that was done is left.
    assert_eq!(handle.read_state(|state| (state.epoch, state.alerts.len())), (Epoch(1), 2));
    stop(handle.clone(), running).await;
    let live = handle.read_state(Clone::clone);
    let row: (i64, String) =
        sqlx::query_as("SELECT poisoned, event FROM events WHERE seq = 3").fetch_one(database.reader()).await.unwrap();
    assert!(row.0 == 1 && row.1.contains("poison"), "{row:?}");
    sqlx::query("DELETE FROM snapshots").execute(database.writer()).await.unwrap();
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::new(database.clone()));
    let (fold, _) = Fold::open(journal, Arc::new(SystemClock::new())).await.unwrap();
    assert_eq!(*fold.state().read().unwrap(), live, "a replay leaves it out");
    database.close().await;
}

/// An alert that needs pages of its own.
fn long(name: &str) -> Event {
    bad(&format!("{name}{}", "x".repeat(40_000)))
}

/// The database's own limit stands in for a disk without room: the same error code.
#[tokio::test]
async fn a_full_database_refuses_who_waits_and_takes_the_rest_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).await.unwrap();
    let (handle, running) = start(Arc::new(SqliteJournal::open(database.clone()).await.unwrap())).await;
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(database.writer()).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {}", pages + 4))).execute(database.writer()).await.unwrap();
    let mut accepted = 0;
    let refused = loop {
        match handle.submit(bad(&format!("Alert{accepted}"))).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 10_000, "it never got full");
    };
    assert!(matches!(refused, PumpError::Journal(crate::journal::JournalError::Full { .. })), "{refused:?}");
    assert_eq!(handle.read_state(|state| state.alerts.len()), accepted, "the state is that of the disk");
    // The limit went with the connection, as if somebody had made room: no restart is needed.
    handle.submit(bad("Later")).await.unwrap();
    sqlx::query("PRAGMA max_page_count = 1").execute(database.writer()).await.unwrap();
    let mut commits = handle.subscribe();
    handle.enqueue(long("Patient")).await.unwrap();
    let committed = tokio::time::timeout(Duration::from_secs(20), commits.recv()).await.expect("within 20 s").unwrap();
    assert_eq!(committed.recorded[0].event, long("Patient"), "who does not wait is written again until it is on disk");
    handle.submit(bad("Last")).await.unwrap();
    assert_eq!(handle.read_state(|state| state.alerts.len()), accepted + 3);
    stop(handle.clone(), running).await;
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::new(database.clone()));
    let (fold, _) = Fold::open(journal, Arc::new(SystemClock::new())).await.unwrap();
    assert_eq!(*fold.state().read().unwrap(), handle.read_state(Clone::clone), "all of it is on disk");
    database.close().await;
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_not_done_twice() {
    let journal = MemoryJournal::new();
    let (handle, running) = start(Arc::new(journal.clone())).await;
    journal.fail(0, Fault::CutAfter);
    let submitted = handle.submit(bad("A")).await.unwrap();
    assert_eq!(submitted.seq, Seq(2));
    stop(handle, running).await;
    assert_eq!(journal.events().iter().filter(|recorded| matches!(recorded.event, Event::Alert(_))).count(), 1);
}

/// Invariants 1 and 5: how many events are committed together changes nothing, and neither does a replay.
#[tokio::test]
async fn any_split_and_any_replay_give_the_same_state() {
    let events: Vec<Event> = (0..40)
        .map(|number| match number % 4 {
            0 => bad(&format!("Alert{}", number % 8)),
            1 => World::new(Arc::new(MemoryJournal::new()), 0).alert(
                &format!("Alert{}", (number - 1) % 8),
                AlertState::Bad,
                AlertState::Ok,
            ),
            2 => Event::Tick,
            _ => bad(&format!("Other{number}")),
        })
        .collect();
    let mut states = Vec::new();
    for seed in 0..crate::testing::seeds(20) {
        let mut random = Random::new(seed);
        let journal = MemoryJournal::new();
        let clock = Arc::new(crate::clock::ManualClock::at(model::Time::from_secs(1_795_341_600)));
        let (mut fold, _) = Fold::open(Arc::new(journal.clone()), clock.clone()).await.unwrap();
        let mut rest = events.as_slice();
        while !rest.is_empty() {
            let (batch, after) = rest.split_at((1 + random.below(9) as usize).min(rest.len()));
            let mut folded = fold.fold(batch).await.unwrap();
            fold.commit(&mut folded).await.unwrap();
            if random.once_in(4) {
                let state = fold.state().read().unwrap().clone();
                journal.snapshot(&state, state.at).await.unwrap();
            }
            if random.once_in(4) {
                fold.reload().await.unwrap();
            }
            rest = after;
        }
        let live = fold.state().read().unwrap().clone();
        fold.reload().await.unwrap();
        assert_eq!(*fold.state().read().unwrap(), live, "seed {seed}: replay");
        states.push(live);
    }
    assert!(states.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn the_audit_is_a_chain_that_shows_what_was_altered() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).await.unwrap();
    let journal = SqliteJournal::open(database.clone()).await.unwrap();
    for number in 0..3_i64 {
        let line = crate::journal::NewAudit {
            at: model::Time(number),
            seq: None,
            by: "zhao".into(),
            what: serde_json::json!({ "route": number }),
            outcome: crate::journal::AuditOutcome::NotAllowed,
        };
        journal.note(&line).await.unwrap();
    }
    let mut rows = SqliteProjections::new(database.clone()).audit(None, 10).await.unwrap();
    rows.reverse();
    assert_eq!(broken_link(&rows), None);
    rows[1].by = "li".into();
    assert_eq!(broken_link(&rows), Some(2));
    let taken_out = [rows[0].clone(), rows[2].clone()];
    assert_eq!(broken_link(&taken_out), Some(3));
    database.close().await;
}
