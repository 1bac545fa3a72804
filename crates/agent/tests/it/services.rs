//! Supervised processes: started, seen, restarted after a crash, found again by the next agent.

use model::plan::Action;
use model::signal::ServiceState;

use crate::fake::{Running, Server, WAIT, processes, shop};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_outlives_its_agent_and_is_found_again() {
    let server = Server::start().await;
    server.set_duty(Server::duty_of(&["/bin/sleep", "600"]));
    let mut agent = server.agent();
    server.connected(1).await;
    let note = server.done("start", Action::Start { service: shop() }).await;
    let running = processes(&server.dir());
    assert!(running.len() == 1 && note.contains(&running[0].to_string()), "{note} {running:?}");
    let environment = std::fs::read(format!("/proc/{}/environ", running[0])).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(environment.contains("GREETING=on 8080\0") && !environment.contains("CARGO"), "{environment}");
    server
        .until("its usage", |told| told.samples.keys().any(|key| key.starts_with("flyball_service_memory_bytes{")).then_some(()))
        .await;

    agent.keeps_services = true;
    drop(agent);
    // Even the note may be missing: the agent was killed before it wrote it.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    std::fs::remove_file(server.dir().join("services/shop/process.json")).unwrap();
    server.told(|told| told.services.clear());
    let agent = server.agent();
    server.connected(2).await;
    let seen = server.until("the service", |told| told.services.last().cloned()).await;
    assert_eq!((seen.state, seen.pid), (ServiceState::Running, Some(running[0])));
    let again = server.done("start again", Action::Start { service: shop() }).await;
    assert!(again.contains("runs already"), "{again}");
    let stopped = server.done("stop", Action::Stop { service: shop() }).await;
    assert!(stopped.contains("ended after"), "{stopped}");
    assert!(processes(&server.dir()).is_empty());
    assert_eq!(server.done("stop again", Action::Stop { service: shop() }).await, "did not run");
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_told_and_started_again_and_a_stop_is_not() {
    let server = Server::start().await;
    server.set_duty(Server::duty_of(&["/bin/sleep", "600"]));
    let agent = server.agent();
    server.connected(1).await;
    server.done("start", Action::Start { service: shop() }).await;
    let first = processes(&server.dir())[0];
    let pid = rustix::process::Pid::from_raw(first as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    server.until("the crash", |told| told.services.iter().any(|seen| seen.state == ServiceState::Crashed).then_some(())).await;
    let seen = server
        .until("the new process", |told| {
            told.services.iter().rfind(|seen| seen.state == ServiceState::Running && seen.restarts == 1).cloned()
        })
        .await;
    assert_eq!(processes(&server.dir()), [seen.pid.unwrap()]);
    assert_ne!(seen.pid, Some(first));
    let note = server.done("restart", Action::Restart { service: shop() }).await;
    assert!(note.contains("runs as process"), "{note}");
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_writes_arrives_and_a_start_that_fails_says_why() {
    let server = Server::start().await;
    // sleep complains about its argument and ends.
    server.set_duty(Server::duty_of(&["/bin/sleep", "$(touch canary); `id`"]));
    let agent = server.agent();
    server.connected(1).await;
    let outcome = server.ask("start", Action::Start { service: shop() }).await;
    let model::plan::StepOutcome::Failed { why } = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("ended at once") && why.contains("touch canary"), "{why}");
    let line = server.until("a line", |told| told.lines.iter().find(|line| line.starts_with("shop: ")).cloned()).await;
    assert!(line.contains("$(touch canary); `id`"), "{line}");
    server
        .until("the deploy log", |told| {
            told.lines.iter().any(|line| line.starts_with("deploy: ") && line.contains("start: failed")).then_some(())
        })
        .await;
    server.done("stop", Action::Stop { service: shop() }).await;
    assert!(!server.dir().join("services/shop/canary").exists());
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_end_with_their_agent_begin_with_the_next() {
    let server = Server::start().await;
    server.set_duty(Server::duty_of(&["/bin/sleep", "600"]));
    drop(server.agent());
    let mut options = server.options();
    options.stop_services_at_exit = true;
    let agent = Running::start(options.clone());
    server.connected(1).await;
    server.done("start", Action::Start { service: shop() }).await;
    agent.end().await.unwrap();
    assert!(processes(&server.dir()).is_empty());
    // By the duty that it remembers: the server may be away.
    let agent = Running::start(options.clone());
    let begun = std::time::Instant::now();
    while processes(&server.dir()).is_empty() {
        assert!(begun.elapsed() < WAIT);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    server.done("stop", Action::Stop { service: shop() }).await;
    agent.end().await.unwrap();
    // Stopped by a step it stays so.
    let agent = Running::start(options);
    server.connected(3).await;
    server.until("the service", |told| told.services.iter().rfind(|seen| seen.state == ServiceState::Stopped).cloned()).await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert!(processes(&server.dir()).is_empty());
    drop(agent);
}
