//! The counters of `show stat`: CSV with a header, as HAProxy 1.8 to 3.x write it; columns are found by their names.
//!
//! As samples they have the names of HAProxy's own Prometheus exporter, so that dashboards and rules made for it fit.

use model::labels::METRIC_NAME;
use model::{SampleBatch, Time};

use super::{ROWS_MAX, RuntimeError};
use crate::report::excerpt;
use crate::text::PairsMemory;

/// What a row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// What clients connect to.
    Frontend,
    /// All servers of a backend.
    Backend,
    /// One server.
    Server,
    /// One socket of a frontend.
    Listener,
}

/// A server's state in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowState {
    /// Takes traffic; also servers that are not checked.
    Up,
    /// Failed its checks.
    Down,
    /// Out by an operator or the configuration.
    Maint,
    /// No new sessions.
    Drain,
    /// Up, but its weight or a rule keeps traffic away.
    NoLb,
}

impl RowState {
    const ALL: [RowState; 5] = [RowState::Down, RowState::Up, RowState::Maint, RowState::Drain, RowState::NoLb];

    /// The word of HAProxy's exporter.
    pub fn word(self) -> &'static str {
        match self {
            RowState::Up => "UP",
            RowState::Down => "DOWN",
            RowState::Maint => "MAINT",
            RowState::Drain => "DRAIN",
            RowState::NoLb => "NOLB",
        }
    }

    /// `UP 1/3`, `MAINT (via a/b)`, `no check`, `OPEN`: the first word decides.
    fn of(status: &str) -> Option<RowState> {
        Some(match status.split([' ', '(']).next()? {
            "UP" | "OPEN" | "no" => RowState::Up,
            "DOWN" | "STOP" | "FULL" => RowState::Down,
            "MAINT" => RowState::Maint,
            "DRAIN" => RowState::Drain,
            "NOLB" => RowState::NoLb,
            _ => return None,
        })
    }
}

/// A row of `show stat`. A counter that this kind of row does not have is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatRow {
    /// `pxname`: the frontend or backend.
    pub proxy: String,
    /// `svname`: the server, or `FRONTEND`, `BACKEND`.
    pub server: String,
    /// What it counts.
    pub kind: RowKind,
    /// `status` as it stands there.
    pub status: String,
    /// `status` as a state.
    pub state: Option<RowState>,
    /// `check_status`: how the last check ended, such as `L7OK`.
    pub check_status: String,
    /// `addr`: address and port, if the socket may show it.
    pub address: String,
    /// `qcur`: requests that wait.
    pub queued: Option<u64>,
    /// `scur`: sessions now.
    pub sessions: Option<u64>,
    /// `stot`: sessions so far.
    pub sessions_total: Option<u64>,
    /// `req_tot`: HTTP requests so far.
    pub requests_total: Option<u64>,
    /// `hrsp_1xx` to `hrsp_5xx` and `hrsp_other`: answers so far.
    pub responses: [Option<u64>; 6],
    /// `econ`: connections that failed.
    pub connect_errors: Option<u64>,
    /// `eresp`: answers that failed.
    pub response_errors: Option<u64>,
    /// `wretr`: connections tried again.
    pub retries: Option<u64>,
    /// `wredis`: requests sent to another server.
    pub redispatches: Option<u64>,
    /// `cli_abrt`: transfers that the client broke off.
    pub client_aborts: Option<u64>,
    /// `srv_abrt`: transfers that the server broke off.
    pub server_aborts: Option<u64>,
    /// `bin`: bytes from clients.
    pub bytes_in: Option<u64>,
    /// `bout`: bytes to clients.
    pub bytes_out: Option<u64>,
    /// `weight`: of a server, or of a backend's servers together.
    pub weight: Option<u64>,
    /// `act`: servers in use.
    pub active: Option<u64>,
    /// `lastchg`: seconds since the state changed.
    pub changed_secs_ago: Option<u64>,
    /// `chkfail`: checks that failed.
    pub check_failures: Option<u64>,
    /// `qtime`: mean of the last 1024, in milliseconds.
    pub queue_ms: Option<u64>,
    /// `ctime`: mean of the last 1024, in milliseconds.
    pub connect_ms: Option<u64>,
    /// `rtime`: mean of the last 1024, in milliseconds.
    pub response_ms: Option<u64>,
    /// `ttime`: mean of the last 1024, in milliseconds.
    pub total_ms: Option<u64>,
}

/// The codes of [`StatRow::responses`], as the exporter writes them.
pub const CODES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];

/// Reads the answer of `show stat`.
pub fn parse(answer: &str) -> Result<Vec<StatRow>, RuntimeError> {
    let bad = |line: usize, reason: String| RuntimeError::Malformed { line: line + 1, reason };
    let mut lines = answer.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let first = lines.next().map_or("", |(_, line)| line);
    let header = first.strip_prefix("# ").ok_or_else(|| RuntimeError::of(first))?;
    let names: Vec<&str> = header.split(',').collect();
    for wanted in ["pxname", "svname", "status", "type"] {
        if !names.contains(&wanted) {
            return Err(bad(0, format!("the column {wanted} is missing")));
        }
    }
    let mut rows = Vec::new();
    let mut cells = Vec::with_capacity(names.len());
    for (line, text) in lines {
        if rows.len() >= ROWS_MAX {
            return Err(bad(line, format!("more than {ROWS_MAX} rows")));
        }
        split_cells(text, &mut cells).map_err(|reason| bad(line, reason.to_owned()))?;
        rows.push(read_row(&names, &cells).map_err(|reason| bad(line, reason))?);
    }
    Ok(rows)
}

fn read_row(names: &[&str], cells: &[String]) -> Result<StatRow, String> {
    let cell = |name: &str| {
        let place = names.iter().position(|have| *have == name);
        place.and_then(|place| cells.get(place)).map_or("", String::as_str)
    };
    let number = |name: &str| match cell(name) {
        "" => Ok(None),
        text => {
            // Some columns are -1 until something has happened.
            let number: i64 = text.parse().map_err(|_| format!("{name}: `{}` is not a number", excerpt(text.as_bytes(), 0)))?;
            Ok::<_, String>(u64::try_from(number).ok())
        }
    };
    let kind = match cell("type") {
        "0" => RowKind::Frontend,
        "1" => RowKind::Backend,
        "2" => RowKind::Server,
        "3" => RowKind::Listener,
        other => return Err(format!("type: `{}` is no kind of row", excerpt(other.as_bytes(), 0))),
    };
    let mut responses = [None; 6];
    for (place, code) in CODES.iter().enumerate() {
        responses[place] = number(&format!("hrsp_{code}"))?;
    }
    Ok(StatRow {
        proxy: cell("pxname").to_owned(),
        server: cell("svname").to_owned(),
        kind,
        status: cell("status").to_owned(),
        state: RowState::of(cell("status")),
        check_status: cell("check_status").trim_start_matches("* ").to_owned(),
        address: cell("addr").to_owned(),
        queued: number("qcur")?,
        sessions: number("scur")?,
        sessions_total: number("stot")?,
        requests_total: number("req_tot")?,
        responses,
        connect_errors: number("econ")?,
        response_errors: number("eresp")?,
        retries: number("wretr")?,
        redispatches: number("wredis")?,
        client_aborts: number("cli_abrt")?,
        server_aborts: number("srv_abrt")?,
        bytes_in: number("bin")?,
        bytes_out: number("bout")?,
        weight: number("weight")?,
        active: number("act")?,
        changed_secs_ago: number("lastchg")?,
        check_failures: number("chkfail")?,
        queue_ms: number("qtime")?,
        connect_ms: number("ctime")?,
        response_ms: number("rtime")?,
        total_ms: number("ttime")?,
    })
}

/// Splits at commas; a cell in quotes may hold commas, and two quotes for one.
fn split_cells(line: &str, cells: &mut Vec<String>) -> Result<(), &'static str> {
    cells.clear();
    let mut rest = line;
    loop {
        let mut cell = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let at = rest.find('"').ok_or("a quote is never closed")?;
                cell.push_str(&rest[..at]);
                rest = &rest[at + 1..];
                match rest.strip_prefix('"') {
                    Some(more) => {
                        cell.push('"');
                        rest = more;
                    }
                    None => break,
                }
            }
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err("something follows a closing quote");
            }
        } else {
            let at = rest.find(',').unwrap_or(rest.len());
            cell.push_str(&rest[..at]);
            rest = &rest[at..];
        }
        cells.push(cell);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok(()),
        }
    }
}

/// Adds the rows as samples, named as HAProxy's exporter names them; `extra` labels go to each. Listeners are left out.
/// Rows whose names are too long for labels are left out too; the answer is how many samples were added.
pub fn to_samples(rows: &[StatRow], extra: &[(&str, &str)], time: Time, out: &mut SampleBatch) -> usize {
    let before = out.len();
    let mut writer = SampleWriter { extra, time, pairs: PairsMemory::default(), name: String::new(), out };
    for row in rows.iter().filter(|row| row.kind != RowKind::Listener) {
        writer.row(row);
    }
    out.len() - before
}

struct SampleWriter<'a> {
    extra: &'a [(&'a str, &'a str)],
    time: Time,
    pairs: PairsMemory,
    name: String,
    out: &'a mut SampleBatch,
}

impl SampleWriter<'_> {
    fn row(&mut self, row: &StatRow) {
        let millis = |value: Option<u64>| value.map(|value| value as f64 / 1_000.0);
        let count = |value: Option<u64>| value.map(|value| value as f64);
        let all = [
            ("current_queue", count(row.queued)),
            ("current_sessions", count(row.sessions)),
            ("sessions_total", count(row.sessions_total)),
            ("http_requests_total", count(row.requests_total).filter(|_| row.kind != RowKind::Server)),
            ("connection_errors_total", count(row.connect_errors)),
            ("response_errors_total", count(row.response_errors)),
            ("retry_warnings_total", count(row.retries)),
            ("redispatch_warnings_total", count(row.redispatches)),
            ("client_aborts_total", count(row.client_aborts)),
            ("server_aborts_total", count(row.server_aborts)),
            ("bytes_in_total", count(row.bytes_in)),
            ("bytes_out_total", count(row.bytes_out)),
            ("weight", count(row.weight)),
            ("active_servers", count(row.active).filter(|_| row.kind == RowKind::Backend)),
            ("check_failures_total", count(row.check_failures).filter(|_| row.kind == RowKind::Server)),
            ("queue_time_average_seconds", millis(row.queue_ms)),
            ("connect_time_average_seconds", millis(row.connect_ms)),
            ("response_time_average_seconds", millis(row.response_ms)),
            ("total_time_average_seconds", millis(row.total_ms)),
        ];
        for (name, value) in all {
            if let Some(value) = value {
                self.push(row, name, None, value);
            }
        }
        for (code, value) in CODES.iter().zip(row.responses) {
            if let Some(value) = value {
                self.push(row, "http_responses_total", Some(("code", code)), value as f64);
            }
        }
        if let Some(state) = row.state {
            let known = if row.kind == RowKind::Server { &RowState::ALL[..] } else { &RowState::ALL[..2] };
            for other in known {
                let value = if *other == state { 1.0 } else { 0.0 };
                self.push(row, "status", Some(("state", other.word())), value);
            }
        }
    }

    fn push(&mut self, row: &StatRow, name: &str, label: Option<(&str, &str)>, value: f64) {
        let kind = match row.kind {
            RowKind::Frontend => "haproxy_frontend_",
            RowKind::Backend => "haproxy_backend_",
            RowKind::Server | RowKind::Listener => "haproxy_server_",
        };
        self.name.clear();
        self.name.push_str(kind);
        self.name.push_str(name);
        let mut pairs = self.pairs.lend();
        pairs.push((METRIC_NAME, self.name.as_str()));
        pairs.extend(self.extra.iter().filter(|(name, _)| !matches!(*name, "proxy" | "server" | "code" | "state")));
        pairs.push(("proxy", row.proxy.as_str()));
        if row.kind == RowKind::Server {
            pairs.push(("server", row.server.as_str()));
        }
        pairs.extend(label);
        if let Ok(series) = self.out.begin(&mut pairs) {
            self.out.push_value(series, self.time, value);
        }
        self.pairs.take_back(pairs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use model::Labels;
    use proptest::prelude::*;
    use std::fmt::Write;

    const HEADER: &str = "# pxname,svname,qcur,scur,stot,bin,bout,econ,eresp,wretr,wredis,status,weight,act,chkfail,lastchg,type,\
        check_status,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,req_tot,cli_abrt,srv_abrt,last_chk,qtime,ctime,rtime,ttime,addr,";

    fn answer() -> String {
        format!(
            "{HEADER}\n\
             in,FRONTEND,,3,900,10,20,,,,,OPEN,,,,,0,,0,890,0,0,10,0,900,,,,,,,,,\n\
             shop,web-1,0,2,450,5,10,1,2,3,4,UP 1/3,1,1,7,47,2,L7OK,0,445,0,0,5,0,450,0,1,\"200, \"\"OK\"\"\",0,1,12,30,127.0.0.11:8080,\n\
             shop,web-2,0,0,0,0,0,0,0,0,0,MAINT (via a/b),1,1,0,5,2,* L4CON,0,0,0,0,0,0,0,0,0,,-1,0,0,0,,\n\
             shop,BACKEND,0,2,450,5,10,1,2,3,4,UP,1,1,,47,1,,0,445,0,0,5,0,450,0,1,,0,1,12,30,,\n\
             in,sock-1,,0,0,0,0,,,,,OPEN,,,,,3,,,,,,,,,,,,,,,,,\n\n"
        )
    }

    #[test]
    fn rows_by_name() {
        let rows = parse(&answer()).unwrap();
        assert_eq!(rows.len(), 5);
        let web = &rows[1];
        assert_eq!(
            (web.proxy.as_str(), web.server.as_str(), web.kind, web.state),
            ("shop", "web-1", RowKind::Server, Some(RowState::Up))
        );
        assert_eq!((web.responses[4], web.response_ms, web.changed_secs_ago), (Some(5), Some(12), Some(47)));
        assert_eq!((web.address.as_str(), web.check_status.as_str(), web.retries), ("127.0.0.11:8080", "L7OK", Some(3)));
        assert_eq!((rows[2].state, rows[2].queue_ms, rows[2].check_status.as_str()), (Some(RowState::Maint), None, "L4CON"));
        assert_eq!((rows[0].kind, rows[0].connect_errors, rows[4].kind), (RowKind::Frontend, None, RowKind::Listener));
    }

    #[test]
    fn states() {
        for (status, state) in [
            ("UP", Some(RowState::Up)),
            ("no check", Some(RowState::Up)),
            ("DOWN 1/2", Some(RowState::Down)),
            ("DOWN (agent)", Some(RowState::Down)),
            ("DRAIN", Some(RowState::Drain)),
            ("NOLB", Some(RowState::NoLb)),
            ("MAINT(via)", Some(RowState::Maint)),
            ("", None),
            ("new", None),
        ] {
            assert_eq!(RowState::of(status), state, "{status}");
        }
    }

    #[test]
    fn samples_named_as_the_exporter_names_them() {
        let rows = parse(&answer()).unwrap();
        let mut batch = SampleBatch::new();
        let count = to_samples(&rows[..2], &[("balancer", "edge"), ("server", "forged")], Time(7), &mut batch);
        assert_eq!(count, batch.len());
        let mut text = String::new();
        for (key, sample) in batch.iter() {
            let _ = writeln!(text, "{} {}", Labels::from_key(key).unwrap(), sample.value);
        }
        expect![[r#"
            haproxy_frontend_current_sessions{balancer="edge", proxy="in"} 3
            haproxy_frontend_sessions_total{balancer="edge", proxy="in"} 900
            haproxy_frontend_http_requests_total{balancer="edge", proxy="in"} 900
            haproxy_frontend_bytes_in_total{balancer="edge", proxy="in"} 10
            haproxy_frontend_bytes_out_total{balancer="edge", proxy="in"} 20
            haproxy_frontend_http_responses_total{balancer="edge", code="1xx", proxy="in"} 0
            haproxy_frontend_http_responses_total{balancer="edge", code="2xx", proxy="in"} 890
            haproxy_frontend_http_responses_total{balancer="edge", code="3xx", proxy="in"} 0
            haproxy_frontend_http_responses_total{balancer="edge", code="4xx", proxy="in"} 0
            haproxy_frontend_http_responses_total{balancer="edge", code="5xx", proxy="in"} 10
            haproxy_frontend_http_responses_total{balancer="edge", code="other", proxy="in"} 0
            haproxy_frontend_status{balancer="edge", proxy="in", state="DOWN"} 0
            haproxy_frontend_status{balancer="edge", proxy="in", state="UP"} 1
            haproxy_server_current_queue{balancer="edge", proxy="shop", server="web-1"} 0
            haproxy_server_current_sessions{balancer="edge", proxy="shop", server="web-1"} 2
            haproxy_server_sessions_total{balancer="edge", proxy="shop", server="web-1"} 450
            haproxy_server_connection_errors_total{balancer="edge", proxy="shop", server="web-1"} 1
            haproxy_server_response_errors_total{balancer="edge", proxy="shop", server="web-1"} 2
            haproxy_server_retry_warnings_total{balancer="edge", proxy="shop", server="web-1"} 3
            haproxy_server_redispatch_warnings_total{balancer="edge", proxy="shop", server="web-1"} 4
            haproxy_server_client_aborts_total{balancer="edge", proxy="shop", server="web-1"} 0
            haproxy_server_server_aborts_total{balancer="edge", proxy="shop", server="web-1"} 1
            haproxy_server_bytes_in_total{balancer="edge", proxy="shop", server="web-1"} 5
            haproxy_server_bytes_out_total{balancer="edge", proxy="shop", server="web-1"} 10
            haproxy_server_weight{balancer="edge", proxy="shop", server="web-1"} 1
            haproxy_server_check_failures_total{balancer="edge", proxy="shop", server="web-1"} 7
            haproxy_server_queue_time_average_seconds{balancer="edge", proxy="shop", server="web-1"} 0
            haproxy_server_connect_time_average_seconds{balancer="edge", proxy="shop", server="web-1"} 0.001
            haproxy_server_response_time_average_seconds{balancer="edge", proxy="shop", server="web-1"} 0.012
            haproxy_server_total_time_average_seconds{balancer="edge", proxy="shop", server="web-1"} 0.03
            haproxy_server_http_responses_total{balancer="edge", code="1xx", proxy="shop", server="web-1"} 0
            haproxy_server_http_responses_total{balancer="edge", code="2xx", proxy="shop", server="web-1"} 445
            haproxy_server_http_responses_total{balancer="edge", code="3xx", proxy="shop", server="web-1"} 0
            haproxy_server_http_responses_total{balancer="edge", code="4xx", proxy="shop", server="web-1"} 0
            haproxy_server_http_responses_total{balancer="edge", code="5xx", proxy="shop", server="web-1"} 5
            haproxy_server_http_responses_total{balancer="edge", code="other", proxy="shop", server="web-1"} 0
            haproxy_server_status{balancer="edge", proxy="shop", server="web-1", state="DOWN"} 0
            haproxy_server_status{balancer="edge", proxy="shop", server="web-1", state="UP"} 1
            haproxy_server_status{balancer="edge", proxy="shop", server="web-1", state="MAINT"} 0
            haproxy_server_status{balancer="edge", proxy="shop", server="web-1", state="DRAIN"} 0
            haproxy_server_status{balancer="edge", proxy="shop", server="web-1", state="NOLB"} 0
        "#]]
        .assert_eq(&text);
        let mut batch = SampleBatch::new();
        to_samples(&rows[3..], &[], Time(7), &mut batch);
        assert!(batch.iter().all(|(key, _)| Labels::from_key(key).unwrap().metric().starts_with("haproxy_backend_")));
    }

    #[test]
    fn bad_tables_name_the_line() {
        for (answer, said) in [
            (String::new(), "HAProxy answered: nothing"),
            ("Permission denied\n".into(), "HAProxy refuses: Permission denied; the stats socket needs `level admin`"),
            ("# pxname,svname,type\n".into(), "read HAProxy's answer, line 1: the column status is missing"),
            (answer().replace("web-1,0,2", "web-1,0,x"), "read HAProxy's answer, line 3: scur: `x` is not a number"),
            (answer().replace("\"200", "\"200\"x"), "read HAProxy's answer, line 3: something follows a closing quote"),
            (format!("{HEADER}\na,\"b\n"), "read HAProxy's answer, line 2: a quote is never closed"),
            (format!("{HEADER}\na,b\n"), "read HAProxy's answer, line 2: type: `` is no kind of row"),
        ] {
            assert_eq!(parse(&answer).unwrap_err().to_string(), said);
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(answer in "(# pxname,svname,status,type,qcur\n)?([a-z0-9,\"\n -]{0,80})", cut in 0usize..900) {
            let _ = parse(&answer);
            let whole = super::tests::answer();
            if let Ok(rows) = parse(&whole[..cut.min(whole.len())]) {
                let mut batch = SampleBatch::new();
                prop_assert_eq!(to_samples(&rows, &[], Time(1), &mut batch), batch.len());
            }
        }
    }
}
