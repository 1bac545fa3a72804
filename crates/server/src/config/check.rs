//! Checks what the shape of the files can't say: that names which are used are names that exist, and that values fit.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;

use engine::rule::Repeated;
use model::config::{Config, PlaceConfig, ProbeConfig, Rule, RuleGroup, ServiceConfig, Span};
use model::{EnvironmentName, HostName, ProjectName, ServiceName};
use query::Features;

use super::Source;
use super::diagnostic::Diagnostic;
use super::located::{Part, path};

/// Shortest interval of a probe, a scrape or a poll.
pub(super) const INTERVAL_MIN: Span = Span(100);
/// Shortest secret in a heartbeat's address.
const HEARTBEAT_ID_LEN_MIN: usize = 16;

/// Checks all but the rules.
pub(crate) fn check(config: &Config, sources: &[Source], allowed: &Features, mistakes: &mut Vec<Diagnostic>) {
    let mut check = Check { config, sources, allowed, mistakes };
    let mut owners: BTreeMap<&ServiceName, &ProjectName> = BTreeMap::new();
    for (project, name, service) in config.services() {
        if let Some(other) = owners.insert(name, project) {
            check.report(
                &[&"projects", project, &"services", name],
                format!("service `{name}` is in project `{other}` too; a service's name is unique"),
            );
        }
        check.service(project, name, service);
    }
    for (name, balancer) in &config.balancers {
        check.interval(&[&"balancers", name, &"every"], balancer.every);
        check.interval(&[&"balancers", name, &"every_while_rolling"], balancer.every_while_rolling);
        if !balancer.haproxy.starts_with('/') && balancer.haproxy.parse::<SocketAddr>().is_err() {
            check.report(
                &[&"balancers", name, &"haproxy"],
                "neither an absolute path of a socket nor an address with a port".into(),
            );
        }
    }
    for (name, probe) in &config.probes {
        check.probe(name, probe);
    }
    for (name, scrape) in &config.scrapes {
        check.interval(&[&"scrapes", name, &"every"], scrape.every);
        if !scrape.path.starts_with('/') {
            check.report(&[&"scrapes", name, &"path"], "a path begins with `/`".into());
        }
    }
    for (name, heartbeat) in &config.heartbeats {
        let plain = heartbeat.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if heartbeat.id.len() < HEARTBEAT_ID_LEN_MIN || !plain {
            check.report(
                &[&"heartbeats", name, &"id"],
                format!("the id is a secret: at least {HEARTBEAT_ID_LEN_MIN} letters, digits, `-` or `_`"),
            );
        }
        if let Some(service) = &heartbeat.service {
            check.known_service(&[&"heartbeats", name, &"service"], service);
        }
    }
    for (name, receiver) in &config.notification.receivers {
        let at: [&dyn Display; 3] = [&"notification", &"receivers", name];
        match (&receiver.webhook, &receiver.room) {
            (Some(webhook), None) => {
                if !webhook.url.starts_with("http://") && !webhook.url.starts_with("https://") {
                    check.report(
                        &[&"notification", &"receivers", name, &"webhook", &"url"],
                        "a URL begins with http:// or https://".into(),
                    );
                }
            }
            (None, Some(_)) => {}
            (None, None) => check.report(&at, "a receiver has a `webhook` or a `room`".into()),
            (Some(_), Some(_)) => check.report(&at, "a receiver has one of `webhook` and `room`, not both".into()),
        }
    }
    for (place, receiver) in config.notification.default.iter().enumerate() {
        check.known(
            &[&"notification", &"default", &item(place)],
            "receiver",
            receiver.as_str(),
            config.notification.receivers.keys(),
        );
    }
}

struct Check<'a> {
    config: &'a Config,
    sources: &'a [Source],
    allowed: &'a Features,
    mistakes: &'a mut Vec<Diagnostic>,
}

impl Check<'_> {
    fn service(&mut self, project: &ProjectName, name: &ServiceName, service: &ServiceConfig) {
        let at = |rest: &[&dyn Display]| -> Vec<String> {
            let mut whole: Vec<String> = vec!["projects".into(), project.to_string(), "services".into(), name.to_string()];
            whole.extend(rest.iter().map(|part| part.to_string()));
            whole
        };
        if let Some(person) = &service.on_call {
            self.known(&refs(&at(&[&"on_call"])), "user", person.as_str(), self.config.users.keys());
        }
        for (place, other) in service.depends_on.iter().enumerate() {
            self.known_service(&refs(&at(&[&"depends_on", &item(place)])), other);
        }
        for (place, receiver) in service.notify.iter().enumerate() {
            self.known(
                &refs(&at(&[&"notify", &item(place)])),
                "receiver",
                receiver.as_str(),
                self.config.notification.receivers.keys(),
            );
        }
        if let Some(run) = &service.run {
            match run.command.first() {
                None => self.report(&refs(&at(&[&"run", &"command"])), "the command is empty".into()),
                Some(program) if !program.starts_with('/') && !program.starts_with("{release}/") => self.report(
                    &refs(&at(&[&"run", &"command", &"#0"])),
                    format!("`{program}` is neither an absolute path nor in `{{release}}/`"),
                ),
                Some(_) => {}
            }
        }
        // An agent runs one process per service: a second environment there would take the first one's place.
        let mut taken: BTreeMap<&HostName, &EnvironmentName> = BTreeMap::new();
        for (environment, place) in &service.environments {
            self.place(&at(&[&"environments", environment]), environment, place, service.run.is_some());
            for (index, server) in place.servers.iter().enumerate() {
                let other = *taken.entry(&server.host).or_insert(environment);
                if other != environment {
                    self.report(
                        &refs(&at(&[&"environments", environment, &"servers", &item(index), &"host"])),
                        format!(
                            "host `{}` runs `{name}` in `{other}` already: a host is in one environment of a service",
                            server.host
                        ),
                    );
                }
            }
        }
        for (place, number) in service.numbers.iter().enumerate() {
            if let Err(error) = query::parse_with(&number.query, self.allowed) {
                self.report(&refs(&at(&[&"numbers", &item(place), &"query"])), format!("PromQL: {error}"));
            }
        }
    }

    fn place(&mut self, at: &[String], environment: &EnvironmentName, place: &PlaceConfig, runs: bool) {
        let below = |rest: &[&dyn Display]| -> Vec<String> {
            at.iter().cloned().chain(rest.iter().map(|part| part.to_string())).collect()
        };
        self.known(&refs(at), "environment", environment.as_str(), self.config.environments.keys());
        if let Some(balancer) = &place.balancer {
            self.known(&refs(&below(&[&"balancer"])), "balancer", balancer.as_str(), self.config.balancers.keys());
        }
        let mut hosts = std::collections::BTreeSet::new();
        for (index, server) in place.servers.iter().enumerate() {
            let whole = below(&[&"servers", &item(index), &"host"]);
            self.known(&refs(&whole), "host", server.host.as_str(), self.config.hosts.keys());
            if !hosts.insert(&server.host) {
                self.report(&refs(&whole), format!("host `{}` stands twice: one server of a service per host", server.host));
            }
            // The process is told where to listen, and a release looks there whether it answers.
            if runs && self.config.hosts.get(&server.host).is_some_and(|host| host.address.is_empty()) {
                let message = format!(
                    "host `{0}` has no address, and a server that flyball runs needs one: hosts.{0}.address",
                    server.host
                );
                self.report(&refs(&whole), message);
            }
        }
    }

    fn probe(&mut self, name: &impl Display, probe: &ProbeConfig) {
        self.interval(&[&"probes", name, &"every"], probe.every);
        match (&probe.http, &probe.tcp) {
            (Some(url), None) if !url.starts_with("http://") && !url.starts_with("https://") => {
                self.report(&[&"probes", name, &"http"], "a URL begins with http:// or https://".into());
            }
            (None, None) => self.report(&[&"probes", name], "a probe has `http` or `tcp`".into()),
            (Some(_), Some(_)) => self.report(&[&"probes", name], "a probe has one of `http` and `tcp`, not both".into()),
            _ => {}
        }
        for (place, host) in probe.from.iter().enumerate() {
            self.known(&[&"probes", name, &"from", &item(place)], "host", host.as_str(), self.config.hosts.keys());
        }
        if let Some(service) = &probe.service {
            self.known_service(&[&"probes", name, &"service"], service);
        }
    }

    fn known_service(&mut self, at: &[&dyn Display], service: &ServiceName) {
        let config = self.config;
        self.known(at, "service", service.as_str(), config.services().map(|(_, name, _)| name));
    }

    fn known<'k, K: AsRef<str> + 'k>(&mut self, at: &[&dyn Display], kind: &str, name: &str, known: impl Iterator<Item = &'k K>) {
        let known: Vec<&str> = known.map(AsRef::as_ref).collect();
        if !known.contains(&name) {
            let mistake = self.diagnostic(at, format!("no {kind} is called `{name}`"));
            self.mistakes.push(mistake.nearest(name, known));
        }
    }

    fn interval(&mut self, at: &[&dyn Display], every: Span) {
        if every < INTERVAL_MIN {
            self.report(at, format!("{every} is too short, {INTERVAL_MIN} at least"));
        }
    }

    fn report(&mut self, at: &[&dyn Display], message: String) {
        let mistake = self.diagnostic(at, message);
        self.mistakes.push(mistake);
    }

    /// The mistake in the file in which most of its path is found.
    fn diagnostic(&self, at: &[&dyn Display], message: String) -> Diagnostic {
        let whole = path(at);
        let found = (1..=whole.len()).rev().find_map(|len| {
            self.sources.iter().find_map(|source| source.tree.exactly(&whole[..len]).map(|place| (source, place)))
        });
        match found {
            Some((source, place)) => Diagnostic::at(&source.name, &source.text, Some(place), message),
            None => Diagnostic::of_file(&at.iter().map(|part| part.to_string()).collect::<Vec<_>>().join("."), message),
        }
    }
}

/// An item of a list as a part of a path.
pub(super) fn item(index: usize) -> String {
    format!("#{index}")
}

fn refs(parts: &[String]) -> Vec<&dyn Display> {
    parts.iter().map(|part| part as &dyn Display).collect()
}

/// The files of rule groups: from which group on those of a file stand among all.
pub(crate) type GroupSources<'a> = [(usize, &'a Source)];

/// Where a key of a rule stands.
fn rule_place<'a>(sources: &GroupSources<'a>, (group, rule): (usize, usize), key: &str, below: &str) -> Option<RulePlace<'a>> {
    let (first, source) = sources.iter().rev().find(|(first, _)| *first <= group)?;
    let mut at = path(&[&"groups", &item(group - first), &"rules", &item(rule), &key]);
    if !below.is_empty() {
        at.push(Part::Key(below.to_owned()));
    }
    Some((source, source.tree.value(&at)))
}

type RulePlace<'a> = (&'a Source, Option<(u64, u64)>);

/// Says which rules stand there already: promtool warns of them, too.
pub(crate) fn check_repeated(groups: &[RuleGroup], sources: &GroupSources<'_>, warnings: &mut Vec<Diagnostic>) {
    for Repeated { at, first } in engine::rule::repeated(groups) {
        let rule = &groups[at.0].rules[at.1];
        let (key, name) = match (&rule.alert, &rule.record) {
            (Some(name), _) => ("alert", name),
            (None, Some(name)) => ("record", name),
            (None, None) => continue,
        };
        let (Some((source, place)), Some((other, before))) =
            (rule_place(sources, at, key, ""), rule_place(sources, first, key, ""))
        else {
            continue;
        };
        let line = before.map_or(0, |(line, _)| line);
        let before = if other.name == source.name { format!("line {line}") } else { format!("{}:{line}", other.name) };
        let follows = if key == "alert" { "their alerts look the same" } else { "both write the same series" };
        let message = format!("`{name}` stands in {before} already with the same labels: {follows}");
        warnings.push(Diagnostic::at(&source.name, &source.text, place, message));
    }
}

/// Checks rule groups as they are compiled.
pub(crate) fn check_rules(groups: &[RuleGroup], sources: &GroupSources<'_>, allowed: &Features, mistakes: &mut Vec<Diagnostic>) {
    let Err(errors) = engine::rule::Rules::compile_with(groups, allowed) else { return };
    for error in errors {
        let (group, rule) = error.at;
        let (key, below) = error.field.split_once('.').unwrap_or((&error.field, ""));
        let Some((source, begins)) = rule_place(sources, error.at, key, below) else { continue };
        let place = match (begins, error.place, value_of(&groups[group].rules[rule], key, below)) {
            (Some(begins), Some(inside), Some(value)) => Some(inside_value(&source.text, begins, value, inside.start as usize)),
            _ => begins,
        };
        let message = if key == "expr" { format!("PromQL: {}", error.text) } else { error.text };
        mistakes.push(Diagnostic::at(&source.name, &source.text, place, message));
    }
}

/// The text of a rule's key in which a place may lie.
fn value_of<'a>(rule: &'a Rule, key: &str, below: &str) -> Option<&'a str> {
    match key {
        "expr" => Some(&rule.expr),
        "labels" => rule.labels.get(below).map(String::as_str),
        "annotations" => rule.annotations.get(below).map(String::as_str),
        _ => None,
    }
}

/// The place of a byte of a value whose own place is known: behind a quote, or in a later line of a block. The value's place
/// where the text stands otherwise than it reads, as when it is folded.
fn inside_value(text: &str, begins: (u64, u64), value: &str, offset: usize) -> (u64, u64) {
    let before = value.get(..offset).unwrap_or(value);
    let down = before.matches('\n').count();
    let inside = before.rsplit('\n').next().unwrap_or("").chars().count();
    let Some(here) = text.lines().nth(begins.0 as usize - 1 + down) else { return begins };
    let wanted = value.lines().nth(down).unwrap_or("").trim();
    if down > 0 {
        let indent = here.chars().take_while(|c| *c == ' ').count();
        let own = value.lines().nth(down).unwrap_or("").chars().take_while(|c| *c == ' ').count();
        let found = here.trim_start().starts_with(wanted) && indent >= own;
        return if found { (begins.0 + down as u64, (indent - own + inside) as u64 + 1) } else { begins };
    }
    let rest: String = here.chars().skip(begins.1 as usize - 1).collect();
    let quoted = usize::from(rest.starts_with(['"', '\'']));
    let found = rest.get(quoted..).is_some_and(|rest| rest.starts_with(wanted));
    if found { (begins.0, begins.1 + (quoted + inside) as u64) } else { begins }
}
