//! What the API reads, out of SQLite: rows are the model's own types as JSON, found by a few columns.

use async_trait::async_trait;
use model::api::{ChangeRow, ChatMessage, TimelineRow};
use model::incident::{Incident, IncidentState};
use model::order::Order;
use model::{IncidentNumber, OrderNumber, RoomName, Seq, Time};
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::database::database_error;
use super::sqlite::{parse, word};
use super::{AuditRow, Database, IncidentFilter, JournalError, OrderFilter, Projections, RangeFilter, limit_of};

/// The projections in a [`Database`].
#[derive(Clone, Debug)]
pub struct SqliteProjections {
    database: Database,
}

impl SqliteProjections {
    /// In this database, whose tables are there.
    pub fn new(database: Database) -> SqliteProjections {
        SqliteProjections { database }
    }
}

fn failed(error: sqlx::Error) -> JournalError {
    database_error("read the projections", &error)
}

fn column<T: DeserializeOwned>(row: &SqliteRow, index: usize, what: &str) -> Result<T, JournalError> {
    parse(row.try_get(index).map_err(failed)?, || what.to_owned())
}

fn place(before: Option<Seq>) -> i64 {
    before.map_or(i64::MAX, |seq| i64::try_from(seq.0).unwrap_or(i64::MAX))
}

#[async_trait]
impl Projections for SqliteProjections {
    async fn incidents(&self, filter: &IncidentFilter) -> Result<Vec<Incident>, JournalError> {
        let rows = sqlx::query(
            "SELECT incident FROM incidents WHERE number < $1 AND (CAST($2 AS TEXT) IS NULL OR state = $2) \
             AND (CAST($3 AS TEXT) IS NULL OR service = $3) AND (CAST($4 AS TEXT) IS NULL OR state <> $4) \
             ORDER BY number DESC LIMIT $5",
        )
        .bind(filter.before.map_or(i64::MAX, |number| i64::try_from(number.0).unwrap_or(i64::MAX)))
        .bind(filter.state.map(|state| word(&state)).transpose().map_err(failed)?)
        .bind(filter.service.as_ref().map(|service| service.as_str().to_owned()))
        .bind(filter.unresolved.then(|| word(&IncidentState::Resolved)).transpose().map_err(failed)?)
        .bind(limit_of(filter.limit) as i64)
        .fetch_all(&self.database.reader)
        .await
        .map_err(failed)?;
        rows.iter().map(|row| column(row, 0, "an incident")).collect()
    }

    async fn incident(&self, number: IncidentNumber) -> Result<Option<Incident>, JournalError> {
        let row = sqlx::query("SELECT incident FROM incidents WHERE number = $1")
            .bind(i64::try_from(number.0).unwrap_or(-1))
            .fetch_optional(&self.database.reader)
            .await
            .map_err(failed)?;
        row.map(|row| column(&row, 0, "an incident")).transpose()
    }

    async fn orders(&self, filter: &OrderFilter) -> Result<Vec<Order>, JournalError> {
        let rows = sqlx::query(
            "SELECT release_order FROM orders WHERE (CAST($1 AS TEXT) IS NULL OR number < $1) \
             AND (CAST($2 AS TEXT) IS NULL OR project = $2) AND (CAST($3 AS TEXT) IS NULL OR service = $3) \
             AND (CAST($4 AS TEXT) IS NULL OR environment = $4) AND (CAST($5 AS TEXT) IS NULL OR state = $5) \
             AND ended <= $6 ORDER BY number DESC LIMIT $7",
        )
        .bind(filter.before.as_ref().map(|number| number.as_str().to_owned()))
        .bind(filter.project.as_ref().map(|project| project.as_str().to_owned()))
        .bind(filter.service.as_ref().map(|service| service.as_str().to_owned()))
        .bind(filter.environment.as_ref().map(|environment| environment.as_str().to_owned()))
        .bind(filter.state.map(|state| word(&state)).transpose().map_err(failed)?)
        .bind(i64::from(!filter.unended))
        .bind(limit_of(filter.limit) as i64)
        .fetch_all(&self.database.reader)
        .await
        .map_err(failed)?;
        rows.iter().map(|row| column(row, 0, "an order")).collect()
    }

    async fn order(&self, number: &OrderNumber) -> Result<Option<Order>, JournalError> {
        let row = sqlx::query("SELECT release_order FROM orders WHERE number = $1")
            .bind(number.as_str().to_owned())
            .fetch_optional(&self.database.reader)
            .await
            .map_err(failed)?;
        row.map(|row| column(&row, 0, "an order")).transpose()
    }

    async fn timeline(&self, filter: &RangeFilter) -> Result<Vec<TimelineRow>, JournalError> {
        let rows = sqlx::query(
            "SELECT line FROM timeline WHERE at_us >= $1 AND at_us <= $2 AND (CAST($3 AS TEXT) IS NULL OR service = $3) \
             AND (CAST($4 AS TEXT) IS NULL OR environment = $4) AND seq < $5 ORDER BY seq DESC, ordinal DESC LIMIT $6",
        )
        .bind(filter.from.unwrap_or(Time::MIN).0)
        .bind(filter.to.unwrap_or(Time::MAX).0)
        .bind(filter.service.as_ref().map(|service| service.as_str().to_owned()))
        .bind(filter.environment.as_ref().map(|environment| environment.as_str().to_owned()))
        .bind(place(filter.before))
        .bind(limit_of(filter.limit) as i64)
        .fetch_all(&self.database.reader)
        .await
        .map_err(failed)?;
        rows.iter().map(|row| column(row, 0, "a line of the timeline")).collect()
    }

    async fn chat(&self, room: &RoomName, before: Option<Seq>, limit: u32) -> Result<Vec<ChatMessage>, JournalError> {
        let rows = sqlx::query("SELECT message FROM chat WHERE room = $1 AND seq < $2 ORDER BY seq DESC, ordinal DESC LIMIT $3")
            .bind(room.as_str().to_owned())
            .bind(place(before))
            .bind(limit_of(limit) as i64)
            .fetch_all(&self.database.reader)
            .await
            .map_err(failed)?;
        rows.iter().map(|row| column(row, 0, "a message")).collect()
    }

    async fn changes(&self, filter: &RangeFilter) -> Result<Vec<ChangeRow>, JournalError> {
        let rows = sqlx::query(
            "SELECT seq, at_us, change FROM changes WHERE at_us >= $1 AND at_us <= $2 \
             AND (CAST($3 AS TEXT) IS NULL OR service = $3) AND (CAST($4 AS TEXT) IS NULL OR environment = $4) \
             AND seq < $5 ORDER BY seq DESC, ordinal DESC LIMIT $6",
        )
        .bind(filter.from.unwrap_or(Time::MIN).0)
        .bind(filter.to.unwrap_or(Time::MAX).0)
        .bind(filter.service.as_ref().map(|service| service.as_str().to_owned()))
        .bind(filter.environment.as_ref().map(|environment| environment.as_str().to_owned()))
        .bind(place(filter.before))
        .bind(limit_of(filter.limit) as i64)
        .fetch_all(&self.database.reader)
        .await
        .map_err(failed)?;
        rows.iter()
            .map(|row| {
                Ok(ChangeRow {
                    seq: Seq(row.try_get::<i64, _>(0).map_err(failed)? as u64),
                    received_at: Time(row.try_get(1).map_err(failed)?),
                    change: column(row, 2, "a change")?,
                })
            })
            .collect()
    }

    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditRow>, JournalError> {
        let rows = sqlx::query(
            "SELECT number, at_us, seq, who, what, outcome, prev, hash FROM audit WHERE number < $1 ORDER BY number DESC LIMIT $2",
        )
        .bind(before.map_or(i64::MAX, |number| i64::try_from(number).unwrap_or(i64::MAX)))
        .bind(limit_of(limit) as i64)
        .fetch_all(&self.database.reader)
        .await
        .map_err(failed)?;
        rows.iter().map(audit_row).collect()
    }
}

/// A line of the audit: number, at_us, seq, who, what, outcome, prev, hash.
pub(super) fn audit_row(row: &SqliteRow) -> Result<AuditRow, JournalError> {
    Ok(AuditRow {
        number: row.try_get::<i64, _>(0).map_err(failed)? as u64,
        at: Time(row.try_get(1).map_err(failed)?),
        seq: row.try_get::<Option<i64>, _>(2).map_err(failed)?.map(|seq| Seq(seq as u64)),
        by: row.try_get(3).map_err(failed)?,
        what: column(row, 4, "a line of the audit")?,
        outcome: column(row, 5, "a line of the audit")?,
        prev: row.try_get(6).map_err(failed)?,
        hash: row.try_get(7).map_err(failed)?,
    })
}
