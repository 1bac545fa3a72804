//! Reads the configuration: one folder of YAML files, all of it or nothing.
//!
//! Every `*.yaml` in the folder may hold any top-level key of [`Config`]; maps from several files are joined. Rule files
//! in Prometheus' own format lie under `rules/`. What is wrong is said with file, line and column, the line itself, and
//! the nearest name that would be right. Nothing here changes a running server: that is the pump's `Configured` event.

mod check;
mod check_scrapes;
mod diagnostic;
mod difference;
mod located;
mod merge;
mod schema;

use std::fs;
use std::path::{Path, PathBuf};

use model::config::{Config, RuleGroup};
use query::Features;
use serde::Deserialize;

pub use diagnostic::Diagnostic;
pub use diagnostic::nearest;
pub use difference::{difference, masked_url};
pub use schema::{reference, schema};

pub(crate) use check::{check_repeated, check_rules};
use located::Located;
pub(crate) use located::path;

/// Largest configuration file, in bytes.
pub const FILE_LEN_MAX: u64 = 4 << 20;
/// Most configuration files.
pub const FILES_MAX: usize = 1_000;

/// A file of the folder as it was read.
pub(crate) struct Source {
    /// Its path as people know it: relative to the folder.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) tree: Located,
}

/// Reads, joins and checks a folder. All mistakes are reported, not only the first; an experimental part of PromQL that is
/// not allowed is one. What is allowed and probably meant otherwise stands in the log.
pub fn load(folder: &Path, allowed: &Features) -> Result<Config, Vec<Diagnostic>> {
    let (config, warnings) = load_with_warnings(folder, allowed)?;
    for warning in warnings {
        tracing::warn!("the configuration: {warning}");
    }
    Ok(config)
}

/// The same; what is probably meant otherwise is told.
pub fn load_with_warnings(folder: &Path, allowed: &Features) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut mistakes = Vec::new();
    let mut config = Config::default();
    let mut places = merge::Places::default();
    let (mut sources, mut scrape_places, mut group_places) = (Vec::new(), Vec::new(), Vec::new());
    if !folder.is_dir() {
        return Err(vec![Diagnostic::of_file(&folder.display().to_string(), "there is no such folder".into())]);
    }
    for path in files(folder, &mut mistakes) {
        let Some(source) = read(folder, &path, &mut mistakes) else { continue };
        match serde_saphyr::from_str::<Option<Config>>(&source.text) {
            Ok(part) => {
                let first = config.scrape_configs.len();
                let mut part = part.unwrap_or_default();
                from_file(&mut part.groups, &source, &mut mistakes);
                group_places.push((config.groups.len(), sources.len()));
                merge::join(&mut config, part, &source, &mut places, &mut mistakes);
                scrape_places.extend((first..config.scrape_configs.len()).map(|place| (sources.len(), place - first)));
            }
            Err(error) => mistakes.push(Diagnostic::of_yaml(&source.name, &source.text, &error)),
        }
        sources.push(source);
    }
    let mut rule_sources = Vec::new();
    for path in files(&folder.join("rules"), &mut mistakes) {
        let Some(source) = read(folder, &path, &mut mistakes) else { continue };
        match serde_saphyr::from_str::<Option<RuleFile>>(&source.text) {
            Ok(part) => {
                let mut groups = part.unwrap_or_default().groups;
                from_file(&mut groups, &source, &mut mistakes);
                rule_sources.push((config.groups.len(), source));
                config.groups.extend(groups);
            }
            Err(error) => mistakes.push(Diagnostic::of_yaml(&source.name, &source.text, &error)),
        }
    }
    if let Some(interval) = config.global.evaluation_interval {
        config.groups.iter_mut().for_each(|group| group.interval = group.interval.or(Some(interval)));
    }
    check::check(&config, &sources, allowed, &mut mistakes);
    check_scrapes::check(&config, &sources, &scrape_places, &mut mistakes);
    let of_main = group_places.into_iter().map(|(first, place)| (first, &sources[place]));
    let rule_sources: Vec<_> = of_main.chain(rule_sources.iter().map(|(first, source)| (*first, source))).collect();
    check_rules(&config.groups, &rule_sources, allowed, &mut mistakes);
    let mut warnings = Vec::new();
    check_repeated(&config.groups, &rule_sources, &mut warnings);
    check_scrapes::in_folder(&mut config, folder);
    if mistakes.is_empty() { Ok((config, warnings)) } else { Err(mistakes) }
}

/// Says of groups which file they are from.
pub(crate) fn from_file(groups: &mut [RuleGroup], source: &Source, mistakes: &mut Vec<Diagnostic>) {
    for (place, group) in groups.iter_mut().enumerate() {
        if !group.file.is_empty() {
            let at = source.tree.key(&path(&[&"groups", &format!("#{place}"), &"file"]));
            mistakes.push(Diagnostic::at(&source.name, &source.text, at, "unknown key `file`"));
        }
        group.file.clone_from(&source.name);
    }
}

/// A rule file as Prometheus writes it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RuleFile {
    pub(crate) groups: Vec<RuleGroup>,
}

/// The YAML files of a folder in the order of their names. A folder that is not there has none.
pub(crate) fn files(folder: &Path, mistakes: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            mistakes.push(Diagnostic::of_file(&folder.display().to_string(), format!("failed to read the folder: {error}")));
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "yaml" || end == "yml") && path.is_file())
        .collect();
    paths.sort();
    if paths.len() > FILES_MAX {
        mistakes.push(Diagnostic::of_file(&folder.display().to_string(), format!("{} files, {FILES_MAX} at most", paths.len())));
        paths.truncate(FILES_MAX);
    }
    paths
}

pub(crate) fn read(folder: &Path, path: &Path, mistakes: &mut Vec<Diagnostic>) -> Option<Source> {
    let name = path.strip_prefix(folder).unwrap_or(path).display().to_string();
    let mut refuse = |why: String| {
        mistakes.push(Diagnostic::of_file(&name, why));
        None
    };
    match fs::metadata(path) {
        Ok(meta) if meta.len() > FILE_LEN_MAX => return refuse(format!("{} bytes, {FILE_LEN_MAX} at most", meta.len())),
        Err(error) => return refuse(format!("failed to read it: {error}")),
        Ok(_) => {}
    }
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return refuse(format!("failed to read it: {error}")),
    };
    // A text that is no YAML at all is reported by the typed reading, with the same place.
    let tree = serde_saphyr::from_str::<Located>(&text).unwrap_or_default();
    Some(Source { name, text, tree })
}

#[cfg(test)]
mod tests;
