//! Every step twice, failing, with its answer lost; and what an agent refuses.

use std::time::Duration;

use model::plan::{Action, StepOutcome};
use model::signal::ReleaseOnHost;
use model::{ArtifactDigest, Epoch, HostName, Time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fake::{Server, now, processes, shop};

fn why(outcome: StepOutcome) -> String {
    match outcome {
        StepOutcome::Refused { why } => format!("refused: {why}"),
        StepOutcome::Failed { why } => format!("failed: {why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_and_every_step_twice() {
    let server = Server::start().await;
    server.set_duty(Server::duty_of(&["{release}/shop", "600"]));
    let agent = server.agent();
    server.connected(1).await;
    let program = std::fs::read("/bin/sleep").unwrap();
    let (release, size) = server.push(&program, "4.12.0");
    let steps = [
        ("fetch", Action::Fetch { service: shop(), digest: release.digest.clone(), size }),
        ("unpack", Action::Unpack { service: shop(), release: release.clone() }),
        ("stop", Action::Stop { service: shop() }),
        ("switch", Action::Switch { service: shop(), to: Some(release.clone()) }),
        ("start", Action::Start { service: shop() }),
    ];
    for (key, action) in &steps {
        let first = server.done(key, action.clone()).await;
        // The answer is lost on the way: asked again under the same key it is the same answer, and nothing is done twice.
        assert_eq!(server.done(key, action.clone()).await, first, "{key}");
    }
    assert_eq!(server.fetched(), size);
    let running = processes(&server.dir());
    assert_eq!(running.len(), 1);
    assert!(std::fs::read_link(server.dir().join("services/shop/current")).unwrap().to_string_lossy().ends_with("-4.12.0"));
    // Under another key each is done again, and that changes nothing.
    for (key, action) in &steps[..2] {
        server.done(&format!("{key} 2"), action.clone()).await;
    }
    for (key, action) in &steps[3..] {
        server.done(&format!("{key} 2"), action.clone()).await;
    }
    assert_eq!((server.fetched(), processes(&server.dir())), (size, running));

    // A new agent on the same folder remembers.
    agent.end().await.unwrap();
    let agent = server.agent();
    server.connected(2).await;
    assert!(server.done("start", steps[4].1.clone()).await.contains("runs as process"));
    server.done("off", Action::Stop { service: shop() }).await;
    server.done("nothing", Action::Switch { service: shop(), to: None }).await;
    assert!(why(server.ask("start nothing", Action::Start { service: shop() }).await).contains("no current release"));
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_refuses_what_is_not_signed_for_it_now() {
    let server = Server::start().await;
    server.set_duty(Server::duty_of(&["/bin/sleep", "600"]));
    let agent = server.agent();
    server.connected(1).await;
    let good = server.request("r", Action::Start { service: shop() });

    let mut forged = server.sign(&good);
    forged.payload = String::from_utf8(forged.payload).unwrap().replace("start", "restart").into_bytes();
    assert!(why(server.ask_signed("r", forged).await).contains("signature is wrong"));
    let mut cut = server.sign(&good);
    cut.signature.pop();
    assert!(why(server.ask_signed("r", cut).await).contains("wrong length"));
    let mut stranger = server.sign(&good);
    stranger.key_id = "k2".into();
    assert!(why(server.ask_signed("r", stranger).await).contains("does not know"));
    let late = model::plan::StepRequest { expires_at: Time(now().0 - 1), ..good.clone() };
    assert!(why(server.ask_signed("r", server.sign(&late)).await).contains("it expired"));
    let other = model::plan::StepRequest { host: HostName::new("web-2").unwrap(), ..good.clone() };
    assert!(why(server.ask_signed("r", server.sign(&other)).await).contains("for the host web-2"));
    let mut elsewhere = good.clone();
    elsewhere.action = Action::Start { service: model::ServiceName::new("billing").unwrap() };
    assert!(why(server.ask_signed("r", server.sign(&elsewhere)).await).contains("does not name the service"));
    assert!(processes(&server.dir()).is_empty());

    // F-34: after the first step of a newer server nothing of the older one is done, not even after a restart.
    let newer = model::plan::StepRequest {
        epoch: Epoch(5),
        key: "newer".into(),
        action: Action::Stop { service: shop() },
        ..good.clone()
    };
    assert!(matches!(server.ask_signed("newer", server.sign(&newer)).await, StepOutcome::Done { .. }));
    assert!(why(server.ask_signed("r", server.sign(&good)).await).contains("older epoch 1"));
    agent.end().await.unwrap();
    let agent = server.agent();
    server.connected(2).await;
    server.told(|told| assert_eq!(told.hellos[1].fencing_epoch_seen, 5));
    assert!(why(server.ask_signed("r", server.sign(&good)).await).contains("older epoch 1"));
    assert!(processes(&server.dir()).is_empty());

    // A key is one step's.
    let reused = model::plan::StepRequest { action: Action::Start { service: shop() }, ..newer.clone() };
    assert!(why(server.ask_signed("newer", server.sign(&reused)).await).contains("another step"));
    // The policy file is read each time.
    std::fs::remove_file(server.dir().join("policy.yaml")).unwrap();
    let current = model::plan::StepRequest { epoch: Epoch(5), ..good };
    assert!(why(server.ask_signed("r", server.sign(&current)).await).contains("only observes"));
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_fail_leave_what_was_there() {
    let server = Server::start().await;
    server.set_duty(Server::duty_of(&["{release}/bin/sh", "-c", "id"]));
    let agent = server.agent();
    server.connected(1).await;
    let old = server.bring("old", b"\x7fELF old", "1.0").await;
    server.done("switch", Action::Switch { service: shop(), to: Some(old) }).await;

    let fetch = |digest: &ArtifactDigest, size| Action::Fetch { service: shop(), digest: digest.clone(), size };
    let (new, size) = server.push(&vec![7; 600_000], "2.0");
    server.tamper(&new.digest, &vec![8; 600_000]);
    assert!(why(server.ask("other bytes", fetch(&new.digest, size)).await).contains("sha256 is"));
    server.tamper(&new.digest, &vec![7; 300_000]);
    assert!(why(server.ask("too short", fetch(&new.digest, size)).await).contains("sent 300000 of 600000"));
    server.push(&vec![7; 600_000], "2.0");
    // What arrived is not fetched again.
    let before = server.fetched();
    server.done("the rest", fetch(&new.digest, size)).await;
    assert_eq!(server.fetched() - before, 300_000);
    assert!(why(server.ask("too long", fetch(&server.push(b"xyz", "3").0.digest, 2)).await).contains("more than 2 bytes"));
    let nowhere = ArtifactDigest::from("0".repeat(64));
    assert!(why(server.ask("nowhere", fetch(&nowhere, 5)).await).contains("no such artifact"));
    let path = ArtifactDigest::from("../../../etc/passwd");
    assert!(why(server.ask("a path", fetch(&path, 5)).await).contains("not a sha256"));
    let missing = ReleaseOnHost { version: "9".into(), digest: nowhere };
    assert!(
        why(server.ask("not there", Action::Unpack { service: shop(), release: missing.clone() }).await).starts_with("failed")
    );
    assert!(
        why(server.ask("not unpacked", Action::Switch { service: shop(), to: Some(missing) }).await).contains("not unpacked")
    );
    // The configuration names a program that the release does not have.
    assert!(why(server.ask("no program", Action::Start { service: shop() }).await).contains("find the program"));
    server.set_duty(Server::duty_of(&["/bin/sh", "-c", "id"]));
    let refused = server.until_outcome("a shell", Action::Start { service: shop() }, "does not name the program").await;
    assert!(refused);
    assert!(std::fs::read_link(server.dir().join("services/shop/current")).unwrap().to_string_lossy().ends_with("-1.0"));
    drop(agent);
}

impl Server {
    /// Asks under new keys until the agent has taken a new duty in and answers so.
    async fn until_outcome(&self, key: &str, action: Action, said: &str) -> bool {
        for round in 0..50 {
            if why(self.ask(&format!("{key} {round}"), action.clone()).await).contains(said) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_seen_or_not() {
    let server = Server::start().await;
    server.set_duty(Server::duty_of(&["/bin/sleep", "600"]));
    let agent = server.agent();
    server.connected(1).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/version", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut asked = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            asked += 1;
            let body = if asked > 3 { "version 4.12.0" } else { "version 4.11.9" };
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            let answer = format!("HTTP/1.1 200 OK\r\nx-release: r-77\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let verify =
        |url: &str, version: &str| Action::Verify { service: shop(), url: url.into(), version: version.into(), probe: None };
    assert!(server.done("header", verify(&url, "r-77")).await.contains("answers"));
    let named = Action::Verify {
        service: shop(),
        url: url.clone(),
        version: "4.12.0".into(),
        probe: Some(model::ProbeName::new("version").unwrap()),
    };
    assert!(server.done("body", named).await.contains("4.12.0 answers"));
    let success = format!(
        r#"probe_success{{host="web-1", instance="127.0.0.1", job="flyball", probe="version", service="shop", target="{url}"}}"#
    );
    server.until("the probe's figures", |told| (told.samples.get(&success) == Some(&1.0)).then_some(())).await;
    let part = model::plan::StepRequest { time_limit_ms: 400, ..server.request("part", verify(&url, "4.12")) };
    assert!(why(server.ask_signed("part", server.sign(&part)).await).contains("did not see 4.12 at"));
    for strange in ["http://93.184.216.34/", "http://169.254.169.254/latest", "http://example.org/", "http://2130706433/"] {
        assert!(why(server.ask(strange, verify(strange, "x")).await).contains("not an address of this host"), "{strange}");
    }
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_does_not_wait_for_a_version_that_does_not_come() {
    let server = Server::start().await;
    server.set_duty(Server::duty_of(&["{release}/shop", "600"]));
    let agent = server.agent();
    server.connected(1).await;
    // It never answers: the look would last its whole minute, longer than anybody waits here.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/version", silent.local_addr().unwrap());
    let look = Action::Verify { service: shop(), url, version: "4.12.0".into(), probe: None };
    let look = model::plan::StepRequest { time_limit_ms: 60_000, ..server.request("look", look) };
    server.send(server.sign(&look)).await;
    let _begun = silent.accept().await.unwrap();
    let stop = model::plan::StepRequest { undo: true, ..server.request("stop", Action::Stop { service: shop() }) };
    assert!(matches!(server.ask_signed("stop", server.sign(&stop)).await, StepOutcome::Done { .. }));
    assert!(why(server.ask_signed("look", server.sign(&look)).await).contains("it is taken back"));
    drop(agent);
}
