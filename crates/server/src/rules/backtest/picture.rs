//! A back-test as people see it: a bar per rule for the terminal, and the same as SVG.

use model::backtest::{BacktestReport, BacktestRule};
use model::{Language, Text, Time};

/// From nothing to all of a cell.
const SHADES: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LEFT: usize = 260;
const WIDTH: usize = 720;
const ROW: usize = 26;
/// Characters of a name.
const NAME: usize = 26;

/// The share of each of `cells` equal parts of the time in which any alert of the rule was bad.
fn shares(report: &BacktestReport, rule: &BacktestRule, cells: usize) -> Vec<f64> {
    let (begin, whole) = (report.from.0, (report.to.0 - report.from.0).max(1));
    let mut shares = vec![0.0; cells];
    for spell in &rule.spells {
        let place = |time: Time| (time.0 - begin) as f64 / whole as f64 * cells as f64;
        let (from, to) = (place(spell.from).max(0.0), place(spell.to.unwrap_or(report.to)).min(cells as f64));
        for (cell, share) in shares.iter_mut().enumerate() {
            let covered = to.min(cell as f64 + 1.0) - from.max(cell as f64);
            // What was bad for a moment only is seen, too.
            let least = if spell.from <= report.to && from as usize == cell { 0.01 } else { 0.0 };
            *share = f64::min(1.0, *share + covered.max(least).max(0.0));
        }
    }
    shares
}

/// One character for each part of the time.
pub fn bar(report: &BacktestReport, rule: &BacktestRule, cells: usize) -> String {
    let shade = |share: f64| SHADES[(share * 8.0).ceil().clamp(0.0, 8.0) as usize];
    shares(report, rule, cells).into_iter().map(shade).collect()
}

/// A time to the second.
fn when(time: Time) -> String {
    let text = time.to_string();
    format!("{}Z", text.get(..19).unwrap_or(&text).replace('T', " "))
}

/// All rules that were ever bad, one row each, with their times.
pub fn svg(report: &BacktestReport, language: Language) -> String {
    let said = |id: &str| Text::new(id).render(language);
    let rows: Vec<&BacktestRule> = report.rules.iter().filter(|rule| !rule.spells.is_empty()).collect();
    let height = ROW * (rows.len().max(1) + 2);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"17\" fill=\"#555\">{}</text>\n\
         <text x=\"{}\" y=\"17\" fill=\"#555\" text-anchor=\"end\">{}</text>\n",
        LEFT + WIDTH + 20,
        when(report.from),
        LEFT + WIDTH,
        when(report.to)
    );
    if rows.is_empty() {
        out.push_str(&format!("<text x=\"8\" y=\"{}\">{}</text>\n", ROW + 17, escaped(&said("backtest.never_bad"))));
    }
    for (place, rule) in rows.iter().enumerate() {
        let y = ROW * (place + 1);
        out.push_str(&format!(
            "<text x=\"8\" y=\"{}\">{}<title>{}</title></text>\n\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{WIDTH}\" height=\"16\" fill=\"#eee\"/>\n",
            y + 17,
            escaped(&format!("{} ({})", cut(&rule.name), rule.times)),
            escaped(&rule.name),
            y + 5
        ));
        for spell in &rule.spells {
            let at = |time: Time| {
                let share = (time.0 - report.from.0) as f64 / (report.to.0 - report.from.0).max(1) as f64;
                LEFT as f64 + share.clamp(0.0, 1.0) * WIDTH as f64
            };
            let (from, to) = (at(spell.from), at(spell.to.unwrap_or(report.to)));
            let labels: Vec<String> = spell.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let until = spell.to.map_or_else(|| said("backtest.still_bad"), when);
            out.push_str(&format!(
                "<rect x=\"{:.1}\" y=\"{}\" width=\"{:.1}\" height=\"16\" fill=\"#c92a2a\" fill-opacity=\"0.7\"><title>{}</title></rect>\n",
                from.min((LEFT + WIDTH) as f64 - 1.0),
                y + 5,
                (to - from).max(1.0),
                escaped(&format!("{} .. {until}: {}", when(spell.from), labels.join(", ")))
            ));
        }
    }
    out.push_str("</svg>\n");
    out
}

/// A name as long as there is room beside the bar.
fn cut(name: &str) -> String {
    match name.char_indices().nth(NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// As XML has it; control characters, which XML knows none of, are shown as what they are: nothing to read.
fn escaped(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
