//! Answers as a terminal shows them: sentences and tables. `writeln!`, because a closed pipe is no reason to panic.

use std::io::{IsTerminal as _, Write as _};

use model::api::{Answer, AnswerPart, IncidentRow, OrderRow, PictureSeries, ServerRow};
use model::signal::ServiceState;
use model::{Language, Outcome};
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

/// Lines of the audit, newest first as they came.
pub fn audit(lines: &[Value]) -> String {
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let outcome = match line["outcome"]["of"] {
                Value::Null => line["outcome"]["is"].as_str().unwrap_or_default().replace('_', " "),
                ref of => of.to_string(),
            };
            let cell = |name: &str| line[name].as_str().map_or_else(|| line[name].to_string(), str::to_owned);
            vec![cell("number"), cell("at"), cell("by"), cell("what"), outcome]
        })
        .collect();
    table(&["line", "at", "who", "what", "outcome"], &rows)
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
    let places = answer.parts.iter().filter(|part| matches!(part, AnswerPart::Servers { .. })).count();
    blocks.extend(answer.parts.iter().map(|part| match part {
        // Of one place the sentence before has said it.
        AnswerPart::Servers { servers, .. } if places == 1 => server_table(servers, language),
        part => show(part, language),
    }));
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n")
}

/// A word of a table in the language; the Chinese ones are those of the glossary.
pub fn word(english: &'static str, language: Language) -> &'static str {
    if language == Language::En {
        return english;
    }
    match english {
        "number" => "编号",
        "priority" => "级别",
        "state" => "状态",
        "since" => "起始",
        "title" => "标题",
        "suspect" => "嫌疑",
        "owner" => "负责人",
        "when" => "时间",
        "what" => "内容",
        "who" => "人",
        "service" => "服务",
        "environment" => "环境",
        "to" => "版本",
        "servers" => "服务器",
        "author" => "作者",
        "server" => "服务器",
        "address" => "地址",
        "release" => "版本",
        "balancer" => "负载均衡",
        "memory" => "内存",
        "disk" => "磁盘",
        "no data" => "无数据",
        "none" => "无",
        "up" => "正常",
        "in" => "在线",
        "out" => "摘除",
        "down" => "异常",
        "starting" => "启动中",
        "stopping" => "停止中",
        "stopped" => "已停止",
        "crashed" => "崩溃",
        "source down" => "失联",
        "open" => "未认领",
        "acknowledged" => "已认领",
        "recovered" => "已恢复",
        "resolved" => "已解决",
        "draft" => "待批准",
        "approved" => "已批准",
        "running" => "执行中",
        "halted" => "已中止",
        "rolling back" => "回滚中",
        "done" => "完成",
        "failed" => "失败",
        "rolled back" => "已回滚",
        "cancelled" => "已取消",
        "no incident" => "没有故障",
        "no change" => "没有变更",
        "no order" => "没有发布单",
        "rule" => "规则",
        "times bad" => "异常次数",
        "bad for" => "异常时长",
        "longest" => "最长",
        "first" => "首次",
        "last" => "末次",
        other => other,
    }
}

/// The heads of a table in the language.
pub fn heads<const N: usize>(words: [&'static str; N], language: Language) -> [&'static str; N] {
    words.map(|english| word(english, language))
}

/// A time for people: to the second.
pub fn when(time: model::Time) -> String {
    let text = time.to_string();
    format!("{}Z", text.get(..19).unwrap_or(&text).replace('T', " "))
}

fn show(part: &AnswerPart, language: Language) -> String {
    match part {
        AnswerPart::Table { heads, rows } => {
            let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
            let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| cell.text.clone()).collect()).collect();
            table(&heads, &rows)
        }
        AnswerPart::Servers { service, environment, wanted, up, of, servers } => {
            let head = match language {
                Language::En => format!("{service} in {environment}: wanted {wanted}, up {up} of {of}"),
                Language::Zh => format!("{environment} 的 {service}：期望 {wanted}，正常 {up}/{of}"),
            };
            format!("{head}\n{}", server_table(servers, language))
        }
        AnswerPart::Log { lines } => lines
            .iter()
            .map(|line| format!("{} {} {} {}", line.at.clock(), line.host, line.service, plain(&line.text)))
            .collect::<Vec<_>>()
            .join("\n"),
        AnswerPart::Picture { svg, series, title, .. } => {
            // A server of the version before gives no title of its own.
            let title = Some(plain(title)).filter(|title| !title.is_empty()).or_else(|| title_of(svg));
            let lines = title.into_iter().chain(series.iter().take(20).map(spark));
            lines.collect::<Vec<_>>().join("\n")
        }
        AnswerPart::Incidents { incidents } => {
            let rows: Vec<Vec<String>> = incidents.iter().map(|incident| incident_row(incident, language)).collect();
            if rows.is_empty() {
                word("no incident", language).into()
            } else {
                table(&heads(["number", "priority", "state", "since", "title", "suspect", "owner"], language), &rows)
            }
        }
        AnswerPart::Changes { changes } => {
            let rows: Vec<Vec<String>> = changes
                .iter()
                .map(|row| {
                    let change = &row.change;
                    vec![when(row.received_at), change.what.render(language), change.author.clone().unwrap_or_default()]
                })
                .collect();
            if rows.is_empty() {
                word("no change", language).into()
            } else {
                table(&heads(["when", "what", "who"], language), &rows)
            }
        }
        AnswerPart::Orders { orders } => {
            let rows: Vec<Vec<String>> = orders.iter().map(|order| order_row(order, language)).collect();
            if rows.is_empty() {
                word("no order", language).into()
            } else {
                table(&heads(["number", "service", "environment", "to", "state", "servers", "author", ""], language), &rows)
            }
        }
        AnswerPart::Help { verbs } => {
            let rows: Vec<Vec<String>> = verbs.iter().map(|verb| vec![verb.usage.clone(), verb.text.render(language)]).collect();
            table(&["", ""], &rows).trim_start().to_owned()
        }
    }
}

fn server_table(servers: &[ServerRow], language: Language) -> String {
    let no_data = word("no data", language);
    let rows: Vec<Vec<String>> = servers
        .iter()
        .map(|server| {
            vec![
                server.host.to_string(),
                server.address.clone(),
                word(state_word(server), language).into(),
                server.since.map_or(String::new(), when),
                server.release.as_ref().map_or(word("none", language).into(), |release| release.version.clone()),
                balancer_word(server.balancer.as_deref().unwrap_or_default(), language),
                server.cpu_cores.map_or(no_data.into(), |cores| format!("{:.1} %", cores * 100.0)),
                memory(server).unwrap_or(no_data.into()),
                server.disk_share.map_or(no_data.into(), |share| format!("{:.0} %", share * 100.0)),
            ]
        })
        .collect();
    table(&heads(["server", "address", "state", "since", "release", "balancer", "cpu", "memory", "disk"], language), &rows)
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

/// The balancer's word where it is one of ours, else as it came.
fn balancer_word(said: &str, language: Language) -> String {
    ["in", "out", "down"]
        .into_iter()
        .find(|known| *known == said)
        .map_or(said.to_owned(), |known| word(known, language).to_owned())
}

fn memory(server: &ServerRow) -> Option<String> {
    const MIB: f64 = 1024.0 * 1024.0;
    match (server.memory_bytes, server.memory_limit_bytes) {
        (Some(used), Some(limit)) => Some(format!("{:.0} of {:.0} MiB", used / MIB, limit / MIB)),
        (Some(used), None) => Some(format!("{:.0} MiB", used / MIB)),
        _ => None,
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
        word(state, language).into(),
        when(incident.onset),
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
        word(order.state.word(), language).into(),
        match language {
            Language::En => format!("{} of {}", order.hosts_done, order.hosts),
            Language::Zh => format!("{}/{}", order.hosts_done, order.hosts),
        },
        order.author.clone(),
        order.because.as_ref().map_or(String::new(), |because| because.render(language)),
    ]
}

/// The title of a picture: its first text.
fn title_of(svg: &str) -> Option<String> {
    let (_, rest) = svg.split_once("<title>")?;
    let (title, _) = rest.split_once("</title>")?;
    let plain_text =
        title.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
    Some(plain(&plain_text)).filter(|title| !title.is_empty())
}

/// A series as one line: least, a spark line, most, last.
fn spark(series: &PictureSeries) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let known: Vec<f64> = series.values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
    let (low, high) =
        known.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    let labels = plain(&series.labels.to_string());
    let name = if labels == "{}" { String::new() } else { format!("{labels}\n") };
    let Some(last) = known.last() else { return format!("{name}  no data") };
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
    format!("{name}  {line}  min {low:.4} max {high:.4} last {last:.4}")
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
