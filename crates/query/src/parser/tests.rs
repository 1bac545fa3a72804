//! Tables for the parser: what it reads, how it prints, what it refuses and in which words.

use super::*;

/// The canonical form, and that it parses to itself.
fn canonical(query: &str) -> String {
    let printed = parse(query).unwrap_or_else(|error| panic!("{query}: {error}")).to_string();
    let again = parse(&printed).unwrap_or_else(|error| panic!("{query} -> {printed}: {error}")).to_string();
    assert_eq!(printed, again, "{query}");
    printed
}

#[test]
fn what_prometheus_reads() {
    for (query, printed) in [
        ("1", "1"),
        ("0x1F + 1_000 + .5", "31 + 1000 + 0.5"),
        ("-Inf", "-Inf"),
        ("NaN ", "NaN"),
        ("5m", "5m"),
        ("1h30m + 1", "1h30m + 1"),
        ("-2 ^ 2", "-2 ^ 2"),
        ("2 ^ 3 ^ 2", "2 ^ 3 ^ 2"),
        ("1 + 2 * 3 - (4)", "1 + 2 * 3 - (4)"),
        ("\"a\\\"b\"", "\"a\\\"b\""),
        ("'a\"b'", "\"a\\\"b\""),
        ("`a\\b`", "\"a\\\\b\""),
        ("up", "up"),
        ("job:up:rate5m", "job:up:rate5m"),
        (":x:", ":x:"),
        ("up{}", "up"),
        ("up{job='shop',instance!~\".*:90\",}", "up{job=\"shop\", instance!~\".*:90\"}"),
        ("{\"http.requests\", \"service.name\"=\"shop\"}", "{__name__=\"http.requests\", \"service.name\"=\"shop\"}"),
        ("{__name__=~\"a.+\"}", "{__name__=~\"a.+\"}"),
        ("up offset -5m", "up offset -5m"),
        ("up[5m] offset 1w @ 1603775.5", "up[5m] @ 1603775.500 offset 1w"),
        ("up @ start()", "up @ start()"),
        ("rate(up[300])[1h:]", "rate(up[5m])[1h:]"),
        ("max_over_time((up)[1h:5m] offset 3s)", "max_over_time((up)[1h:5m] offset 3s)"),
        ("x[5m * 2 + step()]", "x[5m * 2 + step()]"),
        ("x[max_of(5m, range() / 10):min_of(1m, 2m)]", "x[max_of(5m, range() / 10):min_of(1m, 2m)]"),
        ("x offset (5m + 1m)", "x offset (5m + 1m)"),
        ("x offset -2 ^ 2", "x offset -2s ^ 2"),
        ("a == bool on (x, y) b", "a == bool on (x, y) b"),
        ("a * on (x) group_left (y) b", "a * on (x) group_left (y) b"),
        ("a * ignoring (x) group_right b", "a * ignoring (x) group_right () b"),
        ("a and on () b or c unless d", "a and on () b or c unless d"),
        ("a atan2 b % c", "a atan2 b % c"),
        ("a + fill (0) b", "a + fill (0) b"),
        ("a + fill_left(-1) fill_right (2) b", "a + fill_left (-1) fill_right (2) b"),
        ("sum(a) by (x)", "sum by (x) (a)"),
        ("SUM BY (x, \"y.z\",) (a)", "sum by (x, \"y.z\") (a)"),
        ("sum without () (a)", "sum without () (a)"),
        ("topk(3, a) without (x)", "topk without (x) (3, a)"),
        ("count_values(\"v\", a)", "count_values(\"v\", a)"),
        ("limit_ratio(0.5, limitk(3, a))", "limit_ratio(0.5, limitk(3, a))"),
        ("sum", "sum"),
        ("sum + by + offset{a=\"b\"} + start + fill", "sum + by + offset{a=\"b\"} + start + fill"),
        ("{on=\"x\", bool=\"y\"}", "{on=\"x\", bool=\"y\"}"),
        ("sum by (by, on, bool) (a)", "sum by (by, on, bool) (a)"),
        ("round(a) + round(a, 5)", "round(a) + round(a, 5)"),
        ("label_join(a, \"d\", \",\")", "label_join(a, \"d\", \",\")"),
        ("hour() + hour(a)", "hour() + hour(a)"),
        ("# why\nup # what\n", "up"),
        ("a\n  +\n  b", "a + b"),
        ("-a", "-a"),
        ("+a - -1", "+a - -1"),
        ("-a offset 5m", "-a offset 5m"),
        ("rate(a[5m] anchored)", "rate(a[5m] anchored)"),
        ("a </ 1 >/ 2", "a </ 1 >/ 2"),
        ("start() + end() + step() + range() + max_of(1, 2)", "start() + end() + step() + range() + max_of(1, 2)"),
    ] {
        assert_eq!(canonical(query), printed, "{query}");
    }
}

#[test]
fn operators_group_as_in_prometheus() {
    let shape = |query: &str| {
        fn shape(expr: &Expr) -> String {
            match &expr.kind {
                ExprKind::Binary(binary) => format!("({}{}{})", shape(&binary.lhs), binary.op.text(), shape(&binary.rhs)),
                ExprKind::Unary(unary) => format!("(-{})", shape(&unary.expr)),
                _ => expr.to_string(),
            }
        }
        shape(&parse(query).unwrap())
    };
    for (query, grouped) in [
        ("1-2-3", "((1-2)-3)"),
        ("2^3^4", "(2^(3^4))"),
        ("-2^2", "(-(2^2))"),
        ("-a*b", "((-a)*b)"),
        ("2^-3*4", "((2^-3)*4)"),
        ("a+b*c^d", "(a+(b*(c^d)))"),
        ("a or b and c unless d", "(aor((bandc)unlessd))"),
        ("a > 1 + 2", "(a>(1+2))"),
        ("a > 1 == 2", "((a>1)==2)"),
        ("a % b atan2 c", "((a%b)atan2c)"),
    ] {
        assert_eq!(shape(query), grouped, "{query}");
    }
}

#[test]
fn what_is_refused_and_how() {
    for (query, told) in [
        ("", "1:1: the query is empty"),
        ("rat(x[5m])", "1:1: there is no function `rat`; did you mean `rate`?"),
        ("sun(x)", "1:1: there is no function `sun`; did you mean `sum`?"),
        (
            "rate(x)",
            "1:6: argument 1 of `rate` must be a range vector, this is a instant vector; add a range, like [5m], or a subquery, like [5m:1m]",
        ),
        ("sum(x", "1:6: the query ends where an operator, `,` or `)` was expected; a `(` is not closed"),
        ("x)", "1:2: `)` stands where an operator or the end was expected"),
        ("x offfset 5m", "1:3: `offfset` stands where an operator or the end was expected; did you mean `offset`?"),
        ("x\n+ \"abc", "2:3: the string that begins here does not end; close the quote"),
        ("1 == 1", "1:3: a comparison of two scalars needs `bool`: `== bool`; without it there would be nothing to filter"),
        ("a + bool b", "1:3: `bool` belongs to comparisons only"),
        ("1 and a", "1:1: `and` works on two instant vectors, not on a scalar; use vector(...)"),
        ("a and on (x) group_left b", "1:3: `and` can't have group_left or group_right"),
        ("a + group_left b", "1:5: `group_left` needs `on (...)` or `ignoring (...)` before it"),
        ("a + on (x) group_left (x) b", "1:3: label `x` stands in `on` and in the group at once"),
        ("1 + on (x) a", "1:1: matching labels makes sense between two instant vectors only"),
        ("{}", "1:1: this selector would match every series; name a metric, or give one label a value that is not empty"),
        (
            "{a=~\".*\"}",
            "1:1: this selector would match every series; name a metric, or give one label a value that is not empty",
        ),
        ("a{__name__=\"b\"}", "1:1: the metric's name is set twice: `a` and `b`"),
        ("{\"a\", \"b\"}", "1:7: the metric's name is empty or set twice"),
        ("a{b=c}", "1:5: `c` stands where a quoted value was expected"),
        ("a{b=~\"(\"}", "1:3: `(` is no regular expression: unclosed group"),
        ("a[0]", "1:3: a duration here must be greater than 0"),
        ("a[5m", "1:5: the query ends where `:` or `]` was expected"),
        ("a offset 5m [5m]", "1:13: the range stands before `offset` and `@`, not behind them"),
        ("sum(a)[5m]", "1:7: a range can only stand behind a selector; for an expression write a subquery: [5m:1m]"),
        ("1[5m:1m]", "1:1: what a subquery runs over must be a instant vector, this is a scalar; use vector(...)"),
        (
            "rate(a[5m]) offset 5m",
            "1:13: `offset` can only stand behind a selector, a range or a subquery; put it inside, behind the selector",
        ),
        ("a offset 1m offset 2m", "1:13: `offset` is set twice"),
        ("a @ stat()", "1:5: `stat` stands where a time in seconds, `start()` or `end()` was expected; did you mean `start()`?"),
        ("a @ Inf", "1:5: the time behind `@` is out of range"),
        (
            "5mm",
            "1:1: `5mm` is neither a number nor a duration; write numbers like 1.5e3, 0x1F or 1_000, durations like 1h30m (units y w d h m s ms, largest first)",
        ),
        ("a & b", "1:3: `&` has no meaning here; write `and`"),
        (
            "\"\\q\"",
            "1:2: unknown escape: known are \\a \\b \\f \\n \\r \\t \\v \\\\ \\x41 \\101 \\u00e9 \\U0001f600 and the quote itself",
        ),
        ("-\"a\"", "1:2: a sign can't stand before a string"),
        (
            "a[5m] + 1",
            "1:1: `+` works on scalars and instant vectors, this is a range vector; put it into a function over time, like rate(...)",
        ),
        (
            "clamp(a, 1)",
            "1:1: `clamp` takes 3 arguments, not 2; clamp(v: instant vector, min: scalar, max: scalar) instant vector",
        ),
        ("rate(a[5m],)", "1:12: `)` stands where another argument was expected"),
        ("topk(a)", "1:5: `topk` takes 2 arguments, not 1"),
        ("count_values(5, a)", "1:14: the first argument of `count_values` must be a string, this is a scalar; quote it"),
        ("bool", "1:1: `bool` stands where an expression was expected"),
    ] {
        let told = told.replace("a instant", "an instant");
        assert_eq!(parse(query).map(|expr| expr.to_string()).map_err(|error| error.to_string()), Err(told), "{query}");
    }
}

#[test]
fn deep_and_long_texts_are_refused_without_harm() {
    let cases = [
        "(".repeat(100_000),
        "-".repeat(100_000),
        format!("1{}", "+1".repeat(100_000)),
        "2^".repeat(50_000),
        format!("a[{}1]", "(".repeat(10_000)),
        format!("a[1{}]", "+1".repeat(10_000)),
        "abs(".repeat(50_000),
        " ".repeat(TEXT_MAX + 1),
        format!("a{{{}}}", "b=~\"c.*\",".repeat(PATTERNS_MAX + 1)),
    ];
    for case in &cases {
        let error = parse(case).unwrap_err();
        assert_eq!(error.kind, ParseErrorKind::Limit, "{}", &case[..20]);
    }
    assert!(parse(&format!("1{}", "+1".repeat(150))).is_ok());
}

/// A message stays short, and comes soon, however long the mistake is.
#[test]
fn long_words_make_short_messages() {
    let word = "x".repeat(TEXT_MAX - 20);
    for text in [
        format!("{word}(a)"),
        format!("a {word}"),
        format!("1{word}"),
        format!("a{{b=~\"{word}(\"}}"),
        format!("{word}{{__name__=\"{word}\"}}"),
    ] {
        let Err(error) = parse(&text[..text.len().min(TEXT_MAX)]) else { panic!("{}", shortened(&text)) };
        assert!(error.to_string().len() < 400, "{error}");
    }
}

#[test]
fn spans_name_the_text() {
    let text = "sum by (a) (rate(x{b=\"c\"}[5m] offset 1m)) > 0.5";
    let expr = parse(text).unwrap();
    let ExprKind::Binary(binary) = &expr.kind else { panic!("{expr:?}") };
    assert_eq!(binary.op_span.of(text), ">");
    assert_eq!(binary.rhs.span.of(text), "0.5");
    let ExprKind::Aggregate(sum) = &binary.lhs.kind else { panic!("{expr:?}") };
    assert_eq!(binary.lhs.span.of(text), "sum by (a) (rate(x{b=\"c\"}[5m] offset 1m))");
    let ExprKind::Call(rate) = &sum.expr.kind else { panic!("{expr:?}") };
    assert_eq!(rate.args[0].span.of(text), "x{b=\"c\"}[5m] offset 1m");
    let ExprKind::Matrix(matrix) = &rate.args[0].kind else { panic!("{expr:?}") };
    assert_eq!(matrix.selector.span.of(text), "x{b=\"c\"}");
}
