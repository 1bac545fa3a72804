//! Opaque random texts: sessions, tokens, links. 256 bits, kept as their sha256 only.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::PeopleError;

/// A secret that is shown once. Has no `Display`, and its `Debug` is masked.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Draws one; its prefix says what it is for, so that a leaked one is recognised.
    pub fn draw(prefix: &str) -> Result<Secret, PeopleError> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(|_| PeopleError::Random)?;
        Ok(Secret(format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The text, for the one who asked for it.
    pub fn text(&self) -> &str {
        &self.0
    }

    pub(super) fn hash_text(&self) -> String {
        hash_text(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(****)")
    }
}

/// The sha256 of a secret's text. The secret has 256 random bits, so a slow hash would add nothing.
pub(super) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The same in hexadecimal digits.
pub(super) fn hash_text(text: &str) -> String {
    hex::encode(hash(text))
}
