//! Beside Debian's Prometheus: the same scrape configurations make the same targets and series, and the API answers in the
//! same shape.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::rig::{Beside, Up, encode, free_port, program, request, within, write};

/// Scrape configurations, as both read them. `EXPORTER` is where node_exporter listens; other ports are nobody's.
const JOBS: &str = r#"
scrape_configs:
  - job_name: exporter
    scrape_interval: 1s
    params: { 'collect[]': [time, loadavg, uname] }
    static_configs: [{ targets: ['EXPORTER'], labels: { env: prod, job_name: x } }]
    metric_relabel_configs:
      - { source_labels: [__name__], regex: 'go_.*|process_.*|promhttp_.*', action: drop }
      - { source_labels: [__name__], regex: 'node_load(\d+)', target_label: minutes, replacement: 'm${1}' }
      - { source_labels: [__name__], regex: 'node_load\d+', target_label: __name__, replacement: node_load }
      - { source_labels: [machine, sysname], separator: '/', regex: '.+/.+', target_label: kind }
      - { source_labels: [sysname], target_label: sysname, action: lowercase }
      - { regex: 'version|domainname', action: labeldrop }
  - job_name: replace
    static_configs: [{ targets: ['127.0.0.1:1', '127.0.0.1:2'], labels: { a: foo, b: bar } }]
    relabel_configs:
      - { source_labels: [__address__], regex: '(.*):(\d+)', target_label: port, replacement: '$2' }
      - { source_labels: [a, b], separator: '-', target_label: joined }
      - { source_labels: [a], regex: 'f(o+)', target_label: '${1}_name', replacement: 'x${1}y$1z' }
      - { source_labels: [a], regex: 'no', target_label: never }
      - { source_labels: [b], regex: '(?P<head>b).*', target_label: head, replacement: '${head}$$' }
      - { target_label: fixed, replacement: value }
      - { source_labels: [none], target_label: b }
      - { source_labels: [a], target_label: a, replacement: '' }
  - job_name: keep
    static_configs: [{ targets: ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:30'] }]
    relabel_configs: [{ source_labels: [__address__], regex: '.*:[12]', action: keep }]
  - job_name: drop
    static_configs: [{ targets: ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:20'] }]
    relabel_configs: [{ source_labels: [__address__], regex: '.*:2', action: drop }]
  - job_name: equal
    static_configs:
      - { targets: ['127.0.0.1:1'], labels: { a: x, b: x } }
      - { targets: ['127.0.0.1:2'], labels: { a: x, b: y } }
    relabel_configs: [{ source_labels: [a], target_label: b, action: keepequal }]
  - job_name: unequal
    static_configs:
      - { targets: ['127.0.0.1:1'], labels: { a: x, b: x } }
      - { targets: ['127.0.0.1:2'], labels: { a: x, b: y } }
    relabel_configs: [{ source_labels: [a], target_label: b, action: dropequal }]
  - job_name: hash
    static_configs: [{ targets: ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3', '127.0.0.1:4'] }]
    relabel_configs:
      - { source_labels: [__address__], modulus: 1000003, target_label: shard, action: hashmod }
      - { source_labels: [__address__, job], modulus: 2, target_label: __tmp_half, action: hashmod }
      - { source_labels: [__tmp_half], regex: '0', action: keep }
  - job_name: map
    static_configs: [{ targets: ['127.0.0.1:1'], labels: { __meta_zone: z1, __meta_rack_name: r7, own: o } }]
    relabel_configs:
      - { regex: '__meta_(.+)', action: labelmap }
      - { regex: '__meta_(.+)_name', replacement: 'the_$1', action: labelmap }
  - job_name: labels
    static_configs: [{ targets: ['127.0.0.1:1'], labels: { a_1: x, a_2: y, b: z } }]
    relabel_configs: [{ regex: 'a_.*', action: labeldrop }]
  - job_name: only
    static_configs: [{ targets: ['127.0.0.1:1'], labels: { a_1: x, b: z } }]
    relabel_configs: [{ regex: '__.*|a_.*|job', action: labelkeep }]
  - job_name: case
    static_configs: [{ targets: ['127.0.0.1:1'], labels: { a: MiXed } }]
    relabel_configs:
      - { source_labels: [a], target_label: low, action: lowercase }
      - { source_labels: [a], target_label: up, action: uppercase }
  - job_name: probe
    metrics_path: /probe
    scheme: http
    params: { module: [http_2xx], target: [nobody, 'a b'] }
    static_configs: [{ targets: ['shop.example:443'] }]
    relabel_configs:
      - { source_labels: [__address__], target_label: __param_target }
      - { source_labels: [__param_target], target_label: instance }
      - { target_label: __address__, replacement: '127.0.0.1:1' }
      - { target_label: __scrape_interval__, replacement: 20s }
  - job_name: found
    scrape_interval: 2s
    file_sd_configs: [{ files: ['targets/*.json', 'more.yaml'], refresh_interval: 1s }]
    relabel_configs: [{ source_labels: [__meta_filepath], regex: '.*/(.+)\.(json|yaml)', target_label: file }]
"#;

/// Debian's Prometheus on a free port.
struct Theirs {
    _child: Beside,
    address: String,
}

impl Theirs {
    fn start(folder: &Path, config: &Path) -> Theirs {
        let port = free_port();
        let child = Command::new(program("prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Theirs { _child: Beside(child), address: format!("127.0.0.1:{port}") }
    }

    fn ask(&self, path: &str) -> (u16, Value) {
        let (status, body) = request(&self.address, "GET", path, &[], b"");
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }
}

/// Both, over the same configuration, and node_exporter for them to scrape.
struct Both {
    ours: Up,
    theirs: Theirs,
    _exporter: Beside,
    folder: tempfile::TempDir,
}

fn both() -> Both {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let exporter = Command::new(program("prometheus-node-exporter"))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let config = folder.path().join("config");
    write(&config, "prometheus.yaml", &JOBS.replace("EXPORTER", &format!("127.0.0.1:{port}")));
    write(&config, "targets/a.json", r#"[{"targets":["127.0.0.1:1","127.0.0.1:2"],"labels":{"from":"json"}}]"#);
    // Prometheus reads it as a file of targets only; for flyball it lies beside the configuration.
    write(&config, "targets/b.json", r#"[{"targets":["127.0.0.1:3"]}]"#);
    let theirs = Theirs::start(folder.path(), &config.join("prometheus.yaml"));
    let own = folder.path().join("own");
    let jobs = std::fs::read_to_string(config.join("prometheus.yaml")).unwrap();
    write(&own, "prometheus.yaml", &jobs.replace("'targets/", &format!("'{}/targets/", config.display())));
    write(&own, "own.yaml", "outgoing: { allow: ['127.0.0.0/8'] }\n");
    let ours = Up::start(&folder.path().join("data"), &["--config", own.to_str().unwrap()]);
    Both { ours, theirs, _exporter: Beside(exporter), folder }
}

fn targets(answer: &Value, folder: &Path) -> BTreeSet<String> {
    let data = &answer["data"];
    let list = |key: &str| data[key].as_array().cloned().unwrap_or_default();
    // The two folders differ in how they are named, not in what lies there.
    let plain = |value: &Value| value.to_string().replace(&folder.display().to_string(), "");
    let active = list("activeTargets").into_iter().map(|target| {
        let keys = ["scrapePool", "labels", "scrapeUrl", "scrapeInterval", "scrapeTimeout"];
        // Prometheus 2.42 alters them in place where relabelling takes a label away.
        let altered = ["labels", "only", "probe"].iter().any(|pool| target["scrapePool"] == *pool);
        let discovered = if altered { String::new() } else { plain(&target["discoveredLabels"]) };
        format!("{} {discovered}", keys.map(|key| plain(&target[key])).join(" "))
    });
    let dropped = list("droppedTargets").into_iter().map(|target| format!("dropped {}", plain(&target["discoveredLabels"])));
    active.chain(dropped).collect()
}

fn series(answer: &Value) -> BTreeSet<String> {
    answer["data"].as_array().into_iter().flatten().map(Value::to_string).collect()
}

#[test]
fn the_same_configuration_makes_the_same_targets_and_series() {
    let Both { ours, theirs, _exporter, folder } = both();
    // Both find theirs one after the other: asked again until they agree.
    within("targets are found, and ours are the same", || {
        let (status, answer) = theirs.ask("/api/v1/targets");
        let found = targets(&answer, folder.path());
        let enough = found.iter().filter(|target| target.contains("__meta_filepath")).count() >= 3;
        (status == 200 && enough && found == targets(&ours.json("/api/v1/targets"), folder.path())).then_some(())
    });
    let path = format!("/api/v1/series?match[]={}", encode("{job=\"exporter\",__name__!~\"scrape_.*\"}"));
    let found = within("both scraped, and ours are the same", || {
        let found = series(&theirs.ask(&path).1);
        let enough = found.len() > 5 && found.iter().any(|one| one.contains("node_load"));
        (enough && found == series(&ours.json(&path))).then_some(found)
    });
    assert!(found.iter().any(|one| one.contains("\"m15\"")), "{found:#?}");
    // A target of a file that is gone is gone, and so are its series.
    let (gone, up) = ("up{job=\"found\",file=\"b\"}", "count(up{job=\"found\"})");
    ours.wait_value(up, |count| count == 3.0);
    assert_eq!(ours.value(gone), Some(0.0));
    std::fs::remove_file(folder.path().join("config/targets/b.json")).unwrap();
    ours.wait_value(up, |count| count == 2.0);
    assert_eq!(ours.value(gone), None);
}

/// The shape of an answer: keys and kinds of values; of a list that of its first item.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(items) => format!("[{}]", items.first().map_or_else(String::new, shape)),
        Value::Object(map) => {
            let mut keys: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", shape(value))).collect();
            keys.sort();
            format!("{{{}}}", keys.join(","))
        }
    }
}

#[test]
fn answers_have_the_shape_of_prometheus() {
    let both = both();
    let (ours, theirs) = (&both.ours, &both.theirs);
    let ready = format!("/api/v1/query?query={}", encode("count(up{job=\"exporter\"} == 1)"));
    within("Prometheus scraped", || (theirs.ask(&ready).1["data"]["result"][0]["value"][1] == "1").then_some(()));
    ours.wait_value("count(up{job=\"exporter\"} == 1)", |count| count == 1.0);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let exporter = encode("up{job=\"exporter\"}");
    let range = |query: &str| format!("/api/v1/query_range?query={}&start={}&end={now}&step=15", encode(query), now - 60);
    for path in [
        format!("/api/v1/query?query={exporter}"),
        format!("/api/v1/query?query={exporter}&time={now}.5"),
        format!("/api/v1/query?query={}", encode("up{job=\"exporter\"}[1m]")),
        "/api/v1/query?query=1".into(),
        format!("/api/v1/query?query={}", encode("\"text\"")),
        "/api/v1/query?query=none".into(),
        range("up{job=\"exporter\"}"),
        range("none"),
        format!("/api/v1/series?match[]={exporter}"),
        "/api/v1/series?match[]=none".into(),
        "/api/v1/labels".into(),
        "/api/v1/labels?match[]=none".into(),
        "/api/v1/label/job/values".into(),
        "/api/v1/label/nothing/values".into(),
        "/api/v1/metadata?metric=node_load1".into(),
        "/api/v1/metadata?metric=none".into(),
        format!("/api/v1/targets/metadata?limit=1&match_target={}", encode("{job=\"exporter\"}")),
        format!("/api/v1/targets/metadata?metric=node_load1&match_target={}", encode("{job=\"exporter\"}")),
        "/api/v1/targets/metadata?metric=none".into(),
        "/api/v1/query_exemplars?query=up".into(),
        "/api/v1/format_query?query=sum(up)by(job)".into(),
        "/api/v1/targets?state=dropped".into(),
        "/api/v1/alerts".into(),
        "/api/v1/status/walreplay".into(),
        // Mistakes, with their status.
        "/api/v1/query".into(),
        "/api/v1/query?query=sum(".into(),
        "/api/v1/query?query=up&time=noon".into(),
        "/api/v1/query?query=up&timeout=soon".into(),
        format!("/api/v1/query?query={}", encode("up * on(none) up")),
        format!("/api/v1/query_range?query=up&start={now}&end={}&step=1", now - 5),
        format!("/api/v1/query_range?query=up&start={}&end={now}&step=0", now - 5),
        format!("/api/v1/query_range?query=up&start={}&end={now}&step=1", now - 20_000),
        "/api/v1/series".into(),
        "/api/v1/series?match[]=sum(up)".into(),
        "/api/v1/targets/metadata?match_target=sum(up)".into(),
        "/api/v1/rules?type=all".into(),
    ] {
        let (status, theirs) = theirs.ask(&path);
        let (own_status, own) = ours.get(&path);
        let mut own: Value = serde_json::from_str(&own).unwrap_or_else(|error| panic!("{path}: {error}: {own}"));
        // Younger than theirs.
        for key in ["droppedTargetCounts", "state"] {
            if let Some(data) = own.get_mut("data").and_then(Value::as_object_mut).filter(|_| theirs["data"].get(key).is_none()) {
                data.remove(key);
            }
        }
        assert_eq!((own_status, shape(&own)), (status, shape(&theirs)), "{path}:\n{own}\n{theirs}");
        for key in ["status", "errorType"] {
            assert_eq!(own.get(key), theirs.get(key), "{path}: {own}");
        }
        if path.contains("format_query") {
            assert_eq!(own, theirs);
        }
    }
    // What a client may look for is there; what is beside it may differ.
    for path in [
        "/api/v1/targets?state=active",
        "/api/v1/status/runtimeinfo",
        "/api/v1/status/tsdb",
        "/api/v1/status/buildinfo",
        "/api/v1/rules",
    ] {
        let (_, theirs) = theirs.ask(path);
        let own = ours.json(path);
        let keys =
            |value: &Value| -> BTreeSet<String> { value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect() };
        let missing: Vec<String> = keys(&theirs["data"]).difference(&keys(&own["data"])).cloned().collect();
        assert!(missing.is_empty(), "{path}: {missing:?}");
        let first = |answer: &Value| answer["data"]["activeTargets"][0].clone();
        assert_eq!(keys(&first(&theirs)), keys(&first(&own)), "{path}");
    }
    // Numbers are written with the same letters.
    for number in [
        "vector(1e21)",
        "vector(-1.5e300)",
        "vector(1e20)",
        "vector(2.5e-7)",
        "vector(1e-6)",
        "1e21",
        "1e20",
        "123456789.125",
        "1e-6",
        "2.5e-7",
        "1e-300",
        "-0",
        "1/0",
        "-1/0",
        "0/0",
        "0.1 + 0.2",
    ] {
        let path = format!("/api/v1/query?query={}", encode(number));
        let value = |answer: Value| {
            let result = &answer["data"]["result"];
            if number.starts_with('v') { result[0]["value"][1].clone() } else { result[1].clone() }
        };
        assert_eq!(value(ours.json(&path)), value(theirs.ask(&path).1), "{number}");
    }
}

#[test]
fn federation_and_metadata_of_targets_are_the_same() {
    let both = both();
    let (ours, theirs) = (&both.ours, &both.theirs);
    // Values move from scrape to scrape: the lines up to them, and which families there are in which order.
    let federated = |body: &str| {
        let families: Vec<String> = body.lines().filter(|line| line.starts_with('#')).map(str::to_owned).collect();
        let samples: BTreeSet<String> = body
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let mut parts = line.rsplitn(3, ' ');
                let (time, value) = (parts.next().unwrap(), parts.next().unwrap());
                assert!(time.parse::<i64>().is_ok() && value.parse::<f64>().is_ok(), "{line}");
                parts.next().unwrap().to_owned()
            })
            .collect();
        (families, samples)
    };
    let path = format!(
        "/federate?match[]={}&match[]={}",
        encode("{job=\"exporter\",__name__=~\"node_.*\"}"),
        encode("{job=\"exporter\",__name__=~\"up|node_load\"}")
    );
    let wanted = within("Prometheus scraped", || {
        let (status, body) = request(&theirs.address, "GET", &path, &[], b"");
        let found = federated(&body);
        (status == 200 && found.0.len() > 3 && found.1.iter().any(|line| line.starts_with("up{"))).then_some(found)
    });
    assert!(wanted.1.iter().filter(|line| line.starts_with("node_load{")).count() == 3, "{wanted:#?}");
    within("ours is the same", || (federated(&ours.get(&path).1) == wanted).then_some(()));
    let rows = |answer: Value| series(&answer);
    let path = format!("/api/v1/targets/metadata?match_target={}", encode("{job=\"exporter\"}"));
    let wanted = rows(theirs.ask(&path).1);
    assert!(wanted.len() > 20, "{wanted:?}");
    assert_eq!(rows(ours.json(&path)), wanted);
}
