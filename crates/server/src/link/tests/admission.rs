//! Who may come in: tokens, keys, certificates, revocation.

use wire::link::token::fingerprint;
use wire::link::{FETCH_PATH, FetchArtifact, RENEW_PATH, RenewAnswer, RenewRequest};

use super::*;

#[tokio::test]
async fn a_token_lets_one_host_in_once() {
    let rig = Rig::start().await;
    let token = rig.token("web-1");
    let mut agent = FakeAgent::new("whatever");
    // What a token promises: the chain has the authority with its fingerprint.
    let (_, chain) = agent.connect(&rig).await.unwrap();
    assert!(chain.len() == 2 && fingerprint(&chain[1]) == token.ca);

    // The token's name counts, not the agent's wish.
    assert_eq!(agent.enroll(&rig, &token).await.unwrap().host, "web-1");
    let again = FakeAgent::new("web-1").enroll(&rig, &token).await.unwrap_err();
    assert_eq!(again.code(), Code::PermissionDenied);
    let late = rig.token("web-2");
    rig.clock.move_to(rig.clock.now() + TOKEN_LIFE);
    assert_eq!(FakeAgent::new("web-2").enroll(&rig, &late).await.unwrap_err().code(), Code::PermissionDenied);
    let mut newer = FakeAgent::new("web-3");
    let request =
        EnrollRequest { token: rig.token("web-3").secret, csr_pem: "x".into(), host: "web-3".into(), protocol: PROTOCOL };
    let bad = newer.call::<_, EnrollAnswer>(&rig, ENROLL_PATH, request.clone()).await.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument);
    let old = newer.call::<_, EnrollAnswer>(&rig, ENROLL_PATH, EnrollRequest { protocol: 0, ..request }).await.unwrap_err();
    assert_eq!(old.code(), Code::FailedPrecondition);
    let mut guess = rig.token("web-3");
    guess.secret = "0".repeat(48);
    assert_eq!(newer.enroll(&rig, &guess).await.unwrap_err().code(), Code::PermissionDenied);
    let audit = rig.journal.audit(None, 0).await.unwrap();
    let lines: Vec<String> = audit.iter().map(|line| format!("{}: {}", line.by, line.what)).collect();
    assert_eq!(lines, ["web-1: {\"host_enrolled\":\"web-1\",\"from\":\"127.0.0.1\"}"]);
}

#[tokio::test]
async fn without_a_certificate_there_is_nothing_but_enrolment() {
    let rig = Rig::start().await;
    let agent = FakeAgent::new("web-1");
    assert_eq!(agent.stream(&rig).await.err().unwrap().code(), Code::Unauthenticated);
    let fetch = FetchArtifact { digest: "0".repeat(64), offset: 0 };
    let refused = agent.call::<_, RenewAnswer>(&rig, FETCH_PATH, fetch).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let renewed = agent.call::<_, RenewAnswer>(&rig, RENEW_PATH, RenewRequest { csr_pem: agent.csr() }).await;
    assert_eq!(renewed.unwrap_err().code(), Code::Unauthenticated);
    let unknown = agent.call::<_, RenewAnswer>(&rig, "/flyball.link.v1.AgentLink/Other", RenewRequest::default()).await;
    assert_eq!(unknown.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn somebody_elses_certificate_is_no_certificate() {
    let rig = Rig::start().await;
    let other = Rig::start().await;
    let agent = other.enrolled("web-1").await;
    rig.enrolled("web-1").await;
    // With TLS 1.3 a client hears of it with its first read.
    assert!(agent.open(&rig).await.is_err());
    assert!(rig.links.connected().is_empty());
}

#[tokio::test]
async fn a_hundred_clones_of_a_name_stay_outside_and_a_new_key_needs_a_token() {
    let rig = Rig::start().await;
    let old = rig.enrolled("web-1").await;
    let used = rig.token("web-1");
    let mut new = FakeAgent::new("web-1");
    new.enroll(&rig, &used).await.unwrap();
    for _ in 0..100 {
        assert!(FakeAgent::new("web-1").enroll(&rig, &used).await.is_err());
    }
    // The newest key is the host; the one before counts no more.
    assert!(new.open(&rig).await.is_ok());
    assert_eq!(old.open(&rig).await.err().unwrap().code(), Code::Unauthenticated);
    // A key has one name.
    let mut thief = FakeAgent { host: "web-2".into(), key: new.key, certificate_pem: None };
    assert_eq!(thief.enroll(&rig, &rig.token("web-2")).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_revoked_host_is_out_at_once_until_a_token_lets_it_in() {
    let rig = Rig::start().await;
    let mut agent = rig.enrolled("web-1").await;
    let other = rig.enrolled("web-2").await;
    let (mut talk, _) = agent.open(&rig).await.unwrap();
    let (mut stays, _) = other.open(&rig).await.unwrap();
    until("both are there", || rig.links.connected().len() == 2).await;
    let begun = std::time::Instant::now();
    assert!(rig.links.revoke(&name("web-1")).unwrap());
    let (why, is_final) = talk.end().await.unwrap();
    assert!(is_final && why.contains("revoked"), "{why}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(agent.open(&rig).await.err().unwrap().code(), Code::PermissionDenied);
    let renewed = agent.call::<_, RenewAnswer>(&rig, RENEW_PATH, RenewRequest { csr_pem: agent.csr() }).await;
    assert_eq!(renewed.unwrap_err().code(), Code::PermissionDenied);
    stays.news(1, change("1")).await;
    stays.acknowledged(1).await;
    agent.enroll(&rig, &rig.token("web-1")).await.unwrap();
    assert!(agent.open(&rig).await.is_ok());
}

#[tokio::test]
async fn an_expired_certificate_renews_and_does_nothing_else() {
    let rig = Rig::start().await;
    let mut agent = rig.enrolled("web-1").await;
    let day = Duration::from_secs(24 * 3_600);
    rig.clock.move_to(rig.clock.now() + day * 8);
    assert_eq!(agent.open(&rig).await.err().unwrap().code(), Code::Unauthenticated);
    let foreign = RenewRequest { csr_pem: FakeAgent::new("web-1").csr() };
    let refused = agent.call::<_, RenewAnswer>(&rig, RENEW_PATH, foreign).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let expired = agent.certificate_pem.clone();
    let renewed = agent.call::<_, RenewAnswer>(&rig, RENEW_PATH, RenewRequest { csr_pem: agent.csr() }).await.unwrap();
    agent.certificate_pem = Some(renewed.certificate_pem);
    assert!(agent.open(&rig).await.is_ok());

    // 90 days after its end even that is over.
    agent.certificate_pem = expired;
    rig.clock.move_to(rig.clock.now() + day * 90);
    assert!(agent.call::<_, RenewAnswer>(&rig, RENEW_PATH, RenewRequest { csr_pem: agent.csr() }).await.is_err());
}

#[tokio::test]
async fn a_certificate_is_renewed_on_the_link_for_the_same_key_only() {
    let rig = Rig::start().await;
    let mut agent = rig.enrolled("web-1").await;
    let (mut talk, _) = agent.open(&rig).await.unwrap();
    talk.say(0, AgentBody::RenewRequest(RenewRequest { csr_pem: agent.csr() })).await;
    let Some(ServerBody::Renew(renewed)) = talk.next().await else { panic!("no certificate") };
    agent.certificate_pem = Some(renewed.certificate_pem);
    let (mut talk, _) = agent.open(&rig).await.unwrap();
    talk.say(0, AgentBody::RenewRequest(RenewRequest { csr_pem: FakeAgent::new("web-1").csr() })).await;
    assert!(talk.end().await.unwrap().0.contains("not of the key"));
}

#[tokio::test]
async fn a_hello_under_another_name_or_none_is_refused() {
    let rig = Rig::start().await;
    let agent = rig.enrolled("web-1").await;
    for (hello, said) in [
        (Hello { host: "web-2".into(), ..agent.hello() }, "known as the host web-1"),
        (Hello { protocol: 0, ..agent.hello() }, "version 0"),
    ] {
        let mut talk = agent.stream(&rig).await.unwrap();
        talk.say(0, AgentBody::Hello(hello)).await;
        let (why, is_final) = talk.end().await.unwrap();
        assert!(is_final && why.contains(said), "{why}");
    }
    let mut talk = agent.stream(&rig).await.unwrap();
    talk.news(1, change("1")).await;
    assert!(talk.end().await.unwrap().0.contains("no hello"));
    assert!(rig.seen().is_empty());
}
