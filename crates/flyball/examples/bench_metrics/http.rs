//! The smallest HTTP/1.1 client that serves a load: one connection that is kept, bodies that are not copied, blocking.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

/// One answer in this time.
const PATIENCE: Duration = Duration::from_secs(120);
/// No answer that is measured is longer.
const BODY_LEN_MAX: usize = 512 << 20;

/// A connection to one address.
pub struct Client {
    address: String,
    authorization: String,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(address: &str, token: &str) -> Client {
        let authorization = if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
        Client { address: address.to_owned(), authorization, connection: None }
    }

    /// GET; its status and body.
    pub fn get(&mut self, path: &str) -> Result<(u16, Vec<u8>)> {
        self.send("GET", path, "", b"")
    }

    /// GET or POST of something that has to be well.
    pub fn well(&mut self, method: &str, path: &str) -> Result<Vec<u8>> {
        let (status, body) = self.send(method, path, "", b"")?;
        match status {
            200..300 => Ok(body),
            _ => Err(Error::other(format!("{method} {path}: {status} {}", beginning(&body)))),
        }
    }

    /// POST of samples; an error where they are not taken.
    pub fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> Result<()> {
        let (status, answer) = self.send("POST", path, headers, body)?;
        match status {
            200..300 => Ok(()),
            _ => Err(Error::other(format!("POST {path}: {status} {}", beginning(&answer)))),
        }
    }

    /// Any request. What a kept connection refused because it was closed while idle is sent once more.
    pub fn send(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\n{}{headers}content-length: {}\r\n\r\n",
            self.address,
            self.authorization,
            body.len()
        );
        let kept = self.connection.is_some();
        let outcome = self.once(head.as_bytes(), body);
        match outcome {
            Err(error) if kept && was_closed(&error) => {
                self.connection = None;
                self.once(head.as_bytes(), body)
            }
            Err(error) => {
                self.connection = None;
                Err(error)
            }
            well => well,
        }
    }

    fn once(&mut self, head: &[u8], body: &[u8]) -> Result<(u16, Vec<u8>)> {
        let mut stream = match self.connection.take() {
            Some(stream) => stream,
            None => connect(&self.address)?,
        };
        stream.get_mut().write_all(head)?;
        stream.get_mut().write_all(body)?;
        let (status, answer, close) = read_answer(&mut stream)?;
        if !close {
            self.connection = Some(stream);
        }
        Ok((status, answer))
    }
}

fn connect(address: &str) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::with_capacity(64 << 10, stream))
}

fn was_closed(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
    )
}

/// The first words of an answer, for a message.
pub fn beginning(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(300).collect()
}

fn read_answer(stream: &mut impl BufRead) -> Result<(u16, Vec<u8>, bool)> {
    let head = read_head(stream)?;
    let status = head.first.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or(ErrorKind::InvalidData)?;
    let mut body = Vec::new();
    let mut close = head.close;
    match head.length {
        _ if head.chunked => read_chunks(stream, &mut body)?,
        Some(length) => {
            body.resize(length.min(BODY_LEN_MAX), 0);
            stream.read_exact(&mut body)?;
        }
        None if status == 204 => {}
        None => {
            stream.take(BODY_LEN_MAX as u64).read_to_end(&mut body)?;
            close = true;
        }
    }
    Ok((status, body, close))
}

/// The head of a request or an answer.
#[derive(Default)]
pub struct Head {
    pub first: String,
    pub length: Option<usize>,
    chunked: bool,
    close: bool,
}

/// Reads a head; an error where the stream ends before it does.
pub fn read_head(stream: &mut impl BufRead) -> Result<Head> {
    let mut head = Head::default();
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let text = line.trim_end();
        if head.first.is_empty() {
            head.first = text.to_owned();
        } else if text.is_empty() {
            return Ok(head);
        } else if let Some((name, value)) = text.split_once(':') {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = value.parse().ok(),
                "transfer-encoding" => head.chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" => head.close = value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
    }
}

fn read_chunks(stream: &mut impl BufRead, body: &mut Vec<u8>) -> Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(|_| ErrorKind::InvalidData)?;
        let begin = body.len();
        if begin + length > BODY_LEN_MAX {
            return Err(ErrorKind::OutOfMemory.into());
        }
        body.resize(begin + length, 0);
        stream.read_exact(&mut body[begin..])?;
        line.clear();
        stream.read_line(&mut line)?;
        if length == 0 {
            return Ok(());
        }
    }
}

/// A text as a part of a query string.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
