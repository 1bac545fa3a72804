//! Function calls: sends each to its place, and does those that look at one value at a time.

use model::{Labels, Time};

use super::table::{Data, Table};
use super::{Evaluator, Grid, arithmetic};
use crate::ast::{Call, Span, ValueType};
use crate::error::EvalError;

/// Functions whose value moves with the clock though their arguments stand still.
pub(super) fn asks_the_clock(name: &str) -> bool {
    let dates = ["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"];
    matches!(name, "time" | "predict_linear" | "timestamp") || dates.contains(&name)
}

impl Evaluator<'_> {
    pub fn call(&mut self, call: &Call, span: Span, grid: Grid) -> Result<Data, EvalError> {
        let name = call.function.name;
        if call.args.iter().any(|arg| arg.value_type() == ValueType::Matrix) {
            return self.over_time(call, span, grid);
        }
        if let Some(convert) = plain_function(name) {
            return self.each_value(call, span, grid, convert);
        }
        if let Some(part) = date_part(name) {
            if call.args.is_empty() {
                let values = (0..grid.count).map(|step| part(grid.time(step).div_euclid(1_000_000))).collect();
                return Ok(Data::Vector(one_row(values)));
            }
            return self.each_value(call, span, grid, move |value| if value.is_finite() { part(value as i64) } else { f64::NAN });
        }
        let scalar = |values: Vec<f64>| Ok(Data::Scalar(values));
        match name {
            "time" => scalar((0..grid.count).map(|step| Time(grid.time(step)).secs_f64()).collect()),
            "pi" => scalar(vec![std::f64::consts::PI; grid.count]),
            "start" => scalar(vec![Time(self.query.start).secs_f64(); grid.count]),
            "end" => scalar(vec![self.params.end.secs_f64(); grid.count]),
            "step" => scalar(vec![self.context.step; grid.count]),
            "range" => scalar(vec![self.context.range; grid.count]),
            "min_of" | "max_of" => {
                let (mut a, b) = (self.scalar(&call.args[0], grid)?, self.scalar(&call.args[1], grid)?);
                let pick = if name == "max_of" { arithmetic::larger } else { arithmetic::smaller };
                a.iter_mut().zip(&b).for_each(|(a, b)| *a = pick(*a, *b));
                scalar(a)
            }
            "scalar" => {
                let table = self.vector(&call.args[0], grid)?;
                scalar(only_values(&table))
            }
            "vector" => Ok(Data::Vector(one_row(self.scalar(&call.args[0], grid)?))),
            "timestamp" => self.timestamps(&call.args[0], span, grid),
            "absent" => {
                let found = self.vector(&call.args[0], grid)?;
                Ok(Data::Vector(super::labels::absent(&call.args[0], &found)))
            }
            "clamp" | "clamp_min" | "clamp_max" => self.clamp(call, span, grid),
            "round" => self.round(call, span, grid),
            "label_replace" => self.label_replace(call, span, grid),
            "label_join" => self.label_join(call, span, grid),
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => self.sort(call, span, grid),
            "info" => self.info(call, span, grid),
            "histogram_quantile" => self.histogram_quantile(call, span, grid),
            "histogram_quantiles" => self.histogram_quantiles(call, span, grid),
            "histogram_fraction" => self.histogram_fraction(call, span, grid),
            other => Err(EvalError::not_yet(span, format!("the function `{other}`"))),
        }
    }

    fn each_value(&mut self, call: &Call, span: Span, grid: Grid, convert: impl Fn(f64) -> f64) -> Result<Data, EvalError> {
        let mut table = self.vector(&call.args[0], grid)?;
        table.values.iter_mut().for_each(|value| *value = convert(*value));
        Ok(Data::Vector(self.renamed(table, span)?))
    }

    fn clamp(&mut self, call: &Call, span: Span, grid: Grid) -> Result<Data, EvalError> {
        let mut table = self.vector(&call.args[0], grid)?;
        let (low, high) = match call.function.name {
            "clamp" => (self.scalar(&call.args[1], grid)?, self.scalar(&call.args[2], grid)?),
            "clamp_min" => (self.scalar(&call.args[1], grid)?, vec![f64::INFINITY; grid.count]),
            _ => (vec![f64::NEG_INFINITY; grid.count], self.scalar(&call.args[1], grid)?),
        };
        for row in 0..table.rows.len() {
            let (values, present) = table.row_mut(row);
            for step in 0..values.len() {
                let crossed = high[step] < low[step];
                present[step] &= !crossed;
                values[step] = arithmetic::larger(low[step], arithmetic::smaller(high[step], values[step]));
            }
        }
        table.drop_empty();
        Ok(Data::Vector(self.renamed(table, span)?))
    }

    fn round(&mut self, call: &Call, span: Span, grid: Grid) -> Result<Data, EvalError> {
        let nearest = match call.args.get(1) {
            Some(nearest) => self.scalar(nearest, grid)?,
            None => vec![1.0; grid.count],
        };
        let mut table = self.vector(&call.args[0], grid)?;
        for row in 0..table.rows.len() {
            let (values, _) = table.row_mut(row);
            for (value, nearest) in values.iter_mut().zip(&nearest) {
                // The inverse loses less than dividing by the multiple.
                let inverse = 1.0 / nearest;
                *value = (*value * inverse + 0.5).floor() / inverse;
            }
        }
        Ok(Data::Vector(self.renamed(table, span)?))
    }
}

/// A table of one series without labels, present at every step.
fn one_row(values: Vec<f64>) -> Table {
    let mut table = Table::new(values.len());
    table.push(Labels::empty(), false);
    table.present.fill(true);
    table.values = values;
    table
}

/// At each step the value of the only series there, NaN where there is none or more than one.
fn only_values(table: &Table) -> Vec<f64> {
    let mut out = vec![f64::NAN; table.steps()];
    let mut seen = vec![0u8; table.steps()];
    for row in 0..table.rows.len() {
        let (values, present) = table.row(row);
        for step in 0..values.len() {
            if present[step] {
                seen[step] = seen[step].saturating_add(1);
                out[step] = if seen[step] == 1 { values[step] } else { f64::NAN };
            }
        }
    }
    out
}

pub(super) fn plain_function(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "rad" => |value| value * std::f64::consts::PI / 180.0,
        "deg" => |value| value * 180.0 / std::f64::consts::PI,
        "sgn" => |value| {
            if value < 0.0 {
                -1.0
            } else if value > 0.0 {
                1.0
            } else {
                value
            }
        },
        _ => return None,
    })
}

/// A day of the Gregorian calendar, UTC.
struct Day {
    year: i64,
    month: i64,
    day: i64,
}

/// The day of so many days since 1970-01-01, by the usual arithmetic over eras of 400 years that begin in March.
fn civil(days: i64) -> Day {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    Day { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A part of the date, of seconds since 1970 in UTC.
fn date_part(name: &str) -> Option<fn(i64) -> f64> {
    const DAY: i64 = 86_400;
    // Years beyond 30 million are no dates; this also keeps the arithmetic inside of 64 bits.
    fn day(seconds: i64) -> Day {
        civil(seconds.clamp(-1_000_000_000_000_000, 1_000_000_000_000_000).div_euclid(DAY))
    }
    Some(match name {
        "minute" => |seconds| (seconds.rem_euclid(3_600) / 60) as f64,
        "hour" => |seconds| (seconds.rem_euclid(DAY) / 3_600) as f64,
        "day_of_week" => |seconds| (seconds.div_euclid(DAY) + 4).rem_euclid(7) as f64,
        "day_of_month" => |seconds| day(seconds).day as f64,
        "day_of_year" => |seconds| {
            let Day { year, month, day } = day(seconds);
            ((1..month).map(|month| month_days(year, month)).sum::<i64>() + day) as f64
        },
        "days_in_month" => |seconds| {
            let Day { year, month, .. } = day(seconds);
            month_days(year, month) as f64
        },
        "month" => |seconds| day(seconds).month as f64,
        "year" => |seconds| day(seconds).year as f64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_the_calendar() {
        let part = |name: &str, time: &str| date_part(name).unwrap()(Time::parse(time).unwrap().0.div_euclid(1_000_000));
        let leap = "2024-02-29T23:59:59Z";
        let expected = [("year", 2024.0), ("month", 2.0), ("day_of_month", 29.0), ("day_of_year", 60.0), ("days_in_month", 29.0)];
        for (name, value) in expected.into_iter().chain([("day_of_week", 4.0), ("hour", 23.0), ("minute", 59.0)]) {
            assert_eq!(part(name, leap), value, "{name}");
        }
        assert_eq!(part("day_of_year", "1969-12-31T00:00:00Z"), 365.0);
        assert_eq!(part("day_of_week", "1969-12-31T00:00:00Z"), 3.0);
        assert_eq!(part("year", "1900-03-01T00:00:00Z"), 1900.0);
        assert_eq!(part("days_in_month", "1900-02-01T00:00:00Z"), 28.0);
    }
}
