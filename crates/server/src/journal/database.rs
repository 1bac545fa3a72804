//! The state's database: a folder with its lock, one connection that writes, a few that read, and versions of tables.
//!
//! SQLite today. PostgreSQL will be a second kind of pool in [`Database`]; the statements are written for both.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use super::JournalError;

/// Held as long as a server uses a data folder.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Makes the folder where it is missing and locks it; refused where another process has it.
    pub fn take(folder: &Path) -> Result<FolderLock, JournalError> {
        let failed = |error: std::io::Error| JournalError::File { path: folder.to_owned(), why: error.to_string() };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let file = File::options().create(true).truncate(false).write(true).open(folder.join("lock")).map_err(failed)?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::Locked { folder: folder.to_owned() }),
            Err(error) => Err(failed(error.into())),
        }
    }
}

/// The pools of one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pub(crate) writer: SqlitePool,
    pub(crate) reader: SqlitePool,
}

impl Database {
    /// Opens or makes `state.db` in the folder. Does not look at the folder's lock: `flyball token create` runs beside a server.
    pub async fn open(folder: &Path) -> Result<Database, JournalError> {
        let path: PathBuf = folder.join("state.db");
        let failed = |error: sqlx::Error| JournalError::File { path: path.clone(), why: error.to_string() };
        std::fs::create_dir_all(folder)
            .map_err(|error| JournalError::File { path: folder.to_owned(), why: error.to_string() })?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            // Checkpoints wait for a quiet moment, up to 16 MiB of log; the pump asks for them after snapshots.
            .pragma("wal_autocheckpoint", "4000")
            .statement_cache_capacity(200);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        let reader = SqlitePoolOptions::new()
            .max_connections(4)
            .min_connections(0)
            .test_before_acquire(false)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await
            .map_err(failed)?;
        let database = Database { writer, reader };
        database.migrate("journal", super::schema::JOURNAL).await?;
        Ok(database)
    }

    /// The only connection that writes. Hold it shortly: the journal waits for it.
    pub fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// Connections that read what is committed.
    pub fn reader(&self) -> &SqlitePool {
        &self.reader
    }

    /// Brings the tables of a part to its newest version. `versions[0]` makes version 1; newer than known is refused.
    pub async fn migrate(&self, part: &'static str, versions: &[&[&'static str]]) -> Result<(), JournalError> {
        const DOING: &str = "bring the database to this version";
        let failed = |error| database_error(DOING, &error);
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::query("CREATE TABLE IF NOT EXISTS parts (part TEXT PRIMARY KEY, version BIGINT NOT NULL)")
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let found: Option<i64> = sqlx::query_scalar("SELECT version FROM parts WHERE part = $1")
            .bind(part)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?;
        let (found, known) = (found.unwrap_or(0), versions.len() as i64);
        if found > known {
            return Err(JournalError::Newer { what: "the database", found, known });
        }
        for statement in versions[found as usize..].iter().flat_map(|version| version.iter()) {
            sqlx::query(*statement).execute(&mut *transaction).await.map_err(failed)?;
        }
        sqlx::query(
            "INSERT INTO parts (part, version) VALUES ($1, $2) ON CONFLICT (part) DO UPDATE SET version = excluded.version",
        )
        .bind(part)
        .bind(known)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Closes all connections; the log is written into the database.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// The database of a folder that is there already, for who only looks and leaves no lock behind: nothing is made or brought
/// to a newer version.
pub(super) async fn open_beside(folder: &Path) -> Result<SqlitePool, JournalError> {
    let path = folder.join("state.db");
    // Not read-only: SQLite could not make the files beside it that reading needs.
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(false).busy_timeout(Duration::from_secs(5));
    let opened = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
    opened.map_err(|error| JournalError::File { path, why: error.to_string() })
}

/// SQLite's primary code for a disk without room.
const SQLITE_FULL: i32 = 13;

/// An error of the database, with the full disk told apart.
pub(crate) fn database_error(doing: &'static str, error: &sqlx::Error) -> JournalError {
    let full = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<i32>().ok());
    if full.is_some_and(|code| code & 0xff == SQLITE_FULL) {
        return JournalError::Full { doing };
    }
    JournalError::Database { doing, why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_server() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path()).unwrap();
        let refused = FolderLock::take(folder.path()).unwrap_err();
        assert!(refused.to_string().contains("another flyball uses it"), "{refused}");
        drop(first);
        FolderLock::take(folder.path()).unwrap();
    }

    #[tokio::test]
    async fn a_newer_database_is_refused_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path()).await.unwrap();
        database.migrate("people", &[&["CREATE TABLE a (b TEXT)"]]).await.unwrap();
        database.migrate("people", &[&["CREATE TABLE a (b TEXT)"], &["CREATE TABLE c (d TEXT)"]]).await.unwrap();
        let refused = database.migrate("people", &[&["CREATE TABLE a (b TEXT)"]]).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the database is of version 2, this flyball knows 1: start the newer flyball that wrote it"
        );
        database.close().await;
    }
}
