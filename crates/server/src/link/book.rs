//! The book of hosts: which key belongs to which name, which names are revoked, which tokens are out.
//!
//! A host is its key. A known name with another key is refused until a token for that name brings the key in; then the
//! key before counts no more. A token works once and for ten minutes, and only its hash is kept. Using a token and
//! entering the key is one write of one file, so no crash leaves the one without the other.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{HostName, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use wire::link::token::Token;

use super::{LinkError, sealed};
use crate::clock::SharedClock;

/// How long a token works.
pub const TOKEN_LIFE: Duration = Duration::from_secs(10 * 60);
/// Most tokens that are out at once.
const TOKENS_MAX: usize = 1_000;
/// Most hosts.
const HOSTS_MAX: usize = 100_000;
/// The version of the file.
const VERSION: u32 = 1;

/// Why the book says no.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// Never given out, used, or too old; which of them is nobody's business.
    #[error("take the token: it is not known, was used already, or is older than 10 minutes")]
    Token,
    /// The key is another host's.
    #[error("enter the key of {host}: the same key is known as the host {known}")]
    KeyOfAnother {
        /// Who came.
        host: HostName,
        /// Whose key it is.
        known: HostName,
    },
    /// Nobody has this key, or a newer one took its place.
    #[error("find the host: its key is not known here; enrol it with a token (`flyball enrol HOST`)")]
    Unknown,
    /// A person said so.
    #[error("let {0} in: it was revoked")]
    Revoked(HostName),
    /// Over a limit.
    #[error("write it into the book of hosts: there are {0} {1} already")]
    Full(usize, &'static str),
    /// The book can't be written.
    #[error(transparent)]
    Write(#[from] LinkError),
}

/// The book of hosts.
pub struct Book {
    path: PathBuf,
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
}

struct Inner {
    pages: Pages,
    names: HashMap<String, HostName>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Pages {
    version: u32,
    #[serde(default)]
    tokens: Vec<Ticket>,
    #[serde(default)]
    hosts: BTreeMap<HostName, Entry>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Ticket {
    /// The sha256 of the secret.
    hash: String,
    host: HostName,
    until: Time,
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    /// The sha256 of its public key.
    key: String,
    enrolled_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Time>,
}

impl Book {
    /// Reads the book; a first start has an empty one.
    pub fn open(folder: &Path) -> Result<Book, LinkError> {
        let path = folder.join("hosts.json");
        let pages = match sealed::read(&path)? {
            Some(content) => serde_json::from_slice::<Pages>(&content).map_err(|error| sealed::wrong(&path, error))?,
            None => Pages { version: VERSION, ..Pages::default() },
        };
        if pages.version > VERSION {
            return Err(sealed::wrong(&path, format!("version {}, this build reads {VERSION}", pages.version)));
        }
        let names = names(&pages);
        Ok(Book { path, inner: Mutex::new(Inner { pages, names }), changed: watch::Sender::new(()) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the changed pages, then turns to them: what is in memory is on disk.
    fn turn<T>(
        &self,
        change: impl FnOnce(&mut Pages, &HashMap<String, HostName>) -> Result<T, BookError>,
    ) -> Result<T, BookError> {
        let mut inner = self.lock();
        let mut pages = inner.pages.clone();
        let result = change(&mut pages, &inner.names)?;
        let text = serde_json::to_vec(&pages).map_err(|error| sealed::wrong(&self.path, error))?;
        sealed::write(&self.path, &text)?;
        *inner = Inner { names: names(&pages), pages };
        drop(inner);
        self.changed.send_replace(());
        Ok(result)
    }

    /// Gives out a secret for a host.
    fn ticket(&self, host: &HostName, now: Time) -> Result<String, BookError> {
        let secret = hex::encode(sealed::random::<24>()?);
        self.turn(|pages, _| {
            pages.tokens.retain(|ticket| ticket.until > now);
            if pages.tokens.len() >= TOKENS_MAX {
                return Err(BookError::Full(TOKENS_MAX, "tokens"));
            }
            pages.tokens.push(Ticket { hash: hash(&secret), host: host.clone(), until: now + TOKEN_LIFE });
            Ok(())
        })?;
        Ok(secret)
    }

    /// Whose token this is, without using it.
    pub fn host_of_token(&self, secret: &str, now: Time) -> Result<HostName, BookError> {
        self.lock().pages.find(secret, now).map(|ticket| ticket.host.clone())
    }

    /// Uses a token up: from now on its host has this key and no other.
    pub fn enter(&self, secret: &str, key: &str, now: Time) -> Result<HostName, BookError> {
        self.turn(|pages, names| {
            let host = pages.find(secret, now)?.host.clone();
            if let Some(known) = names.get(key).filter(|known| **known != host) {
                return Err(BookError::KeyOfAnother { host, known: known.clone() });
            }
            if pages.hosts.len() >= HOSTS_MAX && !pages.hosts.contains_key(&host) {
                return Err(BookError::Full(HOSTS_MAX, "hosts"));
            }
            let used = hash(secret);
            pages.tokens.retain(|ticket| ticket.hash != used && ticket.until > now);
            pages.hosts.insert(host.clone(), Entry { key: key.to_owned(), enrolled_at: now, revoked_at: None });
            Ok(host)
        })
    }

    /// The host with this key, unless it was revoked.
    pub fn host_of_key(&self, key: &str) -> Result<HostName, BookError> {
        let inner = self.lock();
        let host = inner.names.get(key).ok_or(BookError::Unknown)?;
        match inner.pages.hosts.get(host) {
            Some(entry) if entry.revoked_at.is_none() => Ok(host.clone()),
            _ => Err(BookError::Revoked(host.clone())),
        }
    }

    /// From now on the host is refused, and its tokens are void. False for a host that was never enrolled.
    pub fn revoke(&self, host: &HostName, now: Time) -> Result<bool, BookError> {
        self.turn(|pages, _| {
            pages.tokens.retain(|ticket| ticket.host != *host);
            let entry = pages.hosts.get_mut(host);
            let is_known = entry.is_some();
            if let Some(entry) = entry {
                entry.revoked_at.get_or_insert(now);
            }
            Ok(is_known)
        })
    }

    /// Rings at each change.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

impl Pages {
    fn find(&self, secret: &str, now: Time) -> Result<&Ticket, BookError> {
        let hash = hash(secret);
        self.tokens.iter().find(|ticket| ticket.hash == hash && ticket.until > now).ok_or(BookError::Token)
    }
}

fn names(pages: &Pages) -> HashMap<String, HostName> {
    pages.hosts.iter().map(|(host, entry)| (entry.key.clone(), host.clone())).collect()
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// Makes the tokens by which hosts come in.
pub struct EnrolTokens {
    book: Arc<Book>,
    clock: SharedClock,
    authority: [u8; 32],
    address: String,
}

impl EnrolTokens {
    /// Tokens that carry this authority's fingerprint and this address.
    pub(super) fn new(book: Arc<Book>, clock: SharedClock, authority: [u8; 32], address: String) -> EnrolTokens {
        EnrolTokens { book, clock, authority, address }
    }

    /// A token for one host: it works once, within [`TOKEN_LIFE`]. For a known host it lets a new key in. Writes a small
    /// file, some milliseconds. The text is a secret.
    pub fn create(&self, host: &HostName) -> Result<String, BookError> {
        let secret = self.book.ticket(host, self.clock.now())?;
        Ok(Token { server: self.address.clone(), ca: self.authority, secret }.to_string())
    }

    /// The address that tokens carry.
    pub fn address(&self) -> &str {
        &self.address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HostName {
        HostName::new(text).unwrap()
    }

    #[test]
    fn a_token_works_once_within_ten_minutes_and_over_a_restart() {
        let home = tempfile::tempdir().unwrap();
        let now = Time::from_secs(1_000);
        let secret = Book::open(home.path()).unwrap().ticket(&name("web-1"), now).unwrap();
        let text = std::fs::read_to_string(home.path().join("hosts.json")).unwrap();
        assert!(!text.contains(&secret));

        let book = Book::open(home.path()).unwrap();
        assert!(matches!(book.enter("x", "k1", now), Err(BookError::Token)));
        assert!(matches!(book.enter(&secret, "k1", now + TOKEN_LIFE), Err(BookError::Token)));
        assert_eq!(book.host_of_token(&secret, now).unwrap(), name("web-1"));
        assert_eq!(book.enter(&secret, "k1", now).unwrap(), name("web-1"));
        assert!(matches!(book.enter(&secret, "k1", now), Err(BookError::Token)));
        assert_eq!(Book::open(home.path()).unwrap().host_of_key("k1").unwrap(), name("web-1"));
    }

    #[test]
    fn a_name_has_one_key_and_a_key_one_name() {
        let home = tempfile::tempdir().unwrap();
        let book = Book::open(home.path()).unwrap();
        let now = Time::from_secs(1_000);
        let enter = |host: &str, key: &str| book.enter(&book.ticket(&name(host), now).unwrap(), key, now);
        enter("web-1", "k1").unwrap();
        assert!(matches!(enter("web-2", "k1"), Err(BookError::KeyOfAnother { .. })));
        enter("web-1", "k2").unwrap();
        assert!(matches!(book.host_of_key("k1"), Err(BookError::Unknown)));
        assert!(book.revoke(&name("web-1"), now).unwrap() && !book.revoke(&name("web-9"), now).unwrap());
        assert!(matches!(book.host_of_key("k2"), Err(BookError::Revoked(_))));
        assert!(matches!(Book::open(home.path()).unwrap().host_of_key("k2"), Err(BookError::Revoked(_))));
        // A fresh token is a person's word that it may come back.
        enter("web-1", "k3").unwrap();
        assert_eq!(book.host_of_key("k3").unwrap(), name("web-1"));
    }

    #[test]
    fn what_is_not_written_did_not_happen() {
        let home = tempfile::tempdir().unwrap();
        let book = Book::open(home.path()).unwrap();
        let now = Time::from_secs(1_000);
        let secret = book.ticket(&name("web-1"), now).unwrap();
        std::fs::create_dir(home.path().join("hosts.new")).unwrap();
        assert!(matches!(book.enter(&secret, "k1", now), Err(BookError::Write(_))));
        std::fs::remove_dir(home.path().join("hosts.new")).unwrap();
        assert_eq!(book.enter(&secret, "k1", now).unwrap(), name("web-1"));
    }
}
