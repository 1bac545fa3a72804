//! An instant: microseconds since 1970-01-01 UTC. RFC 3339 at every door, a number inside.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in microseconds since the Unix epoch, UTC. Written as RFC 3339 in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

impl Time {
    /// Before everything.
    pub const MIN: Time = Time(i64::MIN);
    /// After everything.
    pub const MAX: Time = Time(i64::MAX);

    /// From milliseconds since the epoch, as Prometheus counts; saturates.
    pub const fn from_millis(millis: i64) -> Time {
        Time(millis.saturating_mul(1_000))
    }

    /// From whole seconds since the epoch; saturates.
    pub const fn from_secs(secs: i64) -> Time {
        Time(secs.saturating_mul(1_000_000))
    }

    /// From seconds with a fraction, as Prometheus' API writes times. Rounded to the millisecond, as there.
    pub fn from_secs_f64(secs: f64) -> Time {
        Time::from_millis((secs * 1_000.0).round() as i64)
    }

    /// Milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Seconds since the epoch with a fraction.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0).max(0) as u64)
    }

    /// Signed distance `self - other` in microseconds.
    pub const fn micros_from(self, other: Time) -> i64 {
        self.0.saturating_sub(other.0)
    }

    /// Reads RFC 3339 (`2026-11-22T10:15:00Z`, any offset).
    pub fn parse(text: &str) -> Result<Time, TimeError> {
        let stamp: jiff::Timestamp = text.parse().map_err(|_| TimeError { text: text.chars().take(64).collect() })?;
        Ok(Time(stamp.as_microsecond()))
    }

    /// `20261122-101500`: the head of an order's number, in UTC.
    pub fn compact(self) -> String {
        self.timestamp().strftime("%Y%m%d-%H%M%S").to_string()
    }

    /// `10:15:43`, in UTC.
    pub fn clock(self) -> String {
        self.timestamp().strftime("%H:%M:%S").to_string()
    }

    fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX })
    }
}

/// Not a time as RFC 3339 writes it.
#[derive(Debug, thiserror::Error)]
#[error("read the time `{text}`: write it like 2026-11-22T10:15:00Z")]
pub struct TimeError {
    text: String,
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, by: Duration) -> Time {
        Time(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, by: Duration) -> Time {
        Time(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Time::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Time {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime)))
            .into()
    }
}
impl utoipa::ToSchema for Time {}

/// Writes a duration as people say it: `370 ms`, `3.7 s`, `1 min 29 s`, `2 h 05 min`, `3 d`.
pub fn spoken(duration: Duration) -> String {
    let millis = duration.as_millis();
    let secs = duration.as_secs();
    match secs {
        0 => format!("{millis} ms"),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3_600 => format!("{} min {:02} s", secs / 60, secs % 60),
        3_600..86_400 => format!("{} h {:02} min", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{} d", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_both_ways() {
        let time = Time::parse("2026-11-22T10:15:00.25+01:00").unwrap();
        assert_eq!(time.to_string(), "2026-11-22T09:15:00.25Z");
        assert_eq!(time.compact(), "20261122-091500");
        assert_eq!(serde_json::from_str::<Time>(&serde_json::to_string(&time).unwrap()).unwrap(), time);
        assert!(Time::parse("yesterday").is_err());
    }

    #[test]
    fn durations_as_people_say_them() {
        let cases = [(370, "370 ms"), (3_700, "3.7 s"), (89_000, "1 min 29 s"), (7_500_000, "2 h 05 min"), (260_000_000, "3 d")];
        for (millis, said) in cases {
            assert_eq!(spoken(Duration::from_millis(millis)), said);
        }
    }
}
