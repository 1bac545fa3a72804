//! The journal on SQLite: WAL, every commit synced, one connection that writes.
//!
//! About 0.3 ms for a batch of one event besides the disk's sync. A statement's text is always the same, so that each is
//! prepared once.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use engine::{Effect, State};
use model::event::EVENT_SCHEMA;
use model::{EffectKey, Recorded, Seq, Time};
use sqlx::{Row as _, SqliteConnection};

use super::database::database_error;
use super::{AuditRow, Committed, Database, Journal, JournalError, Loaded, NO_HASH, NewAudit, OutboxChange, Owed, chain};

/// Snapshots that are kept: the newest, and one to fall back to.
const SNAPSHOTS_KEPT: i64 = 2;

/// The journal in a [`Database`].
pub struct SqliteJournal {
    database: Database,
    /// Number and hash of the audit's last line, once it was read.
    audit_tip: Mutex<Option<(u64, String)>>,
}

impl SqliteJournal {
    /// In this database, whose tables are there.
    pub fn new(database: Database) -> SqliteJournal {
        SqliteJournal { database, audit_tip: Mutex::new(None) }
    }

    /// In this database; reads where the audit ends.
    pub async fn open(database: Database) -> Result<SqliteJournal, JournalError> {
        let journal = SqliteJournal::new(database.clone());
        let failed = |error| database_error("read the audit", &error);
        let mut connection = database.writer.acquire().await.map_err(failed)?;
        let tip = journal.audit_tip(&mut connection).await.map_err(failed)?;
        journal.set_audit_tip(Some(tip));
        Ok(journal)
    }

    async fn audit_tip(&self, connection: &mut SqliteConnection) -> Result<(u64, String), sqlx::Error> {
        if let Some(tip) = self.audit_tip.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(tip);
        }
        let row = sqlx::query("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetch_optional(connection).await?;
        row.map_or(Ok((0, NO_HASH.to_owned())), |row| Ok((row.try_get::<i64, _>(0)? as u64, row.try_get(1)?)))
    }

    async fn write_audit(&self, connection: &mut SqliteConnection, lines: &[NewAudit]) -> Result<(u64, String), sqlx::Error> {
        let (mut number, mut hash) = self.audit_tip(connection).await?;
        for line in lines {
            let row = chain(number + 1, &hash, line);
            insert_audit(connection, &row).await?;
            (number, hash) = (row.number, row.hash);
        }
        Ok((number, hash))
    }

    /// Closes the connection on which a transaction failed; the next write opens another. On a full disk SQLite rolls back by
    /// itself, and the connection would count a transaction as open for ever: no event would be written until a restart.
    async fn renew_writer(&self) {
        if let Ok(connection) = self.database.writer.acquire().await
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "failed to close the connection of a write that failed");
        }
    }

    fn set_audit_tip(&self, tip: Option<(u64, String)>) {
        *self.audit_tip.lock().unwrap_or_else(PoisonError::into_inner) = tip;
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn load(&self) -> Result<Loaded, JournalError> {
        const DOING: &str = "read the journal";
        let failed = |error| database_error(DOING, &error);
        let mut connection = self.database.writer.acquire().await.map_err(failed)?;
        let (snapshot, after) = load_snapshot(&mut connection).await?;
        let rows = sqlx::query("SELECT seq, at_us, schema_version, poisoned, event FROM events WHERE seq > $1 ORDER BY seq")
            .bind(after)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
        let mut loaded = Loaded { snapshot, last: Seq(after as u64), ..Loaded::default() };
        for row in rows {
            let seq: i64 = row.try_get(0).map_err(failed)?;
            let schema: i64 = row.try_get(2).map_err(failed)?;
            let poisoned: i64 = row.try_get(3).map_err(failed)?;
            loaded.last = Seq(seq as u64);
            if schema > i64::from(EVENT_SCHEMA) {
                return Err(JournalError::Newer { what: "an event of the journal", found: schema, known: EVENT_SCHEMA.into() });
            }
            if poisoned != 0 {
                continue;
            }
            let event = parse(row.try_get(4).map_err(failed)?, || format!("event {seq}"))?;
            let at = Time(row.try_get(1).map_err(failed)?);
            loaded.tail.push(Recorded { seq: Seq(seq as u64), at, schema: schema as u16, event });
        }
        let rows =
            sqlx::query("SELECT effect_key, seq, created_at_us, tries, next_at_us, effect FROM outbox ORDER BY seq, ordinal")
                .fetch_all(&mut *connection)
                .await
                .map_err(failed)?;
        for row in rows {
            let key: String = row.try_get(0).map_err(failed)?;
            let effect = parse(row.try_get(5).map_err(failed)?, || format!("the owed effect `{key}`"))?;
            loaded.owed.push(Owed {
                key: EffectKey::from(key),
                seq: Seq(row.try_get::<i64, _>(1).map_err(failed)? as u64),
                at: Time(row.try_get(2).map_err(failed)?),
                tries: row.try_get::<i64, _>(3).map_err(failed)? as u32,
                next_at: Time(row.try_get(4).map_err(failed)?),
                effect,
            });
        }
        Ok(loaded)
    }

    async fn commit(&self, committed: &Committed) -> Result<(), JournalError> {
        let written = async {
            let mut transaction = self.database.writer.begin_with("BEGIN IMMEDIATE").await?;
            write(&mut transaction, committed).await?;
            let tip = match committed.audit.as_slice() {
                [] => None,
                lines => Some(self.write_audit(&mut transaction, lines).await?),
            };
            transaction.commit().await?;
            Ok(tip)
        };
        match written.await {
            Ok(Some(tip)) => self.set_audit_tip(Some(tip)),
            Ok(None) => {}
            Err(error) => {
                self.set_audit_tip(None);
                self.renew_writer().await;
                return Err(database_error("write to the journal", &error));
            }
        }
        Ok(())
    }

    async fn snapshot(&self, state: &State, keep_from: Time) -> Result<(), JournalError> {
        let written = self.write_snapshot(state, keep_from).await;
        if written.is_err() {
            self.renew_writer().await;
        }
        written
    }

    async fn note(&self, audit: &NewAudit) -> Result<(), JournalError> {
        let written = self.write_note(audit).await;
        if written.is_err() {
            self.set_audit_tip(None);
            self.renew_writer().await;
        }
        written
    }
}

impl SqliteJournal {
    async fn write_snapshot(&self, state: &State, keep_from: Time) -> Result<(), JournalError> {
        const DOING: &str = "write a snapshot";
        let failed = |error| database_error(DOING, &error);
        let text = serde_json::to_string(state)
            .map_err(|error| JournalError::Unreadable { what: "the state".into(), why: error.to_string() })?;
        let mut transaction = self.database.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::query(
            "INSERT INTO snapshots (seq, at_us, schema_version, state) VALUES ($1, $2, $3, $4) ON CONFLICT (seq) DO NOTHING",
        )
        .bind(state.seq.0 as i64)
        .bind(state.at.0)
        .bind(i64::from(engine::state::STATE_SCHEMA))
        .bind(text)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        sqlx::query("DELETE FROM snapshots WHERE seq NOT IN (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT $1)")
            .bind(SNAPSHOTS_KEPT)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        // Behind the older of the kept snapshots nothing is replayed any more.
        sqlx::query("DELETE FROM events WHERE at_us < $1 AND seq <= (SELECT COALESCE(MIN(seq), 0) FROM snapshots)")
            .bind(keep_from.0)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn write_note(&self, audit: &NewAudit) -> Result<(), JournalError> {
        let failed = |error| database_error("write to the audit", &error);
        let mut transaction = self.database.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        self.write_audit(&mut transaction, std::slice::from_ref(audit)).await.map_err(failed)?;
        // While the only writing connection is still ours: who writes next reads the tip from the table.
        self.set_audit_tip(None);
        transaction.commit().await.map_err(failed)
    }
}

/// The newest snapshot that this program reads, and the place behind which events follow.
async fn load_snapshot(connection: &mut SqliteConnection) -> Result<(Option<Box<State>>, i64), JournalError> {
    let failed = |error| database_error("read the snapshots", &error);
    let rows = sqlx::query("SELECT seq, schema_version, state FROM snapshots ORDER BY seq DESC")
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
    let mut unreadable = None;
    for row in rows {
        let seq: i64 = row.try_get(0).map_err(failed)?;
        let schema: i64 = row.try_get(1).map_err(failed)?;
        if schema > i64::from(engine::state::STATE_SCHEMA) {
            return Err(JournalError::Newer { what: "a snapshot", found: schema, known: engine::state::STATE_SCHEMA.into() });
        }
        match parse(row.try_get(2).map_err(failed)?, || format!("the snapshot behind event {seq}")) {
            Ok(state) => return Ok((Some(Box::new(state)), seq)),
            Err(error) => {
                tracing::error!(%error, "failed to read a snapshot; an older one is taken");
                unreadable = Some(error);
            }
        }
    }
    // Without a readable snapshot the journal must still begin at 1, or something would be missing silently.
    let first: Option<i64> = sqlx::query_scalar("SELECT MIN(seq) FROM events").fetch_one(connection).await.map_err(failed)?;
    match unreadable {
        Some(error) if first != Some(1) => Err(error),
        _ => Ok((None, 0)),
    }
}

async fn write(connection: &mut SqliteConnection, committed: &Committed) -> Result<(), sqlx::Error> {
    for recorded in &committed.recorded {
        let event = json(&recorded.event)?;
        sqlx::query("INSERT INTO events (seq, at_us, schema_version, kind, poisoned, event) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(recorded.seq.0 as i64)
            .bind(recorded.at.0)
            .bind(i64::from(recorded.schema))
            .bind(kind_of(&event))
            .bind(i64::from(committed.poisoned.contains(&recorded.seq)))
            .bind(event)
            .execute(&mut *connection)
            .await?;
    }
    write_outbox(connection, committed).await?;
    for incident in &committed.incidents {
        sqlx::query(
            "INSERT INTO incidents (number, state, service, onset_us, incident) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (number) DO UPDATE SET state = excluded.state, service = excluded.service, \
             onset_us = excluded.onset_us, incident = excluded.incident",
        )
        .bind(incident.number.0 as i64)
        .bind(word(&incident.state)?)
        .bind(incident.scope.service.as_ref().map_or("", |service| service.as_str()).to_owned())
        .bind(incident.onset.0)
        .bind(json(incident)?)
        .execute(&mut *connection)
        .await?;
    }
    for order in &committed.orders {
        sqlx::query(
            "INSERT INTO orders (number, state, ended, project, service, environment, created_at_us, release_order) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (number) DO UPDATE SET state = excluded.state, ended = excluded.ended, \
             release_order = excluded.release_order",
        )
        .bind(order.number.as_str().to_owned())
        .bind(word(&order.state)?)
        .bind(i64::from(order.state.is_final()))
        .bind(order.project.as_str().to_owned())
        .bind(order.service.as_str().to_owned())
        .bind(order.environment.as_str().to_owned())
        .bind(order.created_at.0)
        .bind(json(order)?)
        .execute(&mut *connection)
        .await?;
    }
    for (ordinal, line) in committed.timeline.iter().enumerate() {
        sqlx::query("INSERT INTO timeline (seq, ordinal, at_us, service, environment, line) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(line.seq.0 as i64)
            .bind(ordinal as i64)
            .bind(line.at.0)
            .bind(line.scope.service.as_ref().map_or("", |service| service.as_str()).to_owned())
            .bind(line.scope.environment.as_ref().map_or("", |environment| environment.as_str()).to_owned())
            .bind(json(line)?)
            .execute(&mut *connection)
            .await?;
    }
    for (ordinal, message) in committed.chat.iter().enumerate() {
        sqlx::query("INSERT INTO chat (room, seq, ordinal, at_us, message) VALUES ($1, $2, $3, $4, $5)")
            .bind(message.room.as_str().to_owned())
            .bind(message.seq.0 as i64)
            .bind(ordinal as i64)
            .bind(message.at.0)
            .bind(json(message)?)
            .execute(&mut *connection)
            .await?;
    }
    for (ordinal, row) in committed.changes.iter().enumerate() {
        let scope = &row.change.scope;
        sqlx::query("INSERT INTO changes (seq, ordinal, at_us, service, environment, change) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(row.seq.0 as i64)
            .bind(ordinal as i64)
            .bind(row.received_at.0)
            .bind(scope.service.as_ref().map_or("", |service| service.as_str()).to_owned())
            .bind(scope.environment.as_ref().map_or("", |environment| environment.as_str()).to_owned())
            .bind(json(&row.change)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn write_outbox(connection: &mut SqliteConnection, committed: &Committed) -> Result<(), sqlx::Error> {
    for (ordinal, change) in committed.outbox.iter().enumerate() {
        let query = match change {
            // Asked again under the same key, as after a start with its new epoch: what is asked now counts.
            OutboxChange::Owe(owed) => sqlx::query(
                "INSERT INTO outbox (effect_key, seq, ordinal, kind, created_at_us, tries, next_at_us, effect) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                 ON CONFLICT (effect_key) DO UPDATE SET effect = excluded.effect, next_at_us = excluded.next_at_us",
            )
            .bind(owed.key.as_str().to_owned())
            .bind(owed.seq.0 as i64)
            .bind(ordinal as i64)
            .bind(if matches!(owed.effect, Effect::Do(_)) { "do" } else { "tell" })
            .bind(owed.at.0)
            .bind(i64::from(owed.tries))
            .bind(owed.next_at.0)
            .bind(json(&owed.effect)?),
            OutboxChange::Delay(key, tries, next_at) => {
                sqlx::query("UPDATE outbox SET tries = $2, next_at_us = $3 WHERE effect_key = $1")
                    .bind(key.as_str().to_owned())
                    .bind(i64::from(*tries))
                    .bind(next_at.0)
            }
            OutboxChange::Settle(key) => sqlx::query("DELETE FROM outbox WHERE effect_key = $1").bind(key.as_str().to_owned()),
        };
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn insert_audit(connection: &mut SqliteConnection, row: &AuditRow) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO audit (number, at_us, seq, who, what, outcome, prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(row.number as i64)
        .bind(row.at.0)
        .bind(row.seq.map(|seq| seq.0 as i64))
        .bind(row.by.clone())
        .bind(json(&row.what)?)
        .bind(json(&row.outcome)?)
        .bind(row.prev.clone())
        .bind(row.hash.clone())
        .execute(connection)
        .await?;
    Ok(())
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// A unit variant's word, as its JSON writes it without quotes.
pub(super) fn word<T: serde::Serialize>(value: &T) -> Result<String, sqlx::Error> {
    Ok(json(value)?.trim_matches('"').to_owned())
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(text: String, what: impl FnOnce() -> String) -> Result<T, JournalError> {
    serde_json::from_str(&text).map_err(|error| JournalError::Unreadable { what: what(), why: error.to_string() })
}

/// The `kind` of an event, out of its JSON: it stands first.
fn kind_of(event: &str) -> String {
    event.strip_prefix("{\"kind\":\"").and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
}
