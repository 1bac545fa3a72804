//! Who may do what: another person's approval, confirmation, missing rights, wrong tokens, names that do not exist, and
//! bodies that are no good.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::rig::{FLYBALL, Up, request};
use crate::stand::{NEW, Stand, Wish};

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn another_person_has_to_approve() {
    let stand = Stand::wished(&Wish { environment: "approval: another person", on_line: false });
    let up = stand.up();
    let number = stand.deploy(NEW);
    assert_eq!(stand.order(&number)["state"], "draft");
    let own = up.cli(&["approve", &number, "--yes"]);
    assert_eq!(own.status.code(), Some(3), "{}", both(&own));
    assert_eq!(stand.order(&number)["state"], "draft");
    // Whoever may only look may not approve either, and that is in the audit.
    let viewer = up.cli_as(&up.token_of("looks", "viewer"), &["approve", &number, "--yes"]);
    assert_eq!(viewer.status.code(), Some(3), "{}", both(&viewer));
    let audit = up.json("/api/flyball/v1/audit").to_string();
    assert!(audit.contains("looks"), "{audit}");
    let other = up.token_of("tom.weber", "approver");
    let digest = stand.order(&number)["digest"].as_str().unwrap().to_owned();
    let stale = up.cli_as(&other, &["approve", &number, &"0".repeat(digest.len()), "--yes"]);
    assert_eq!(stale.status.code(), Some(3), "{}", both(&stale));
    let approved = up.cli_as(&other, &["approve", &number, "--yes"]);
    assert_eq!(approved.status.code(), Some(0), "{}", both(&approved));
    let done = stand.wait_state(&number, &["done"]);
    assert_eq!(done["approvals"][0]["by"], "tom.weber", "{}", done["approvals"]);
    stand.wait_on_line(NEW);
}

#[test]
fn the_same_person_confirms() {
    let stand = Stand::wished(&Wish { environment: "confirm: true", on_line: false });
    let up = stand.up();
    let asked = up.cli(&["deploy", "shop", NEW, "prod"]);
    assert_eq!(asked.status.code(), Some(1), "{}", both(&asked));
    assert!(both(&asked).contains("--yes"), "{}", both(&asked));
    assert_eq!(up.json("/api/flyball/v1/orders").as_array().map(Vec::len), Some(0));
    let done = up.cli(&["deploy", "shop", NEW, "prod", "--yes"]);
    assert_eq!(done.status.code(), Some(0), "{}", both(&done));
    let orders = up.json("/api/flyball/v1/orders");
    assert_eq!(orders.as_array().map(Vec::len), Some(1), "{orders}");
    let number = orders[0]["number"].as_str().unwrap().to_owned();
    // Halt never asks.
    let halted = up.cli(&["halt", &number]);
    assert_eq!(halted.status.code(), Some(0), "{}", both(&halted));
    stand.wait_state(&number, &["halted"]);
    let rollback = up.cli(&["rollback", &number]);
    assert_eq!(rollback.status.code(), Some(1), "{}", both(&rollback));
    let rollback = up.cli(&["rollback", &number, "--yes"]);
    assert_eq!(rollback.status.code(), Some(0), "{}", both(&rollback));
    stand.wait_state(&number, &["rolled_back"]);
}

#[test]
fn wrong_tokens_missing_rights_and_unknown_names() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    crate::rig::write(
        &config,
        "a.yaml",
        "hosts:\n  web-1: { address: 127.0.0.1 }\nenvironments:\n  prod: {}\nprojects:\n  mall:\n    services:\n      shop:\n        \
         run: { command: [/bin/true] }\n        environments:\n          prod: { servers: [{ host: web-1, port: 80 }] }\n",
    );
    let up = Up::start(&folder.path().join("data"), &["--config", config.to_str().unwrap()]);
    let ask = |token: &str, method: &str, path: &str, body: &str| {
        let bearer = format!("Bearer {token}");
        request(&up.address, method, path, &[("authorization", &bearer), ("content-type", "application/json")], body.as_bytes())
    };
    let viewer = up.token_of("looks", "viewer");
    for (method, path) in [("GET", "/api/flyball/v1/overview"), ("POST", "/write"), ("POST", "/api/flyball/v1/command")] {
        assert_eq!(ask("fbt_wrong", method, path, "").0, 401, "{path}");
        assert_eq!(request(&up.address, method, path, &[], b"").0, 401, "{path}");
    }
    for path in ["/write", "/api/v1/write", "/-/reload", "/api/flyball/v1/changes", "/api/flyball/v1/artifacts?name=x&version=1"]
    {
        let (status, body) = ask(&viewer, "POST", path, "{}");
        assert_eq!(status, 403, "{path}: {body}");
    }
    let audit = up.json("/api/flyball/v1/audit").to_string();
    for path in ["/write", "/-/reload", "/api/flyball/v1/changes"] {
        assert!(audit.contains("looks") && audit.contains(path), "{path}: {audit}");
    }
    let (status, body) = up.get("/api/flyball/v1/services/mall/shpo/prod");
    assert!(status == 404 && body.contains("`shop`"), "{status} {body}");
    let (status, body) = up.get("/api/flyball/v1/ordrs");
    assert!(status == 404 && body.contains("orders"), "{status} {body}");
    for (line, nearest) in [("check shpo", "shop"), ("check web-2", "web-1"), ("deploy shp 1 prod", "shop")] {
        let body = format!("{{\"text\":\"{line}\",\"via\":\"api\"}}");
        let (status, body) = up.post("/api/flyball/v1/command", "application/json", body.as_bytes());
        assert!((status == 404 || status == 200) && body.contains(nearest), "{line}: {status} {body}");
        let words: Vec<&str> = line.split(' ').collect();
        let said = up.cli(&words);
        assert_eq!(said.status.code(), Some(3), "{line}: {}", both(&said));
        assert!(both(&said).contains(nearest), "{line}: {}", both(&said));
    }
}

/// Every POST route of the reference with bodies that nobody can read, and with one that says it is huge.
#[test]
fn bodies_that_are_no_good_are_refused_on_every_route() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[]);
    let printed = Command::new(FLYBALL).args(["reference", "openapi"]).output().unwrap();
    let document: Value = serde_json::from_slice(&printed.stdout).unwrap();
    let mut seen = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, route) in methods.as_object().expect("methods") {
            if method != "post" && method != "put" {
                continue;
            }
            let method = method.to_uppercase();
            let at: String =
                path.split('/').map(|part| if part.starts_with('{') { "/1" } else { part }).collect::<Vec<_>>().join("/");
            let at = at.replace("//", "/");
            let huge = huge(&up, &method, &at);
            if route.get("requestBody").is_some() {
                assert!([400, 404, 413].contains(&huge), "{method} {at}: a huge body gets {huge}");
                for bad in [&b"{\"a\": 1,\n \"b\": ]"[..], b"[", b"\xff\xfe", b"{}", b"null", b"\"text\""] {
                    let token = format!("Bearer {}", up.token);
                    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
                    let (status, body) = request(&up.address, &method, &at, &headers, bad);
                    let well_formed = serde_json::from_slice::<Value>(bad).is_ok();
                    assert!(status != 0 && status < 500, "{method} {at} {bad:?}: {status} {body}");
                    assert!(well_formed || (400..500).contains(&status), "{method} {at} {bad:?}: {status} {body}");
                    if status == 400 && bad.starts_with(b"{\"a\"") {
                        let error: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{method} {at}: {body}"));
                        assert!(error.to_string().contains("line"), "{method} {at}: {body}");
                    }
                }
                seen += 1;
            }
        }
    }
    assert!(seen >= 4, "only {seen} routes take JSON: {}", document["paths"]);
    assert_eq!(up.get("/-/ready").0, 200);
}

/// The status for a body that says it is 100 GB; none of it is sent.
fn huge(up: &Up, method: &str, path: &str) -> u16 {
    let mut stream = TcpStream::connect(&up.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 100000000000\r\nconnection: close\r\n\r\n",
        up.address, up.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    // Some of it, for a route that looks before it refuses.
    let _ = stream.write_all(&[b' '; 65_536]);
    let mut first = [0; 64];
    let read = stream.read(&mut first).unwrap_or(0);
    String::from_utf8_lossy(&first[..read]).split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}
