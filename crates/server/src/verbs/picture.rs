//! Draws series as a picture for chat and the command line: SVG as text, readable without colour, safe with any label.
//!
//! The page draws its own graphs; this is the same data for where no page is. Texts are escaped, nothing is a script.

use std::fmt::Write as _;

use model::Time;
use model::api::PictureSeries;

/// Width and height of the picture, in pixels.
const SIZE: (f64, f64) = (720.0, 260.0);
/// The plot inside it: left, top, right, bottom.
const PLOT: (f64, f64, f64, f64) = (64.0, 34.0, 704.0, 222.0);
/// Colours of series, the page's s1 to s8 on white.
const COLOURS: [&str; 8] = ["#2657cf", "#b0700a", "#128f8c", "#7b2a66", "#5c6674", "#657718", "#3a8fcc", "#87563a"];
/// More series than this are counted, not drawn.
const SERIES_MAX: usize = 8;

/// About as wide a letter of a flag's name is, in pixels.
const NAME_WIDTH: f64 = 6.5;

/// A change to be marked.
pub struct Flag {
    /// When.
    pub at: Time,
    /// Its short name.
    pub name: String,
}

/// The picture. Times run from `from` to `to`; a missing value is a gap.
pub fn draw(title: &str, series: &[PictureSeries], flags: &[Flag], from: Time, to: Time) -> String {
    let (low, high, step) = scale(series);
    let (left, top, right, bottom) = PLOT;
    let span = (to.secs_f64() - from.secs_f64()).max(1.0);
    let x = |time: f64| left + (time - from.secs_f64()) / span * (right - left);
    let y = |value: f64| bottom - (value - low) / (high - low) * (bottom - top);
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" font-family="Inter, sans-serif" font-size="11"><title>{t}</title><rect width="{w}" height="{h}" fill="#fff"/><text x="12" y="18" font-size="13" font-weight="600" fill="#151a22">{t}</text>"##,
        w = SIZE.0,
        h = SIZE.1,
        t = escape(title)
    );
    let mut tick = low;
    while tick <= high + step / 2.0 {
        let _ = write!(
            out,
            r##"<line x1="{left}" x2="{right}" y1="{0:.1}" y2="{0:.1}" stroke="#e9ecf0"/><text x="{1}" y="{2:.1}" text-anchor="end" fill="#636d7b">{3}</text>"##,
            y(tick),
            left - 6.0,
            y(tick) + 4.0,
            short(tick)
        );
        tick += step;
    }
    for part in 0..=4 {
        let time = from.secs_f64() + span * f64::from(part) / 4.0;
        let _ = write!(
            out,
            r##"<text x="{:.1}" y="{}" text-anchor="middle" fill="#636d7b">{}</text>"##,
            x(time).clamp(left + 20.0, right - 20.0),
            bottom + 16.0,
            Time::from_secs_f64(time).clock()
        );
    }
    let _ = write!(out, r##"<text x="12" y="{}" fill="#636d7b">UTC</text>"##, bottom + 16.0);
    let mut shown: Vec<&Flag> = flags.iter().filter(|flag| flag.at >= from && flag.at <= to).collect();
    shown.sort_by_key(|flag| std::cmp::Reverse(flag.at));
    let mut named: Vec<(f64, f64)> = Vec::new();
    for flag in shown {
        let at = x(flag.at.secs_f64());
        let name = escape(&flag.name);
        let _ = write!(
            out,
            r##"<line x1="{at:.1}" x2="{at:.1}" y1="{top}" y2="{bottom}" stroke="#4a5462" stroke-dasharray="2 3"><title>{name}</title></line>"##
        );
        // Beside its line where there is room, before it at the right edge; what would lie over a newer name stays unnamed.
        let width = flag.name.chars().map(|c| if c.is_ascii() { NAME_WIDTH } else { 2.0 * NAME_WIDTH }).sum::<f64>();
        let (from, to, anchor) =
            if at + 3.0 + width <= SIZE.0 { (at + 3.0, at + 3.0 + width, "start") } else { (at - 3.0 - width, at - 3.0, "end") };
        if named.iter().any(|(left, right)| from < *right && to > *left) {
            continue;
        }
        named.push((from, to));
        let beside = if anchor == "end" { to } else { from };
        let _ = write!(out, r##"<text x="{beside:.1}" y="{}" text-anchor="{anchor}" fill="#151a22">{name}</text>"##, top - 3.0);
    }
    for (place, one) in series.iter().take(SERIES_MAX).enumerate() {
        let dash = if place >= 4 { r#" stroke-dasharray="5 3""# } else { "" };
        let path = path(one, x, y);
        let _ =
            write!(out, r#"<path d="{path}" fill="none" stroke="{}" stroke-width="1.5"{dash}/>"#, COLOURS[place % COLOURS.len()]);
    }
    legend(title, series, &mut out);
    out.push_str("</svg>");
    out
}

/// Lines between neighbours; a value alone is a dot, a gap stays a gap.
fn path(series: &PictureSeries, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut pen_down = false;
    for (time, value) in series.times.iter().zip(&series.values) {
        match value.filter(|value| value.is_finite()) {
            Some(value) => {
                let verb = if pen_down { 'L' } else { 'M' };
                let _ = write!(path, "{verb}{:.1} {:.1}", x(*time), y(value));
                if !pen_down {
                    path.push_str("h0.1");
                }
                pen_down = true;
            }
            None => pen_down = false,
        }
    }
    path
}

/// A series without labels is what the title says.
fn legend(title: &str, series: &[PictureSeries], out: &mut String) {
    let mut at = PLOT.0;
    for (place, one) in series.iter().take(4).enumerate() {
        let name = if one.labels.is_empty() { title.to_owned() } else { one.labels.to_string() };
        let name: String = name.chars().take(34).collect();
        let _ = write!(
            out,
            r##"<line x1="{at:.0}" x2="{:.0}" y1="250" y2="250" stroke="{}" stroke-width="2"/><text x="{:.0}" y="254" fill="#4a5462">{}</text>"##,
            at + 14.0,
            COLOURS[place],
            at + 18.0,
            escape(&name)
        );
        at += 150.0;
    }
    if series.len() > 4 {
        let _ = write!(out, r##"<text x="{at:.0}" y="254" fill="#636d7b">{} more</text>"##, series.len() - 4);
    }
}

/// Lowest and highest tick and the step between: 1, 2 or 5 times a power of ten. Zero is shown where all is positive.
fn scale(series: &[PictureSeries]) -> (f64, f64, f64) {
    let values = series.iter().flat_map(|one| &one.values).flatten().copied().filter(|value| value.is_finite());
    let (mut low, mut high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        (low, high) = (0.0, 1.0);
    }
    if low > 0.0 && (low < high / 2.0 || low == high) {
        low = 0.0;
    }
    if high - low <= f64::EPSILON * high.abs() {
        high = low + 1.0;
    }
    let rough = (high - low) / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(power * 10.0);
    ((low / step).floor() * step, (high / step).ceil() * step, step)
}

fn short(value: f64) -> String {
    let (value, unit) = match value.abs() {
        big if big >= 1e9 => (value / 1e9, "G"),
        big if big >= 1e6 => (value / 1e6, "M"),
        big if big >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{value:.3}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;

    fn series(values: &[Option<f64>]) -> PictureSeries {
        let times = (0..values.len()).map(|step| step as f64 * 10.0).collect();
        PictureSeries { labels: Labels::new([("a", "<b>\"")]).unwrap(), times, values: values.to_vec() }
    }

    #[test]
    fn gaps_stay_gaps_and_labels_stay_text() {
        let flags = [Flag { at: Time::from_secs(10), name: "shop <4.12.0>".into() }];
        let svg = draw(
            "a < b",
            &[series(&[Some(1.0), Some(2.0), None, Some(4.0), Some(f64::NAN)])],
            &flags,
            Time(0),
            Time::from_secs(40),
        );
        assert_eq!(svg.matches('M').count(), 2, "{svg}");
        assert!(!svg.contains("<b>") && svg.contains("shop &lt;4.12.0&gt;") && svg.contains("<title>a &lt; b</title>"), "{svg}");
    }

    #[test]
    fn names_of_flags_lie_beside_each_other_and_inside() {
        let flag = |at: i64, name: &str| Flag { at: Time::from_secs(at), name: name.into() };
        let flags = [flag(10, "first change"), flag(39, "the last of them all"), flag(38, "hidden behind it")];
        let svg = draw("a", &[series(&[Some(1.0), Some(2.0)])], &flags, Time(0), Time::from_secs(40));
        assert!(svg.contains(r##"text-anchor="start" fill="#151a22">first change</text>"##), "{svg}");
        assert!(svg.contains(r##"text-anchor="end" fill="#151a22">the last of them all</text>"##), "{svg}");
        assert!(svg.contains("<title>hidden behind it</title>") && !svg.contains(">hidden behind it</text>"), "{svg}");
    }

    #[test]
    fn scales_have_round_steps() {
        for (values, expected) in [
            (vec![0.0, 9.7], (0.0, 10.0, 5.0)),
            (vec![100.0, 103.0], (100.0, 103.0, 1.0)),
            (vec![5.0], (0.0, 6.0, 2.0)),
            (vec![], (0.0, 1.0, 0.5)),
        ] {
            let series = series(&values.into_iter().map(Some).collect::<Vec<_>>());
            assert_eq!(scale(&[series]), expected);
        }
        assert_eq!([short(0.5), short(12_391.0), short(2e9)], ["0.5", "12.391k", "2G"]);
    }
}
