//! Debian's Prometheus and node_exporter: what they write and answer is read, and promtool reads what we write.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use model::intake::{KEY_SECRET_LEN, KeySecret, Rows};
use model::{Labels, SampleBatch, Time};
use wire::compression::snappy_limited;
use wire::exposition::{self, ContentType, Writer};
use wire::remote_write::{Options as WriteOptions, PLAIN_LEN_MAX, Request};
use wire::{Metadata, MetricKind, Report};

use crate::peer::{Peer, free_port, get};

fn scrape(port: u16) -> (Report, SampleBatch, Vec<Metadata>) {
    let (content, body) = get(port, "/metrics", exposition::ACCEPT);
    let (mut batch, mut meta) = (SampleBatch::new(), Vec::new());
    let options = exposition::Options::default();
    let report = exposition::decode(body.as_bytes(), ContentType::parse(&content), Time(0), &options, &mut batch, &mut meta);
    (report, batch, meta)
}

fn value(batch: &SampleBatch, series: &str) -> Option<f64> {
    batch.iter().find(|(key, _)| Labels::from_key(key).unwrap().to_string() == series).map(|(_, sample)| sample.value)
}

#[test]
fn node_exporter_is_scraped() {
    let port = free_port();
    let mut program = Command::new("/usr/bin/prometheus-node-exporter");
    let _peer = Peer::start(program.arg(format!("--web.listen-address=127.0.0.1:{port}")), port);
    let (report, batch, meta) = scrape(port);
    assert_eq!(report.errors, []);
    assert!(batch.len() > 100);
    assert!(value(&batch, "node_memory_MemTotal_bytes").unwrap() > 1e6);
    assert!(meta.iter().any(|known| known.family == "node_cpu_seconds_total" && known.kind == MetricKind::Counter));
}

#[test]
fn prometheus_is_scraped_and_writes() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let receiver = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n\
         remote_write: [{{url: 'http://{}/api/v1/write', queue_config: {{batch_send_deadline: 100ms}},\n\
           metadata_config: {{send_interval: 1s}}}}]\n",
        receiver.local_addr().unwrap(),
    );
    let path = folder.path().join("prometheus.yml");
    std::fs::write(&path, config).unwrap();
    let mut program = Command::new("/usr/bin/prometheus");
    program
        .arg(format!("--config.file={}", path.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _peer = Peer::start(&mut program, port);

    let (report, batch, _) = scrape(port);
    assert_eq!(report.errors, []);
    assert_eq!(value(&batch, "prometheus_config_last_reload_successful"), Some(1.0));

    // Until its own `up` and the metadata have come.
    let (mut is_up, mut meta, mut plain) = (false, Vec::new(), Vec::new());
    let secret = KeySecret::new([3; KEY_SECRET_LEN]);
    while !is_up || meta.is_empty() {
        let packed = take_request(&receiver);
        let plain = snappy_limited(&packed, PLAIN_LEN_MAX, &mut plain).unwrap();
        let mut request = Request::new(plain, &secret, WriteOptions::default(), Vec::new());
        while request.advance() {
            for (row, sample) in request.rows().iter().enumerate() {
                let labels = request.labels(row).unwrap();
                let own = labels.metric() == "up" && labels.get("instance") == Some(&format!("127.0.0.1:{port}"));
                is_up |= own && sample.value == 1.0;
            }
        }
        let (_, more, report) = request.finish();
        assert_eq!((report.failed, report.ended), (0, None));
        meta.extend(more);
    }
    assert!(
        meta.iter().any(|known| known.family == "go_goroutines" && known.kind == MetricKind::Gauge && !known.help.is_empty())
    );
}

/// Takes one request and answers 204.
fn take_request(receiver: &TcpListener) -> Vec<u8> {
    receiver.set_nonblocking(true).unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    let stream = loop {
        match receiver.accept() {
            Ok((stream, _)) => break stream,
            Err(error) => assert!(Instant::now() < until, "prometheus does not write: {error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut reader = BufReader::new(stream);
    let mut len = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            len = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).unwrap();
    reader.into_inner().write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
    body
}

#[test]
fn promtool_reads_our_own_metrics() {
    let mut writer = Writer::new();
    writer.family("flyball_samples_total", MetricKind::Counter, "Samples taken.\nAll \\ of them.");
    writer.sample(&[("door", "a\"b\\c\nd")], 12.0).sample(&[("door", "influx")], 1e21);
    writer.family("flyball_commit_seconds", MetricKind::Histogram, "Time of a commit.");
    writer.suffixed("_bucket", &[("le", "0.1")], 1.0).suffixed("_bucket", &[("le", "+Inf")], 2.0);
    writer.suffixed("_sum", &[], 2.5e-7).suffixed("_count", &[], 2.0);
    let mut promtool = Command::new("/usr/bin/promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed by the test command");
    promtool.stdin.take().unwrap().write_all(&writer.finish()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}
