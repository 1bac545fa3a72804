//! The judge's feed against a runtime socket whose counters a test turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::config::Config;
use model::order::{JudgeVerdict, Order};
use model::signal::Judged;
use model::{Event, OrderNumber};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::super::tests::{end, start_by};
use crate::clock::SystemClock;
use crate::journal::Committed;

/// Answers of each server per look.
const ANSWERS: u64 = 40;

/// A balancer whose new server answers so many of [`ANSWERS`] badly; the old one none. Counters begin high, as after days.
async fn balancer(listener: UnixListener, bad: Arc<AtomicU64>, looks: Arc<AtomicU64>) {
    let (mut all, mut wrong) = (1_000_000_u64, 5_000_u64);
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut command = [0; 1_024];
        let _ = stream.read(&mut command).await;
        looks.fetch_add(1, Ordering::SeqCst);
        all += ANSWERS;
        wrong += bad.load(Ordering::SeqCst);
        let answer = format!(
            "# pxname,svname,status,scur,hrsp_2xx,hrsp_5xx,type,\n\
             shop,BACKEND,UP,1,{},{wrong},1,\n\
             shop,shop-1,UP,1,{},{wrong},2,\n\
             shop,shop-2,UP,1,{},5000,2,\n\
             other,shop-2,UP,1,7,900000,2,\n\n",
            2 * all - wrong,
            all - wrong,
            all - 5_000,
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

fn config(socket: &std::path::Path) -> Config {
    let servers = json!([{ "host": "shop-1", "port": 8080 }, { "host": "shop-2", "port": 8080 }]);
    serde_json::from_value(json!({
        "hosts": { "shop-1": { "address": "127.0.0.11" }, "shop-2": { "address": "127.0.0.12" } },
        "environments": { "prod": {} },
        "balancers": { "front": { "haproxy": socket, "every": "1h", "every_while_rolling": "20ms" } },
        "projects": { "mall": { "services": { "shop": {
            "environments": { "prod": { "servers": servers, "balancer": "front" } },
        } } } },
    }))
    .unwrap()
}

/// An order in the middle: one host has the new release, the other waits its turn.
fn order(number: &str) -> Order {
    let place = json!({ "order": number, "project": "mall", "service": "shop", "environment": "prod" });
    let mut plan = place.clone();
    plan["schema"] = json!(1);
    plan["min_in_service"] = json!(1);
    plan["batches"] = json!([]);
    serde_json::from_value(json!({
        "number": number, "project": "mall", "service": "shop", "environment": "prod",
        "release": { "version": "2", "digest": "0".repeat(64) }, "size": 1, "kind": "deploy", "author": "zhao",
        "strategy": "serial", "plan": plan, "digest": "0".repeat(64), "state": "running", "batch": 0,
        "hosts": { "shop-1": { "state": "new" }, "shop-2": { "state": "not_touched" } },
        "created_at": "2026-11-22T10:00:00Z", "story": [],
    }))
    .unwrap()
}

fn judged(committed: &Committed) -> Vec<Judged> {
    let judged = committed.recorded.iter().filter_map(|recorded| match &recorded.event {
        Event::Judged(judged) => Some(judged.clone()),
        _ => None,
    });
    judged.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_servers_that_answer_badly_are_judged_worse_within_a_few_looks_and_good_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let (bad, looks) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let listener = UnixListener::bind(&socket).unwrap();
    let number = "20261122-101500-7K";
    let configured = Event::Configured { config: Box::new(config(&socket)), change: None };
    let world = start_by(Arc::new(SystemClock::new()), configured, |state| {
        state.orders.insert(OrderNumber::from(number), order(number));
    })
    .await;
    let mut commits = world.pump.subscribe();
    // It answers from now on, so that the first look is not missed.
    tokio::spawn(balancer(listener, bad.clone(), looks.clone()));
    let mut next = async || {
        loop {
            let committed = tokio::time::timeout(Duration::from_secs(20), commits.recv()).await.expect("within 20 s").unwrap();
            if let Some(judged) = judged(&committed).pop() {
                return judged;
            }
        }
    };
    // The first look is a reading without figures: what was before it does not count.
    let first = next().await;
    assert_eq!((first.verdict, first.evidence.new_all, first.evidence.old_all), (JudgeVerdict::Undecided, 0, 0));
    // Well so far: its figures are shown.
    let well = next().await;
    assert_eq!((well.order.as_str(), well.verdict), (number, JudgeVerdict::Undecided));
    let seen = &well.evidence;
    assert!(seen.new_bad == 0 && seen.old_bad == 0 && seen.new_all >= ANSWERS && seen.new_all == seen.old_all, "{seen:?}");

    let begun = looks.load(Ordering::SeqCst);
    bad.store(ANSWERS / 2, Ordering::SeqCst);
    let worse = loop {
        let judged = next().await;
        if judged.verdict == JudgeVerdict::Worse {
            break judged;
        }
    };
    let took = worse.evidence.new_bad / (ANSWERS / 2);
    assert!((1..=10).contains(&took), "{took} looks with bad answers");
    assert!(looks.load(Ordering::SeqCst) > begun && worse.evidence.old_bad == 0, "{worse:?}");
    end(world).await;
}
