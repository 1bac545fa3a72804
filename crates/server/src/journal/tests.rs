//! The same questions to both journals, and the same answers.

use std::sync::Arc;

use model::{AlertState, Event, Time};

use super::{Database, Journal, MemoryJournal, OutboxChange, Projections, RangeFilter, SqliteJournal, SqliteProjections};
use crate::clock::ManualClock;
use crate::pump::Fold;
use crate::testing::{World, webhook_config};

/// Folds the same events over a journal.
async fn fill(journal: Arc<dyn Journal>) -> usize {
    let clock = Arc::new(ManualClock::at(Time::from_secs(1_795_341_600)));
    let (mut fold, _) = Fold::open(journal.clone(), clock.clone()).await.unwrap();
    let world = World::new(Arc::new(MemoryJournal::new()), 0);
    let mut owed = 0;
    for number in 0..6 {
        clock.move_to(Time::from_secs(1_795_341_600 + number));
        let event = match number {
            0 => webhook_config("http://127.0.0.1:9/hook", &[]),
            number => world.alert(&format!("Alert{number}"), AlertState::Ok, AlertState::Bad),
        };
        let mut folded = fold.fold(&[event, Event::Tick]).await.unwrap();
        fold.commit(&mut folded).await.unwrap();
        owed += folded.committed.outbox.iter().filter(|change| matches!(change, OutboxChange::Owe(_))).count();
    }
    owed
}

#[tokio::test]
async fn both_journals_keep_and_show_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).await.unwrap();
    let sqlite = SqliteJournal::open(database.clone()).await.unwrap();
    let memory = MemoryJournal::new();
    let owed = fill(Arc::new(memory.clone())).await;
    let sqlite: Arc<dyn Journal> = Arc::new(sqlite);
    assert_eq!(fill(sqlite.clone()).await, owed);
    let (one, two) = (memory.load().await.unwrap(), sqlite.load().await.unwrap());
    assert_eq!((one.tail, one.last), (two.tail, two.last));
    let keys = |owed: Vec<super::Owed>| {
        let mut keys: Vec<_> = owed.into_iter().map(|owed| (owed.key, owed.effect)).collect();
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        keys
    };
    assert_eq!(keys(one.owed), keys(two.owed));
    assert!(owed >= 5);

    let shown = SqliteProjections::new(database.clone());
    let all = Default::default();
    let incidents = shown.incidents(&all).await.unwrap();
    assert!(!incidents.is_empty());
    assert_eq!(incidents, memory.incidents(&all).await.unwrap());
    assert_eq!(shown.incident(incidents[0].number).await.unwrap().as_ref(), Some(&incidents[0]));
    let before = super::IncidentFilter { before: Some(incidents[0].number), ..Default::default() };
    assert_eq!(shown.incidents(&before).await.unwrap(), memory.incidents(&before).await.unwrap());
    let resolved = super::IncidentFilter { state: Some(model::incident::IncidentState::Resolved), ..Default::default() };
    assert!(shown.incidents(&resolved).await.unwrap().is_empty());
    let part = RangeFilter {
        from: Some(Time::from_secs(1_795_341_602)),
        to: Some(Time::from_secs(1_795_341_604)),
        limit: 2,
        ..Default::default()
    };
    for filter in [RangeFilter::default(), part] {
        assert_eq!(shown.timeline(&filter).await.unwrap(), memory.timeline(&filter).await.unwrap());
        assert_eq!(shown.changes(&filter).await.unwrap(), memory.changes(&filter).await.unwrap());
    }
    assert!(!shown.timeline(&RangeFilter::default()).await.unwrap().is_empty());

    // Behind the older of two snapshots what is old goes; what is newer is replayed.
    let (fold, _) = Fold::open(sqlite.clone(), Arc::new(ManualClock::default())).await.unwrap();
    let state = fold.state().read().unwrap().clone();
    sqlite.snapshot(&state, Time::MAX).await.unwrap();
    let (again, _) = Fold::open(sqlite.clone(), Arc::new(ManualClock::default())).await.unwrap();
    assert_eq!(*again.state().read().unwrap(), state);
    assert!(sqlite.load().await.unwrap().tail.is_empty());
    database.close().await;
}
