//! Templates as Prometheus fills them, mistakes with their places.

use model::Labels;
use query::testing::MemorySource;

use super::*;

fn outside() -> Outside {
    Outside { labels: Labels::new([("dc", "fra")]).unwrap(), url: "https://fly.example/ball".into(), features: Features::ALL }
}

fn filled(template: &str, value: f64) -> String {
    let labels = Labels::new([("instance", "shop-1.example:9100"), ("mountpoint", "/data"), ("service", "shop")]).unwrap();
    Template::parse(template).unwrap().fill(&Filling { labels: &labels, value, outside: &outside(), source: None })
}

#[test]
fn templates_as_prometheus_fills_them() {
    let cases = [
        ("plain", 0.0, "plain"),
        ("{{ $labels.service }} on {{$labels.instance}}", 0.0, "shop on shop-1.example:9100"),
        ("{{ $labels.nothing }}!", 0.0, "!"),
        ("{{ $value }}", 0.25, "0.25"),
        ("{{ .Value }} {{ .Labels.service }}", 3.0, "3 shop"),
        ("{{ $value | humanize }}", 1_234_567.0, "1.235M"),
        ("{{ humanize $value }}", 0.000_123, "123u"),
        ("{{ $value | humanize1024 }}B", 1_536.0, "1.5kiB"),
        ("{{ $value | humanizePercentage }}", 0.123_45, "12.35%"),
        ("{{ $value | humanizeDuration }}", 93_784.0, "1d 2h 3m 4s"),
        ("{{ $value | humanizeDuration }}", 0.0042, "4.2ms"),
        ("{{ printf \"%.2f\" $value }} %", 1.005_9, "1.01 %"),
        ("{{ $value | printf \"%.1f of %%\" }}", 12.34, "12.3 of %"),
        ("{{ printf \"%s: %5.1f|%-4d|%04d\" $labels.service $value $value $value }}", 7.5, "shop:   7.5|7   |0007"),
        ("{{ $labels.service | toUpper | printf \"<%s>\" }}", 0.0, "<SHOP>"),
        ("{{ $labels.instance | stripPort }} {{ stripDomain $labels.instance }}", 0.0, "shop-1.example shop-1:9100"),
        ("a {{- /* nothing */ -}} b {{ `raw` }}", 0.0, "ab raw"),
        ("{{ \"a \\\"b\\\" | c\" | title }}", 0.0, "A \"B\" | C"),
        ("{{ $value }}", f64::INFINITY, "+Inf"),
    ];
    for (template, value, expected) in cases {
        assert_eq!(filled(template, value), expected, "{template}");
    }
}

#[test]
fn mistakes_name_their_place() {
    let cases = [
        ("x {{ $value", 2, "without `}}`"),
        ("{{ humanise $value }}", 3, "nearest: humanize"),
        ("{{ if $value }}a", 2, "without its `{{ end }}`"),
        ("a{{ end }}", 0, "without a block"),
        ("{{ else }}", 2, "outside of a block"),
        ("{{ range query \"up\" }}{{ else }}{{ else }}{{ end }}", 2, "without its"),
        ("{{ $a }}", 3, "not known here"),
        ("{{ $a = 1 }}", 2, "make it with :="),
        ("{{ break }}", 2, "outside of a range"),
        ("{{ humanize ($value }}", 2, "`(` without `)`"),
        ("{{ label \"a\" }}", 3, "takes 2 values, 1 are given"),
        ("{{ $value | printf \"%.2f %s\" }}", 12, "2 places, 1 values"),
        ("{{ printf \"%z\" $value }}", 3, "printf knows"),
        ("{{ }}", 2, "nothing stands here"),
        ("{{ \"a }}", 3, "closing quote"),
        ("{{ $value | $labels.a }}", 12, "no function"),
    ];
    for (template, start, text) in cases {
        let error = Template::parse(template).unwrap_err();
        assert_eq!(error.place.start, start, "{template}");
        assert!(error.text.contains(text), "{template}: {}", error.text);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_odd(text in "[{}|$%.\"`a-zü \\\\/*-]{0,40}", value in proptest::num::f64::ANY) {
        for text in [text.clone(), format!("{{{{ printf \"{text}\" $value }}}}"), format!("{{{{ $value | humanize }}}}{text}")] {
            if let Ok(template) = Template::parse(&text) {
                template.fill(&Filling { labels: &Labels::empty(), value, outside: &outside(), source: None });
            }
        }
    }
}

#[test]
fn a_filled_template_stays_short() {
    let labels = Labels::new([("a", "ü".repeat(5_000))]).unwrap();
    let filled = Template::parse("x{{ $labels.a }}").unwrap().fill(&Filling {
        labels: &labels,
        value: 0.0,
        outside: &outside(),
        source: None,
    });
    assert_eq!(filled.len(), FILLED_MAX - 1);
}

#[test]
fn blocks_variables_and_queries() {
    let text = "load 1m\n up{instance=\"b\"} 1\n up{instance=\"a\"} 0\n up{instance=\"c\"} 1\n";
    let source = MemorySource::from_text(text).unwrap();
    let labels = Labels::new([("instance", "a"), ("job", "shop")]).unwrap();
    let filled = |template: &str| {
        let outside = outside();
        let source = Some((&source as &dyn query::source::Source, model::Time(0)));
        Template::parse(template).unwrap().fill(&Filling { labels: &labels, value: 0.25, outside: &outside, source })
    };
    let cases = [
        ("{{ if gt $value 0.2 }}high{{ else if gt $value 0.1 }}some{{ else }}low{{ end }}", "high"),
        ("{{ if eq $labels.job \"db\" \"shop\" }}ours{{ end }}{{ if not $labels.nothing }}!{{ end }}", "ours!"),
        ("{{ with $labels.job }}job {{ . }}{{ end }}{{ with $labels.x }}x{{ else }}no x{{ end }}", "job shopno x"),
        ("{{ $n := 3 }}{{ if true }}{{ $n = 4 }}{{ end }}{{ $n }}", "4"),
        ("{{ range query \"up == 1\" | sortByLabel \"instance\" }}{{ .Labels.instance }}={{ .Value }} {{ end }}", "b=1 c=1 "),
        ("{{ range $i, $row := query \"sort_by_label(up, 'instance')\" }}{{ $i }}{{ $row.Labels.instance }}{{ end }}", "0a1b2c"),
        ("{{ range query \"nothing\" }}x{{ else }}none{{ end }}", "none"),
        (
            "{{ query \"up\" | sortByLabel \"instance\" | first | value }} {{ query \"up{instance='b'}\" | first | label \"instance\" }}",
            "0 b",
        ),
        ("{{ (query \"sum(up)\" | first).Value }}", "2"),
        ("{{ query (printf \"up{instance='%s'}\" $labels.instance) | first | value | humanizePercentage }}", "0%"),
        ("{{ query \"nothing\" | first | value }}", "<error expanding template: first() called on vector with no elements>"),
        ("{{ range $k, $v := $labels }}{{ $k }}:{{ $v }},{{ end }}", "instance:a,job:shop,"),
        (
            "{{ $externalURL }} {{ externalURL }}{{ pathPrefix }} {{ $externalLabels.dc }}{{ .ExternalLabels.dc }}",
            "https://fly.example/ball https://fly.example/ball/ball frafra",
        ),
        ("{{ reReplaceAll \"(s)hop\" \"${1}tore\" $labels.job }} {{ match \"^s.*p$\" $labels.job }}", "store true"),
        ("{{ define \"who\" }}<{{ .job }}>{{ end }}{{ template \"who\" $labels }}", "<shop>"),
        ("{{ len $labels.job }} {{ index $labels \"job\" }} {{ slice $labels.job 1 3 }}", "4 shop ho"),
        ("{{ and $labels.job (or $labels.x \"y\") }} {{ and false (first $labels) }}", "y false"),
        ("{{ graphLink \"a b\" }} {{ parseDuration \"1m30s\" }} {{ 90 | toDuration }}", "/graph?g0.expr=a+b&g0.tab=0 90 1m30s"),
        ("{{ range $i, $r := query \"up\" }}{{ if eq $i 1 }}{{ break }}{{ end }}x{{ end }}", "x"),
        ("{{ \"}}\" }} {{ `{{` }}", "}} {{"),
        ("{{ humanizeTimestamp 0 }}", "1970-01-01 00:00:00 +0000 UTC"),
        ("{{ template \"nothing\" }}", "<error expanding template: no template \"nothing\">"),
        (
            "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
            "<error expanding template: templates call each other without end>",
        ),
    ];
    for (template, expected) in cases {
        assert_eq!(filled(template), expected, "{template}");
    }
}

#[test]
fn what_follows_only_labels_is_known() {
    for (template, expected) in [
        ("{{ $labels.a | toUpper }} {{ .Labels.b }}", true),
        ("{{ $value }}", false),
        ("{{ with $labels.a }}{{ $value }}{{ end }}", false),
        ("{{ .Value }}", false),
        ("{{ query \"up\" }}", false),
        ("{{ printf \"%v\" . }}", false),
    ] {
        assert_eq!(Template::parse(template).unwrap().only_labels(), expected, "{template}");
    }
}

#[test]
fn queries_that_stand_as_they_are_are_known() {
    for (template, expected) in [
        ("{{ query \"up\" | first | value }}", &["up"][..]),
        ("{{ \"up\" | query | len }}", &["up"]),
        (
            "{{ with query \"a\" }}{{ range query \"b\" }}{{ (query \"c\" | first).Value }}{{ end }}{{ else }}{{ query \"d\" }}{{ end }}",
            &["a", "b", "c", "d"],
        ),
        ("{{ if query \"a\" }}{{ else if query \"b\" }}x{{ end }}", &["a", "b"]),
        ("{{ define \"t\" }}{{ query \"a\" }}{{ end }}{{ template \"t\" query \"b\" }}", &["b", "a"]),
        ("{{ query (printf \"up{instance='%s'}\" $labels.instance) | first }} {{ $value }} {{ toUpper \"up\" }}", &[]),
    ] {
        assert_eq!(Template::parse(template).unwrap().queries(), expected, "{template}");
    }
}

#[test]
fn a_query_is_made_of_what_the_server_allows() {
    let mut source = MemorySource::new();
    source.push(&Labels::new([("__name__", "up"), ("instance", "a")]).unwrap(), Time(0), 1.0);
    let filled = |features: &[&str]| {
        let outside = Outside { features: Features::of(features.iter().copied()).unwrap(), ..Outside::default() };
        let source: (&dyn Source, Time) = (&source, Time(0));
        let filling = Filling { labels: &Labels::empty(), value: 0.0, outside: &outside, source: Some(source) };
        Template::parse("{{ query \"limitk(1, up)\" | first | label \"instance\" }}").unwrap().fill(&filling)
    };
    assert_eq!(filled(&["promql-experimental-functions"]), "a");
    assert!(filled(&[]).contains("--enable-feature=promql-experimental-functions"), "{}", filled(&[]));
}
