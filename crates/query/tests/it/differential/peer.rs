//! A Prometheus of its own in a temporary folder: fed by remote write, asked over HTTP, ended with the test.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::compare::Answer;
use super::data::Made;
use super::generate::Question;

pub struct Prometheus {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts one; on another port where somebody else took the first.
    pub fn start() -> Prometheus {
        (0..5).find_map(|_| Prometheus::try_start()).expect("prometheus is ready")
    }

    fn try_start() -> Option<Prometheus> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, "global: { evaluation_interval: 1m }\n").unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y", "--log.level=error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus is installed by the test command");
        let mut prometheus = Prometheus { child, port, _folder: folder };
        let until = Instant::now() + Duration::from_secs(60);
        while prometheus.request("GET", "/-/ready", "", b"").is_none_or(|(status, _)| status != 200) {
            if Instant::now() >= until || prometheus.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(prometheus)
    }

    fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        let head = format!("{method} {path} HTTP/1.0\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Sends the data in slices of ten minutes: what is more than an hour behind the newest sample would be refused.
    pub fn write(&self, made: &[Made]) {
        const SLICE: i64 = 600_000;
        for slice in 0..super::data::LENGTH / SLICE {
            let from = super::data::BEGIN + slice * SLICE;
            let mut body = Vec::new();
            for Made { labels, samples } in made {
                let samples = samples.iter().filter(|(millis, _)| (from..from + SLICE).contains(millis));
                let series = encoded(labels, samples);
                field(&mut body, 1, &series);
            }
            let body = snap::raw::Encoder::new().compress_vec(&body).unwrap();
            let headers = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n";
            let (status, text) = self.request("POST", "/api/v1/write", headers, &body).expect("an answer");
            assert_eq!(status, 204, "{text}");
        }
    }

    /// Its answer, or why there is none.
    pub fn ask(&self, question: &Question) -> Result<Answer, String> {
        let mut form = format!("query={}", escaped(&question.query));
        let seconds = |millis: i64| format!("{}.{:03}", millis / 1_000, millis % 1_000);
        let path = if question.step == 0 {
            form += &format!("&time={}", seconds(question.start));
            "/api/v1/query"
        } else {
            let (start, end, step) = (seconds(question.start), seconds(question.end), seconds(question.step));
            form += &format!("&start={start}&end={end}&step={step}");
            "/api/v1/query_range"
        };
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        let (_, text) = self.request("POST", path, headers, form.as_bytes()).expect("an answer");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        match json["status"].as_str() {
            Some("success") => Ok(Answer::read(&json["data"])),
            _ => Err(json["error"].as_str().unwrap_or("no error").to_owned()),
        }
    }
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field that has a length.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A `TimeSeries` of remote write 1.0.
fn encoded<'a>(labels: &[(String, String)], samples: impl Iterator<Item = &'a (i64, f64)>) -> Vec<u8> {
    let mut series = Vec::new();
    for (name, value) in labels {
        let mut pair = Vec::new();
        field(&mut pair, 1, name.as_bytes());
        field(&mut pair, 2, value.as_bytes());
        field(&mut series, 1, &pair);
    }
    for (millis, value) in samples {
        let mut sample = vec![1 << 3 | 1];
        sample.extend_from_slice(&value.to_le_bytes());
        sample.push(2 << 3);
        varint(&mut sample, *millis as u64);
        field(&mut series, 2, &sample);
    }
    series
}
