//! A whole server on free ports: it starts, answers, ends in time, and starts again with what it had.

use std::time::{Duration, Instant};

use dial::{Dialer, Policy, Request};
use http::{HeaderValue, StatusCode, header};
use model::rights::{Grant, Role};
use model::{HostName, TokenName};
use serde_json::Value;

use super::{Options, Server, advertised_name};
use crate::http::tls::TlsFiles;

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

fn options(folder: &std::path::Path) -> Options {
    let free = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Options { listen: free, listen_agents: free, reserve: 1 << 20, ..Options::new(folder.join("data")) }
}

async fn token(server: &Server, name: &str) -> String {
    let name = TokenName::new(name).unwrap();
    server.people.create_token(&name, &[Grant::everywhere(Role::Admin)]).await.unwrap().text().to_owned()
}

fn dialer() -> Dialer {
    Dialer::new(Policy::new(["127.0.0.0/8"]).unwrap())
}

async fn get(dialer: &Dialer, url: String, token: &str) -> (StatusCode, Value) {
    let mut request = Request::get(url);
    request.timeout = PATIENCE;
    request.headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    let response = dialer.send(&request).await.unwrap();
    (response.status, serde_json::from_slice(&response.body).unwrap_or_default())
}

/// The newest value of one of flyball's own series, once it is there.
async fn figure(server: &Server, token: &str, name: &str) -> f64 {
    let begun = Instant::now();
    loop {
        let url = format!("http://{}/api/v1/query?query={name}", server.http);
        let (status, answer) = get(&dialer(), url, token).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        if let Some(value) = answer["data"]["result"][0]["value"][1].as_str() {
            return value.parse().unwrap();
        }
        assert!(begun.elapsed() < PATIENCE, "no {name}: {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn stop(server: Server) {
    let begun = Instant::now();
    server.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_own_health_comes_through_the_same_door_and_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::start(options(folder.path())).await.unwrap();
    let (status, _) = get(&dialer(), format!("http://{}/-/ready", first.http), "").await;
    assert_eq!(status, StatusCode::OK);
    let secret = token(&first, "reader").await;
    assert!(figure(&first, &secret, "flyball_journal_seq").await >= 1.0);
    for name in ["flyball_store_series", "flyball_http_connections", "flyball_http_answers_total", "flyball_http_panics_total"] {
        assert!(figure(&first, &secret, name).await >= 0.0);
    }
    let second = Server::start(options(folder.path())).await;
    let refused = second.err().expect("one server per folder").to_string();
    assert!(refused.contains("another flyball uses it"), "{refused}");
    stop(first).await;

    let again = Server::start(options(folder.path())).await.unwrap();
    // The epoch of this start and the one before; the token, too, is still good.
    assert!(figure(&again, &secret, "max_over_time(flyball_journal_seq[1h])").await >= 2.0);
    assert!(figure(&again, &secret, "flyball_store_series").await >= 10.0);
    stop(again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_certificate_it_listens_beyond_loopback_and_tokens_carry_the_name_that_agents_use() {
    let folder = tempfile::tempdir().unwrap();
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let tls = TlsFiles { certificate: folder.path().join("own.pem"), key: folder.path().join("own.key") };
    std::fs::write(&tls.certificate, signed.cert.pem()).unwrap();
    std::fs::write(&tls.key, signed.signing_key.serialize_pem()).unwrap();
    let anywhere = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    let advertise = Some("flyball.example:7071".to_owned());
    let plain = Options { listen: anywhere, advertise, ..options(folder.path()) };
    let refused = Server::start(plain.clone()).await.err().expect("passwords would cross a network").to_string();
    assert!(refused.contains("--tls-certificate"), "{refused}");

    let server = Server::start(Options { tls: Some(tls.clone()), ..plain }).await.unwrap();
    assert!(server.secure);
    let secret = token(&server, "reader").await;
    let url = format!("https://127.0.0.1:{}/api/flyball/v1/overview", server.http.port());
    let (status, _) = get(&dialer().with_roots(&tls.certificate), url.clone(), &secret).await;
    assert_eq!(status, StatusCode::OK);
    // Plain HTTP gets nothing there.
    assert!(dialer().send(&Request::get(url.replace("https", "http"))).await.is_err());
    let text = server.enrol_token(&HostName::new("web-1").unwrap()).unwrap();
    assert_eq!(wire::link::token::Token::parse(&text).unwrap().server, "flyball.example:7071");
    stop(server).await;
}

#[test]
fn the_name_of_an_address() {
    for (address, name) in [("a.example:7071", Some("a.example")), ("[::1]:7071", Some("::1")), ("a", None)] {
        assert_eq!(advertised_name(Some(address)).as_deref(), name);
    }
}

#[tokio::test]
async fn a_configuration_folder_that_is_not_there_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { config: Some(folder.path().join("nocfg")), ..options(folder.path()) };
    let error = Server::start(options).await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("nocfg") && error.contains("no such folder"), "{error}");
    assert!(!folder.path().join("data").exists(), "nothing was made");
}
