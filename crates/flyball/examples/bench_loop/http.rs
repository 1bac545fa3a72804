//! The smallest HTTP/1.1 client that serves a measurement: one connection that is kept, head and body in one write, blocking.
//! Never retries what the other side may have begun, but for a kept connection that was closed while idle.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// One answer in this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer.
pub struct Reply {
    pub status: u16,
    /// The shop's own header: which release answered.
    pub release: Option<String>,
    pub body: Vec<u8>,
}

/// A connection to one address.
pub struct Client {
    address: String,
    token: Option<String>,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(address: &str, token: Option<&str>) -> Client {
        Client { address: address.to_owned(), token: token.map(str::to_owned), connection: None }
    }

    /// Opens the connection, so that the first request does not pay for it.
    pub fn connect(&mut self) -> Result<()> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        self.connection = Some(BufReader::with_capacity(64 << 10, stream));
        Ok(())
    }

    pub fn get(&mut self, path: &str) -> Result<Reply> {
        self.send("GET", path, "", b"").map(|(_, reply)| reply)
    }

    /// GET of JSON that has to be well.
    pub fn json(&mut self, path: &str) -> Result<serde_json::Value> {
        well("GET", path, self.get(path)?)
    }

    /// POST whose answer is JSON that has to be well.
    pub fn post_json(&mut self, path: &str, content: &str, body: &[u8]) -> Result<serde_json::Value> {
        let reply = self.send("POST", path, content, body)?.1;
        well("POST", path, reply)
    }

    /// A request; when its first byte was written, and its answer.
    pub fn send(&mut self, method: &str, path: &str, content: &str, body: &[u8]) -> Result<(Instant, Reply)> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n", self.address, body.len());
        if let Some(token) = &self.token {
            request.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        if !content.is_empty() {
            request.push_str(&format!("content-type: {content}\r\n"));
        }
        request.push_str("\r\n");
        let mut request = request.into_bytes();
        request.extend_from_slice(body);
        let kept = self.connection.is_some();
        if !kept {
            self.connect()?;
        }
        let mut began = Instant::now();
        let mut outcome = self.once(&request);
        if kept && matches!(&outcome, Err(error) if closed_while_idle(error)) {
            self.connect()?;
            began = Instant::now();
            outcome = self.once(&request);
        }
        if outcome.is_err() {
            self.connection = None;
        }
        Ok((began, outcome?))
    }

    fn once(&mut self, request: &[u8]) -> Result<Reply> {
        let stream = self.connection.as_mut().ok_or(ErrorKind::NotConnected)?;
        stream.get_mut().write_all(request)?;
        if stream.fill_buf()?.is_empty() {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        let head = read_head(stream)?;
        let body = if head.chunked {
            read_chunks(stream)?
        } else {
            let mut body = vec![0; head.length.min(256 << 20)];
            stream.read_exact(&mut body)?;
            body
        };
        if head.close {
            self.connection = None;
        }
        let status = head.first.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or(ErrorKind::InvalidData)?;
        Ok(Reply { status, release: head.release, body })
    }
}

fn closed_while_idle(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn well(method: &str, path: &str, reply: Reply) -> Result<serde_json::Value> {
    let text = || String::from_utf8_lossy(&reply.body).chars().take(300).collect::<String>();
    if !(200..300).contains(&reply.status) {
        return Err(Error::other(format!("{method} {path}: {} {}", reply.status, text())));
    }
    serde_json::from_slice(&reply.body).map_err(|error| Error::other(format!("{method} {path}: {error}: {}", text())))
}

/// The head of a request or an answer.
pub struct Head {
    pub first: String,
    pub length: usize,
    chunked: bool,
    close: bool,
    release: Option<String>,
}

/// Reads a head; an error where the stream ends before it does.
pub fn read_head(stream: &mut impl BufRead) -> Result<Head> {
    let mut head = Head { first: String::new(), length: 0, chunked: false, close: false, release: None };
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if head.first.is_empty() {
            head.first = line.to_owned();
        } else if line.is_empty() {
            return Ok(head);
        } else if let Some((name, value)) = line.split_once(':') {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = value.parse().map_err(|_| ErrorKind::InvalidData)?,
                "transfer-encoding" => head.chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" => head.close = value.eq_ignore_ascii_case("close"),
                "x-release" => head.release = Some(value.to_owned()),
                _ => {}
            }
        }
    }
}

fn read_chunks(stream: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(|_| ErrorKind::InvalidData)?;
        let begin = body.len();
        body.resize(begin + length, 0);
        stream.read_exact(&mut body[begin..])?;
        line.clear();
        stream.read_line(&mut line)?;
        if length == 0 {
            return Ok(body);
        }
    }
}
