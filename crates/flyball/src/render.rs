//! Answers as a terminal shows them: sentences and tables. `writeln!`, because a closed pipe is no reason to panic.

use std::io::{IsTerminal as _, Write as _};

use model::api::{Answer, AnswerPart, IncidentRow, OrderRow, PictureSeries, ServerRow};
use model::signal::ServiceState;
use model::{AlertState, Language, Outcome};
use serde_json::Value;

use crate::exit::Failure;

/// Writes a line to standard output.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Writes why a command ended to standard error.
pub fn complain(failure: &Failure) {
    let _ = writeln!(std::io::stderr().lock(), "flyball: {failure}");
}

/// Writes what goes on to standard error, so that standard output holds the answer alone.
pub fn mention(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Asks for a yes on the terminal; without a terminal the answer is no.
pub fn ask(what: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        mention(&format!("{what}\nnobody is here to confirm it"));
        return false;
    }
    let _ = write!(std::io::stderr().lock(), "{what}\nDo it? [y/N] ");
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
    matches!(line.trim(), "y" | "Y" | "yes")
}

/// A table with aligned columns; wide characters count as two.
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let clean: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let mut widths: Vec<usize> = heads.iter().map(|head| width(head)).collect();
    for row in &clean {
        for (place, cell) in row.iter().enumerate().take(widths.len()) {
            widths[place] = widths[place].max(width(cell));
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut out = String::new();
        for (place, cell) in cells.enumerate() {
            if place > 0 {
                out.push_str("  ");
            }
            out.push_str(cell);
            out.push_str(&" ".repeat(widths.get(place).copied().unwrap_or(0).saturating_sub(width(cell))));
        }
        out.trim_end().to_owned()
    };
    let mut out = line(&mut heads.iter().copied());
    for row in &clean {
        out.push('\n');
        out.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    out
}

/// Text from outside without what a terminal would take as a command.
fn plain(text: &str) -> String {
    let direction = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || direction(c) { '\u{fffd}' } else { c }).collect()
}

fn width(text: &str) -> usize {
    text.chars().map(|c| if matches!(c as u32, 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe4f | 0xff00..=0xff60) { 2 } else { 1 }).sum()
}

/// An answer in full.
pub fn answer(answer: &Answer, language: Language) -> String {
    let mut blocks = vec![plain(&answer.text.render(language))];
    match &answer.outcome {
        Some(Outcome::Accepted { text, order, incident }) => {
            let said = plain(&text.render(language));
            if said != blocks[0] {
                blocks.push(said);
            }
            if let Some(order) = order {
                blocks.push(format!("order {order}"));
            }
            if let Some(incident) = incident {
                blocks.push(format!("incident {incident}"));
            }
        }
        Some(Outcome::Refused(refusal)) => blocks.push(plain(&refusal.text.render(language))),
        None => {}
    }
    blocks.extend(answer.parts.iter().map(|part| show(part, language)));
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n")
}

fn show(part: &AnswerPart, language: Language) -> String {
    match part {
        AnswerPart::Table { heads, rows } => {
            let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
            let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| cell.text.clone()).collect()).collect();
            table(&heads, &rows)
        }
        AnswerPart::Servers { service, environment, wanted, up, of, servers } => {
            let head = format!("{service} in {environment}: wanted {wanted}, up {up} of {of}");
            format!("{head}\n{}", server_table(servers))
        }
        AnswerPart::Log { lines } => lines
            .iter()
            .map(|line| format!("{} {} {} {}", line.at.clock(), line.host, line.service, plain(&line.text)))
            .collect::<Vec<_>>()
            .join("\n"),
        AnswerPart::Picture { series, .. } => series.iter().take(20).map(spark).collect::<Vec<_>>().join("\n"),
        AnswerPart::Incidents { incidents } => {
            let rows: Vec<Vec<String>> = incidents.iter().map(|incident| incident_row(incident, language)).collect();
            if rows.is_empty() {
                "no incident".into()
            } else {
                table(&["number", "priority", "state", "since", "title", "suspect", "owner"], &rows)
            }
        }
        AnswerPart::Changes { changes } => {
            let rows: Vec<Vec<String>> = changes
                .iter()
                .map(|row| {
                    let change = &row.change;
                    vec![row.received_at.to_string(), change.what.render(language), change.author.clone().unwrap_or_default()]
                })
                .collect();
            if rows.is_empty() { "no change".into() } else { table(&["when", "what", "who"], &rows) }
        }
        AnswerPart::Orders { orders } => {
            let rows: Vec<Vec<String>> = orders.iter().map(|order| order_row(order, language)).collect();
            if rows.is_empty() {
                "no order".into()
            } else {
                table(&["number", "service", "environment", "to", "state", "servers", "author", ""], &rows)
            }
        }
        AnswerPart::Help { verbs } => {
            let rows: Vec<Vec<String>> = verbs.iter().map(|verb| vec![verb.usage.clone(), verb.text.render(language)]).collect();
            table(&["", ""], &rows).trim_start().to_owned()
        }
    }
}

fn server_table(servers: &[ServerRow]) -> String {
    let rows: Vec<Vec<String>> = servers
        .iter()
        .map(|server| {
            vec![
                server.host.to_string(),
                server.address.clone(),
                state_word(server).into(),
                server.since.map_or(String::new(), |since| since.to_string()),
                server.release.as_ref().map_or("none".into(), |release| release.version.clone()),
                server.balancer.clone().unwrap_or_default(),
                server.cpu_cores.map_or("no data".into(), |cores| format!("{:.1} %", cores * 100.0)),
                memory(server),
                server.disk_share.map_or("no data".into(), |share| format!("{:.0} %", share * 100.0)),
            ]
        })
        .collect();
    table(&["server", "address", "state", "since", "release", "balancer", "cpu", "memory", "disk"], &rows)
}

fn state_word(server: &ServerRow) -> &'static str {
    match (server.host_up, server.state) {
        (false, _) => "source down",
        (true, Some(ServiceState::Running)) => "up",
        (true, Some(ServiceState::Starting)) => "starting",
        (true, Some(ServiceState::Stopping)) => "stopping",
        (true, Some(ServiceState::Stopped)) => "stopped",
        (true, Some(ServiceState::Crashed)) => "crashed",
        (true, None) => "no data",
    }
}

fn memory(server: &ServerRow) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    match (server.memory_bytes, server.memory_limit_bytes) {
        (Some(used), Some(limit)) => format!("{:.0} of {:.0} MiB", used / MIB, limit / MIB),
        (Some(used), None) => format!("{:.0} MiB", used / MIB),
        _ => "no data".into(),
    }
}

fn incident_row(incident: &IncidentRow, language: Language) -> Vec<String> {
    let state = match (incident.state, incident.recovered_at) {
        (model::incident::IncidentState::Resolved, _) => "resolved",
        (_, Some(_)) => "recovered",
        (model::incident::IncidentState::Acknowledged, None) => "acknowledged",
        (model::incident::IncidentState::Open, None) => "open",
    };
    vec![
        incident.number.to_string(),
        incident.priority.to_string(),
        state.into(),
        incident.onset.to_string(),
        incident.title.render(language),
        incident.suspect.as_ref().map_or(String::new(), |suspect| suspect.render(language)),
        incident.owner.clone().unwrap_or_default(),
    ]
}

fn order_row(order: &OrderRow, language: Language) -> Vec<String> {
    vec![
        order.number.to_string(),
        order.service.to_string(),
        order.environment.to_string(),
        order.to.clone(),
        order.state.word().into(),
        format!("{} of {}", order.hosts_done, order.hosts),
        order.author.clone(),
        order.because.as_ref().map_or(String::new(), |because| because.render(language)),
    ]
}

/// A series as one line: least, a spark line, most, last.
fn spark(series: &PictureSeries) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let known: Vec<f64> = series.values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
    let (low, high) =
        known.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    let Some(last) = known.last() else { return format!("{}  no data", plain(&series.labels.to_string())) };
    let every = series.values.len().div_ceil(60).max(1);
    let line: String = series
        .values
        .chunks(every)
        .map(|part| match part.iter().flatten().copied().filter(|value| value.is_finite()).reduce(f64::max) {
            Some(value) if high > low => BARS[((value - low) / (high - low) * 7.0).round() as usize],
            Some(_) => BARS[3],
            None => ' ',
        })
        .collect();
    format!("{}\n  {line}  min {low:.4} max {high:.4} last {last:.4}", plain(&series.labels.to_string()))
}

/// Prometheus' answer as lines.
pub fn query(answer: &Value) -> String {
    let data = &answer["data"];
    let value = |pair: &Value| pair[1].as_str().unwrap_or_default().to_owned();
    if data["resultType"] == "scalar" || data["resultType"] == "string" {
        return value(&data["result"]);
    }
    let rows = data["result"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let labels: std::collections::BTreeMap<String, String> =
                serde_json::from_value(row["metric"].clone()).unwrap_or_default();
            let name = model::Labels::new(labels).map(|labels| labels.to_string()).unwrap_or_default();
            match row["values"].as_array() {
                Some(values) => {
                    let series = PictureSeries {
                        labels: model::Labels::empty(),
                        times: values.iter().filter_map(|pair| pair[0].as_f64()).collect(),
                        values: values.iter().map(|pair| value(pair).parse().ok()).collect(),
                    };
                    format!("{}{}", plain(&name), spark(&series).trim_start_matches("{}"))
                }
                None => format!("{}  {}", plain(&name), value(&row["value"])),
            }
        })
        .collect();
    if lines.is_empty() { "no data".into() } else { lines.join("\n") }
}

/// A state as a word.
pub fn state(state: AlertState) -> &'static str {
    match state {
        AlertState::Ok => "ok",
        AlertState::Bad => "bad",
        AlertState::NoData => "no data",
        AlertState::SourceDown => "source down",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_and_hold_no_commands() {
        let rows = vec![vec!["正常".into(), "1".into()], vec!["a\u{1b}[31m".into(), "22".into()]];
        assert_eq!(table(&["state", "n"], &rows), "state   n\n正常    1\na\u{fffd}[31m  22");
    }

    #[test]
    fn queries_as_lines() {
        let answer = serde_json::json!({"data": {"resultType": "vector", "result": [{"metric": {"__name__": "up", "job": "a"}, "value": [1, "1"]}]}});
        assert_eq!(query(&answer), "up{job=\"a\"}  1");
        assert_eq!(query(&serde_json::json!({"data": {"resultType": "vector", "result": []}})), "no data");
    }
}
