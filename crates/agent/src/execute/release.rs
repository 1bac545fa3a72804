//! Artifacts and releases on disk: fetched by digest, unpacked beside the old one, switched by one rename.
//!
//! A release is a folder `releases/<digest>-<version>` and, written last, a marker beside it with the checksum of each file.
//! Without its marker a folder is rubbish: it is never started and is removed before it is unpacked again. Archives come
//! from outside: only plain files and folders, below the release's folder, within limits.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use model::signal::ReleaseOnHost;
use model::{ArtifactDigest, ServiceName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::folder::{FolderError, failed, make_private, read_json, sync_parent, write_json};

/// Largest artifact, in bytes.
pub const ARTIFACT_LEN_MAX: u64 = 4 << 30;
/// What an archive may become, in bytes and in files.
const UNPACKED_LEN_MAX: u64 = 8 << 30;
const FILES_MAX: usize = 100_000;
/// Longest path in an archive, in bytes.
const PATH_LEN_MAX: usize = 1_024;
/// So many releases of a service are kept besides the current one: an undo goes back by one.
const RELEASES_KEPT: usize = 5;
/// The version of a marker.
const MARKER_VERSION: u32 = 1;

/// Why a release could not be made or may not be started.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// Something with a file failed.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The archive holds what must not be.
    #[error("unpack: {0}")]
    Archive(String),
    /// The archive can't be read.
    #[error("unpack")]
    Read(#[from] io::Error),
    /// A digest that is not 64 hexadecimal digits.
    #[error("`{0}` is not a sha256 in 64 hexadecimal digits")]
    Digest(String),
    /// The bytes are not those of the digest.
    #[error("the artifact's sha256 is {found}, not {expected}")]
    OtherBytes {
        /// What the plan says.
        expected: ArtifactDigest,
        /// What lies there.
        found: String,
    },
    /// It is not unpacked, or not wholly.
    #[error("release {0} is not unpacked on this host")]
    NotUnpacked(String),
    /// A file of the release was altered.
    #[error("release {release}: `{path}` is not as it was unpacked")]
    Altered {
        /// Which release.
        release: String,
        /// Which file.
        path: String,
    },
    /// Too slow.
    #[error("it took longer than the step may take")]
    TooSlow,
}

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    version: u32,
    release: ReleaseOnHost,
    files: Vec<MarkedFile>,
}

#[derive(Debug, Serialize, Deserialize)]
struct MarkedFile {
    path: String,
    sha256: String,
}

/// The releases of one service: its folder with `releases/` and the link `current`.
#[derive(Clone, Debug)]
pub struct Releases {
    folder: PathBuf,
    service: ServiceName,
}

/// Refuses a digest that is not one: it becomes part of a path.
pub fn check_digest(digest: &ArtifactDigest) -> Result<(), ReleaseError> {
    let text = digest.as_str();
    let good = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if good { Ok(()) } else { Err(ReleaseError::Digest(text.chars().take(80).collect())) }
}

/// The sha256 of a file, in hexadecimal digits.
pub fn sha256_of(path: &Path, deadline: Instant) -> Result<String, ReleaseError> {
    let mut file = File::open(path).map_err(failed("read", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        in_time(deadline)?;
        match file.read(&mut buffer).map_err(failed("read", path))? {
            0 => return Ok(hex::encode(hash.finalize())),
            len => hash.update(&buffer[..len]),
        }
    }
}

fn in_time(deadline: Instant) -> Result<(), ReleaseError> {
    if Instant::now() > deadline { Err(ReleaseError::TooSlow) } else { Ok(()) }
}

impl Releases {
    /// Of a service, in its folder.
    pub fn new(folder: PathBuf, service: ServiceName) -> Releases {
        Releases { folder, service }
    }

    /// The name of a release's folder: twelve digits of its digest, and its version for people.
    fn name_of(release: &ReleaseOnHost) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
        let version: String = release.version.chars().take(60).map(plain).collect();
        format!("{}-{version}", &release.digest.as_str()[..12])
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.join("releases").join(name)
    }

    fn marker_path(&self, name: &str) -> PathBuf {
        self.folder.join("releases").join(format!("{name}.json"))
    }

    fn marker(&self, name: &str) -> Option<Marker> {
        let marker: Marker = read_json(&self.marker_path(name)).ok()??;
        (marker.version <= MARKER_VERSION).then_some(marker)
    }

    /// True if it lies there wholly.
    pub fn has(&self, release: &ReleaseOnHost) -> bool {
        check_digest(&release.digest).is_ok()
            && self.marker(&Self::name_of(release)).is_some_and(|marker| marker.release == *release)
    }

    fn current_name(&self) -> Option<String> {
        let target = fs::read_link(self.folder.join("current")).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// What `current` points to, if it lies there wholly.
    pub fn current(&self) -> Option<ReleaseOnHost> {
        Some(self.marker(&self.current_name()?)?.release)
    }

    /// Unpacks an artifact into its own folder. Does nothing if that was done before.
    pub fn unpack(&self, artifact: &Path, release: &ReleaseOnHost, deadline: Instant) -> Result<(), ReleaseError> {
        check_digest(&release.digest)?;
        if self.has(release) {
            return Ok(());
        }
        let found = sha256_of(artifact, deadline)?;
        if found != release.digest.as_str() {
            return Err(ReleaseError::OtherBytes { expected: release.digest.clone(), found });
        }
        let name = Self::name_of(release);
        make_private(&self.folder.join("releases"))?;
        let (temporary, place) = (self.place(&format!("{name}.tmp")), self.place(&name));
        for rubbish in [&temporary, &place] {
            remove(rubbish)?;
        }
        make_private(&temporary)?;
        let mut writer = Writer { root: &temporary, files: Vec::new(), paths: BTreeSet::new(), left: UNPACKED_LEN_MAX, deadline };
        writer.artifact(artifact, self.service.as_str())?;
        let files = writer.files;
        sync_folders(&temporary)?;
        fs::rename(&temporary, &place).map_err(failed("rename", &temporary))?;
        sync_parent(&place)?;
        write_json(&self.marker_path(&name), &Marker { version: MARKER_VERSION, release: release.clone(), files })?;
        Ok(())
    }

    /// Removes what is neither current nor among the newest, and gives back the digests that no release here needs any more.
    pub fn prune(&self) -> Vec<ArtifactDigest> {
        let folder = self.folder.join("releases");
        let mut markers: Vec<(std::time::SystemTime, String)> = Vec::new();
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().ok().and_then(|name| Some(name.strip_suffix(".json")?.to_owned()));
            if let (Some(name), Ok(at)) = (name, entry.metadata().and_then(|about| about.modified())) {
                markers.push((at, name));
            }
        }
        markers.sort();
        let spare = markers.len().saturating_sub(RELEASES_KEPT);
        let current = self.current_name();
        let mut digests = Vec::new();
        for (_, name) in markers.into_iter().take(spare).filter(|(_, name)| current.as_ref() != Some(name)) {
            digests.extend(self.marker(&name).map(|marker| marker.release.digest));
            // The marker first: a folder without one is rubbish that nobody starts.
            if let Err(error) = remove(&self.marker_path(&name)).and_then(|()| remove(&self.place(&name))) {
                tracing::warn!(error = %crate::link::chain(&error), "failed to remove an old release");
            }
        }
        digests
    }

    /// Points `current` to a release, or takes it away. On disk when this returns.
    pub fn switch(&self, to: Option<&ReleaseOnHost>) -> Result<(), ReleaseError> {
        let current = self.folder.join("current");
        let Some(release) = to else {
            match fs::remove_file(&current) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &current)(error).into()),
                _ => return if self.folder.exists() { Ok(sync_parent(&current)?) } else { Ok(()) },
            }
        };
        check_digest(&release.digest)?;
        if !self.has(release) {
            return Err(ReleaseError::NotUnpacked(release.version.clone()));
        }
        if self.current().as_ref() == Some(release) {
            return Ok(());
        }
        let new = self.folder.join("current.new");
        remove(&new)?;
        std::os::unix::fs::symlink(Path::new("releases").join(Self::name_of(release)), &new).map_err(failed("link", &new))?;
        fs::rename(&new, &current).map_err(failed("switch", &current))?;
        Ok(sync_parent(&current)?)
    }

    /// The folder of the current release, canonical, after each of its files was compared with the marker. `None` without one.
    pub fn checked_current(&self, deadline: Instant) -> Result<Option<(ReleaseOnHost, PathBuf)>, ReleaseError> {
        let Some(name) = self.current_name() else { return Ok(None) };
        let marker = self.marker(&name).ok_or_else(|| ReleaseError::NotUnpacked(name.clone()))?;
        let place = self.place(&name);
        let root = place.canonicalize().map_err(failed("find the release", &place))?;
        for file in &marker.files {
            let altered = || ReleaseError::Altered { release: marker.release.version.clone(), path: file.path.clone() };
            let path = root.join(&file.path);
            let about = fs::symlink_metadata(&path).map_err(|_| altered())?;
            if !about.is_file() || sha256_of(&path, deadline)? != file.sha256 {
                return Err(altered());
            }
        }
        Ok(Some((marker.release, root)))
    }
}

fn remove(path: &Path) -> Result<(), FolderError> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path).map_err(failed("remove", path)),
        Ok(_) => fs::remove_file(path).map_err(failed("remove", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("look at", path)(error)),
    }
}

fn sync_folders(root: &Path) -> Result<(), FolderError> {
    for entry in fs::read_dir(root).map_err(failed("read the folder", root))? {
        let entry = entry.map_err(failed("read the folder", root))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sync_folders(&entry.path())?;
        }
    }
    File::open(root).and_then(|folder| folder.sync_all()).map_err(failed("sync", root))
}

/// Writes what an artifact holds below one folder.
struct Writer<'a> {
    root: &'a Path,
    files: Vec<MarkedFile>,
    paths: BTreeSet<PathBuf>,
    left: u64,
    deadline: Instant,
}

impl Writer<'_> {
    /// A tar, a tar.zst, or one plain program, which gets the service's name.
    fn artifact(&mut self, artifact: &Path, program: &str) -> Result<(), ReleaseError> {
        let open = || File::open(artifact).map_err(failed("read", artifact));
        let mut head = Vec::with_capacity(512);
        open()?.take(512).read_to_end(&mut head)?;
        if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let unpacked = || -> Result<_, ReleaseError> {
                let mut decoder = zstd::stream::read::Decoder::new(open()?)?;
                // 128 MiB: what zstd itself accepts without being asked to; more is an attack on the memory.
                decoder.window_log_max(27)?;
                Ok(decoder)
            };
            head.clear();
            unpacked()?.take(512).read_to_end(&mut head)?;
            return if is_tar(&head) { self.tar(unpacked()?) } else { self.plain(unpacked()?, program) };
        }
        // It is no program either: as one it would fail only when it is started, with the old one stopped.
        if head.starts_with(&[0x1f, 0x8b]) {
            return Err(ReleaseError::Archive("it is packed by gzip: push a tar, a tar.zst or a program".into()));
        }
        if is_tar(&head) { self.tar(open()?) } else { self.plain(open()?, program) }
    }

    fn plain(&mut self, source: impl Read, program: &str) -> Result<(), ReleaseError> {
        self.file(PathBuf::from(program), 0o755, source)
    }

    fn tar(&mut self, source: impl Read) -> Result<(), ReleaseError> {
        let mut archive = tar::Archive::new(source);
        for entry in archive.entries()? {
            in_time(self.deadline)?;
            let entry = entry?;
            let shown = String::from_utf8_lossy(&entry.path_bytes()).chars().take(200).collect::<String>();
            let refused = |why: &str| ReleaseError::Archive(format!("`{shown}` {why}"));
            let path = plain_path(&entry.path_bytes()).map_err(refused)?;
            let kind = entry.header().entry_type();
            if self.paths.len() >= FILES_MAX {
                return Err(refused(&format!("is one file too many, {FILES_MAX} at most")));
            }
            if kind.is_dir() {
                self.folder(&path)?;
            } else if matches!(kind, tar::EntryType::Regular | tar::EntryType::Continuous) {
                if path.as_os_str().is_empty() {
                    return Err(refused("has no name"));
                }
                if !self.paths.insert(path.clone()) {
                    return Err(refused("stands twice in the archive"));
                }
                if entry.size() > self.left {
                    return Err(refused("is larger than a release may be"));
                }
                if let Some(parent) = path.parent() {
                    self.folder(parent)?;
                }
                let mode = if entry.header().mode().unwrap_or(0) & 0o111 != 0 { 0o755 } else { 0o644 };
                self.file(path, mode, entry)?;
            } else {
                return Err(refused("is neither a file nor a folder"));
            }
        }
        if self.files.is_empty() { Err(ReleaseError::Archive("the archive is empty".into())) } else { Ok(()) }
    }

    fn folder(&mut self, path: &Path) -> Result<(), ReleaseError> {
        if path.as_os_str().is_empty() || !self.paths.insert(path.to_owned()) && self.root.join(path).is_dir() {
            return Ok(());
        }
        let whole = self.root.join(path);
        Ok(fs::create_dir_all(&whole).map_err(failed("make the folder", &whole))?)
    }

    fn file(&mut self, path: PathBuf, mode: u32, mut source: impl Read) -> Result<(), ReleaseError> {
        let whole = self.root.join(&path);
        let mut file =
            OpenOptions::new().create_new(true).write(true).mode(0o600).open(&whole).map_err(failed("write", &whole))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 128 * 1024];
        loop {
            in_time(self.deadline)?;
            let len = source.read(&mut buffer)?;
            if len == 0 {
                break;
            }
            self.left = self.left.checked_sub(len as u64).ok_or_else(|| ReleaseError::Archive(too_large()))?;
            hash.update(&buffer[..len]);
            file.write_all(&buffer[..len]).map_err(failed("write", &whole))?;
        }
        file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed("write", &whole))?;
        file.sync_all().map_err(failed("sync", &whole))?;
        let path = path.to_string_lossy().into_owned();
        self.files.push(MarkedFile { path, sha256: hex::encode(hash.finalize()) });
        Ok(())
    }
}

fn too_large() -> String {
    format!("it becomes larger than {UNPACKED_LEN_MAX} bytes")
}

fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

/// A path of an archive as one that stays below where it is put.
fn plain_path(bytes: &[u8]) -> Result<PathBuf, &'static str> {
    let text = str::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
    if text.len() > PATH_LEN_MAX {
        return Err("is too long");
    }
    if text.contains('\0') || text.contains('\n') {
        return Err("holds a character that no path should");
    }
    let mut path = PathBuf::new();
    for component in Path::new(text).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err("leads out of the release's folder"),
            Component::RootDir | Component::Prefix(_) => return Err("is absolute"),
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn entry(path: &str, kind: tar::EntryType, mode: u32, data: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        // Not by `set_path`: it refuses what these tests are about.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        if matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link) {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    fn file(path: &str, data: &str) -> Vec<u8> {
        entry(path, tar::EntryType::Regular, 0o755, data.as_bytes())
    }

    struct World {
        place: tempfile::TempDir,
        releases: Releases,
    }

    impl World {
        fn new() -> World {
            let place = tempfile::tempdir().unwrap();
            let releases = Releases::new(place.path().join("shop"), ServiceName::new("shop").unwrap());
            World { place, releases }
        }

        fn push(&self, bytes: &[u8], version: &str) -> (PathBuf, ReleaseOnHost) {
            let digest = ArtifactDigest::from(hex::encode(Sha256::digest(bytes)));
            let path = self.place.path().join(digest.as_str());
            fs::write(&path, bytes).unwrap();
            (path, ReleaseOnHost { version: version.into(), digest })
        }

        fn unpack(&self, bytes: &[u8]) -> Result<ReleaseOnHost, String> {
            let (path, release) = self.push(bytes, "1");
            self.releases.unpack(&path, &release, soon()).map_err(|error| crate::link::chain(&error))?;
            Ok(release)
        }
    }

    #[test]
    fn tar_and_zstd_and_a_plain_program() {
        let world = World::new();
        let tar =
            [file("bin/run", "#!"), entry("data/", tar::EntryType::Directory, 0o755, b""), file("./data/x", "y"), vec![0; 1024]]
                .concat();
        let zst = zstd::encode_all(&tar[..], 1).unwrap();
        for (bytes, path) in [
            (tar, "bin/run"),
            (zst, "data/x"),
            (b"\x7fELF".to_vec(), "shop"),
            (zstd::encode_all(&b"abc"[..], 1).unwrap(), "shop"),
        ] {
            let release = world.unpack(&bytes).unwrap();
            assert!(world.releases.has(&release));
            world.releases.switch(Some(&release)).unwrap();
            let (current, folder) = world.releases.checked_current(soon()).unwrap().unwrap();
            assert!(current == release && folder.join(path).is_file(), "{path}");
            assert_eq!(fs::metadata(folder.join(path)).unwrap().permissions().mode() & 0o777, 0o755);
            // Twice is the same as once.
            assert_eq!(world.unpack(&bytes).unwrap(), release);
        }
    }

    #[test]
    fn gzip_is_refused_before_anything_is_stopped() {
        assert!(World::new().unpack(&[0x1f, 0x8b, 8, 0, 0]).unwrap_err().contains("push a tar, a tar.zst or a program"));
    }

    #[test]
    fn what_an_archive_must_not_hold() {
        use tar::EntryType as Kind;
        for (bytes, said) in [
            (file("../x", "y"), "leads out"),
            (file("a/../../x", "y"), "leads out"),
            (file("/etc/x", "y"), "is absolute"),
            (entry("x", Kind::Symlink, 0o777, b""), "neither"),
            (entry("x", Kind::Link, 0o777, b""), "neither"),
            (entry("x", Kind::Char, 0o777, b""), "neither"),
            (entry("x", Kind::Block, 0o777, b""), "neither"),
            (entry("x", Kind::Fifo, 0o777, b""), "neither"),
            ([file("x", "1"), file("x", "2")].concat(), "twice"),
            ([file("x", "1"), file("./x", "2")].concat(), "twice"),
            ([file("x", "1"), file("x/y", "2")].concat(), "make the folder"),
            (entry("x/", Kind::Directory, 0o755, b""), "empty"),
            (file("a\nb", "1"), "character"),
            (file("x", "1")[..300].to_vec(), "unpack"),
        ] {
            let world = World::new();
            let error = world.unpack(&bytes).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
            let rest: Vec<_> = fs::read_dir(world.place.path().join("shop/releases")).unwrap().flatten().collect();
            assert!(rest.iter().all(|entry| entry.file_name().to_string_lossy().ends_with(".tmp")), "{rest:?}");
            assert!(!Path::new("/etc/x").exists());
        }
    }

    #[test]
    fn a_bomb_ends_at_its_limit_and_a_slow_one_at_its_deadline() {
        let world = World::new();
        let mut huge = tar::Header::new_ustar();
        huge.as_old_mut().name[0] = b'x';
        huge.set_size(UNPACKED_LEN_MAX + 1);
        huge.set_cksum();
        assert!(world.unpack(huge.as_bytes()).unwrap_err().contains("larger"));
        let mut writer =
            Writer { root: world.place.path(), files: Vec::new(), paths: BTreeSet::new(), left: 1_000_000, deadline: soon() };
        let error = writer.file("zeros".into(), 0o644, io::repeat(0)).unwrap_err();
        assert!(error.to_string().contains("larger"), "{error}");
        writer.deadline = Instant::now();
        assert!(matches!(writer.file("slow".into(), 0o644, io::repeat(0)), Err(ReleaseError::TooSlow)));
    }

    #[test]
    fn other_bytes_altered_files_and_half_releases() {
        let world = World::new();
        let (path, release) = world.push(&file("run", "good"), "4.12.0");
        let tampered = ReleaseOnHost { digest: ArtifactDigest::from("0".repeat(64)), ..release.clone() };
        assert!(matches!(world.releases.unpack(&path, &tampered, soon()), Err(ReleaseError::OtherBytes { .. })));
        for bad in ["../../../../etc/passwd", "", &"A".repeat(64)] {
            let bad = ReleaseOnHost { digest: ArtifactDigest::from(bad), ..release.clone() };
            assert!(matches!(world.releases.unpack(&path, &bad, soon()), Err(ReleaseError::Digest(_))));
            assert!(matches!(world.releases.switch(Some(&bad)), Err(ReleaseError::Digest(_))));
        }
        assert!(matches!(world.releases.switch(Some(&release)), Err(ReleaseError::NotUnpacked(_))));
        world.releases.unpack(&path, &release, soon()).unwrap();
        world.releases.switch(Some(&release)).unwrap();
        let name = Releases::name_of(&release);
        fs::write(world.releases.place(&name).join("run"), "evil").unwrap();
        assert!(matches!(world.releases.checked_current(soon()), Err(ReleaseError::Altered { .. })));
        // Ended before the marker was written: rubbish, not current, unpacked again.
        fs::remove_file(world.releases.marker_path(&name)).unwrap();
        assert!(world.releases.current().is_none() && !world.releases.has(&release));
        assert!(matches!(world.releases.checked_current(soon()), Err(ReleaseError::NotUnpacked(_))));
        world.releases.unpack(&path, &release, soon()).unwrap();
        assert!(world.releases.checked_current(soon()).unwrap().is_some());
        world.releases.switch(None).unwrap();
        world.releases.switch(None).unwrap();
        assert!(world.releases.checked_current(soon()).unwrap().is_none());
    }

    #[test]
    fn old_releases_go_and_the_current_one_stays() {
        let world = World::new();
        let mut releases = Vec::new();
        for number in 0..RELEASES_KEPT + 3 {
            let (path, release) = world.push(format!("program {number}").as_bytes(), &number.to_string());
            world.releases.unpack(&path, &release, soon()).unwrap();
            let marker = world.releases.marker_path(&Releases::name_of(&release));
            let at = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + number as u64);
            File::options().write(true).open(marker).unwrap().set_modified(at).unwrap();
            releases.push(release);
        }
        world.releases.switch(Some(&releases[0])).unwrap();
        assert_eq!(world.releases.prune(), [releases[1].digest.clone(), releases[2].digest.clone()]);
        let kept: Vec<bool> = releases.iter().map(|release| world.releases.has(release)).collect();
        assert_eq!(kept, [true, false, false, true, true, true, true, true]);
        assert!(world.releases.checked_current(soon()).unwrap().is_some() && world.releases.prune().is_empty());
    }

    #[test]
    fn a_version_never_becomes_a_path() {
        let release = ReleaseOnHost { version: "../../x y/z".into(), digest: ArtifactDigest::from("a".repeat(64)) };
        assert_eq!(Releases::name_of(&release), "aaaaaaaaaaaa-.._.._x_y_z");
    }
}
