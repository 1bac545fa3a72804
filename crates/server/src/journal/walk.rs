//! Walks the audit's chain from its first line to its last. Reads only, beside a running server or without one.
//!
//! Lines that were taken off the end leave a shorter chain that holds: who wants to see that, keeps the last hash elsewhere.

use std::path::Path;

use sqlx::Row as _;
use sqlx::sqlite::SqlitePool;

use super::database::{database_error, open_beside};
use super::read::audit_row;
use super::{AuditRow, JournalError, NO_HASH, broken_link};

/// Lines that are read at once.
const PAGE: i64 = 1_000;

const LINES: &str =
    "SELECT number, at_us, seq, who, what, outcome, prev, hash FROM audit WHERE number > $1 ORDER BY number LIMIT $2";

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Lines that hold.
    pub lines: u64,
    /// The hash of the last line that holds.
    pub last: String,
    /// The first line that does not.
    pub broken: Option<u64>,
}

/// Walks the audit of a data folder.
pub async fn walk_audit(data: &Path) -> Result<Walk, JournalError> {
    let pool = open_beside(data).await?;
    let walk = walk(&pool).await;
    pool.close().await;
    walk
}

async fn walk(pool: &SqlitePool) -> Result<Walk, JournalError> {
    const DOING: &str = "read the audit";
    let mut walk = Walk { last: NO_HASH.to_owned(), ..Walk::default() };
    let mut before: Option<AuditRow> = None;
    loop {
        let found = sqlx::query(LINES).bind(walk.lines as i64).bind(PAGE).fetch_all(pool).await;
        let found = found.map_err(|error| database_error(DOING, &error))?;
        // The last line of the page before is the first link of this one.
        let mut rows: Vec<AuditRow> = before.take().into_iter().collect();
        for row in &found {
            // A line that can't even be read was altered, too.
            match audit_row(row) {
                Ok(row) => rows.push(row),
                Err(_) => {
                    let number = row.try_get::<i64, _>(0).map_or(walk.lines + 1, |number| number as u64);
                    walk.broken = broken_link(&rows).or(Some(number));
                    return Ok(walk);
                }
            }
        }
        let begins = walk.lines > 0 || rows.first().is_none_or(|first| first.number == 1 && first.prev == NO_HASH);
        walk.broken = if begins { broken_link(&rows) } else { Some(1) };
        if walk.broken.is_some() || found.is_empty() {
            return Ok(walk);
        }
        if let Some(last) = rows.pop() {
            (walk.lines, walk.last) = (last.number, last.hash.clone());
            before = Some(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{AuditOutcome, Database, Journal as _, NewAudit, SqliteJournal};

    #[tokio::test]
    async fn a_line_that_is_altered_or_gone_is_named_beside_the_server() {
        let folder = tempfile::tempdir().unwrap();
        assert!(walk_audit(folder.path()).await.is_err() && !folder.path().join("state.db").exists());
        let database = Database::open(folder.path()).await.unwrap();
        assert_eq!(walk_audit(folder.path()).await.unwrap(), Walk { last: NO_HASH.into(), ..Walk::default() });
        let journal = SqliteJournal::open(database.clone()).await.unwrap();
        for number in 0..2_100_i64 {
            let what = serde_json::json!({ "route": number });
            let outcome = AuditOutcome::NotAllowed;
            journal.note(&NewAudit { at: model::Time(number), seq: None, by: "zhao".into(), what, outcome }).await.unwrap();
        }
        let whole = walk_audit(folder.path()).await.unwrap();
        assert_eq!((whole.lines, whole.broken), (2_100, None));

        // The last first: each is found before those behind it. A page ends at 1,000: its link is looked at, too.
        for (statement, broken) in [
            ("UPDATE audit SET outcome = 'x' WHERE number = 2050", 2_050),
            ("UPDATE audit SET who = 'li' WHERE number = 2000", 2_000),
            ("DELETE FROM audit WHERE number = 1001", 1_002),
            ("DELETE FROM audit WHERE number = 1", 1),
        ] {
            sqlx::query(statement).execute(database.writer()).await.unwrap();
            assert_eq!(walk_audit(folder.path()).await.unwrap().broken, Some(broken), "{statement}");
        }
        database.close().await;
    }
}
