//! The door on a real socket: limits of heads, and how it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::rights::Role;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::House;
use crate::http::lanes::PATHS;
use crate::http::serve::{bind, serve};

async fn talk(address: std::net::SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses early closes while we still write.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn heads_have_limits_and_the_server_ends() {
    let house = House::open().await;
    let door = bind("127.0.0.1:0".parse().unwrap(), None, false).await.unwrap();
    let address = door.listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve(vec![door], house.app.clone(), house.router.clone(), stopped));
    let well = talk(address, "GET /-/ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(well.starts_with("HTTP/1.1 200 OK\r\n") && well.ends_with("flyball is ready.\n"), "{well}");
    let headers: String = (0..200).map(|number| format!("x-{number}: a\r\n")).collect();
    let many = talk(address, &format!("GET /-/ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n")).await;
    assert!(many.starts_with("HTTP/1.1 431"), "{many}");
    let long =
        talk(address, &format!("GET /-/ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {}\r\n\r\n", "a".repeat(100_000)))
            .await;
    assert!(long.starts_with("HTTP/1.1 431"), "{long}");
    let garbage = talk(address, "\u{16}\u{3}\u{1}nonsense\r\n\r\n").await;
    assert!(garbage.is_empty() || garbage.starts_with("HTTP/1.1 400"), "{garbage}");
    // Somebody who keeps a connection open does not keep the server.
    let _idle = TcpStream::connect(address).await.unwrap();
    stop.send_replace(true);
    tokio::time::timeout(std::time::Duration::from_secs(5), serving).await.expect("ends within 5 s").unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_panic_is_an_answer_and_is_counted() {
    async fn broken() -> &'static str {
        panic!("the reason is for the log")
    }
    let house = House::open().await;
    let router = axum::Router::new().route("/broken", axum::routing::get(broken));
    let router: axum::Router = crate::http::shell::around(router, house.app.clone()).with_state(house.app.clone());
    let answer = router.oneshot(super::request("GET", "/broken", &[], "")).await.unwrap();
    assert_eq!(answer.status(), 500);
    let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
    let text = String::from_utf8_lossy(&body);
    assert!(text.contains("\"id\":") && !text.contains("for the log"), "{text}");
    assert_eq!(house.app.metrics.panics.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn tls_is_spoken_where_a_door_has_a_certificate() {
    let house = House::open().await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let door = bind("127.0.0.1:0".parse().unwrap(), Some(Arc::new(config)), false).await.unwrap();
    let address = door.listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve(vec![door], house.app.clone(), house.router.clone(), stopped));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    stream.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer));
    // Plain HTTP at the same door is nobody.
    let plain = talk(address, "GET /-/healthy HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(!plain.contains("200 OK"), "{plain}");
    stop.send_replace(true);
    serving.await.unwrap();
}

/// Writes on an open connection and reads one answer without a body, or with one of a known length.
async fn say(stream: &mut TcpStream, pieces: &[&str]) -> String {
    for piece in pieces {
        stream.write_all(piece.as_bytes()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let mut answer = String::new();
    loop {
        if let Some((head, body)) = answer.split_once("\r\n\r\n") {
            let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |len| len.parse().unwrap());
            if body.len() >= len {
                return answer;
            }
        }
        let mut some = [0; 4096];
        let len = stream.read(&mut some).await.unwrap();
        assert!(len > 0, "{answer}");
        answer.push_str(std::str::from_utf8(&some[..len]).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_have_lanes_and_ask_there_what_they_like() {
    let house = House::open().await;
    let routed: Vec<&str> = house.docs.iter().map(|doc| doc.path).collect();
    assert!(PATHS.iter().all(|path| routed.contains(path)), "{routed:?}");
    let door = bind("127.0.0.1:0".parse().unwrap(), None, false).await.unwrap();
    let address = door.listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve(vec![door], house.app.clone(), house.router.clone(), stopped));
    let token = house.token(Role::Sender).await;
    let mut senders = Vec::new();
    for sender in 0..12 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("POST /write HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ncontent-length: 20\r\n\r\n");
        let body = format!("lane,sender=s{sender:02} v=1\n");
        let taken = say(&mut stream, &[&head[..40], &head[40..], &body[..9], &body[9..]]).await;
        assert!(taken.starts_with("HTTP/1.1 204"), "{taken}");
        let ready = say(&mut stream, &["GET /-/ready HTTP/1.1\r\nhost: a\r\n\r\n"]).await;
        assert!(ready.starts_with("HTTP/1.1 200") && ready.ends_with("flyball is ready.\n"), "{ready}");
        senders.push(stream);
    }
    assert_eq!(house.app.telemetry.stats().series, 12);
    assert_eq!(house.app.metrics.connections.load(Ordering::Relaxed), 12);
    // Idle ones keep nobody, nor does one in the middle of a body.
    senders[0].write_all(b"POST /write HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\nlane").await.unwrap();
    stop.send_replace(true);
    tokio::time::timeout(std::time::Duration::from_secs(5), serving).await.expect("ends within 5 s").unwrap();
    assert_eq!(house.app.metrics.connections.load(Ordering::Relaxed), 0);
    let mut rest = Vec::new();
    senders[1].read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}
