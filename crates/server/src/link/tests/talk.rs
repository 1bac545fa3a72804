//! What goes over an open link, in both directions.

use ed25519_dalek::{Signature, VerifyingKey};
use model::plan::{Action, StepAnswer, StepOutcome, StepRequest};
use model::{EffectKey, Epoch, OrderNumber, ServiceName};
use wire::link::duty::HostDuty;
use wire::link::samples::Encoder;
use wire::link::{ArtifactChunk, FETCH_PATH, FetchArtifact};

use super::*;
use crate::perform::outside::Links as _;

fn request(rig: &Rig, host: &str, key: &str, action: Action) -> StepRequest {
    StepRequest {
        key: EffectKey::from(key),
        epoch: Epoch(1),
        order: OrderNumber::from("20261122-101500-7K"),
        host: name(host),
        action,
        undo: false,
        time_limit_ms: 1_000,
        expires_at: rig.clock.now() + Duration::from_secs(30),
    }
}

fn start() -> Action {
    Action::Start { service: ServiceName::new("shop").unwrap() }
}

fn answer(host: &str, key: &str) -> AgentBody {
    let answer = StepAnswer {
        key: EffectKey::from(key),
        order: OrderNumber::from("20261122-101500-7K"),
        host: name(host),
        outcome: StepOutcome::Done { note: "x".repeat(10_000) },
        took_ms: 5,
    };
    AgentBody::StepAnswer(wire::link::StepAnswer { key: key.into(), json: serde_json::to_vec(&answer).unwrap() })
}

#[tokio::test]
async fn a_host_comes_hears_its_duty_and_goes() {
    let mut rig = Rig::start().await;
    let agent = rig.enrolled("web-1").await;
    let (mut talk, welcome) = agent.open(&rig).await.unwrap();
    assert_eq!(rig.news.recv().await, Some(name("web-1")));
    let duty: HostDuty = serde_json::from_slice(&welcome.config.unwrap().json).unwrap();
    assert!(duty.host == name("web-1") && duty.services.is_empty());
    assert_eq!((welcome.server_time_us, welcome.protocol), (rig.clock.now().0, PROTOCOL));

    rig.configure(serde_json::json!({"hosts": {"web-1": {"watch_files": ["/etc/hosts"]}}})).await;
    let Some(ServerBody::Config(config)) = talk.next().await else { panic!("no duty") };
    let duty: HostDuty = serde_json::from_slice(&config.json).unwrap();
    assert_eq!(duty.config.watch_files, ["/etc/hosts"]);
    // A change that is none of this host's business is not sent: the next it hears of is the one after.
    rig.configure(serde_json::json!({"hosts": {"web-1": {"watch_files": ["/etc/hosts"]}, "web-2": {}}})).await;
    rig.configure(serde_json::json!({"hosts": {"web-1": {}}})).await;
    let Some(ServerBody::Config(config)) = talk.next().await else { panic!("no duty") };
    assert!(serde_json::from_slice::<HostDuty>(&config.json).unwrap().config.watch_files.is_empty());

    drop(talk);
    until("it has gone", || rig.seen().len() == 2).await;
    assert_eq!(rig.seen(), [("web-1".into(), true), ("web-1".into(), false)]);
    assert!(rig.links.connected().is_empty());
}

#[tokio::test]
async fn samples_are_of_the_own_host_and_acknowledged_when_they_are_on_disk() {
    let rig = Rig::start().await;
    rig.configure(serde_json::json!({"hosts": {"web-1": {"labels": {"zone": "b"}}}})).await;
    let agent = rig.enrolled("web-1").await;
    let (mut talk, _) = agent.open(&rig).await.unwrap();
    let mut encoder = Encoder::new();
    rig.samples.disk.forget_permits(1_000_000);
    talk.samples(1, &mut encoder, &[("__name__", "up"), ("host", "web-2")], 7.0).await;
    rig.samples.arrived.acquire().await.unwrap().forget();
    // They arrived and are not on disk: nothing may say that they are, however long the disk takes.
    let early = timeout(Duration::from_millis(200), talk.acknowledged(1)).await;
    assert!(early.is_err() && talk.acknowledged == 0);
    rig.samples.disk.add_permits(2);
    talk.acknowledged(1).await;
    talk.samples(2, &mut encoder, &[("__name__", "up"), ("host", "web-2")], 8.0).await;
    talk.acknowledged(2).await;
    let own = |value| ("web-1".to_owned(), r#"up{host="web-1", instance="web-1", zone="b"}"#.to_owned(), value);
    assert_eq!(rig.taken(), [own(7.0), own(8.0)]);
}

#[tokio::test]
async fn while_samples_are_refused_events_pass_and_nothing_comes_twice() {
    let rig = Rig::start().await;
    let agent = rig.enrolled("web-1").await;
    let (talk, _) = agent.open(&rig).await.unwrap();
    rig.samples.fails.store(true, Ordering::SeqCst);
    let mut encoder = Encoder::new();
    talk.samples(1, &mut encoder, &[("__name__", "up")], 1.0).await;
    talk.news(2, change("c")).await;
    talk.samples(3, &mut encoder, &[("__name__", "up")], 3.0).await;
    let changes = || rig.events().iter().filter(|event| matches!(event, Event::Changed(_))).count();
    until("the change is on disk", || changes() == 1).await;
    drop(talk);
    until("it has gone", || rig.links.connected().is_empty()).await;
    assert!(rig.taken().is_empty());

    // The agent comes again, and sends again what was not acknowledged: all of it.
    rig.samples.fails.store(false, Ordering::SeqCst);
    let (mut talk, _) = agent.open(&rig).await.unwrap();
    assert_eq!(talk.acknowledged, 0);
    let mut encoder = Encoder::new();
    talk.samples(1, &mut encoder, &[("__name__", "up")], 1.0).await;
    talk.news(2, change("c")).await;
    talk.samples(3, &mut encoder, &[("__name__", "up")], 3.0).await;
    talk.acknowledged(3).await;
    let values: Vec<f64> = rig.taken().into_iter().map(|(_, _, value)| value).collect();
    assert_eq!((values, changes()), (vec![1.0, 3.0], 1));
}

#[tokio::test]
async fn what_an_agent_tells_is_of_its_own_host() {
    let rig = Rig::start().await;
    let agent = rig.enrolled("web-1").await;
    let (mut talk, _) = agent.open(&rig).await.unwrap();
    talk.news(1, change("c")).await;
    let seen = serde_json::json!({"host": "web-2", "service": "shop", "state": "running", "since": "2126-11-22T10:00:00Z"});
    talk.news(2, serde_json::json!({"kind": "service_seen", "of": seen})).await;
    let line = serde_json::json!({"at": "2126-11-22T10:00:00Z", "host": "web-2", "service": "shop", "text": "hello"});
    talk.news(3, serde_json::json!({"kind": "log", "of": [line]})).await;
    // Neither what only others may say nor what can't be read stops the rest.
    talk.news(4, serde_json::json!({"kind": "host_seen", "of": {"host": "web-2", "up": false, "agent_version": "", "boot_id": "", "clock_ahead_us": 0}})).await;
    talk.news(5, serde_json::json!({"kind": "tick"})).await;
    talk.say(6, AgentBody::Event(wire::link::AgentEvent { json: vec![0xff; 10] })).await;
    talk.up.send(AgentFrame { sequence: 7, body: None }).await.unwrap();
    talk.acknowledged(7).await;

    let events: Vec<Event> =
        rig.events().into_iter().filter(|event| !matches!(event, Event::HostSeen(_) | Event::Tick)).collect();
    let [Event::Changed(change), Event::ServiceSeen(seen)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((change.id.as_str(), change.scope.hosts.as_slice()), ("agent/web-1/c", [name("web-1")].as_slice()));
    assert!(seen.host == name("web-1") && seen.since == rig.clock.now());
    assert_eq!(rig.seen(), [("web-1".into(), true)]);
    let lines = rig.logs.last(None, None, 10);
    assert!(lines.len() == 1 && lines[0].host == name("web-1") && lines[0].at == rig.clock.now());
}

#[tokio::test]
async fn a_step_is_signed_and_answered_by_its_host_only() {
    let rig = Rig::start().await;
    let (agent, other) = (rig.enrolled("web-1").await, rig.enrolled("web-2").await);
    let asked = request(&rig, "web-1", "o/1", start());
    assert!(!rig.links.ask(&asked).await, "no link yet");
    let (mut talk, welcome) = agent.open(&rig).await.unwrap();
    let (mut thief, _) = other.open(&rig).await.unwrap();
    until("both are there", || rig.links.connected().len() == 2).await;
    assert!(rig.links.ask(&asked).await);
    let Some(ServerBody::Step(step)) = talk.next().await else { panic!("no step") };
    assert_eq!(serde_json::from_slice::<StepRequest>(&step.payload).unwrap(), asked);
    let key = welcome.signing_keys.iter().find(|key| key.key_id == step.key_id).unwrap();
    let key = VerifyingKey::from_bytes(key.public_key.as_slice().try_into().unwrap()).unwrap();
    let signature = Signature::from_slice(&step.signature).unwrap();
    key.verify_strict(&step.payload, &signature).unwrap();
    let mut forged = step.payload.clone();
    forged[10] ^= 1;
    assert!(key.verify_strict(&forged, &signature).is_err());

    // Under its own name or another's: a step that was not asked of it is not its to answer.
    thief.say(1, answer("web-2", "o/1")).await;
    thief.say(2, answer("web-1", "o/1")).await;
    thief.say(3, answer("web-2", "o/9")).await;
    thief.acknowledged(3).await;
    let answers = || rig.events().into_iter().filter(|event| matches!(event, Event::StepAnswered(_))).collect::<Vec<_>>();
    assert!(answers().is_empty());
    talk.say(1, answer("web-1", "o/1")).await;
    talk.acknowledged(1).await;
    let [Event::StepAnswered(answered)] = &answers()[..] else { panic!("{:?}", answers()) };
    assert!(answered.host == name("web-1"));
    assert!(matches!(&answered.outcome, StepOutcome::Done { note } if note.len() == 4_096));
}

#[tokio::test]
async fn garbage_ends_its_own_connection() {
    let rig = Rig::start().await;
    let (bad, good) = (rig.enrolled("web-1").await, rig.enrolled("web-2").await);
    let (mut stays, _) = good.open(&rig).await.unwrap();
    let garbage: [AgentBody; 3] =
        [AgentBody::Samples(vec![1, 1, 0, 0xff, 0xff]), AgentBody::Samples(Vec::new()), AgentBody::Hello(bad.hello())];
    for (place, body) in garbage.into_iter().enumerate() {
        let (mut talk, _) = bad.open(&rig).await.unwrap();
        talk.say(1, body).await;
        let (_, is_final) = talk.end().await.unwrap();
        assert!(!is_final);
        stays.news(place as u64 + 1, change(&place.to_string())).await;
        stays.acknowledged(place as u64 + 1).await;
    }
    // Bytes that are no frames at all, on a connection without TLS.
    let mut stranger = TcpStream::connect(rig.enrol.address()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stranger, &[0x16; 4_096]).await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, tokio::io::AsyncReadExt::read_to_end(&mut stranger, &mut rest)).await.unwrap();
    stays.news(9, change("9")).await;
    stays.acknowledged(9).await;
}

#[tokio::test]
async fn a_host_that_comes_again_and_again_waits_a_minute() {
    let rig = Rig::start().await;
    let (bad, good) = (rig.enrolled("web-1").await, rig.enrolled("web-2").await);
    let mut refused = 0;
    for _ in 0..40 {
        refused += usize::from(bad.open(&rig).await.is_err());
    }
    assert_eq!(refused, 10);
    assert!(good.open(&rig).await.is_ok());
    until("all of it is told", || rig.links.connected().is_empty()).await;
    assert!(rig.seen().len() <= 62, "{}", rig.seen().len());
    rig.clock.move_to(rig.clock.now() + Duration::from_secs(60));
    assert!(bad.open(&rig).await.is_ok());
}

#[tokio::test]
async fn the_newer_connection_of_a_host_counts() {
    let rig = Rig::start().await;
    let agent = rig.enrolled("web-1").await;
    let (mut old, _) = agent.open(&rig).await.unwrap();
    until("it is there", || rig.links.connected().len() == 1).await;
    let (mut new, _) = agent.open(&rig).await.unwrap();
    assert!(old.end().await.unwrap().0.contains("newer connection"));
    assert!(rig.links.ask(&request(&rig, "web-1", "o/1", start())).await);
    assert!(matches!(new.next().await, Some(ServerBody::Step(_))));
    new.news(1, change("c")).await;
    new.acknowledged(1).await;
    // It never went.
    assert_eq!(rig.seen(), [("web-1".into(), true), ("web-1".into(), true)]);
}

#[tokio::test]
async fn a_clock_that_is_elsewhere_is_told() {
    let rig = Rig::start().await;
    let agent = rig.enrolled("web-1").await;
    let (mut talk, _) = agent.open(&rig).await.unwrap();
    let mut encoder = Encoder::new();
    for (sequence, ahead) in [(1, 0.2), (2, 90.5), (3, 200.0)] {
        talk.samples(sequence, &mut encoder, &[("__name__", "flyball_agent_clock_ahead_seconds")], ahead).await;
    }
    talk.acknowledged(3).await;
    drop(talk);
    until("it has gone", || rig.seen().len() == 3).await;
    let ahead: Vec<i64> = rig
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::HostSeen(seen) => Some(seen.clock_ahead_us),
            _ => None,
        })
        .collect();
    assert_eq!(ahead, [0, 90_500_000, 90_500_000]);
}

async fn fetch(agent: &FakeAgent, rig: &Rig, digest: &str, offset: u64) -> Result<Vec<u8>, Status> {
    let (channel, _) = agent.connect(rig).await.unwrap();
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<FetchArtifact, ArtifactChunk>::default();
    let request = tonic::Request::new(FetchArtifact { digest: digest.into(), offset });
    let mut chunks = grpc.server_streaming(request, PathAndQuery::from_static(FETCH_PATH), codec).await?.into_inner();
    let mut bytes = Vec::new();
    while let Some(chunk) = timeout(PATIENCE, chunks.message()).await.unwrap()? {
        assert!(chunk.data.len() <= wire::link::CHUNK_LEN_MAX);
        bytes.extend(chunk.data);
    }
    Ok(bytes)
}

#[tokio::test]
async fn an_artifact_goes_to_the_hosts_that_were_asked_to_fetch_it() {
    let rig = Rig::start().await;
    let (agent, other) = (rig.enrolled("web-1").await, rig.enrolled("web-2").await);
    let digest = "ab".repeat(32);
    let bytes: Vec<u8> = (0..700_000u32).map(|place| place as u8).collect();
    std::fs::write(rig.artifacts.0.path().join(&digest), &bytes).unwrap();
    assert_eq!(fetch(&agent, &rig, &digest, 0).await.unwrap_err().code(), Code::NotFound);
    let (_talk, _) = agent.open(&rig).await.unwrap();
    until("it is there", || rig.links.connected().len() == 1).await;
    let action = Action::Fetch {
        service: ServiceName::new("shop").unwrap(),
        digest: ArtifactDigest::from(digest.as_str()),
        size: bytes.len() as u64,
    };
    assert!(rig.links.ask(&request(&rig, "web-1", "o/1", action)).await);
    assert_eq!(fetch(&agent, &rig, &digest, 0).await.unwrap(), bytes);
    assert_eq!(fetch(&agent, &rig, &digest, 600_000).await.unwrap(), bytes[600_000..]);
    assert!(fetch(&agent, &rig, &digest, 9_000_000).await.unwrap().is_empty());
    assert_eq!(fetch(&other, &rig, &digest, 0).await.unwrap_err().code(), Code::NotFound);
    for bad in ["", "../ca/ca.pem", &"AB".repeat(32)] {
        assert_eq!(fetch(&agent, &rig, bad, 0).await.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test]
async fn a_server_that_stops_lets_go_and_says_nothing_of_hosts() {
    let rig = Rig::start().await;
    let agent = rig.enrolled("web-1").await;
    let (mut talk, _) = agent.open(&rig).await.unwrap();
    until("it is there", || rig.links.connected().len() == 1).await;
    rig.stop.send_replace(true);
    timeout(PATIENCE, rig.serving).await.unwrap().unwrap();
    while let Ok(Some(_)) = timeout(PATIENCE, talk.down.message()).await.unwrap() {}
    until("its session has ended", || rig.links.connected().is_empty()).await;
    rig.pump.submit(Event::Tick).await.unwrap();
    let seen = rig.journal.events().into_iter().filter(|recorded| matches!(recorded.event, Event::HostSeen(_))).count();
    assert_eq!(seen, 1);
}
