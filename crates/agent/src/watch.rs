//! Changes that nobody reported: a reboot, packages, watched files.
//!
//! What was seen is kept on disk only once the server has what was told about it. A change that is noticed again after
//! an end in between gets the same id, so it is one change still.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::change::Change;
use model::{ChangeKind, EventId, HostName, Scope, Text};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wire::link::duty::HostDuty;

use crate::clock::ServerClock;
use crate::folder::{Folder, read_json, write_json};
use crate::link::chain;
use crate::outbox::Outbox;

/// How often files and the package log are looked at.
pub const EVERY: Duration = Duration::from_secs(15);
/// Where Debian's package manager writes what it did.
const PACKAGE_LOG: &str = "/var/log/dpkg.log";
/// Read of it at once; the rest is read the next time.
const PACKAGE_LOG_READ: u64 = 256 * 1024;
/// Most changes by packages at once; an upgrade of a whole system is told over several rounds.
const PACKAGES_MAX: usize = 200;
/// Most watched files, and the largest whose content is looked at.
const FILES_MAX: usize = 1_000;
const FILE_LEN_MAX: u64 = 64 * 1024 * 1024;
/// What stands for a file that is not there, or too large to be read.
const ABSENT: &str = "absent";

/// What was seen, as it lies on disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    boot_id: String,
    package_log: Option<Place>,
    files: BTreeMap<String, Watched>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    inode: u64,
    offset: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Watched {
    sha256: String,
    /// Size, time and number: without a difference here the content is not read.
    stamp: String,
}

/// Looks for changes.
pub struct Watch {
    path: PathBuf,
    host: HostName,
    clock: Arc<ServerClock>,
    outbox: Arc<Outbox>,
    memory: Memory,
    saved: Memory,
    package_log: PathBuf,
}

impl Watch {
    /// Goes on where the agent before ended.
    pub fn new(folder: &Folder, host: HostName, clock: Arc<ServerClock>, outbox: Arc<Outbox>) -> Watch {
        let path = folder.file("seen.json");
        let memory = read_json::<Memory>(&path).unwrap_or_else(|error| {
            tracing::error!(error = %chain(&error), "failed to read what was seen; watching begins anew");
            None
        });
        let memory = memory.unwrap_or_default();
        Watch { path, host, clock, outbox, saved: memory.clone(), memory, package_log: PACKAGE_LOG.into() }
    }

    /// Looks once at everything. Reads files, so it belongs into a thread that may wait.
    pub fn look(&mut self, duty: &HostDuty, boot_id: &str) {
        if !duty.config.services_only {
            self.reboot(boot_id);
            self.packages();
        }
        self.files(&duty.config.watch_files);
        if self.memory != self.saved && self.outbox.is_settled() {
            match write_json(&self.path, &self.memory) {
                Ok(()) => self.saved = self.memory.clone(),
                Err(error) => tracing::error!(error = %chain(&error), "failed to keep what was seen"),
            }
        }
    }

    fn tell(&self, content: &[&str], what: Text, author: Option<String>, detail: Option<String>) {
        let mut hash = Sha256::new();
        for part in [self.host.as_str()].iter().chain(content) {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let id = hex::encode(&hash.finalize()[..16]);
        self.outbox.change(Change {
            id: EventId::from(id),
            kind: ChangeKind::System,
            what: what.with("host", &self.host),
            scope: Scope { hosts: vec![self.host.clone()], ..Scope::default() },
            author,
            at: self.clock.now(),
            detail,
            link: None,
            order: None,
        });
    }

    fn reboot(&mut self, boot_id: &str) {
        if !self.memory.boot_id.is_empty() && self.memory.boot_id != boot_id && !boot_id.is_empty() {
            self.tell(&["reboot", boot_id], Text::new("change.reboot"), None, None);
        }
        self.memory.boot_id = boot_id.to_owned();
    }

    fn packages(&mut self) {
        let Ok(mut file) = File::open(&self.package_log) else { return };
        let Ok(about) = file.metadata() else { return };
        let (inode, len) = (about.ino(), about.len());
        let offset = match self.memory.package_log {
            // What happened before the first look is nobody's news.
            None => len,
            Some(place) if place.inode == inode && place.offset <= len => place.offset,
            // It was rotated.
            Some(_) => 0,
        };
        let mut text = Vec::new();
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.take(PACKAGE_LOG_READ).read_to_end(&mut text));
        let mut used = 0;
        if read.is_ok() {
            let mut told = 0;
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                if !line.ends_with(b"\n") || told == PACKAGES_MAX {
                    break;
                }
                used += line.len();
                let line = String::from_utf8_lossy(line);
                if let Some(did) = package(line.trim_end()) {
                    told += 1;
                    let what = Text::new("change.package").with("package", did.package).with("action", did.action);
                    self.tell(&["package", line.trim_end()], what.with("version", did.version), Some("dpkg".into()), None);
                }
            }
        }
        self.memory.package_log = Some(Place { inode, offset: offset + used as u64 });
    }

    fn files(&mut self, paths: &[String]) {
        let mut next = BTreeMap::new();
        for path in paths.iter().take(FILES_MAX) {
            let before = self.memory.files.get(path);
            let now = watched(Path::new(path), before);
            if let Some(before) = before
                && before.sha256 != now.sha256
            {
                let what = Text::new("change.file").with("path", path);
                let detail = format!("sha256 {} -> {}", before.sha256, now.sha256);
                self.tell(&["file", path, &before.sha256, &now.sha256, &now.stamp], what, None, Some(detail));
            }
            next.insert(path.clone(), now);
        }
        self.memory.files = next;
    }
}

struct Package<'a> {
    package: &'a str,
    action: &'a str,
    version: &'a str,
}

/// `2026-11-22 10:15:00 upgrade nginx:amd64 1.22.1-9 1.22.1-10`
fn package(line: &str) -> Option<Package<'_>> {
    let mut words = line.split(' ').skip(2);
    let (action, package, old, new) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let version = match action {
        "install" | "upgrade" => new,
        "remove" | "purge" => old,
        _ => return None,
    };
    // `purge` follows `remove` with nothing left to remove.
    (version != "<none>").then_some(Package { package, action, version })
}

fn watched(path: &Path, before: Option<&Watched>) -> Watched {
    let absent = || Watched { sha256: ABSENT.into(), stamp: String::new() };
    let Ok(about) = std::fs::metadata(path) else { return absent() };
    if !about.is_file() || about.len() > FILE_LEN_MAX {
        return absent();
    }
    let stamp = format!("{} {}.{} {}", about.len(), about.mtime(), about.mtime_nsec(), about.ino());
    if let Some(before) = before.filter(|before| before.stamp == stamp) {
        return before.clone();
    }
    let mut hash = Sha256::new();
    match File::open(path).and_then(|file| std::io::copy(&mut file.take(FILE_LEN_MAX), &mut hash)) {
        Ok(_) => Watched { sha256: hex::encode(hash.finalize()), stamp },
        Err(_) => absent(),
    }
}

/// When the agent noticed something, for tests.
#[cfg(test)]
fn told(outbox: &Outbox) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut sent = 0;
    while let Some((sequence, load)) = outbox.after(sent) {
        sent = sequence;
        if let crate::outbox::Load::News(json) = load
            && let Ok(wire::link::duty::AgentNews::Changed(change)) = serde_json::from_slice(&json)
        {
            changes.push(change);
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Language;

    struct World {
        _place: tempfile::TempDir,
        folder: Folder,
        log: PathBuf,
        watched: PathBuf,
        duty: HostDuty,
        outbox: Arc<Outbox>,
    }

    impl World {
        fn new() -> World {
            let place = tempfile::tempdir().unwrap();
            let folder = Folder::open(&place.path().join("agent")).unwrap();
            let (log, watched) = (place.path().join("dpkg.log"), place.path().join("app.conf"));
            let json = serde_json::json!({ "host": "web-1", "config": { "watch_files": [watched.to_str().unwrap()] } });
            std::fs::write(&log, "2026-11-22 10:00:00 install old:amd64 <none> 1.0\n").unwrap();
            std::fs::write(&watched, "a").unwrap();
            World { _place: place, folder, log, watched, duty: serde_json::from_value(json).unwrap(), outbox: Arc::default() }
        }

        fn watch(&self) -> Watch {
            let mut watch = Watch::new(&self.folder, self.duty.host.clone(), Arc::default(), self.outbox.clone());
            watch.package_log = self.log.clone();
            watch
        }

        fn said(&self) -> Vec<String> {
            told(&self.outbox).iter().map(|change| change.what.render(Language::En)).collect()
        }
    }

    #[test]
    fn a_reboot_a_package_and_a_file() {
        let world = World::new();
        let mut watch = world.watch();
        watch.look(&world.duty, "boot-1");
        assert!(world.said().is_empty(), "the first look is no news");
        std::fs::write(&world.watched, "b").unwrap();
        let mut text = std::fs::read_to_string(&world.log).unwrap();
        text.push_str("2026-11-22 10:15:00 startup archives unpack\n2026-11-22 10:15:00 upgrade nginx:amd64 1.22.1-9 1.22.1-10\n2026-11-22 10:15:01 status installed nginx:amd64 1.22.1-10\n2026-11-22 10:15:02 remove vim:amd64 9.0 <none>\n2026-11-22 10:1");
        std::fs::write(&world.log, text).unwrap();
        watch.look(&world.duty, "boot-2");
        watch.look(&world.duty, "boot-2");
        let expected = [
            "web-1 was rebooted".to_owned(),
            "web-1: package nginx:amd64 upgrade 1.22.1-10".into(),
            "web-1: package vim:amd64 remove 9.0".into(),
            format!("web-1: {} changed", world.watched.display()),
        ];
        assert_eq!(world.said(), expected);
    }

    #[test]
    fn an_end_before_the_server_had_it_tells_the_same_again() {
        let world = World::new();
        world.watch().look(&world.duty, "boot-1");
        let mut watch = world.watch();
        watch.look(&world.duty, "boot-2");
        watch.look(&world.duty, "boot-2");
        drop(watch);
        world.watch().look(&world.duty, "boot-2");
        let ids: Vec<EventId> = told(&world.outbox).into_iter().map(|change| change.id).collect();
        assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
        world.outbox.acknowledged(u64::MAX);
        let mut watch = world.watch();
        watch.look(&world.duty, "boot-2");
        world.outbox.acknowledged(u64::MAX);
        watch.look(&world.duty, "boot-2");
        world.watch().look(&world.duty, "boot-2");
        assert!(world.said().is_empty(), "{:?}", world.said());
    }

    #[test]
    fn a_rotated_log_is_read_from_its_beginning() {
        let world = World::new();
        let mut watch = world.watch();
        watch.look(&world.duty, "b");
        std::fs::rename(&world.log, world.log.with_extension("1")).unwrap();
        std::fs::write(&world.log, "2026-11-23 10:00:00 install new:all <none> 2.0\n").unwrap();
        watch.look(&world.duty, "b");
        std::fs::remove_file(&world.watched).unwrap();
        watch.look(&world.duty, "b");
        assert_eq!(world.said()[0], "web-1: package new:all install 2.0");
        assert!(told(&world.outbox)[1].detail.as_ref().unwrap().ends_with("-> absent"));
    }
}
