//! Real peers, unchanged: Prometheus remote-writes to us, promtool checks our rules, node_exporter is scraped, InfluxDB's
//! Python client writes.

use std::process::{Command, Stdio};

use crate::rig::{Beside, Up, free_port, program, write};

#[test]
fn prometheus_remote_writes_to_us() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(&folder.path().join("data"), &[]);
    let port = free_port();
    let config = folder.path().join("prometheus.yml");
    std::fs::write(
        &config,
        format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: self\n    static_configs: [{{ targets: [\"127.0.0.1:{port}\"] }}]\n\
             remote_write:\n  - url: http://{}/api/v1/write\n    authorization: {{ credentials: {} }}\n    queue_config: {{ batch_send_deadline: 500ms }}\n",
            up.address, up.token
        ),
    )
    .unwrap();
    let child = Command::new(program("prometheus"))
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _prometheus = Beside(child);
    up.wait_value("up{job=\"self\"}", |value| value == 1.0);
    up.wait_value("count({__name__=~\"prometheus_.*\"})", |value| value > 100.0);
    up.wait_value("rate(prometheus_tsdb_head_samples_appended_total[30s])", |value| value > 0.0);
}

#[test]
fn node_exporter_is_scraped_and_our_agent_speaks_its_names() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let child = Command::new(program("prometheus-node-exporter"))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _exporter = Beside(child);
    let config = folder.path().join("config");
    write(
        &config,
        "a.yaml",
        &format!(
            "outgoing: {{ allow: [\"127.0.0.1:{port}\"] }}\nscrapes:\n  exporter: {{ targets: [\"127.0.0.1:{port}\"], every: 1s }}\n"
        ),
    );
    let up = Up::start(&folder.path().join("data"), &["--config", config.to_str().unwrap()]);
    up.wait_value("up{job=\"exporter\"}", |value| value == 1.0);
    // Names that the agent has too: the same metric, within what a second changes.
    for name in ["node_memory_MemTotal_bytes", "node_boot_time_seconds", "count(node_cpu_seconds_total{mode=\"idle\"})"] {
        let theirs = if name.starts_with("count") {
            "count(node_cpu_seconds_total{mode=\"idle\", job=\"exporter\"})".into()
        } else {
            format!("{name}{{job=\"exporter\"}}")
        };
        let ours = if name.starts_with("count") {
            "count(node_cpu_seconds_total{mode=\"idle\", job!=\"exporter\"})".into()
        } else {
            format!("{name}{{job!=\"exporter\"}}")
        };
        let (theirs, ours) = (up.wait_value(&theirs, |_| true), up.wait_value(&ours, |_| true));
        assert!((theirs - ours).abs() <= 2.0, "{name}: {theirs} and {ours}");
    }
}

#[test]
fn promtool_accepts_our_example_rules() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/rules");
    let files: Vec<_> = std::fs::read_dir(folder).expect("there are examples").flatten().map(|entry| entry.path()).collect();
    assert!(!files.is_empty());
    let checked = Command::new(program("promtool")).args(["check", "rules"]).args(&files).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn the_influx_client_writes_to_us() {
    let Some(python) = std::env::var_os("FLYBALL_TEST_PYTHON") else {
        panic!("FLYBALL_TEST_PYTHON names a Python with influxdb-client: `cargo xtask test` makes one");
    };
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[]);
    let script = "import sys\nfrom influxdb_client import InfluxDBClient, Point\nfrom influxdb_client.client.write_api import SYNCHRONOUS\n\
                  client = InfluxDBClient(url=sys.argv[1], token=sys.argv[2], org='o', enable_gzip=True)\n\
                  assert client.ping()\n\
                  write = client.write_api(write_options=SYNCHRONOUS)\n\
                  write.write('b', 'o', [Point('orders').tag('shop', 'Zürich, west').field('count', n).field('open', True) for n in range(5)])\n";
    let done = Command::new(python).arg("-c").arg(script).arg(format!("http://{}", up.address)).arg(&up.token).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(up.value("orders_count{shop=\"Zürich, west\"}"), Some(4.0));
    assert_eq!(up.value("orders_open"), Some(1.0));
}
