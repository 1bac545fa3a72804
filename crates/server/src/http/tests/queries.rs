//! Prometheus' query API as its clients use it.

use std::sync::Arc;

use axum::body::Body;
use model::config::Span;
use model::rights::Role;
use model::{AlertKey, AlertState, Event, Labels, RuleName, Transition};
use query::Features;
use serde_json::json;
use wire::{Metadata, MetricKind};

use super::fixture::now_secs;
use super::{House, request};
use crate::telemetry::scrape::{Active, Pool, Target};

const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

async fn filled() -> (House, i64) {
    let house = House::open().await;
    let now = now_secs(&house);
    let lines: String = (0..10)
        .map(|back| {
            format!("http,code=200,host=a requests={} {t}\nhttp,code=500,host=b requests=1 {t}\n", 100 - back, t = now - back)
        })
        .collect();
    let answer = house.ask(Role::Sender, "POST", "/write?precision=s", &[], lines).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    (house, now)
}

#[tokio::test]
async fn an_instant_and_a_range() {
    let (house, now) = filled().await;
    let answer = house.get(&format!("/api/v1/query?query=sum(http_requests)&time={now}")).await;
    assert_eq!(
        answer.text(),
        format!(
            "{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{{\"metric\":{{}},\"value\":[{now},\"101\"]}}]}}}}"
        )
    );
    let body = format!("query=http_requests%7Bhost%3D%22a%22%7D&start={}&end={now}&step=1s", now - 2);
    let range = house.ask(Role::Viewer, "POST", "/api/v1/query_range", &FORM, body).await.json();
    assert_eq!(range["data"]["result"][0]["values"], json!([[now - 2, "98"], [now - 1, "99"], [now, "100"]]));
    assert_eq!(house.get("/api/v1/query?query=1%2B1").await.json()["data"]["resultType"], "scalar");
    let time = model::Time::from_secs(now).to_string();
    let answer = house.get(&format!("/api/v1/query?query=http_requests&time={time}&limit=1")).await.json();
    assert_eq!(
        (answer["data"]["result"].as_array().unwrap().len(), &answer["warnings"]),
        (1, &json!(["results truncated due to limit"]))
    );
}

#[tokio::test]
async fn what_there_is() {
    let (house, now) = filled().await;
    let edges = "start=-292273086-05-16T16:47:06Z&end=292277025-08-18T07:12:54.999999999Z";
    assert_eq!(house.get(&format!("/api/v1/label/host/values?{edges}")).await.json()["data"], json!(["a", "b"]));
    let first = house.get("/api/v1/series?match[]=http_requests&limit=1").await.json();
    assert_eq!((&first["data"][0]["host"], &first["warnings"][0]), (&json!("a"), &json!("results truncated due to limit")));
    let write = house.ask(Role::Sender, "POST", "/write", &[], format!("dotted,http.status=9 a=1 {now}000000000\n")).await;
    assert_eq!(write.status, 204, "{}", write.text());
    assert_eq!(house.get("/api/v1/label/U__http_2e_status/values").await.json()["data"], json!(["9"]));
    let house = filled().await.0;
    let data = |answer: super::Answer| answer.json()["data"].clone();
    assert_eq!(data(house.get("/api/v1/labels").await), json!(["__name__", "code", "host"]));
    assert_eq!(data(house.get("/api/v1/label/host/values").await), json!(["a", "b"]));
    assert_eq!(data(house.get("/api/v1/label/host/values?match[]=http_requests%7Bcode%3D%22500%22%7D").await), json!(["b"]));
    assert_eq!(data(house.get("/api/v1/label/host/values?limit=1").await), json!(["a"]));
    let series = house.get(&format!("/api/v1/series?match[]=http_requests&start={}&end={now}", now - 60)).await;
    assert_eq!(data(series).as_array().unwrap().len(), 2);
    assert_eq!(data(house.get("/api/v1/series?match[]=none").await), json!([]));
    assert_eq!(data(house.get("/api/v1/query_exemplars?query=up").await), json!([]));
    assert_eq!(data(house.get("/api/v1/format_query?query=sum(up)by(job)").await), json!("sum by (job) (up)"));
    assert!(data(house.get("/api/v1/status/buildinfo").await)["version"].as_str().unwrap().starts_with("3."));
}

#[tokio::test]
async fn errors_have_prometheus_form_and_status() {
    let (house, now) = filled().await;
    let far = now + 20_000;
    for (uri, status, kind, text) in [
        ("/api/v1/query", 400, "bad_data", "\"query\""),
        ("/api/v1/query?query=sum(", 400, "bad_data", "invalid parameter \"query\": 1:"),
        ("/api/v1/query?query=up&time=noon", 400, "bad_data", "\"time\""),
        ("/api/v1/query?query=up&timeout=soon", 400, "bad_data", "\"timeout\""),
        ("/api/v1/query?query=up&time=1e300", 400, "bad_data", "\"time\""),
        ("/api/v1/query_range?query=up&start=1&end=2", 400, "bad_data", "\"step\""),
        ("/api/v1/query_range?query=up&start=2&end=1&step=1", 400, "bad_data", "\"end\""),
        ("/api/v1/query_range?query=up&start=1&end=2&step=0", 400, "bad_data", "\"step\""),
        ("/api/v1/query_range?query=up&start=1&end=2&step=NaN", 400, "bad_data", "\"step\""),
        ("/api/v1/series", 400, "bad_data", "no match[]"),
        ("/api/v1/series?match[]=sum(up)", 400, "bad_data", "\"match[]\""),
        ("/api/v1/rules?type=all", 400, "bad_data", "\"type\""),
        ("/api/v1/rules?group_limit=0", 400, "bad_data", "greater than 0"),
        ("/api/v1/rules?group_limit=-1", 400, "bad_data", "greater than 0"),
        ("/api/v1/rules?group_limit=many", 400, "bad_data", "valid number"),
        ("/api/v1/rules?group_next_token=0a", 400, "bad_data", "group_limit needs to be present"),
        ("/api/v1/rules?group_limit=1&group_next_token=0a", 400, "bad_data", "were rule groups changed?"),
        ("/api/v1/query?query=http_requests%20*%20on(none)%20http_requests", 422, "execution", "1:15: found duplicate series"),
        // As well where it was evaluated on a thread of its own.
        ("/api/v1/query?query=1%20%2B%0Asum(%7B__name__%3D~%22h.*%22%7D*on(no)http_requests)", 422, "execution", "2:22: found"),
        (&format!("/api/v1/query_range?query=up&start={now}&end={far}&step=1"), 400, "bad_data", "11,000 points"),
    ] {
        let answer = house.get(uri).await;
        let body = answer.json();
        assert_eq!((answer.status.as_u16(), body["errorType"].as_str()), (status, Some(kind)), "{uri}: {body}");
        assert!(body["error"].as_str().unwrap().contains(text), "{uri}: {body}");
    }
    let late = house.get("/api/v1/query?query=sum(http_requests)&timeout=0s").await;
    assert_eq!((late.status.as_u16(), late.json()["errorType"].as_str()), (503, Some("timeout")));
    // What waits for its turn when the server ends is no timeout.
    let _turns: Vec<_> = std::iter::from_fn(|| house.app.limits.query_turn_now()).collect();
    house.app.stop();
    let ended = house.get("/api/v1/query?query=sum(http_requests)").await;
    assert_eq!((ended.status.as_u16(), ended.json()["errorType"].as_str()), (499, Some("canceled")));
    assert_eq!(ended.json()["error"], "query was canceled in expression evaluation");
}

#[tokio::test]
async fn rules_show_their_alerts() {
    let house = House::open().await;
    let labels = Labels::new([("alertname", "Down"), ("instance", "a")]).unwrap();
    let rule = RuleName::from("Down");
    let transition = Transition {
        alert: AlertKey::of(&rule, &labels),
        rule,
        labels,
        annotations: Default::default(),
        from: AlertState::Ok,
        to: AlertState::Bad,
        value: Some(0.0),
        onset: house.app.clock.now(),
        expr: "up == 0".into(),
    };
    let rules = house.get("/api/v1/rules").await.json();
    let alerting = |rules: &serde_json::Value| rules["data"]["groups"][0]["rules"][0].clone();
    assert_eq!((alerting(&rules)["type"].as_str(), alerting(&rules)["state"].as_str()), (Some("alerting"), Some("inactive")));
    assert_eq!(rules["data"]["groups"][0]["rules"][1]["type"], "recording");
    house.pump.submit(Event::Alert(transition)).await.unwrap();
    let rules = house.get("/api/v1/rules?type=alert").await.json();
    assert_eq!(alerting(&rules)["state"], "firing");
    assert_eq!(alerting(&rules)["alerts"][0]["labels"]["instance"], "a");
    assert_eq!(house.get("/api/v1/alerts").await.json()["data"]["alerts"][0]["value"], "0e+00");
    let count = async |asked: &str| {
        let rules = house.get(&format!("/api/v1/rules?{asked}")).await.json();
        rules["data"]["groups"].as_array().unwrap().iter().map(|group| group["rules"].as_array().unwrap().len()).sum::<usize>()
    };
    let all = count("").await;
    assert_eq!(count("rule_name[]=Down&rule_name[]=Nothing").await, 1);
    assert_eq!(count("rule_group[]=nothing").await, 0);
    assert_eq!(count("file[]=nothing.yaml").await, 0);
    assert_eq!(count("file[]=rules/host.yaml&file[]=nothing.yaml").await, all);
    assert_eq!(rules["data"]["groups"][0]["file"], "rules/host.yaml");
    assert_eq!(count("match[]=%7Bseverity%3D%22nothing%22%7D").await, 0);
    assert_eq!(count("exclude_alerts=true").await, all);
    let without = house.get("/api/v1/rules?exclude_alerts=true").await.json();
    assert!(alerting(&without).get("alerts").is_none());
}

#[tokio::test]
async fn groups_of_rules_come_in_pages() {
    let house = House::open().await;
    let names = |answer: &serde_json::Value| -> Vec<String> {
        let groups = answer["data"]["groups"].as_array().unwrap();
        let name = |group: &serde_json::Value| ["file", "name"].map(|key| group[key].as_str().unwrap().to_owned()).join(" ");
        groups.iter().map(name).collect()
    };
    let group = |name: &str, rule: &str| format!("  - name: {name}\n    rules:\n      - {rule}: made\n        expr: up == 0\n");
    let more = format!("groups:\n{}{}{}", group("one", "alert"), group("two", "record"), group("three", "alert"));
    std::fs::write(house.folder.path().join("config/rules/more.yaml"), more).unwrap();
    assert_eq!(house.ask(Role::Admin, "POST", "/-/reload", &[], "").await.status, 200);
    let all = names(&house.get("/api/v1/rules").await.json());
    assert_eq!(all.len(), 4, "{all:?}");
    for limit in 1..=all.len() + 1 {
        let (mut got, mut asked) = (Vec::new(), format!("/api/v1/rules?group_limit={limit}"));
        loop {
            let page = house.get(&asked).await.json();
            let here = names(&page);
            let Some(next) = page["data"]["groupNextToken"].as_str() else {
                assert!((1..=limit).contains(&here.len()), "{limit}: {page}");
                got.extend(here);
                break;
            };
            assert_eq!(here.len(), limit, "{page}");
            got.extend(here);
            asked = format!("/api/v1/rules?group_limit={limit}&group_next_token={next}");
        }
        assert_eq!(got, all, "{limit}");
    }
    // What is left out by other parameters takes no place on a page.
    let asked = "/api/v1/rules?type=record&group_limit=1";
    let first = house.get(asked).await.json();
    assert_eq!(names(&first), ["rules/host.yaml host"]);
    let next = first["data"]["groupNextToken"].as_str().unwrap();
    let second = house.get(&format!("{asked}&group_next_token={next}")).await.json();
    assert_eq!(names(&second), ["rules/more.yaml two"]);
    assert!(second["data"].get("groupNextToken").is_none(), "{second}");
}

#[tokio::test]
async fn own_figures_are_readable_by_our_own_decoder() {
    let (house, _) = filled().await;
    let body = house.ask(Role::Viewer, "GET", "/metrics", &[], Body::empty()).await;
    let mut batch = model::SampleBatch::new();
    let mut known = Vec::new();
    let options = wire::exposition::Options::default();
    let kind = wire::exposition::ContentType::parse("text/plain");
    let report = wire::exposition::decode(&body.body, kind, house.app.clock.now(), &options, &mut batch, &mut known);
    assert_eq!(report.failed, 0, "{:?}", report.errors);
    let text = body.text();
    assert!(text.contains("flyball_intake_samples_total 20") && text.contains("flyball_store_series 2"), "{text}");
    assert!(text.contains("flyball_http_requests_total{route=\"/write\",status=\"204\"} 1"), "{text}");
    assert_eq!(house.send(request("GET", "/metrics", &[], Body::empty())).await.status, 401);
}

#[tokio::test]
async fn a_query_as_a_tree_and_the_state_of_the_server() {
    let (house, _) = filled().await;
    let data = |answer: super::Answer| answer.json()["data"].clone();
    let tree = data(house.get("/api/v1/parse_query?query=sum(up)").await);
    assert_eq!((&tree["type"], &tree["expr"]["name"]), (&json!("aggregation"), &json!("up")));
    assert_eq!(house.get("/api/v1/parse_query?query=sum(").await.status, 400);
    let config = data(house.get("/api/v1/status/config").await);
    let text = config["yaml"].as_str().unwrap();
    assert!(text.contains("\"shop-1\"") && !text.contains("0123456789abcdef") && !text.contains("very/secret"), "{text}");
    assert_eq!(data(house.get("/api/v1/status/flags").await)["query.lookback-delta"], "5m");
    assert!(data(house.get("/api/v1/status/runtimeinfo").await)["startTime"].is_string());
    assert_eq!(data(house.get("/api/v1/status/walreplay").await)["state"], "done");
    let tsdb = data(house.get("/api/v1/status/tsdb?limit=1").await);
    assert_eq!(tsdb["seriesCountByMetricName"], json!([{ "name": "http_requests", "value": 2 }]));
    assert_eq!(tsdb["headStats"]["numSeries"], 2);
    let targets = data(house.get("/api/v1/targets").await);
    assert_eq!(targets, json!({ "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {} }));
    assert_eq!(house.get("/api/v1/targets?state=none").await.status, 400);
    assert_eq!(data(house.get("/api/v1/scrape_pools").await), json!({ "scrapePools": [] }));
}

#[tokio::test]
async fn a_large_answer_comes_in_pieces_and_is_the_same() {
    let house = House::open().await;
    let now = now_secs(&house);
    let lines: String = (0..3_000).map(|n| format!("big,n={n} v={n} {now}\n")).collect();
    assert_eq!(house.ask(Role::Sender, "POST", "/write?precision=s", &[], lines).await.status, 204);
    // Too many series to be answered where they were asked for, and more than a piece.
    let answer = house.get(&format!("/api/v1/query?query=big_v&time={now}&stats=all")).await;
    assert!(answer.body.len() > 128 * 1024 && answer.header(axum::http::header::CONTENT_LENGTH).is_empty());
    let answer = answer.json();
    assert_eq!(answer["data"]["result"].as_array().unwrap().len(), 3_000);
    assert_eq!(answer["data"]["stats"]["samples"]["totalQueryableSamples"], 3_000);
    for encoding in ["gzip", "zstd"] {
        let uri = format!("/api/v1/query?query=big_v&time={now}");
        let packed = house.ask(Role::Viewer, "GET", &uri, &[("accept-encoding", encoding)], Body::empty()).await;
        assert_eq!(packed.header(axum::http::header::CONTENT_ENCODING), encoding);
        assert!(packed.body.len() < 100 * 1024, "{} bytes", packed.body.len());
    }
    let sum = house.get(&format!("/api/v1/query?query=sum(big_v)&time={now}")).await.json();
    assert_eq!(sum["data"]["result"][0]["value"][1], "4498500");
}

#[tokio::test]
async fn what_is_experimental_needs_its_flag_and_the_refusal_names_it() {
    let plain = House::open().await;
    let allowed =
        House::with_features(Features::of(["promql-experimental-functions", "promql-delayed-name-removal"]).unwrap()).await;
    let query = "1%20%2B%0Alimitk(1%2C%20up)";
    for path in ["query?", "format_query?", "parse_query?", "query_range?start=1&end=2&step=1&"] {
        let refused = plain.get(&format!("/api/v1/{path}query={query}")).await;
        assert_eq!((refused.status.as_u16(), refused.json()["errorType"].as_str()), (400, Some("bad_data")), "{path}");
        let text = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(text.contains(": 2:1: ") && text.contains("--enable-feature=promql-experimental-functions"), "{path}: {text}");
        assert_eq!(allowed.get(&format!("/api/v1/{path}query={query}")).await.status, 200, "{path}");
    }
    // Each feature is one of its own.
    let fills = "/api/v1/query?query=up%20%2B%20fill(0)%20up";
    assert!(allowed.get(fills).await.text().contains("promql-binop-fill-modifiers"));
    let flags = async |house: &House| house.get("/api/v1/status/flags").await.json()["data"]["enable-feature"].clone();
    assert_eq!(flags(&plain).await, "");
    assert_eq!(flags(&allowed).await, "promql-experimental-functions,promql-delayed-name-removal");
    let words = async |house: &House| {
        let words = house.get("/api/flyball/v1/completion?prefix=limit").await.json()["words"].clone();
        words.as_array().unwrap().len()
    };
    assert_eq!((words(&plain).await, words(&allowed).await), (0, 2));
    // A name that stays until the end can still be matched on.
    for (house, found) in [(&plain, 1), (&allowed, 0)] {
        let now = now_secs(house);
        let lines = format!("a v=1 {now}\nb v=1 {now}\n");
        assert_eq!(house.ask(Role::Sender, "POST", "/write?precision=s", &[], lines).await.status, 204);
        let answer = house.get(&format!("/api/v1/query?query=-a_v%20%2B%20on(__name__)%20-b_v&time={now}")).await.json();
        assert_eq!(answer["data"]["result"].as_array().unwrap().len(), found, "{answer}");
    }
    // What moves a selector is no part of a series.
    assert_eq!(allowed.get("/api/v1/series?match[]=up%20offset%205m").await.status, 400);
}

#[tokio::test]
async fn rules_and_graphs_need_the_flag_too() {
    let plain = House::open().await;
    let allowed = House::with_features(Features::ALL).await;
    let groups = json!([{ "name": "g", "rules": [{ "alert": "A", "expr": "limitk(1, up) > 0" }] }]);
    let rules = "groups:\n  - name: g\n    rules:\n      - { alert: A, expr: 'limitk(1, up) > 0' }\n";
    for (house, status) in [(&plain, 400), (&allowed, 200)] {
        std::fs::write(house.folder.path().join("config/rules/more.yaml"), rules).unwrap();
        let reloaded = house.ask(Role::Admin, "POST", "/-/reload", &[], "").await;
        assert_eq!(reloaded.status.as_u16(), status, "{}", reloaded.text());
        let to = house.app.clock.now();
        let request = json!({ "groups": groups, "from": to - std::time::Duration::from_secs(60), "to": to });
        let tested = house.post_json("/api/flyball/v1/rules/backtest", request).await;
        assert_eq!(tested.status.as_u16(), status, "{}", tested.text());
        if status == 400 {
            let (_, said, place, _) = reloaded.error();
            assert_eq!(place.as_deref(), Some("rules/more.yaml:4:28"), "{said}");
            assert!(said.contains("--enable-feature=promql-experimental-functions"), "{said}");
            assert!(tested.text().contains("--enable-feature=promql-experimental-functions"), "{}", tested.text());
        }
        let ask = json!({ "text": "graph limitk(1, up) now-5m", "via": "cli" });
        assert_eq!(house.post_json("/api/flyball/v1/command", ask).await.status.as_u16(), status);
    }
}

#[tokio::test]
async fn the_newest_samples_for_another_prometheus() {
    let (house, now) = filled().await;
    let lines = format!("alone v=1.5 {now}\nold v=1 {}\nhttp,code=404 requests=1 {}\n", now - 301, now - 2);
    assert_eq!(house.ask(Role::Sender, "POST", "/write?precision=s", &[], lines).await.status, 204);
    // A series that has ended is left out, as one that is older than the lookback.
    let mut ended = model::SampleBatch::new();
    let gone = Labels::new([("__name__", "http_requests"), ("code", "404")]).unwrap();
    ended.push(&gone, model::Time::from_secs(now - 1), model::STALE_NAN);
    house.app.telemetry.ingest(ended, Vec::new()).await.unwrap();
    let uri = "/federate?match[]=http_requests&match[]=%7B__name__%3D~%22.%2B%22%2Chost!%3D%22b%22%7D";
    let answer = house.ask(Role::Viewer, "GET", uri, &[], Body::empty()).await;
    assert_eq!(answer.header(axum::http::header::CONTENT_TYPE), "text/plain; version=0.0.4; charset=utf-8");
    let wanted = format!(
        "# TYPE alone_v untyped\nalone_v{{instance=\"\"}} 1.5 {now}000\n\
         # TYPE http_requests untyped\n\
         http_requests{{code=\"200\",host=\"a\",instance=\"\"}} 100 {now}000\n\
         http_requests{{code=\"500\",host=\"b\",instance=\"\"}} 1 {now}000\n"
    );
    assert_eq!(answer.text(), wanted);
    assert_eq!(house.get("/federate").await.text(), "");
    let wrong = house.get("/federate?match[]=sum(up)").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().starts_with("invalid parameter \"match[]\": a selector is wanted"), "{}", wrong.text());
    // It is read by whoever may query.
    assert_eq!(house.ask(Role::Sender, "GET", uri, &[], Body::empty()).await.status, 403);
    assert_eq!(house.send(request("GET", uri, &[], Body::empty())).await.status, 401);
}

#[tokio::test]
async fn what_targets_say_of_their_metrics() {
    let house = House::open().await;
    let board = house.app.telemetry.targets();
    let said =
        |family: &str, kind| Metadata { family: family.into(), kind, help: format!("What {family} is."), unit: String::new() };
    let target = |instance: &str, known: &[Metadata]| {
        let labels = Labels::new([("instance", instance), ("job", "a")]).unwrap();
        let every = Span::secs(1);
        let active =
            Active::new(Target { discovered: Labels::empty(), labels, url: String::new(), interval: every, timeout: every });
        active.describe(board.share(known));
        Arc::new(active)
    };
    let (load, jobs) = (said("load", MetricKind::Gauge), said("jobs", MetricKind::Unknown));
    let active = vec![target("x", &[load.clone(), jobs]), target("y", &[load]), target("z", &[])];
    board.put("a", Pool { active, ..Pool::default() });
    let data = async |asked: &str| house.get(&format!("/api/v1/targets/metadata?{asked}")).await.json()["data"].clone();
    let load = |instance: &str| json!({ "target": { "instance": instance, "job": "a" }, "type": "gauge", "help": "What load is.", "unit": "" });
    assert_eq!(data("metric=load").await, json!([load("x"), load("y")]));
    assert_eq!(data("metric=load&limit=1").await, json!([load("x")]));
    assert_eq!(data("metric=load&match_target=%7Binstance%3D~%22y%7Cz%22%7D").await, json!([load("y")]));
    assert_eq!(data("metric=none").await, json!([]));
    let all = data("match_target=%7Binstance%3D%22x%22%7D").await;
    let named: Vec<_> =
        all.as_array().unwrap().iter().map(|row| (row["metric"].as_str().unwrap(), row["type"].as_str().unwrap())).collect();
    assert_eq!(named, [("jobs", "unknown"), ("load", "gauge")]);
    let wrong = house.get("/api/v1/targets/metadata?match_target=sum(up)").await;
    assert_eq!((wrong.status.as_u16(), wrong.json()["errorType"].as_str()), (400, Some("bad_data")));
    assert!(wrong.text().contains("match_target"), "{}", wrong.text());
}
