//! The one-time token by which a host becomes known: `fb1.<CA fingerprint>.<secret>@<server>`.
//!
//! It carries everything that a new host needs to trust the right server: where it is, the sha256 of its CA's
//! certificate (DER), and a secret that works once. People carry it by hand, so it is one word without characters that a
//! shell would touch. It is never logged: `Debug` and `Display` of the errors leave the secret out.

use std::fmt;

use sha2::{Digest, Sha256};

/// Longest token text, in bytes.
pub const TOKEN_LEN_MAX: usize = 512;
/// Length of a secret in characters: 160 bits and more in hexadecimal digits are 40 and more.
pub const SECRET_LEN_MIN: usize = 40;

/// A token in its parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The server's link address, `name-or-ip:port`; an IPv6 address in brackets.
    pub server: String,
    /// The sha256 over the DER form of the server's CA certificate: see [`fingerprint`].
    pub ca: [u8; 32],
    /// What the server knows the hash of: letters and digits. This part alone is sent as `EnrollRequest.token`.
    pub secret: String,
}

/// Why a text is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`TOKEN_LEN_MAX`].
    #[error("read the token: {0} bytes, {TOKEN_LEN_MAX} at most")]
    TooLong(usize),
    /// Not of this form.
    #[error("read the token: its {part} is not as it should be; a token looks like fb1.<64 hex digits>.<secret>@host:7071")]
    Part {
        /// Which part.
        part: &'static str,
    },
    /// Written by something newer.
    #[error("read the token: it is of a newer kind than this version understands")]
    Newer,
}

impl Token {
    /// Reads a token's text; white space around it is ignored.
    pub fn parse(text: &str) -> Result<Token, TokenError> {
        let text = text.trim();
        if text.len() > TOKEN_LEN_MAX {
            return Err(TokenError::TooLong(text.len()));
        }
        let wrong = |part| TokenError::Part { part };
        let (front, server) = text.split_once('@').ok_or(wrong("address"))?;
        let mut parts = front.split('.');
        match parts.next() {
            Some("fb1") => {}
            Some(kind) if kind.len() > 2 && kind.starts_with("fb") && kind[2..].bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(TokenError::Newer);
            }
            _ => return Err(wrong("beginning")),
        }
        let (Some(ca_hex), Some(secret), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("number of parts"));
        };
        if secret.len() < SECRET_LEN_MIN || !secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(wrong("secret"));
        }
        let mut ca = [0; 32];
        hex::decode_to_slice(ca_hex, &mut ca).map_err(|_| wrong("fingerprint"))?;
        let (host, port) = server.rsplit_once(':').ok_or(wrong("address"))?;
        let host_good = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']'));
        if !host_good || port.parse::<u16>().map_or(true, |port| port == 0) {
            return Err(wrong("address"));
        }
        Ok(Token { server: server.to_owned(), ca, secret: secret.to_owned() })
    }
}

impl fmt::Display for Token {
    /// The token's whole text, with its secret: for the one place that hands it to a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fb1.{}.{}@{}", hex::encode(self.ca), self.secret, self.server)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token for {}", self.server)
    }
}

/// The fingerprint of a certificate: sha256 over its DER form.
pub fn fingerprint(certificate_der: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate_der).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back() {
        let token = Token { server: "[::1]:7071".into(), ca: fingerprint(b"ca"), secret: "s".repeat(SECRET_LEN_MIN) };
        assert_eq!(Token::parse(&format!(" {token}\n")).unwrap(), token);
        assert!(!format!("{token:?}").contains(&token.secret));
    }

    #[test]
    fn what_is_no_token_says_which_part() {
        let (ca, secret) = ("0".repeat(64), "a".repeat(SECRET_LEN_MIN));
        for (text, part) in [
            (format!("fb1.{ca}.{secret}"), "address"),
            (format!("fb1.{ca}.{secret}@host"), "address"),
            (format!("fb1.{ca}.{secret}@host:0"), "address"),
            (format!("fb1.{ca}.{secret}@ho st:1"), "address"),
            (format!("fb1.{ca}.{secret}@:1"), "address"),
            (format!("x.{ca}.{secret}@host:1"), "beginning"),
            (format!("fb1.{ca}.{secret}.x@host:1"), "number of parts"),
            (format!("fb1.{ca}.short@host:1"), "secret"),
            (format!("fb1.00.{secret}@host:1"), "fingerprint"),
        ] {
            assert_eq!(Token::parse(&text), Err(TokenError::Part { part }), "{text}");
        }
        assert_eq!(Token::parse(&format!("fb2.{ca}.{secret}@host:1")), Err(TokenError::Newer));
        assert_eq!(Token::parse(&"x".repeat(600)), Err(TokenError::TooLong(600)));
    }
}
