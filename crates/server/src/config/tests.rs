//! Configuration folders in, configuration or mistakes out.

use std::path::PathBuf;

use expect_test::{Expect, expect};

use model::config::{Size, Span};

use super::*;

/// A folder with these files, loaded: the mistakes as people read them, or "ok".
fn check(files: &[(&str, &str)], expected: Expect) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path: PathBuf = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let said = match load(folder.path(), &Features::STABLE) {
        Ok(_) => "ok".to_owned(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    expected.assert_eq(&said);
}

const SHOP: &str = "\
hosts:
  shop-1: { address: 127.0.0.11 }
environments:
  prod: { approval: none }
projects:
  mall:
    services:
      shop:
        environments:
          prod: { servers: [{ host: shop-1, port: 8080 }] }
";

#[test]
fn good_folders() {
    check(&[], expect!["ok"]);
    check(&[("empty.yaml", "# nothing yet\n")], expect!["ok"]);
    check(&[("shop.yaml", SHOP), ("people.yaml", "users:\n  zhao: { name: Zhao Wei }\n")], expect!["ok"]);
}

#[test]
fn unknown_keys_have_a_nearest() {
    check(
        &[("shop.yaml", "hosts:\n  shop-1:\n    adress: 127.0.0.11\n")],
        expect![[r#"
            shop.yaml:3:5: unknown key `adress`. Nearest: `address`.
                3 |     adress: 127.0.0.11
                  |     ^"#]],
    );
    check(
        &[("env.yaml", "environments:\n  prod: { approval: somebody }\n")],
        expect![[r#"
            env.yaml:2:21: `somebody` is no value of this key. It is one of: none, another person.
                2 |   prod: { approval: somebody }
                  |                     ^"#]],
    );
}

#[test]
fn names_that_are_used_must_exist() {
    check(
        &[("a.yaml", SHOP), ("b.yaml", "heartbeats:\n  import: { id: short, every: 5m, service: shopp }\n")],
        expect![[r#"
            b.yaml:2:17: the id is a secret: at least 16 letters, digits, `-` or `_`.
                2 |   import: { id: short, every: 5m, service: shopp }
                  |                 ^
            b.yaml:2:44: no service is called `shopp`. Nearest: `shop`.
                2 |   import: { id: short, every: 5m, service: shopp }
                  |                                            ^"#]],
    );
    check(
        &[("a.yaml", &SHOP.replace("host: shop-1", "host: shop-2"))],
        expect![[r#"
            a.yaml:10:37: no host is called `shop-2`. Nearest: `shop-1`.
               10 |           prod: { servers: [{ host: shop-2, port: 8080 }] }
                  |                                     ^"#]],
    );
}

#[test]
fn a_host_is_in_one_environment_of_a_service() {
    let text = SHOP.replace("  prod: { approval: none }", "  prod: { approval: another person }\n  uat: {}")
        + "          uat: { servers: [{ host: shop-1, port: 8081 }] }\n";
    check(
        &[("a.yaml", &text)],
        expect![[r#"
            a.yaml:12:36: host `shop-1` runs `shop` in `prod` already: a host is in one environment of a service.
               12 |           uat: { servers: [{ host: shop-1, port: 8081 }] }
                  |                                    ^"#]],
    );
}

#[test]
fn the_same_name_in_two_files_names_both() {
    check(
        &[("a.yaml", SHOP), ("b.yaml", "hosts:\n  shop-1: { address: 127.0.0.12 }\n")],
        expect![[r#"
            b.yaml:2:3: `hosts.shop-1` stands here and in a.yaml:2.
                2 |   shop-1: { address: 127.0.0.12 }
                  |   ^"#]],
    );
}

#[test]
fn rules_are_checked_at_their_place() {
    check(
        &[("rules/a.yaml", "groups:\n  - name: host\n    rules:\n      - alert: Full\n        expr: sum(rate(x[5m])\n")],
        expect![[r#"
            rules/a.yaml:5:30: PromQL: 1:16: the query ends where an operator, `,` or `)` was expected; a `(` is not closed.
                5 |         expr: sum(rate(x[5m])
                  |                              ^"#]],
    );
    check(
        &[("rules/a.yaml", "groups:\n  - name: host\n    rules:\n      - alert: Full\n        expr: up == 0\n        for: 5\n")],
        expect![[r#"
        rules/a.yaml:6:14: `5` is not a length of time: write it like 20s, 5m or 1h30m.
            6 |         for: 5
              |              ^"#]],
    );
}

#[test]
fn what_is_no_yaml_says_where() {
    check(
        &[("a.yaml", "hosts: [\n")],
        expect![[r#"
        a.yaml:1:8: expected mapping start.
            1 | hosts: [
              |        ^"#]],
    );
    check(
        &[("a.yaml", "hosts: 5\n")],
        expect![[r#"
        a.yaml:1:8: expected mapping start.
            1 | hosts: 5
              |        ^"#]],
    );
}

#[test]
fn differences_are_lines_and_mask_secrets() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), SHOP).unwrap();
    let before = load(folder.path(), &Features::STABLE).unwrap();
    let text = SHOP.replace("8080", "8081") + "heartbeats:\n  import: { id: 0123456789abcdef, every: 5m }\n";
    fs::write(folder.path().join("a.yaml"), text).unwrap();
    let after = load(folder.path(), &Features::STABLE).unwrap();
    expect![[r#"
        ~ projects.mall.services.shop.environments.prod.servers[0].port: 8080 to 8081
        + heartbeats.import: ****"#]]
    .assert_eq(&difference(&before, &after).join("\n"));
}

#[test]
fn the_reference_names_every_top_level_key() {
    let reference = reference();
    for key in schema()["properties"].as_object().unwrap().keys() {
        assert!(reference.contains(&format!("| `{key}` |")), "{key}");
    }
}

#[test]
fn the_examples_are_well() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples"));
    for folder in [folder.to_owned(), folder.join("bench-detect")] {
        if let Err(mistakes) = load(&folder, &Features::STABLE) {
            panic!("{}", mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
    }
}

#[test]
fn the_example_for_measuring_tells_a_webhook_that_it_may_reach() {
    let config =
        load(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/bench-detect")), &Features::STABLE)
            .unwrap();
    let told = config.notification.default.iter().filter_map(|name| config.notification.receivers[name].webhook.as_ref());
    let urls: Vec<&str> = told.map(|webhook| webhook.url.as_str()).collect();
    assert_eq!(urls, ["http://127.0.0.1:9192/"]);
    assert!(config.outgoing.allow.iter().any(|allowed| *allowed == "127.0.0.1:9192"));
    assert_eq!(config.groups[0].rules[0].expr, "bench_bad > 0");
}

#[test]
fn a_server_that_flyball_runs_needs_an_address() {
    let bare = SHOP.replace("{ address: 127.0.0.11 }", "{}");
    check(&[("a.yaml", &bare)], expect!["ok"]);
    let runs = bare.replace("        environments:", "        run: { command: [\"{release}/shop\"] }\n        environments:");
    check(
        &[("a.yaml", &runs)],
        expect![[r#"
            a.yaml:11:37: host `shop-1` has no address, and a server that flyball runs needs one: hosts.shop-1.address.
               11 |           prod: { servers: [{ host: shop-1, port: 8080 }] }
                  |                                     ^"#]],
    );
    check(&[("a.yaml", &runs.replace("  shop-1: {}", "  shop-1: { address: 127.0.0.11 }"))], expect!["ok"]);
}

#[test]
fn a_folder_that_is_not_there_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let mistakes = load(&folder.path().join("nocfg"), &Features::STABLE).unwrap_err();
    assert!(mistakes.len() == 1 && mistakes[0].message.contains("no such folder"), "{mistakes:?}");
}

#[test]
fn prometheus_scrape_configs_load_unchanged() {
    let prometheus = "\
global:
  scrape_interval: 15s
  evaluation_interval: 15s
  sample_limit: 5000
  scrape_protocols: [PrometheusText1.0.0, PrometheusText0.0.4]
scrape_configs:
  - job_name: node
    honor_labels: true
    params: { 'collect[]': [cpu, meminfo] }
    basic_auth: { username: prom, password_file: secrets/node }
    static_configs:
      - targets: ['localhost:9100', '10.0.0.5:9100']
        labels: { env: prod }
    relabel_configs:
      - source_labels: [__address__]
        regex: '(.+):9100'
        target_label: host
    metric_relabel_configs:
      - { source_labels: [__name__], regex: 'go_.*', action: drop }
  - job_name: found
    scheme: https
    follow_redirects: true
    scrape_protocols: [OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4]
    fallback_scrape_protocol: PrometheusText0.0.4
    scrape_interval: 5s
    body_size_limit: 10MB
    file_sd_configs: [{ files: ['targets/*.json'], refresh_interval: 1m }]
    http_sd_configs: [{ url: 'http://127.0.0.1:9000/targets' }]
";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prometheus.yml"), prometheus).unwrap();
    let config = load(folder.path(), &Features::STABLE).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let jobs = config.scrape_jobs();
    assert_eq!((jobs[0].interval(), jobs[0].timeout(), jobs[0].sample_limit), (Span::secs(15), Span::secs(10), 5_000));
    assert_eq!((jobs[1].interval(), jobs[1].timeout(), jobs[1].body_size_limit), (Span::secs(5), Span::secs(5), Size(10 << 20)));
    let secret = jobs[0].basic_auth.as_ref().unwrap().password_file.clone().unwrap();
    assert_eq!(secret, folder.path().join("secrets/node").display().to_string());
}

#[test]
fn mistakes_in_scrape_configs_have_their_places() {
    check(
        &[
            ("a.yaml", "scrape_configs:\n  - job_name: a\n    static_configs: [{ targets: ['http://a:1/metrics'] }]\n"),
            (
                "b.yaml",
                "scrape_configs:\n  - job_name: b\n    scrape_interval: 5s\n    scrape_timeout: 10s\n    relabel_configs:\n      - { action: hashmod, target_label: x }\n      - { source_labels: [a], regex: '(', target_label: b }\n  - job_name: a\n    file_sd_configs: [{ files: ['*/a.txt'] }]\n",
            ),
        ],
        expect![[r#"
            a.yaml:3:34: `http://a:1/metrics` is no address: a name and a port, without scheme and path.
                3 |     static_configs: [{ targets: ['http://a:1/metrics'] }]
                  |                                  ^
            b.yaml:4:21: a timeout of 10s does not fit into the interval of 5s.
                4 |     scrape_timeout: 10s
                  |                     ^
            b.yaml:6:19: `hashmod` needs a `modulus` above 0.
                6 |       - { action: hashmod, target_label: x }
                  |                   ^
            b.yaml:7:38: the regex can't be read: unclosed group.
                7 |       - { source_labels: [a], regex: '(', target_label: b }
                  |                                      ^
            b.yaml:8:15: job `a` stands in a.yaml already.
                8 |   - job_name: a
                  |               ^
            b.yaml:9:33: `*/a.txt` ends in neither .json, .yml nor .yaml.
                9 |     file_sd_configs: [{ files: ['*/a.txt'] }]
                  |                                 ^"#]],
    );
    check(
        &[("a.yaml", "scrape_configs:\n  - job_name: a\n    basic_auth: { username: a, password: b }\n")],
        expect![[r#"
            a.yaml:3:32: unknown key `password`. Nearest: `password_file`.
                3 |     basic_auth: { username: a, password: b }
                  |                                ^"#]],
    );
    check(
        &[("a.yaml", "global: { scrape_protocols: [PrometheusProto] }\n")],
        expect![[r#"
        a.yaml:1:30: `PrometheusProto` is no value of this key. It is one of: OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4.
            1 | global: { scrape_protocols: [PrometheusProto] }
              |                              ^"#]],
    );
    check(
        &[("a.yaml", "global: { scrape_protocols: [] }\n")],
        expect![[r#"
        a.yaml:1:29: one format at least is asked for.
            1 | global: { scrape_protocols: [] }
              |                             ^"#]],
    );
    check(
        &[("a.yaml", "global: { external_labels: { region: eu } }\n")],
        expect![[r#"
        a.yaml:1:11: unknown key `external_labels`.
            1 | global: { external_labels: { region: eu } }
              |           ^"#]],
    );
}

#[test]
fn rules_that_stand_twice_are_told_and_groups_know_their_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    let group =
        |name: &str, expr: &str| format!("groups:\n  - name: {name}\n    rules:\n      - alert: Full\n        expr: {expr}\n");
    fs::write(folder.path().join("main.yaml"), group("main", "up == 0")).unwrap();
    fs::write(folder.path().join("rules/a.yaml"), group("a", "up == 0")).unwrap();
    let (config, warnings) = load_with_warnings(folder.path(), &Features::STABLE).unwrap();
    assert_eq!(config.groups.iter().map(|group| group.file.as_str()).collect::<Vec<_>>(), ["main.yaml", "rules/a.yaml"]);
    let said: Vec<String> = warnings.iter().map(|one| format!("{}:{}: {}", one.file, one.line, one.message)).collect();
    assert_eq!(said, ["rules/a.yaml:4: `Full` stands in main.yaml:4 already with the same labels: their alerts look the same"]);
    // A mistake in a group of a main file has its place, too.
    fs::write(folder.path().join("main.yaml"), group("main", "sum(")).unwrap();
    let mistakes = load(folder.path(), &Features::STABLE).unwrap_err();
    assert_eq!((mistakes.len(), mistakes[0].file.as_str(), mistakes[0].line, mistakes[0].column), (1, "main.yaml", 5, 19));
}
