//! Signs steps: Ed25519 over the exact bytes of the request's JSON. The expiry is among them.
//!
//! The key lives in the data folder; agents learn its public half over the link, whose other end proved to be ours.

use std::path::Path;

use ed25519_dalek::{Signer, SigningKey as Key};
use model::plan::StepRequest;
use sha2::{Digest, Sha256};
use wire::link::{SignedStep, SigningKey};

use super::{LinkError, sealed};

/// The server's hand.
pub struct StepSigner {
    key: Key,
    key_id: String,
}

impl StepSigner {
    /// Reads the key, or makes it at the first start.
    pub fn open(folder: &Path) -> Result<StepSigner, LinkError> {
        sealed::folder(folder)?;
        let path = folder.join("steps.ed25519");
        let seed = match sealed::read(&path)? {
            Some(text) => {
                let mut seed = [0; 32];
                hex::decode_to_slice(text.trim_ascii(), &mut seed).map_err(|error| sealed::wrong(&path, error))?;
                seed
            }
            None => {
                let seed = sealed::random()?;
                sealed::write(&path, hex::encode(seed).as_bytes())?;
                seed
            }
        };
        let key = Key::from_bytes(&seed);
        let key_id = hex::encode(&Sha256::digest(key.verifying_key().as_bytes())[..8]);
        Ok(StepSigner { key, key_id })
    }

    /// What agents check signatures with.
    pub fn public(&self) -> SigningKey {
        SigningKey { key_id: self.key_id.clone(), public_key: self.key.verifying_key().as_bytes().to_vec() }
    }

    /// A step as it goes over the line.
    pub fn sign(&self, request: &StepRequest) -> serde_json::Result<SignedStep> {
        let payload = serde_json::to_vec(request)?;
        let signature = self.key.sign(&payload).to_bytes().to_vec();
        Ok(SignedStep { payload, signature, key_id: self.key_id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_the_same_and_a_damaged_one_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let first = StepSigner::open(home.path()).unwrap().public();
        assert_eq!(StepSigner::open(home.path()).unwrap().public(), first);
        std::fs::write(home.path().join("steps.ed25519"), "zz").unwrap();
        assert!(StepSigner::open(home.path()).is_err());
    }
}
