//! `flyball rules backtest` as a person uses it: beside a running server, over the folder of one that has ended, and in wrong ways.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::rig::{FLYBALL, Up, free_port, write};

const RULES: &str = "
groups:
  - name: g
    interval: 1s
    rules:
      - { record: 'load:max', expr: 'max(load_v)' }
      - { alert: High, expr: 'load_v > 5', annotations: { summary: '{{ $labels.shop }}: {{ $externalURL }}/high' } }
      - { alert: Never, expr: 'load_v > 1000' }
";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

/// Fails the test unless the command ended well; what it printed.
fn well(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn report(output: &Output) -> Value {
    serde_json::from_str(&well(output)).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

/// Rules and what happened, on a server whose configuration names its address.
fn story(folder: &std::path::Path) -> Up {
    write(folder, "config/main.yaml", "flyball: { external_url: 'https://flyball.example/' }\n");
    write(folder, "new.yaml", RULES);
    let config = folder.join("config");
    let up = Up::start(&folder.join("data"), &["--config", config.to_str().unwrap()]);
    for load in [1, 9, 1, 8, 2] {
        assert_eq!(up.post("/write", "text/plain", format!("load,shop=a v={load}\n").as_bytes()).0, 204);
        std::thread::sleep(Duration::from_millis(1_100));
    }
    up
}

#[test]
fn what_rules_would_have_told_in_a_table_a_picture_and_json() {
    let folder = tempfile::tempdir().unwrap();
    let up = story(folder.path());
    let (rules, picture) = (folder.path().join("new.yaml"), folder.path().join("new.svg"));
    let args = ["rules", "backtest", rules.to_str().unwrap(), "--from", "2m"];

    let shown = well(&up.cli(&[&args[..], &["--picture", picture.to_str().unwrap(), "--language", "en"]].concat()));
    let lines: Vec<&str> = shown.lines().collect();
    let heads: Vec<&str> = lines[0].split("  ").map(str::trim).filter(|head| !head.is_empty()).collect();
    assert_eq!(heads, ["rule", "times bad", "bad for", "longest", "first", "last", "when"], "{shown}");
    let cells =
        |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let high = cells(lines[1]);
    assert_eq!((&*high[0], &*high[1]), ("High", "2"), "{shown}");
    assert!(high[2].ends_with('s') && high[3].ends_with('s') && high[2] >= high[3], "{shown}");
    assert!(high[4].ends_with('Z') && high[4] < high[5], "{shown}");
    assert!(high[6].chars().count() == 48 && high[6].starts_with("··") && high[6].chars().any(|cell| cell != '·'), "{shown}");
    assert_eq!(cells(lines[2])[..6], ["Never", "0", "-", "-", "-", "-"], "{shown}");
    assert!(lines[3].starts_with("load:max recorded samples: ") && !lines[3].ends_with(": 0"), "{shown}");
    assert!(shown.contains("exactly what live rules told"), "{shown}");
    assert!(lines.last().is_some_and(|last| last.ends_with("rules' series: 5, of them late: 0")), "{shown}");
    let svg = std::fs::read_to_string(&picture).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>") && svg.contains("High (2)"), "{svg}");
    assert!(svg.contains("shop=a") && !svg.contains("Never"), "{svg}");

    let chinese = well(&up.cli(&[&args[..], &["--language", "zh"]].concat()));
    assert!(chinese.starts_with("规则") && chinese.contains("迟到：0") && chinese.contains("load:max 记录的样本："), "{chinese}");
    assert!(!chinese.contains("exactly") && !chinese.contains("times bad"), "{chinese}");

    let live = report(&up.cli(&[&args[..], &["--json"]].concat()));
    assert_eq!(live["changes"].as_array().map(Vec::len), Some(4), "{live}");
    let summary = &live["changes"][0]["transition"]["annotations"]["summary"];
    assert_eq!(summary, "a: https://flyball.example/high");
    // By another's right and the server's address; who may only send may not ask.
    let viewer = up.token_of("viewer", "viewer");
    let theirs = report(&up.cli_as(&viewer, &[&args[..], &["--json"]].concat()));
    assert_eq!(theirs["changes"], live["changes"]);
    let sender = up.token_of("sender", "sender");
    let refused = up.cli_as(&sender, &args);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));

    // The same when the server has ended: from its folder, its address too.
    up.terminate();
    let ended = Command::new(FLYBALL)
        .args(args)
        .args(["--json", "--data"])
        .arg(folder.path().join("data"))
        .env_remove("FLYBALL_SERVER")
        .output()
        .unwrap();
    assert_eq!(report(&ended)["changes"], live["changes"]);
}

#[test]
fn what_is_wrong_is_named_with_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "new.yaml", RULES);
    write(folder.path(), "bad.yaml", "groups:\n  - name: g\n    rules:\n      - { alert: A, expr: 'sum(up' }\n");
    let up = Up::start(&folder.path().join("data"), &[]);
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (new, bad, none, nowhere) = (at("new.yaml"), at("bad.yaml"), at("none.yaml"), at("no/such/folder.svg"));
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for (args, code, told) in [
        (&[&*bad][..], 1, "bad.yaml:4:"),
        (&[&*none], 2, "none.yaml` is neither a file nor a folder"),
        (&[&*new, "--from", "yesterday"], 2, "`yesterday` is neither a length of time as 24h nor a time as"),
        (&[&*new, "--from", "1h", "--to", "2h"], 2, "--from is 20"),
        (&[&*new, "--from", "1h", "--to", "1h"], 2, "which is not before --to, 20"),
        (&[&*new, "--from", "2y"], 2, "longer than a year"),
        (&[&*new, "--server", &nobody], 4, "failed to reach flyball"),
        (&[&*new, "--picture", &nowhere], 5, "failed to write"),
        (&[], 2, "<FILE|DIR>"),
    ] {
        let output = up.cli(&[&["rules", "backtest"], args].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(told), "{args:?}: {}", said(&output));
    }
    // Right, and nothing there: it says so.
    let empty = well(&up.cli(&["rules", "backtest", &new, "--from", "1m", "--language", "en"]));
    assert!(empty.contains("no series of these rules has a sample"), "{empty}");
    let away = Command::new(FLYBALL)
        .args(["rules", "backtest", &new])
        .current_dir(folder.path())
        .env_remove("FLYBALL_SERVER")
        .output()
        .unwrap();
    assert_eq!(away.status.code(), Some(4), "{}", said(&away));
    assert!(said(&away).contains("--server, FLYBALL_SERVER or --data"), "{}", said(&away));
}
