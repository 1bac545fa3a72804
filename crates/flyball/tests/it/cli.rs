//! The command line: what it prints, and its exit codes.

use std::process::{Command, Output};

use crate::rig::{FLYBALL, Up, free_port, write};

fn flyball(args: &[&str]) -> Output {
    Command::new(FLYBALL)
        .args(args)
        .env_remove("FLYBALL_TOKEN")
        .env_remove("FLYBALL_SERVER")
        .output()
        .expect("the program starts")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_token_is_printed_alone_before_the_first_start_and_beside_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let first = flyball(&["token", "create", "early", "--role", "viewer", "--data", data]);
    assert_eq!(first.status.code(), Some(0), "{}", err(&first));
    assert!(out(&first).trim().starts_with("fbt_") && out(&first).lines().count() == 1, "{}", out(&first));
    let up = Up::start(folder.path(), &[]);
    let beside = flyball(&["token", "create", "beside", "--role", "sender", "--data", data]);
    let token = out(&beside).trim().to_owned();
    let ask = |token: &str, path: &str| {
        crate::rig::request(&up.address, "GET", path, &[("authorization", &format!("Bearer {token}"))], b"").0
    };
    assert_eq!(ask(out(&first).trim(), "/api/flyball/v1/overview"), 200);
    assert_eq!(ask(&token, "/api/flyball/v1/overview"), 403);
    assert_eq!(ask("nothing", "/api/flyball/v1/overview"), 401);
    assert_eq!(flyball(&["token", "create", "early", "--role", "viewer", "--data", data]).status.code(), Some(5));
    assert_eq!(flyball(&["token", "create", "x", "--role", "emperor", "--data", data]).status.code(), Some(2));
}

#[test]
fn exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let away = flyball(&["check", "shop", "--server", &nobody]);
    assert_eq!(away.status.code(), Some(4), "{}", err(&away));
    assert_eq!(flyball(&["chekc", "shop"]).status.code(), Some(2));
    assert!(err(&flyball(&["chekc", "shop"])).contains("check"));
    assert_eq!(flyball(&["deploy", "shop"]).status.code(), Some(2));
    assert_eq!(flyball(&["--help"]).status.code(), Some(0));
    assert!(out(&flyball(&["--help"])).contains("rollback"));
    let up = Up::start(folder.path(), &[]);
    let unknown = up.cli(&["check", "shop"]);
    assert_eq!(unknown.status.code(), Some(3), "{} {}", out(&unknown), err(&unknown));
    assert_eq!(up.cli(&["status"]).status.code(), Some(0));
    assert_eq!(up.cli(&["help"]).status.code(), Some(0));
    assert_eq!(up.cli(&["incidents"]).status.code(), Some(0));
}

#[test]
fn a_configuration_is_checked_with_places() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.yaml", "hosts:\n  a: { adress: 127.0.0.1 }\n");
    let wrong = flyball(&["config", "check", folder.path().to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(out(&wrong).contains("a.yaml:2:8") && out(&wrong).contains("`address`"), "{}", out(&wrong));
    write(folder.path(), "a.yaml", "hosts:\n  a: { address: 127.0.0.1 }\n");
    assert_eq!(flyball(&["config", "check", folder.path().to_str().unwrap()]).status.code(), Some(0));
    assert_eq!(flyball(&["config", "check", "/nowhere/at/all"]).status.code(), Some(2));
}

#[test]
fn a_new_user_is_told_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let here = |args: &[&str]| Command::new(FLYBALL).args(args).current_dir(folder.path()).output().expect("the program starts");
    // Help needs no server, and speaks both languages.
    let help = here(&["help"]);
    assert_eq!(help.status.code(), Some(0), "{}", err(&help));
    assert!(out(&help).contains("rollback [ORDER"), "{}", out(&help));
    let help = here(&["help", "deploy", "--language", "zh"]);
    assert!(help.status.success() && out(&help).contains("用法"), "{} {}", out(&help), err(&help));
    assert_eq!(out(&here(&["部署", "--help", "--language", "zh"])), out(&help));
    for (args, said) in [
        (&["sever"][..], "`server`"),
        (&["chekc", "shop"], "`check`"),
        (&["xyzzyx"], "not a verb. Try"),
        (&["deploy", "shop", "1", "--foo"], "--reason TEXT"),
        (&["status", "--language", "de"], "en and zh"),
        (&["query", "up", "--language", "de"], "en and zh"),
        (&["status", "--server"], "needs a value"),
        (&["up", "--listen", "nonsense"], "--listen"),
        (&["server", "--enable-feature", "promql-duration-expr,promql-durations"], "promql-extended-range-selectors"),
        (&["token", "create", "a", "--role", "king"], "releaser"),
        (&["log", "shop", "1", "2", "x", "y"], "log SERVICE"),
    ] {
        let wrong = here(args);
        assert_eq!(wrong.status.code(), Some(2), "{args:?}: {}", err(&wrong));
        assert!(err(&wrong).contains(said), "{args:?}: {}", err(&wrong));
    }
    // No server: said with what to do, and nothing is left behind.
    for (args, code, said) in [
        (&["check", "shop"][..], 4, "--server"),
        (&["query", "up"], 4, "--server"),
        (&["link"], 5, "--data"),
        (&["status", "--server", "127.0.0.1:1"], 4, "refused"),
        (&["artifact", "push", "nosuch"], 5, "nosuch"),
    ] {
        let failed = here(args);
        assert_eq!(failed.status.code(), Some(code), "{args:?}: {}", err(&failed));
        assert!(err(&failed).contains(said), "{args:?}: {}", err(&failed));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn answers_in_chinese_and_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[]);
    for verb in [&["status"][..], &["incidents"], &["orders"], &["changes"], &["help"]] {
        let (english, chinese) = (up.cli(verb), up.cli(&[verb, &["--language", "zh"]].concat()));
        assert_eq!(chinese.status.code(), Some(0), "{verb:?}: {}", err(&chinese));
        assert!(out(&chinese).chars().any(|c| ('一'..='龥').contains(&c)), "{verb:?}: {}", out(&chinese));
        assert_ne!(out(&english), out(&chinese), "{verb:?}");
        let json = up.cli(&[verb, &["--json"]].concat());
        let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap_or_else(|error| panic!("{verb:?}: {error}"));
        assert_eq!(value["well"], true, "{verb:?}: {value}");
    }
}

#[test]
fn experimental_promql_is_allowed_by_its_flag_alone() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "groups: [{ name: g, rules: [{ record: 'a:b', expr: 'sum(limitk(1, flyball_test_feature))' }] }]\n";
    write(folder.path(), "config/rules/a.yaml", rules);
    let config = folder.path().join("config").display().to_string();
    let feature = "--enable-feature=promql-duration-expr,promql-experimental-functions";
    for command in [["config", "check"], ["rules", "check"]] {
        let refused = flyball(&[&command[..], &[config.as_str()]].concat());
        assert_eq!(refused.status.code(), Some(1), "{}", err(&refused));
        assert!(
            out(&refused).contains("a.yaml:1:") && out(&refused).contains("promql-experimental-functions"),
            "{}",
            out(&refused)
        );
        let allowed = flyball(&[&command[..], &[config.as_str(), feature]].concat());
        assert_eq!(allowed.status.code(), Some(0), "{}", out(&allowed));
    }
    let data = folder.path().join("data");
    let started =
        Command::new(FLYBALL).args(["up", "--listen", "127.0.0.1:0", "--config", &config, "--data"]).arg(&data).output().unwrap();
    assert_eq!(started.status.code(), Some(5), "{}", err(&started));
    assert!(err(&started).contains("--enable-feature=promql-experimental-functions"), "{}", err(&started));
    let up = Up::start(&data, &["--config", &config, feature]);
    assert_eq!(up.json("/api/v1/status/flags")["data"]["enable-feature"], "promql-experimental-functions,promql-duration-expr");
    assert_eq!(up.cli(&["query", "sum(limitk(1, vector(1)))"]).status.code(), Some(0));
}
