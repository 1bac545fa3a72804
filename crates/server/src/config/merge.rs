//! Joins the parts that the files of a folder hold. The same name in two places is a mistake that names both.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

use model::config::{Config, GlobalConfig, NotificationConfig, Own};

use super::Source;
use super::diagnostic::Diagnostic;
use super::located::path;

/// Where each name was first.
#[derive(Default)]
pub(crate) struct Places(HashMap<String, String>);

/// Joins `part`, read from `source`, into `config`.
pub(crate) fn join(config: &mut Config, part: Config, source: &Source, places: &mut Places, mistakes: &mut Vec<Diagnostic>) {
    let Config {
        flyball,
        hosts,
        environments,
        projects,
        balancers,
        probes,
        scrapes,
        global,
        scrape_configs,
        heartbeats,
        notification,
        users,
        outgoing,
        groups,
    } = part;
    let mut joiner = Joiner { source, places, mistakes };
    if flyball != Own::default() && joiner.first(&[&"flyball"]) {
        config.flyball = flyball;
    }
    joiner.map(&[&"hosts"], &mut config.hosts, hosts);
    joiner.map(&[&"environments"], &mut config.environments, environments);
    for (name, project) in projects {
        let into = config.projects.entry(name.clone()).or_default();
        joiner.map(&[&"projects", &name, &"services"], &mut into.services, project.services);
    }
    joiner.map(&[&"balancers"], &mut config.balancers, balancers);
    joiner.map(&[&"probes"], &mut config.probes, probes);
    joiner.map(&[&"scrapes"], &mut config.scrapes, scrapes);
    if global != GlobalConfig::default() && joiner.first(&[&"global"]) {
        config.global = global;
    }
    config.scrape_configs.extend(scrape_configs);
    joiner.map(&[&"heartbeats"], &mut config.heartbeats, heartbeats);
    let NotificationConfig { receivers, default } = notification;
    joiner.map(&[&"notification", &"receivers"], &mut config.notification.receivers, receivers);
    config.notification.default.extend(default);
    joiner.map(&[&"users"], &mut config.users, users);
    config.outgoing.allow.extend(outgoing.allow);
    config.groups.extend(groups);
}

struct Joiner<'a> {
    source: &'a Source,
    places: &'a mut Places,
    mistakes: &'a mut Vec<Diagnostic>,
}

impl Joiner<'_> {
    fn map<K: Ord + Display, V>(&mut self, at: &[&dyn Display], into: &mut BTreeMap<K, V>, from: BTreeMap<K, V>) {
        for (name, value) in from {
            let mut whole = at.to_vec();
            whole.push(&name);
            if self.first(&whole) {
                into.insert(name, value);
            }
        }
    }

    /// Remembers where a name stands; false, with a mistake noted, if it stood somewhere before.
    fn first(&mut self, at: &[&dyn Display]) -> bool {
        let parts = path(at);
        let place = self.source.tree.key(&parts);
        let here = place.map_or(self.source.name.clone(), |(line, _)| format!("{}:{line}", self.source.name));
        let name = at.iter().map(|part| part.to_string()).collect::<Vec<_>>().join(".");
        match self.places.0.get(&name) {
            Some(before) => {
                let message = format!("`{name}` stands here and in {before}");
                self.mistakes.push(Diagnostic::at(&self.source.name, &self.source.text, place, message));
                false
            }
            None => {
                self.places.0.insert(name, here);
                true
            }
        }
    }
}
