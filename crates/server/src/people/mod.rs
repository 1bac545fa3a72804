//! People and programs: passwords, sessions, tokens, one-time login links. The edge's own tables, in their own file.
//!
//! Their own SQLite file, so that `flyball token create` works before the first start and beside a running server, and so
//! that a login never waits behind the journal's writer. A secret is kept as its sha256 only; a password by argon2id. What
//! somebody may do is read with each request: a role that is taken away is gone within [`CACHE_FOR`].

mod password;
mod secret;

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::config::Config;
use model::rights::{Grant, Right, Role};
use model::{EnvironmentName, PersonName, ProjectName, TokenName};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

pub use secret::Secret;

/// The person who exists without a configuration, with every right.
pub const ADMIN: &str = "admin";
/// A session ends so long after its login.
const SESSION_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// A login link works once, and not after this.
const LINK_FOR: Duration = Duration::from_secs(3600);
/// A lookup is remembered so long; the bound on how late a revocation takes effect.
pub const CACHE_FOR: Duration = Duration::from_secs(2);
/// Most lookups remembered.
const CACHE_LEN_MAX: usize = 10_000;
/// After so many wrong passwords of one name within a minute ...
const FAILURES_MAX: u32 = 5;
/// ... that name waits.
const FAILURES_WAIT: Duration = Duration::from_secs(30);
/// Most names whose failures are remembered.
const FAILURES_LEN_MAX: usize = 10_000;

/// Why something with accounts did not work.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// The file.
    #[error("open the accounts' file: {0}")]
    Open(#[source] sqlx::Error),
    /// A statement.
    #[error("read or write accounts: {0}")]
    Sql(#[from] sqlx::Error),
    /// Grants that this version does not read.
    #[error("read the grants of `{0}`")]
    Grants(String),
    /// A token of this name is there.
    #[error("create the token `{0}`: one of that name is there already; revoke it first, or choose another name")]
    TokenThere(TokenName),
    /// Hashing.
    #[error("hash the password")]
    Hash,
    /// A password nobody should have.
    #[error("set the password: it needs {min} characters at least, {max} bytes at most", min = password::LEN_MIN, max = password::LEN_MAX)]
    Weak,
    /// The operating system gave no random bytes.
    #[error("draw random bytes")]
    Random,
}

/// Who sends a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// A person's or a token's name.
    pub name: String,
    /// Which of both.
    pub kind: CallerKind,
    /// What they may do.
    pub grants: Vec<Grant>,
}

/// A person or a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerKind {
    /// With a session.
    Person,
    /// With a token.
    Token,
}

impl Caller {
    /// Whether a right is given in that place; see [`Grant::gives`].
    pub fn may(&self, right: Right, project: Option<&ProjectName>, environment: Option<&EnvironmentName>) -> bool {
        self.grants.iter().any(|grant| grant.gives(right, project, environment))
    }

    /// Whether a right is given anywhere: what a route asks before its handler knows the place.
    pub fn may_somewhere(&self, right: Right) -> bool {
        self.grants.iter().any(|grant| grant.role.rights().contains(&right))
    }
}

/// A login that did not work.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The same answer for a name that is not there and a wrong password.
    #[error("name or password is wrong")]
    Wrong,
    /// Too many wrong ones before.
    #[error("try again in {0} s")]
    Wait(u64),
    /// The server's fault.
    #[error(transparent)]
    People(#[from] PeopleError),
}

/// A token as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenRow {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub grants: Vec<Grant>,
    /// When it was made, in microseconds since the epoch.
    pub created_at: i64,
}

/// The accounts.
pub struct People {
    pool: SqlitePool,
    known: Mutex<HashMap<[u8; 32], Lookup>>,
    failures: Mutex<HashMap<String, (u32, Instant)>>,
}

/// When somebody was looked up, and who it is.
type Lookup = (Instant, Option<Account>);

/// An account as the tables have it; a person's grants come from the configuration.
#[derive(Clone)]
enum Account {
    Person(String),
    Token(String, Vec<Grant>),
}

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS passwords (person TEXT PRIMARY KEY, hash TEXT NOT NULL, set_at BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS tokens (hash TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, grants TEXT NOT NULL, created_at BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (hash TEXT PRIMARY KEY, person TEXT NOT NULL, created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS links (hash TEXT PRIMARY KEY, person TEXT NOT NULL, expires_at BIGINT NOT NULL);
";

impl People {
    /// Opens the file, or makes it, readable by its owner only.
    pub async fn open(path: &Path) -> Result<People, PeopleError> {
        use std::os::unix::fs::OpenOptionsExt;
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| PeopleError::Open(sqlx::Error::Io(error)))?;
        let options = SqliteConnectOptions::from_str("sqlite://")
            .map_err(PeopleError::Open)?
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await.map_err(PeopleError::Open)?;
        for statement in TABLES.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            sqlx::query(statement).execute(&pool).await.map_err(PeopleError::Open)?;
        }
        Ok(People { pool, known: Mutex::default(), failures: Mutex::default() })
    }

    /// Makes a token and gives its text, which is kept nowhere.
    pub async fn create_token(&self, name: &TokenName, grants: &[Grant]) -> Result<Secret, PeopleError> {
        let secret = Secret::draw("fbt")?;
        let grants = serde_json::to_string(grants).expect("grants are JSON");
        let done =
            sqlx::query("INSERT INTO tokens (hash, name, grants, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
                .bind(secret.hash_text())
                .bind(name.as_str())
                .bind(grants)
                .bind(now_us())
                .execute(&self.pool)
                .await?;
        if done.rows_affected() == 0 { Err(PeopleError::TokenThere(name.clone())) } else { Ok(secret) }
    }

    /// All tokens by name.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, PeopleError> {
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as("SELECT name, grants, created_at FROM tokens ORDER BY name").fetch_all(&self.pool).await?;
        rows.into_iter()
            .map(|(name, grants, created_at)| Ok(TokenRow { grants: read_grants(&name, &grants)?, name, created_at }))
            .collect()
    }

    /// Takes a token away; false if there is none of that name.
    pub async fn revoke_token(&self, name: &TokenName) -> Result<bool, PeopleError> {
        let done = sqlx::query("DELETE FROM tokens WHERE name = $1").bind(name.as_str()).execute(&self.pool).await?;
        self.forget();
        Ok(done.rows_affected() > 0)
    }

    /// Sets a password and ends the person's sessions.
    pub async fn set_password(&self, person: &PersonName, password: &str) -> Result<(), PeopleError> {
        let hash = password::hash(password).await?;
        sqlx::query(
            "INSERT INTO passwords (person, hash, set_at) VALUES ($1, $2, $3)
             ON CONFLICT (person) DO UPDATE SET hash = excluded.hash, set_at = excluded.set_at",
        )
        .bind(person.as_str())
        .bind(hash)
        .bind(now_us())
        .execute(&self.pool)
        .await?;
        sqlx::query("DELETE FROM sessions WHERE person = $1").bind(person.as_str()).execute(&self.pool).await?;
        self.forget();
        Ok(())
    }

    /// Opens a session by name and password. Takes as long for a name that is not there.
    pub async fn login(&self, name: &str, password: &str) -> Result<Secret, LoginError> {
        self.may_try(name)?;
        let hash: Option<String> = sqlx::query_scalar("SELECT hash FROM passwords WHERE person = $1")
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(PeopleError::from)?;
        if !password::verify(password, hash.as_deref()).await {
            self.failed(name);
            return Err(LoginError::Wrong);
        }
        self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(name);
        Ok(self.open_session(name).await?)
    }

    /// A link's token by which a person logs in once.
    pub async fn create_link(&self, person: &PersonName) -> Result<Secret, PeopleError> {
        let secret = Secret::draw("fbl")?;
        sqlx::query("DELETE FROM links WHERE expires_at < $1").bind(now_us()).execute(&self.pool).await?;
        sqlx::query("INSERT INTO links (hash, person, expires_at) VALUES ($1, $2, $3)")
            .bind(secret.hash_text())
            .bind(person.as_str())
            .bind(now_us() + LINK_FOR.as_micros() as i64)
            .execute(&self.pool)
            .await?;
        Ok(secret)
    }

    /// Opens a session by a link's token, which is used up by it.
    pub async fn redeem_link(&self, token: &str) -> Result<Secret, LoginError> {
        let person: Option<String> = sqlx::query_scalar("DELETE FROM links WHERE hash = $1 AND expires_at > $2 RETURNING person")
            .bind(secret::hash_text(token))
            .bind(now_us())
            .fetch_optional(&self.pool)
            .await
            .map_err(PeopleError::from)?;
        match person {
            Some(person) => Ok(self.open_session(&person).await?),
            None => Err(LoginError::Wrong),
        }
    }

    /// Ends a session.
    pub async fn logout(&self, session: &str) -> Result<(), PeopleError> {
        sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(secret::hash_text(session)).execute(&self.pool).await?;
        self.forget();
        Ok(())
    }

    /// Who has this secret, a token or a session; with what the configuration grants now.
    pub async fn authenticate(&self, secret: &str, config: &Config) -> Result<Option<Caller>, PeopleError> {
        let hash = secret::hash(secret);
        let remembered = {
            let known = self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            known.get(&hash).filter(|(at, _)| at.elapsed() < CACHE_FOR).map(|(_, account)| account.clone())
        };
        let account = match remembered {
            Some(account) => account,
            None => {
                let account = self.look_up(secret).await?;
                let mut known = self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                if known.len() >= CACHE_LEN_MAX {
                    known.retain(|_, (at, _)| at.elapsed() < CACHE_FOR);
                    if known.len() >= CACHE_LEN_MAX {
                        known.clear();
                    }
                }
                known.insert(hash, (Instant::now(), account.clone()));
                account
            }
        };
        Ok(account.and_then(|account| caller(account, config)))
    }

    async fn look_up(&self, secret: &str) -> Result<Option<Account>, PeopleError> {
        let hash = secret::hash_text(secret);
        let token: Option<(String, String)> =
            sqlx::query_as("SELECT name, grants FROM tokens WHERE hash = $1").bind(&hash).fetch_optional(&self.pool).await?;
        if let Some((name, grants)) = token {
            let grants = read_grants(&name, &grants)?;
            return Ok(Some(Account::Token(name, grants)));
        }
        let person: Option<String> = sqlx::query_scalar("SELECT person FROM sessions WHERE hash = $1 AND expires_at > $2")
            .bind(&hash)
            .bind(now_us())
            .fetch_optional(&self.pool)
            .await?;
        Ok(person.map(Account::Person))
    }

    async fn open_session(&self, person: &str) -> Result<Secret, PeopleError> {
        let secret = Secret::draw("fbs")?;
        let now = now_us();
        sqlx::query("DELETE FROM sessions WHERE expires_at < $1").bind(now).execute(&self.pool).await?;
        sqlx::query("INSERT INTO sessions (hash, person, created_at, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(secret.hash_text())
            .bind(person)
            .bind(now)
            .bind(now + SESSION_FOR.as_micros() as i64)
            .execute(&self.pool)
            .await?;
        Ok(secret)
    }

    fn may_try(&self, name: &str) -> Result<(), LoginError> {
        let failures = self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match failures.get(name) {
            Some((count, last)) if *count >= FAILURES_MAX && last.elapsed() < FAILURES_WAIT => {
                Err(LoginError::Wait((FAILURES_WAIT - last.elapsed()).as_secs().max(1)))
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, name: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        failures.retain(|_, (_, last)| last.elapsed() < Duration::from_secs(60));
        if failures.len() < FAILURES_LEN_MAX {
            let entry = failures.entry(name.chars().take(64).collect()).or_insert((0, Instant::now()));
            *entry = (entry.0 + 1, Instant::now());
        }
    }

    fn forget(&self) {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clear();
    }
}

/// What an account may do now. A person who is no longer in the configuration is nobody.
fn caller(account: Account, config: &Config) -> Option<Caller> {
    match account {
        Account::Token(name, grants) => Some(Caller { name, kind: CallerKind::Token, grants }),
        Account::Person(name) => {
            let configured = config.users.get(name.as_str()).map(|user| user.grants.clone());
            let grants = configured.or_else(|| (name == ADMIN).then(|| vec![Grant::everywhere(Role::Admin)]))?;
            Some(Caller { name, kind: CallerKind::Person, grants })
        }
    }
}

fn read_grants(name: &str, text: &str) -> Result<Vec<Grant>, PeopleError> {
    serde_json::from_str(text).map_err(|_| PeopleError::Grants(name.to_owned()))
}

fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn people() -> (tempfile::TempDir, People) {
        let folder = tempfile::tempdir().unwrap();
        let people = People::open(&folder.path().join("people.sqlite")).await.unwrap();
        (folder, people)
    }

    #[tokio::test]
    async fn tokens_work_until_they_are_revoked() {
        let (folder, people) = people().await;
        let name = TokenName::new("bench").unwrap();
        let secret = people.create_token(&name, &[Grant::everywhere(Role::Sender)]).await.unwrap();
        let beside = People::open(&folder.path().join("people.sqlite")).await.unwrap();
        let caller = beside.authenticate(secret.text(), &Config::default()).await.unwrap().unwrap();
        assert!(caller.may(Right::Ingest, None, None) && !caller.may(Right::View, None, None));
        assert!(matches!(people.create_token(&name, &[]).await, Err(PeopleError::TokenThere(_))));
        assert!(people.revoke_token(&name).await.unwrap());
        assert_eq!(people.authenticate(secret.text(), &Config::default()).await.unwrap(), None);
        for wrong in ["", "nothing", "fbt_", &secret.text()[1..]] {
            assert_eq!(people.authenticate(wrong, &Config::default()).await.unwrap(), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_link_works_once() {
        let (_folder, people) = people().await;
        let link = people.create_link(&PersonName::new(ADMIN).unwrap()).await.unwrap();
        let session = people.redeem_link(link.text()).await.unwrap();
        assert!(people.redeem_link(link.text()).await.is_err());
        let caller = people.authenticate(session.text(), &Config::default()).await.unwrap().unwrap();
        assert!(caller.may(Right::Administer, None, None));
        people.logout(session.text()).await.unwrap();
        assert_eq!(people.authenticate(session.text(), &Config::default()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn passwords_and_throttling() {
        let (_folder, people) = people().await;
        let person = PersonName::new("zhao").unwrap();
        assert!(matches!(people.set_password(&person, "short").await, Err(PeopleError::Weak)));
        people.set_password(&person, "a long enough one").await.unwrap();
        let session = people.login("zhao", "a long enough one").await.unwrap();
        // Not in the configuration: nobody.
        assert_eq!(people.authenticate(session.text(), &Config::default()).await.unwrap(), None);
        for _ in 0..FAILURES_MAX {
            assert!(matches!(people.login("zhao", "wrong").await, Err(LoginError::Wrong)));
        }
        assert!(matches!(people.login("zhao", "a long enough one").await, Err(LoginError::Wait(_))));
        assert!(matches!(people.login("nobody", "wrong").await, Err(LoginError::Wrong)));
    }
}
