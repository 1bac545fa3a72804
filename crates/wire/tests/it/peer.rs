//! Starts a program on free ports of the loopback, asks it over HTTP, and ends it with the test.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that ends with this value.
pub struct Peer(Child);

impl Peer {
    /// Starts it and waits until it listens on `port`.
    pub fn start(program: &mut Command, port: u16) -> Peer {
        let name = program.get_program().to_owned();
        let child = program.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let peer = Peer(child.unwrap_or_else(|error| panic!("{name:?} is installed by the test command: {error}")));
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < until, "{name:?} does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        peer
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nothing listens on.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The content type and the body of an answer.
pub fn get(port: u16, path: &str, accept: &str) -> (String, String) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nAccept: {accept}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        let line = head.lines().filter_map(|line| line.split_once(": ")).find(|(have, _)| have.eq_ignore_ascii_case(name));
        line.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    // HAProxy's exporter answers in chunks, to clients of HTTP 1.0 too.
    let body = if header("transfer-encoding") == "chunked" { dechunked(body) } else { body.to_owned() };
    (header("content-type"), body)
}

fn dechunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((len, more)) = rest.split_once("\r\n") {
        let Ok(len) = usize::from_str_radix(len, 16) else { break };
        body.push_str(&more[..len]);
        rest = &more[(len + 2).min(more.len())..];
    }
    body
}
