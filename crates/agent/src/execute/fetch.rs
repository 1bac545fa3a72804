//! The step `fetch`: an artifact's bytes over the link, kept across attempts, named only when their digest is right.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

use futures::stream::StreamExt;
use model::ArtifactDigest;
use sha2::{Digest, Sha256};
use wire::link::CHUNK_LEN_MAX;

use super::release::{ARTIFACT_LEN_MAX, ReleaseError, check_digest, sha256_of};
use super::{Executor, blocking};
use crate::folder::{FolderError, failed, sync_parent};
use crate::link::chain;

impl Executor {
    /// Fetches into a file of its own, goes on where an earlier attempt ended, and gives it its name only when its digest is right.
    pub(super) async fn fetch(&self, digest: &ArtifactDigest, size: u64, deadline: Instant) -> Result<String, String> {
        check_digest(digest).map_err(|error| chain(&error))?;
        if size > ARTIFACT_LEN_MAX {
            return Err(format!("the artifact has {size} bytes, {ARTIFACT_LEN_MAX} at most"));
        }
        let place = self.folder.artifact(digest);
        if std::fs::metadata(&place).is_ok_and(|about| about.len() == size) {
            let path = place.clone();
            if blocking(move || sha256_of(&path, deadline)).await? == digest.as_str() {
                return Ok("was here already".into());
            }
        }
        let partial = place.with_extension("part");
        let path = partial.clone();
        let (mut file, mut hash, mut len) = blocking(move || open_partial(&path, size)).await?;
        let had = len;
        if len < size {
            let mut chunks = self.artifacts.fetch(digest, len).await?;
            while len < size {
                let chunk = chunks.next().await.ok_or(format!("the server sent {len} of {size} bytes"))??;
                len += chunk.len() as u64;
                if chunk.len() > CHUNK_LEN_MAX || len > size {
                    return Err(format!("the server sent more than {size} bytes"));
                }
                (file, hash) = blocking(move || -> Result<_, FolderError> {
                    file.write_all(&chunk).map_err(failed("write", Path::new("the artifact")))?;
                    hash.update(&chunk);
                    Ok((file, hash))
                })
                .await?;
            }
        }
        let found = hex::encode(hash.finalize());
        if found != digest.as_str() {
            let _ = std::fs::remove_file(&partial);
            return Err(chain(&ReleaseError::OtherBytes { expected: digest.clone(), found }));
        }
        blocking(move || -> Result<_, FolderError> {
            file.sync_all().map_err(failed("sync", &partial))?;
            std::fs::rename(&partial, &place).map_err(failed("rename", &partial))?;
            sync_parent(&place)
        })
        .await?;
        Ok(format!("{} bytes, sha256 right", size - had))
    }
}

/// What an earlier attempt left, read once more for its hash; begun anew if it is too long.
fn open_partial(path: &Path, size: u64) -> Result<(File, Sha256, u64), FolderError> {
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).read(true).write(true).open(path);
    let mut file = file.map_err(failed("open", path))?;
    if file.metadata().map_err(failed("look at", path))?.len() > size {
        file.set_len(0).map_err(failed("empty", path))?;
    }
    let (mut hash, mut len) = (Sha256::new(), 0);
    let mut buffer = vec![0; CHUNK_LEN_MAX];
    loop {
        match file.read(&mut buffer).map_err(failed("read", path))? {
            0 => return Ok((file, hash, len)),
            got => {
                hash.update(&buffer[..got]);
                len += got as u64;
            }
        }
    }
}
