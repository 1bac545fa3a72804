//! The agent's folder: what lies where, written so that a power cut leaves the old file or the new one, never half.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use model::{ArtifactDigest, ServiceName};

/// An agent's folder, locked against a second agent.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    _lock: File,
}

/// The folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Something with a file failed.
    #[error("{doing} `{path}`")]
    Io {
        /// What we were doing.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Another agent has it.
    #[error("lock the folder `{path}`: another agent uses it")]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// Written by something newer, or damaged.
    #[error("read `{path}`: {why}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// For `map_err`: says what we were doing with which file.
pub fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FolderError + 'a {
    move |source| FolderError::Io { doing, path: path.to_owned(), source }
}

impl Folder {
    /// Makes what is missing and takes the lock.
    pub fn open(root: &Path) -> Result<Folder, FolderError> {
        make_private(root)?;
        let root = root.canonicalize().map_err(failed("find the folder", root))?;
        let lock_path = root.join("lock");
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = lock.map_err(failed("open", &lock_path))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| FolderError::InUse { path: root.clone() })?;
        for name in ["artifacts", "services"] {
            make_private(&root.join(name))?;
        }
        Ok(Folder { root, _lock: lock })
    }

    /// The folder itself, canonical.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file right in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where an artifact lies once its digest was checked.
    pub fn artifact(&self, digest: &ArtifactDigest) -> PathBuf {
        self.root.join("artifacts").join(digest.as_str())
    }

    /// A service's own folder.
    pub fn service(&self, service: &ServiceName) -> PathBuf {
        self.root.join("services").join(service.as_str())
    }
}

/// Makes a folder, and those above it, that nobody else may look into.
pub fn make_private(path: &Path) -> Result<(), FolderError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make the folder", path))
}

/// Replaces a file by rename; on disk when this returns.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let temporary = path.with_extension("new");
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(true).write(true).mode(0o600).open(&temporary);
    let mut file = file.map_err(failed("write", &temporary))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write", &temporary))?;
    fs::rename(&temporary, path).map_err(failed("replace", path))?;
    sync_parent(path)
}

/// Makes a rename in the folder above `path` survive a power cut.
pub fn sync_parent(path: &Path) -> Result<(), FolderError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(failed("sync", parent))
}

/// Reads a JSON file; `None` if it is not there.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, FolderError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    let wrong = |error: serde_json::Error| FolderError::Content { path: path.to_owned(), why: error.to_string() };
    serde_json::from_slice(&bytes).map(Some).map_err(wrong)
}

/// Replaces a JSON file.
pub fn write_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), FolderError> {
    let wrong = |error: serde_json::Error| FolderError::Content { path: path.to_owned(), why: error.to_string() };
    write_atomic(path, &serde_json::to_vec(value).map_err(wrong)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn one_agent_per_folder_and_private_files() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(&place.path().join("a/b")).unwrap();
        assert!(matches!(Folder::open(folder.root()), Err(FolderError::InUse { .. })));
        let path = folder.file("x.json");
        assert_eq!(read_json::<u32>(&path).unwrap(), None);
        write_json(&path, &7).unwrap();
        assert_eq!(read_json::<u32>(&path).unwrap(), Some(7));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "{").unwrap();
        assert!(matches!(read_json::<u32>(&path), Err(FolderError::Content { .. })));
        let root = folder.root().to_owned();
        drop(folder);
        assert!(Folder::open(&root).is_ok());
    }
}
