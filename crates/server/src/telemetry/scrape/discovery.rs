//! Where targets come from: the configuration itself, files that are read again when they change, servers that name them.
//!
//! A source that fails keeps what it said last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use model::config::{FileDiscovery, HttpDiscovery, Span, TargetGroup};

use super::fetch::{Asking, FetchError, fetch};
use crate::perform::outgoing::Outgoing;

/// Files are looked at so often for whether they changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Largest list of targets, in bytes.
const LIST_LEN_MAX: usize = 32 << 20;
/// Most targets of one source.
const TARGETS_MAX: usize = 100_000;
/// Most files of one source.
const FILES_MAX: usize = 1_000;
/// A discovery server has so long to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Something that was found: its labels, `__address__` among them.
pub type FoundLabels = Vec<(String, String)>;

/// Targets of a group, with what is known about where they were found.
fn flatten(groups: Vec<TargetGroup>, about: &[(&str, &str)]) -> Result<Vec<FoundLabels>, String> {
    let mut out = Vec::new();
    for group in groups {
        for target in group.targets {
            if out.len() >= TARGETS_MAX {
                return Err(format!("more than {TARGETS_MAX} targets"));
            }
            let mut labels: FoundLabels = group.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            labels.extend(about.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            labels.push(("__address__".into(), target));
            out.push(labels);
        }
    }
    Ok(out)
}

/// Targets of the configuration itself.
pub fn of_static(groups: &[TargetGroup]) -> Vec<FoundLabels> {
    flatten(groups.to_vec(), &[]).unwrap_or_default()
}

/// Targets in files.
pub struct Files {
    config: FileDiscovery,
    /// What each file was when it was read, and what it said.
    known: BTreeMap<PathBuf, (Stamp, Vec<FoundLabels>)>,
    read_at: Option<Instant>,
}

/// What changes with a file.
type Stamp = Option<(SystemTime, u64, u64)>;

impl Files {
    /// Nothing is read yet.
    pub fn new(config: FileDiscovery) -> Files {
        Files { config, known: BTreeMap::new(), read_at: None }
    }

    /// When to look again.
    pub fn pause(&self) -> Duration {
        LOOK_EVERY.min(self.config.refresh_interval.duration().max(Duration::from_millis(100)))
    }

    /// Looks at the files; true where something is different now.
    pub fn look(&mut self) -> bool {
        let all = self.read_at.is_none_or(|at| at.elapsed() >= self.config.refresh_interval.duration());
        if all {
            self.read_at = Some(Instant::now());
        }
        let mut changed = false;
        let mut there: Vec<PathBuf> = self.config.files.iter().flat_map(|pattern| matching(pattern)).collect();
        there.truncate(FILES_MAX);
        self.known.retain(|path, _| {
            let stays = there.contains(path);
            changed |= !stays;
            stays
        });
        for path in there {
            let stamp = stamp(&path);
            if !all && self.known.get(&path).is_some_and(|(have, _)| *have == stamp) {
                continue;
            }
            match read(&path) {
                Ok(found) => {
                    let before = self.known.insert(path, (stamp, found.clone()));
                    changed |= before.is_none_or(|(_, before)| before != found);
                }
                Err(why) => {
                    tracing::warn!(file = %path.display(), why, "failed to read targets; those from before stay");
                    self.known.entry(path).or_default().0 = stamp;
                }
            }
        }
        changed
    }

    /// All targets.
    pub fn found(&self) -> impl Iterator<Item = &FoundLabels> {
        self.known.values().flat_map(|(_, found)| found)
    }
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}

/// The files that fit a pattern, in order; a `*` stands for any characters of the last part.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let path = Path::new(pattern);
    let (Some(folder), Some(last)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else { return Vec::new() };
    if !last.contains('*') {
        return if path.is_file() { vec![path.to_owned()] } else { Vec::new() };
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| fits(last, name)))
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found
}

/// Whether a name fits a pattern with `*`.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn read(path: &Path) -> Result<Vec<FoundLabels>, String> {
    let len = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if len > LIST_LEN_MAX as u64 {
        return Err(format!("{len} bytes, {LIST_LEN_MAX} at most"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let groups: Vec<TargetGroup> = match path.extension().and_then(|end| end.to_str()) {
        Some("json") => serde_json::from_str(&text).map_err(|error| error.to_string())?,
        _ => serde_saphyr::from_str::<Option<_>>(&text)
            .map_err(|error| error.without_snippet().render().lines().next().unwrap_or_default().to_owned())?
            .unwrap_or_default(),
    };
    flatten(groups, &[("__meta_filepath", &path.display().to_string())])
}

/// Asks a discovery server.
pub async fn ask(outgoing: &Outgoing, config: &HttpDiscovery) -> Result<Vec<FoundLabels>, String> {
    let asking = Asking {
        basic: config.basic_auth.clone(),
        authorization: config.authorization.clone(),
        tls: config.tls_config.clone(),
        packed: true,
        accept: "application/json".into(),
        limits: (ANSWER_WITHIN, LIST_LEN_MAX),
        said: Some(("x-prometheus-refresh-interval-seconds", seconds(config.refresh_interval))),
        turns: None,
    };
    let fetched = fetch(outgoing, &config.url, &asking).await.map_err(|error: FetchError| error.to_string())?;
    if !fetched.content_type.trim().to_ascii_lowercase().starts_with("application/json") {
        return Err(format!("unsupported content type \"{}\"", fetched.content_type));
    }
    let groups: Vec<TargetGroup> = serde_json::from_slice(&fetched.body).map_err(|error| error.to_string())?;
    flatten(groups, &[("__meta_url", &config.url)])
}

/// Seconds with as many digits as they need.
pub fn seconds(span: Span) -> String {
    (span.0 as f64 / 1_000.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, wanted) in [
            ("*.json", "a.json", true),
            ("*.json", "a.yaml", false),
            ("a*.json", "ab.json", true),
            ("a*b*c", "axbxc", true),
            ("a*b*c", "axc", false),
            ("*", "x", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_read_when_they_change_and_a_broken_one_keeps_what_it_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let pattern = path("*.yaml").display().to_string();
        let json = path("more.json").display().to_string();
        let mut files = Files::new(FileDiscovery { files: vec![pattern, json], refresh_interval: Span::secs(300) });
        assert!(!files.look());
        std::fs::write(path("a.yaml"), "- targets: ['a:1', 'b:2']\n  labels: { env: prod }\n").unwrap();
        std::fs::write(path("more.json"), r#"[{"targets":["c:3"]}]"#).unwrap();
        assert!(files.look() && !files.look());
        let addresses = |files: &Files| -> Vec<String> {
            files
                .found()
                .flat_map(|labels| labels.iter().filter(|(name, _)| name == "__address__").map(|(_, value)| value.clone()))
                .collect()
        };
        assert_eq!(addresses(&files), ["a:1", "b:2", "c:3"]);
        let first = files.found().next().unwrap();
        assert!(first.contains(&("env".into(), "prod".into())) && first.iter().any(|(name, _)| name == "__meta_filepath"));
        std::fs::write(path("a.yaml"), "- targets: [").unwrap();
        assert!(!files.look());
        assert_eq!(addresses(&files).len(), 3);
        std::fs::write(path("a.yaml"), "- targets: ['d:4']\n").unwrap();
        assert!(files.look());
        std::fs::remove_file(path("more.json")).unwrap();
        assert!(files.look());
        assert_eq!(addresses(&files), ["d:4"]);
    }
}
