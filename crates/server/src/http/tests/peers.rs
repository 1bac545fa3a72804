//! Programs that people already run, unchanged, against the door on a real port: Prometheus, promtool, influxdb-client, curl.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Output, Stdio};
use std::time::Duration;

use model::HeartbeatName;
use model::rights::Role;
use model::signal::HeartbeatSign;
use tokio::process::Command;
use tokio::sync::watch;

use super::House;
use crate::http::serve::{bind, serve};

/// The house behind a port; the door closes when the sender is dropped.
async fn open_door(house: &House) -> (SocketAddr, watch::Sender<bool>) {
    let door = bind("127.0.0.1:0".parse().unwrap(), None, false).await.unwrap();
    let address = door.listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(serve(vec![door], house.app.clone(), house.router.clone(), stopped));
    (address, stop)
}

/// Runs a program to its end, for 60 s at most.
async fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(60), output).await.expect("ends within 60 s");
    output.unwrap_or_else(|error| panic!("{program} is installed by the test command: {error}"))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn value(house: &House, promql: &str) -> Option<f64> {
    let answer = house.get(&format!("/api/v1/query?query={promql}")).await.json();
    answer["data"]["result"][0]["value"][1].as_str().map(|text| text.parse().unwrap())
}

#[tokio::test]
async fn prometheus_writes_to_us_and_promtool_asks_us() {
    let house = House::open().await;
    let (address, _stop) = open_door(&house).await;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "global: {{ scrape_interval: 1s }}\n\
         scrape_configs:\n  - job_name: itself\n    static_configs: [{{ targets: ['127.0.0.1:{port}'] }}]\n\
         remote_write:\n  - url: http://{address}/api/v1/write\n    authorization: {{ credentials: {} }}\n",
        house.token(Role::Sender).await
    );
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let _prometheus = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("prometheus is installed by the test command: {error}"));
    let arrived = async {
        while value(&house, "prometheus_remote_storage_samples_total").await.is_none_or(|sent| sent < 1.0) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), arrived).await.expect("samples within 60 s");
    assert_eq!(value(&house, "up").await, Some(1.0));
    assert_eq!(value(&house, "sum(prometheus_remote_storage_samples_failed_total)").await, Some(0.0));
    assert_eq!(value(&house, "sum(prometheus_remote_storage_samples_retried_total)").await, Some(0.0));

    // Debian's promtool has no file of credentials yet; it sends those of the address.
    let server = format!("http://viewer:{}@{address}", house.token(Role::Viewer).await);
    for (args, expected) in [
        (vec!["query", "instant", &server, "sum(up)"], "{} => 1 @["),
        (vec!["query", "labels", &server, "job"], "itself"),
        (vec!["query", "series", &server, "--match=up"], "job=\"itself\""),
        (vec!["query", "range", &server, "up", "--step=1s"], "1 @["),
    ] {
        let output = run("promtool", &args).await;
        assert!(output.status.success() && said(&output).contains(expected), "promtool {args:?}: {}", said(&output));
    }
    let wrong = run("promtool", &["query", "instant", &server, "sum(up"]).await;
    assert!(!wrong.status.success() && said(&wrong).contains("bad_data"), "{}", said(&wrong));
}

#[tokio::test]
async fn the_influx_client_library_writes_to_us() {
    let house = House::open().await;
    let (address, _stop) = open_door(&house).await;
    let token = house.token(Role::Sender).await;
    let script = "
import sys
from influxdb_client import InfluxDBClient, Point
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
client = InfluxDBClient(url=sys.argv[1], token=sys.argv[2], org='o', enable_gzip=True)
assert client.ping(), 'ping'
write = client.write_api(write_options=SYNCHRONOUS)
write.write('bucket', 'o', [Point('room').tag('name', 'east wing').field('celsius', 21.5).field('open', True)])
try:
    write.write('bucket', 'o', 'room celsius=1\\nroom celsius=\\nroom lux=3')
    raise SystemExit('a bad line was taken')
except ApiException as error:
    assert error.status == 400 and 'line 2' in str(error.body), (error.status, error.body)
";
    let python = std::env::var("FLYBALL_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let output = run(&python, &["-c", script, &format!("http://{address}"), &token]).await;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(value(&house, "room_celsius%7Bname=%22east%20wing%22%7D").await, Some(21.5));
    assert_eq!(value(&house, "room_open").await, Some(1.0));
    assert_eq!(value(&house, "room_lux").await, Some(3.0), "the good lines beside the bad one");
}

#[tokio::test]
async fn curl_at_the_end_of_a_crontab_line() {
    let house = House::open().await;
    let (address, _stop) = open_door(&house).await;
    let url = |rest: &str| format!("http://{address}/ping/0123456789abcdef{rest}");
    let last = || {
        let import = HeartbeatName::new("import").unwrap();
        house.pump.read_state(|state| state.heartbeats[&import].last.clone().map(|(_, ping)| (ping.sign, ping.body)))
    };
    let fine = run("curl", &["-fsS", "-m", "10", "--retry", "3", &url("")]).await;
    assert_eq!((fine.status.code(), said(&fine).as_str()), (Some(0), "OK"));
    assert_eq!(last(), Some((HeartbeatSign::Success, String::new())));
    let log = "x".repeat(50_000);
    let failed = run("curl", &["-fsS", "-m", "10", "--data-raw", &log, &url("/3")]).await;
    assert_eq!(failed.status.code(), Some(0), "{}", said(&failed));
    assert_eq!(last(), Some((HeartbeatSign::Fail(Some(3)), log[..10_240].to_owned())));
    assert_eq!(run("curl", &["-fsS", "-m", "10", "-I", &url("/start")]).await.status.code(), Some(0));
    assert_eq!(last(), Some((HeartbeatSign::Start, String::new())));
    let unknown = run("curl", &["-fsS", "-m", "10", &format!("http://{address}/ping/nobodys-secret-id")]).await;
    assert_eq!(unknown.status.code(), Some(22));
}
