//! Programs that can be released, in a folder, each under the sha256 of its bytes.
//!
//! What is pushed is written beside, hashed on the way, synced and renamed: a name in the folder is always whole. The same
//! bytes twice are one file. Nobody's text is ever part of a path: only 64 hexadecimal digits are.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use axum::body::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use model::ArtifactDigest;
use sha2::{Digest as _, Sha256};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

use crate::http::doors::{ArtifactStore, PutError, Stored};

/// The folder of artifacts.
pub struct Artifacts {
    folder: PathBuf,
}

impl Artifacts {
    /// Opens the folder, makes it if it is not there, and clears what a crash left half written.
    pub fn open(folder: &Path) -> io::Result<Artifacts> {
        std::fs::create_dir_all(folder)?;
        for entry in std::fs::read_dir(folder)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PART) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(Artifacts { folder: folder.to_path_buf() })
    }

    /// Writes what comes; see [`ArtifactStore::put`].
    pub async fn write(&self, mut bytes: BoxStream<'static, io::Result<Bytes>>, len_max: u64) -> Result<Stored, PutError> {
        let part = Part(self.folder.join(format!("{PART}{}", uuid::Uuid::now_v7())));
        let mut file = File::create(&part.0).await.map_err(wrote)?;
        let (mut hash, mut size, mut head) = (Sha256::new(), 0_u64, Vec::<u8>::with_capacity(GZIP.len()));
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk.map_err(PutError::Cut)?;
            size += chunk.len() as u64;
            if size > len_max {
                return Err(PutError::TooLarge(len_max));
            }
            if head.len() < GZIP.len() {
                head.extend(chunk.iter().take(GZIP.len() - head.len()));
                if head == GZIP {
                    return Err(PutError::Gzip);
                }
            }
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(wrote)?;
        }
        file.flush().await.map_err(wrote)?;
        file.sync_all().await.map_err(wrote)?;
        let digest = ArtifactDigest::from(hex::encode(hash.finalize()));
        fs::rename(&part.0, self.folder.join(digest.as_str())).await.map_err(wrote)?;
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || std::fs::File::open(folder)?.sync_all())
            .await
            .map_err(|error| wrote(io::Error::other(error)))?
            .map_err(wrote)?;
        Ok(Stored { digest, size })
    }

    /// The length of an artifact; none where it is not here.
    pub async fn size(&self, digest: &ArtifactDigest) -> Option<u64> {
        Some(fs::metadata(self.path(digest)?).await.ok()?.len())
    }

    /// The artifact's file, open for reading; none where it is not here.
    pub async fn file(&self, digest: &ArtifactDigest) -> io::Result<Option<File>> {
        let Some(path) = self.path(digest) else { return Ok(None) };
        match File::open(path).await {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn path(&self, digest: &ArtifactDigest) -> Option<PathBuf> {
        let text = digest.as_str();
        let plain = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        plain.then(|| self.folder.join(text))
    }
}

/// How gzip begins. Agents unpack zstd and plain tar only.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How files begin that are not whole yet.
const PART: &str = "part-";

/// A file that is not whole yet: gone when it is dropped before its rename.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn wrote(error: io::Error) -> PutError {
    if error.kind() == io::ErrorKind::StorageFull { PutError::Full } else { PutError::Write(error) }
}

#[async_trait]
impl ArtifactStore for Artifacts {
    async fn put(&self, bytes: BoxStream<'static, io::Result<Bytes>>, len_max: u64) -> Result<Stored, PutError> {
        self.write(bytes, len_max).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    fn stream(parts: Vec<io::Result<Bytes>>) -> BoxStream<'static, io::Result<Bytes>> {
        futures::stream::iter(parts).boxed()
    }

    #[tokio::test]
    async fn whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open(folder.path()).unwrap();
        let stored = artifacts.write(stream(vec![Ok("he".into()), Ok("llo".into())]), 10).await.unwrap();
        assert_eq!(stored.digest.as_str(), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(artifacts.size(&stored.digest).await, Some(5));
        let mut text = String::new();
        artifacts.file(&stored.digest).await.unwrap().unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
        let again = artifacts.write(stream(vec![Ok("hello".into())]), 10).await.unwrap();
        assert_eq!(again, stored);
        assert!(matches!(artifacts.write(stream(vec![Ok("hello".into())]), 4).await, Err(PutError::TooLarge(4))));
        let cut = vec![Ok("he".into()), Err(io::ErrorKind::ConnectionReset.into())];
        assert!(matches!(artifacts.write(stream(cut), 10).await, Err(PutError::Cut(_))));
        for gzip in [
            vec![Ok(Bytes::from_static(b"\x1f")), Ok(Bytes::from_static(b"\x8b\x08"))],
            vec![Ok(Bytes::from_static(b"\x1f\x8b\x08"))],
        ] {
            assert!(matches!(artifacts.write(stream(gzip), 10).await, Err(PutError::Gzip)));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        for bad in ["../people.sqlite", "", &"A".repeat(64), &format!("{}/", "a".repeat(63))] {
            assert_eq!(artifacts.size(&ArtifactDigest::from(bad)).await, None);
        }
    }
}
