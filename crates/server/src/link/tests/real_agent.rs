//! The real agent at the other end.

use model::plan::{Action, StepOutcome, StepRequest};
use model::{EffectKey, Epoch, OrderNumber, ServiceName};

use super::*;
use crate::perform::outside::Links as _;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_agent_enrols_measures_and_refuses_what_its_policy_does_not_allow() {
    let rig = Rig::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (stop, mut stopped) = watch::channel(false);
    let mut options = agent::Options::new(folder.path());
    options.host = Some(name("web-1"));
    options.token = Some(rig.enrol.create(&name("web-1")).unwrap());
    let running = tokio::spawn(agent::run(options, async move {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }));
    until("it is there and has measured itself", || {
        rig.links.connected() == [name("web-1")] && rig.taken().iter().any(|(_, labels, _)| labels.starts_with("node_load1{"))
    })
    .await;
    assert!(rig.taken().iter().all(|(_, labels, _)| labels.contains(r#"host="web-1""#)));

    let request = StepRequest {
        key: EffectKey::from("o/1"),
        epoch: Epoch(1),
        order: OrderNumber::from("20261122-101500-7K"),
        host: name("web-1"),
        action: Action::Start { service: ServiceName::new("shop").unwrap() },
        undo: false,
        time_limit_ms: 5_000,
        expires_at: rig.clock.now() + Duration::from_secs(30),
    };
    assert!(rig.links.ask(&request).await);
    let answer = || {
        rig.events().into_iter().find_map(|event| match event {
            Event::StepAnswered(answer) => Some(answer),
            _ => None,
        })
    };
    until("it has answered", || answer().is_some()).await;
    let answer = answer().unwrap();
    assert!(answer.key == request.key && matches!(answer.outcome, StepOutcome::Refused { .. }), "{answer:?}");

    stop.send_replace(true);
    timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
    until("it has gone", || rig.links.connected().is_empty()).await;
    // Its identity is on disk: the next start needs no token.
    let again = tokio::spawn(agent::run(agent::Options::new(folder.path()), std::future::pending()));
    until("it is there again", || rig.links.connected().len() == 1).await;
    again.abort();
}

#[tokio::test]
async fn the_real_agent_trusts_only_the_authority_in_its_token() {
    let (rig, other) = (Rig::start().await, Rig::start().await);
    let folder = tempfile::tempdir().unwrap();
    let mut token = rig.token("web-1");
    token.server = other.enrol.address().to_owned();
    let mut options = agent::Options::new(folder.path());
    options.host = Some(name("web-1"));
    options.token = Some(token.to_string());
    let refused = timeout(PATIENCE, agent::run(options, std::future::pending())).await.unwrap();
    assert!(refused.is_err());
    // Nothing was given away: the token still works where it belongs.
    token.server = rig.enrol.address().to_owned();
    FakeAgent::new("web-1").enroll(&rig, &token).await.unwrap();
}
