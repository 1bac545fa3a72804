//! Small files with secrets: in folders that only we may enter (0700), readable by us alone (0600), replaced as a whole.
//!
//! A crash leaves the old content or the new, never a part.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::LinkError;

/// Longest such file, in bytes: a book of 100,000 hosts is half of it.
const LEN_MAX: u64 = 64 << 20;

/// Makes a folder that only we may enter, or closes an open one.
pub fn folder(path: &Path) -> Result<(), LinkError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(0o700))).map_err(failed(path))
}

/// The file's content; none where it is not there.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, LinkError> {
    let mut content = Vec::new();
    match File::open(path).and_then(|file| file.take(LEN_MAX + 1).read_to_end(&mut content)) {
        Ok(len) if len as u64 > LEN_MAX => Err(wrong(path, format!("more than {LEN_MAX} bytes"))),
        Ok(_) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

/// Replaces the file; it is on disk when this returns.
pub fn write(path: &Path, content: &[u8]) -> Result<(), LinkError> {
    let new = path.with_extension("new");
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    })();
    written.map_err(failed(path))
}

/// The file has something in it that we did not write.
pub fn wrong(path: &Path, why: impl ToString) -> LinkError {
    LinkError::Content { path: path.to_owned(), why: why.to_string() }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> LinkError {
    move |source| LinkError::File { path: path.to_owned(), source }
}

/// So many random bytes.
pub fn random<const LEN: usize>() -> Result<[u8; LEN], LinkError> {
    let mut bytes = [0; LEN];
    getrandom::fill(&mut bytes).map_err(LinkError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_we_may_read_and_the_old_stays_until_the_new_is_whole() {
        let home = tempfile::tempdir().unwrap();
        let (inner, path) = (home.path().join("ca"), home.path().join("ca/book.json"));
        folder(&inner).unwrap();
        assert!(read(&path).unwrap().is_none());
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"two");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&inner), mode(&path)), (0o700, 0o600));
        std::fs::create_dir(inner.join("book.new")).unwrap();
        assert!(write(&path, b"three").is_err());
        assert_eq!(read(&path).unwrap().unwrap(), b"two");
    }
}
