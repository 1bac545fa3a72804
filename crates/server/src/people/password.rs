//! Passwords by argon2id with the crate's defaults (19 MiB, 2 passes), off the async threads.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};

use super::PeopleError;

/// Shortest password, in characters.
pub(super) const LEN_MIN: usize = 12;
/// Longest password, in bytes.
pub(super) const LEN_MAX: usize = 1_024;

/// Hashes a password with a fresh salt.
pub(super) async fn hash(password: &str) -> Result<String, PeopleError> {
    if password.chars().count() < LEN_MIN || password.len() > LEN_MAX {
        return Err(PeopleError::Weak);
    }
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt).map_err(|_| PeopleError::Random)?;
    let salt = SaltString::encode_b64(&salt).map_err(|_| PeopleError::Hash)?;
    let password = password.to_owned();
    tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string()).map_err(|_| PeopleError::Hash)
    })
    .await
    .map_err(|_| PeopleError::Hash)?
}

/// Whether the password fits. Without a hash the same work is done for nothing, so that time tells no names.
pub(super) async fn verify(password: &str, hash: Option<&str>) -> bool {
    /// Of a password that nobody has.
    const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    if password.len() > LEN_MAX {
        return false;
    }
    let (password, text, known) = (password.to_owned(), hash.unwrap_or(NOBODY).to_owned(), hash.is_some());
    tokio::task::spawn_blocking(move || {
        let Ok(hash) = PasswordHash::new(&text) else { return false };
        Argon2::default().verify_password(password.as_bytes(), &hash).is_ok() && known
    })
    .await
    .unwrap_or(false)
}
