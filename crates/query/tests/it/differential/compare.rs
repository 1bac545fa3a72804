//! Answers side by side.

use std::collections::BTreeMap;

use query::Value;

use super::generate::Question;

/// An answer with times in milliseconds and labels in one order, to be compared.
#[derive(Debug)]
pub enum Answer {
    Scalar(f64),
    /// In the order of the answer.
    Vector(Vec<(Who, f64)>),
    Matrix(BTreeMap<Who, Vec<(i64, f64)>>),
}

type Who = BTreeMap<String, String>;

impl Answer {
    pub fn is_empty(&self) -> bool {
        match self {
            Answer::Scalar(_) => false,
            Answer::Vector(rows) => rows.is_empty(),
            Answer::Matrix(rows) => rows.is_empty(),
        }
    }

    pub fn of(value: Value) -> Answer {
        let who = |labels: &model::Labels| labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        match value {
            Value::Scalar { value, .. } => Answer::Scalar(value),
            Value::String(_) => panic!("no question is a string"),
            Value::Vector(rows) => Answer::Vector(rows.iter().map(|row| (who(&row.labels), row.value)).collect()),
            Value::Matrix(rows) => {
                let cells = |row: &query::Series| {
                    row.times.iter().zip(&row.values).map(|(time, value)| (time.0 / 1_000, *value)).collect()
                };
                Answer::Matrix(rows.iter().map(|row| (who(&row.labels), cells(row))).collect())
            }
        }
    }

    /// From the `data` of Prometheus' answer.
    pub fn read(data: &serde_json::Value) -> Answer {
        let result = &data["result"];
        let rows = || result.as_array().expect("rows").iter();
        let who = |row: &serde_json::Value| -> Who { serde_json::from_value(row["metric"].clone()).expect("labels") };
        match data["resultType"].as_str() {
            Some("scalar") => Answer::Scalar(cell(result).1),
            Some("vector") => Answer::Vector(rows().map(|row| (who(row), cell(&row["value"]).1)).collect()),
            Some("matrix") => {
                let cells = |row: &serde_json::Value| row["values"].as_array().expect("cells").iter().map(cell).collect();
                Answer::Matrix(rows().map(|row| (who(row), cells(row))).collect())
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A `[seconds, "value"]`.
fn cell(json: &serde_json::Value) -> (i64, f64) {
    let text = json[1].as_str().expect("a value");
    let value = text.trim_start_matches('+').parse().unwrap_or_else(|_| panic!("{text} is no number"));
    ((json[0].as_f64().expect("a time") * 1e3).round() as i64, value)
}

/// How the two differ, if they do.
pub fn difference(question: &Question, ours: Result<Answer, String>, theirs: Result<Answer, String>) -> Option<String> {
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(_), Err(_)) => return None,
        (Ok(_), Err(theirs)) => return Some(format!("only they refuse it: {theirs}")),
        (Err(ours), Ok(_)) => return Some(format!("only we refuse it: {ours}")),
    };
    let same = |ours: f64, theirs: f64| same(ours, theirs, question.loose);
    match (&ours, &theirs) {
        (Answer::Scalar(a), Answer::Scalar(b)) if same(*a, *b) => None,
        (Answer::Vector(a), Answer::Vector(b)) => {
            if question.ordered
                && a.len() == b.len()
                && let Some((a, b)) = a.iter().zip(b).find(|((_, a), (_, b))| !same(*a, *b))
            {
                return Some(format!("ours sorted {a:?}, theirs {b:?}"));
            }
            let rows = |rows: &[(Who, f64)]| rows.iter().map(|(who, value)| (who.clone(), vec![(0, *value)])).collect();
            of_rows(&rows(a), &rows(b), same)
        }
        (Answer::Matrix(a), Answer::Matrix(b)) => of_rows(a, b, same),
        _ => Some(format!("ours {ours:?}, theirs {theirs:?}")),
    }
}

type Rows = BTreeMap<Who, Vec<(i64, f64)>>;

fn of_rows(ours: &Rows, theirs: &Rows, same: impl Fn(f64, f64) -> bool) -> Option<String> {
    let only = |some: &Rows, others: &Rows| some.keys().find(|who| !others.contains_key(*who)).cloned();
    if let Some(who) = only(ours, theirs) {
        return Some(format!("only we have {who:?}: {:?}", &ours[&who][..ours[&who].len().min(3)]));
    }
    if let Some(who) = only(theirs, ours) {
        return Some(format!("only they have {who:?}: {:?}", &theirs[&who][..theirs[&who].len().min(3)]));
    }
    for (who, a) in ours {
        let b = &theirs[who];
        if a.len() != b.len() {
            return Some(format!("{who:?}: we have {} cells, they {}", a.len(), b.len()));
        }
        if let Some((a, b)) = a.iter().zip(b).find(|(a, b)| a.0 != b.0 || !same(a.1, b.1)) {
            return Some(format!("{who:?}: ours {a:?}, theirs {b:?}"));
        }
    }
    None
}

/// Equal, or for a loose question equal up to a billionth; NaN equals NaN.
fn same(ours: f64, theirs: f64, loose: bool) -> bool {
    const SHARE: f64 = 1e-9;
    if ours == theirs || ours.is_nan() && theirs.is_nan() {
        return true;
    }
    loose && ours.is_finite() && theirs.is_finite() && (ours - theirs).abs() <= SHARE * ours.abs().max(theirs.abs()).max(1.0)
}
