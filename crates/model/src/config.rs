//! The configuration as flyball uses it: what one folder of YAML files says, put together.
//!
//! Every file in the folder may hold any of the top-level keys; maps from several files are joined, and the same name
//! twice is an error that names both places (the server's loader does that). Rule files lie under `rules/` in
//! Prometheus' own format. No secret is ever in here: a key that ends in `_file` names the file that holds it.

mod scrape;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{
    BalancerName, EnvironmentName, HeartbeatName, HostName, PersonName, ProbeName, ProjectName, ReceiverName, RoomName, RuleName,
    ServiceName,
};
use crate::incident::Priority;
use crate::order::Strategy;
use crate::rights::Grant;
use crate::text::Language;

pub use scrape::{
    Authorization, BasicAuth, FileDiscovery, GlobalConfig, HttpDiscovery, RelabelAction, RelabelConfig, Scheme, ScrapeConfig,
    ScrapeJob, ScrapeProtocol, ScrapeTls, Size, TargetGroup,
};

/// All of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// flyball's own settings.
    pub flyball: Own,
    /// Hosts, by name.
    pub hosts: BTreeMap<HostName, HostConfig>,
    /// Environments, by name.
    pub environments: BTreeMap<EnvironmentName, EnvironmentConfig>,
    /// Projects, by name.
    pub projects: BTreeMap<ProjectName, ProjectConfig>,
    /// Load balancers, by name.
    pub balancers: BTreeMap<BalancerName, BalancerConfig>,
    /// Probes, by name.
    pub probes: BTreeMap<ProbeName, ProbeConfig>,
    /// Targets to scrape, by job name: the short form.
    pub scrapes: BTreeMap<String, ScrapeConfig>,
    /// Prometheus' `global`: what `scrape_configs` and rule groups have where they say nothing.
    #[serde(skip_serializing_if = "GlobalConfig::is_default")]
    pub global: GlobalConfig,
    /// Jobs to scrape as Prometheus writes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scrape_configs: Vec<ScrapeJob>,
    /// Jobs that report.
    pub heartbeats: BTreeMap<HeartbeatName, HeartbeatConfig>,
    /// Whom to tell.
    pub notification: NotificationConfig,
    /// People, by name.
    pub users: BTreeMap<PersonName, UserConfig>,
    /// Where flyball may connect to besides public addresses: `127.0.0.1:9192`, `10.0.0.0/8`.
    pub outgoing: OutgoingConfig,
    /// Rule groups, from the files under rules/.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<RuleGroup>,
}

/// flyball's own settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Own {
    /// The bot's name in chat.
    pub bot: String,
    /// The language of what is sent where nobody chose one.
    pub language: Language,
    /// The address under which people reach the page, for links in messages.
    pub external_url: String,
    /// Rooms of the built-in chat; `ops` is always there.
    pub rooms: Vec<RoomName>,
    /// Line protocol: what happens to string fields.
    pub influx_strings: InfluxStrings,
}

impl Default for Own {
    fn default() -> Own {
        Own {
            bot: "flyball".into(),
            language: Language::En,
            external_url: "http://127.0.0.1:7070".into(),
            rooms: Vec::new(),
            influx_strings: InfluxStrings::Refuse,
        }
    }
}

/// What happens to string fields of the line protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InfluxStrings {
    /// Refused and counted.
    #[default]
    Refuse,
    /// Left out without a word.
    Ignore,
}

/// A host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HostConfig {
    /// Its address as people and probes use it.
    pub address: String,
    /// Labels on everything that it reports.
    pub labels: BTreeMap<String, String>,
    /// Report only the services on it, not the machine below.
    pub services_only: bool,
    /// Files whose change is a change, by hash. At most 1,000.
    pub watch_files: Vec<String>,
}

/// An environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnvironmentConfig {
    /// Whether another person has to approve.
    pub approval: ApprovalRule,
    /// Whether deploy, rollback and restart are confirmed by the person who asks.
    pub confirm: bool,
}

/// Who has to approve an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
pub enum ApprovalRule {
    /// Nobody.
    #[default]
    #[serde(rename = "none")]
    None,
    /// Somebody other than the author.
    #[serde(rename = "another person")]
    AnotherPerson,
}

/// A project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectConfig {
    /// Its services, by name. A service's name is unique over all projects.
    pub services: BTreeMap<ServiceName, ServiceConfig>,
}

/// A service: how it runs, how it is released, who cares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceConfig {
    /// The person on call.
    pub on_call: Option<PersonName>,
    /// Services that it needs.
    pub depends_on: Vec<ServiceName>,
    /// Whom to tell, by receiver; none: the default of `notification`.
    pub notify: Vec<ReceiverName>,
    /// Where to read what to do.
    pub runbook: Option<String>,
    /// Where people meet when it hurts.
    pub meeting: Option<String>,
    /// How its process runs on a host.
    pub run: Option<RunConfig>,
    /// How it is released.
    pub release: ReleaseConfig,
    /// Where it runs.
    pub environments: BTreeMap<EnvironmentName, PlaceConfig>,
    /// PromQL of its numbers on the Overview: title, query, unit.
    pub numbers: Vec<NumberConfig>,
}

/// A number on the Overview.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberConfig {
    /// Its name: `Orders`.
    pub title: String,
    /// PromQL with one value.
    pub query: String,
    /// Its unit: `/min`, `%`, `ms`.
    #[serde(default)]
    pub unit: String,
    /// Drawn as a limit; above it, it is bad.
    #[serde(default)]
    pub limit: Option<f64>,
}

/// How a service's process runs. `{release}` stands for the folder of the release, `{port}` and `{address}` for the server's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Program and arguments; the program is an absolute path or lies in `{release}`. No shell.
    pub command: Vec<String>,
    /// Environment variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// From the stop signal to the kill.
    #[serde(default = "ten_seconds")]
    pub stop_timeout: Span,
}

/// How a service is released.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReleaseConfig {
    /// How the servers take turns where an order does not say.
    pub strategy: Strategy,
    /// How long a batch is watched before the next.
    pub watch: Span,
    /// Rules that must not be bad; none: every alert with this service's label.
    pub rules: Vec<RuleName>,
    /// Whether new is compared with old by the balancer's counts.
    pub judge: bool,
    /// The judge halts a good release at most once in so many.
    pub judge_bound: u32,
    /// What happens when it is bad: halt and roll back, or halt and wait for a person.
    pub if_bad: IfBad,
    /// Path of the page that shows the version: `/version`.
    pub version_path: String,
    /// Never fewer servers than this in the balancer; none: all but one batch.
    pub min_in_service: Option<u32>,
    /// Wait at most so long for sessions to end.
    pub drain: Span,
    /// Longest time for a step of the agent.
    pub step_limit: Span,
}

impl Default for ReleaseConfig {
    fn default() -> ReleaseConfig {
        ReleaseConfig {
            strategy: Strategy::Parallel(2),
            watch: Span::secs(20),
            rules: Vec::new(),
            judge: true,
            judge_bound: 1_000,
            if_bad: IfBad::RollBack,
            version_path: "/version".into(),
            min_in_service: None,
            drain: Span::secs(10),
            step_limit: Span::secs(30),
        }
    }
}

/// What happens when a release is bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfBad {
    /// Halt and roll back by itself.
    #[default]
    RollBack,
    /// Halt and wait for a person.
    Halt,
}

/// A service in one environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlaceConfig {
    /// Its servers, in the order in which they take turns.
    pub servers: Vec<ServerConfig>,
    /// The balancer in front of it.
    pub balancer: Option<BalancerName>,
    /// The balancer's backend; none: the service's name.
    pub backend: Option<String>,
}

/// One instance of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// On which host. One server of a service per host.
    pub host: HostName,
    /// Its port.
    pub port: u16,
    /// Its name in the balancer; none: the host's.
    #[serde(default)]
    pub name: Option<String>,
}

/// A load balancer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BalancerConfig {
    /// HAProxy's runtime socket: a path, or `127.0.0.1:9999`.
    pub haproxy: String,
    /// How often its counters are read while nothing rolls.
    #[serde(default = "five_seconds")]
    pub every: Span,
    /// How often they are read while a release rolls.
    #[serde(default = "fifth_of_a_second")]
    pub every_while_rolling: Span,
}

/// A probe: one of `http` and `tcp`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeConfig {
    /// `http://127.0.0.11:8080/health`; GET.
    #[serde(default)]
    pub http: Option<String>,
    /// `127.0.0.11:8080`
    #[serde(default)]
    pub tcp: Option<String>,
    /// From which hosts; empty: from the server's own.
    #[serde(default)]
    pub from: Vec<HostName>,
    /// How often.
    #[serde(default = "ten_seconds")]
    pub every: Span,
    /// Given up after.
    #[serde(default = "five_seconds")]
    pub timeout: Span,
    /// What the body must contain.
    #[serde(default)]
    pub contains: Option<String>,
    /// Of which service it speaks.
    #[serde(default)]
    pub service: Option<ServiceName>,
}

/// A job that reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatConfig {
    /// The secret part of its address: `/ping/<id>`. At least 16 characters.
    pub id: String,
    /// Longest time between two successes.
    pub every: Span,
    /// Later than that by so much: late.
    #[serde(default = "one_minute")]
    pub grace: Span,
    /// Of which service it speaks.
    #[serde(default)]
    pub service: Option<ServiceName>,
    /// How urgent it is when it is late.
    #[serde(default)]
    pub priority: Priority,
}

/// Whom to tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NotificationConfig {
    /// By name.
    pub receivers: BTreeMap<ReceiverName, ReceiverConfig>,
    /// Told where a service names nobody; none: the room `ops`.
    pub default: Vec<ReceiverName>,
}

/// A receiver: one of `webhook` and `room`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReceiverConfig {
    /// Alertmanager's webhook, version 4.
    pub webhook: Option<WebhookConfig>,
    /// A room of the built-in chat.
    pub room: Option<RoomName>,
}

/// Alertmanager's webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where to POST.
    pub url: String,
    /// A file with the value of the `Authorization` header.
    #[serde(default)]
    pub authorization_file: Option<String>,
    /// Whether it is told when it is over.
    #[serde(default = "yes")]
    pub send_resolved: bool,
}

/// A person.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserConfig {
    /// As it is shown: `Zhao Wei`.
    pub name: String,
    /// What they may do.
    pub grants: Vec<Grant>,
    /// Their language.
    pub language: Language,
}

/// Where flyball may connect to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutgoingConfig {
    /// Loopback and private addresses that are allowed: `127.0.0.1:9192`, `127.0.0.0/8`, `10.1.2.3`.
    pub allow: Vec<String>,
}

/// A rule group in Prometheus' own format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleGroup {
    /// Its name.
    pub name: String,
    /// The file that it was read from, relative to the configuration folder. No key that people write.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(skip)]
    pub file: String,
    /// How often it is evaluated besides on arrival; none: 1 min as in Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// Evaluated so long in the past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_offset: Option<Span>,
    /// Most alerts per rule; 0: flyball's own limit.
    #[serde(default)]
    pub limit: u32,
    /// Labels on every result.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The rules.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// An alerting or a recording rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The alert's name, of an alerting rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// The metric's name, of a recording rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// PromQL.
    pub expr: String,
    /// Bad only after the condition has held so long.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// Bad still for so long after the condition ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<Span>,
    /// Labels on the result.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations: summary, description, runbook_url.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// A length of time as Prometheus writes it: `200ms`, `20s`, `1h30m`, `7d`. In milliseconds inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

impl Span {
    /// So many seconds.
    pub const fn secs(secs: u64) -> Span {
        Span(secs * 1_000)
    }

    /// As a [`Duration`].
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// Reads `1h30m`; parts in falling order, each unit once: y w d h m s ms. `0` needs no unit.
    pub fn parse(text: &str) -> Option<Span> {
        const UNITS: [(&str, u64); 7] = [
            ("y", 31_536_000_000),
            ("w", 604_800_000),
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1_000),
            ("ms", 1),
        ];
        if text == "0" {
            return Some(Span(0));
        }
        let (mut rest, mut total, mut place) = (text, 0_u64, 0);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let amount: u64 = rest[..digits].parse().ok()?;
            let unit_len = rest[digits..].find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len() - digits);
            let unit = &rest[digits..digits + unit_len];
            let found = place + UNITS[place..].iter().position(|(name, _)| *name == unit)?;
            total = total.checked_add(amount.checked_mul(UNITS[found].1)?)?;
            place = found + 1;
            rest = &rest[digits + unit_len..];
        }
        (!text.is_empty()).then_some(Span(total))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (name, size) in UNITS {
            if rest >= size {
                write!(f, "{}{name}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let text = String::deserialize(deserializer)?;
        Span::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a length of time: write it like 20s, 5m or 1h30m")))
    }
}

impl schemars::JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^(0|([0-9]+(y|w|d|h|m|s|ms))+)$", "examples": ["20s", "1h30m"] })
    }
}

impl utoipa::PartialSchema for Span {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        <String as utoipa::PartialSchema>::schema()
    }
}
impl utoipa::ToSchema for Span {}

fn fifth_of_a_second() -> Span {
    Span(200)
}
fn five_seconds() -> Span {
    Span::secs(5)
}
fn ten_seconds() -> Span {
    Span::secs(10)
}
fn one_minute() -> Span {
    Span::secs(60)
}
fn yes() -> bool {
    true
}

impl Config {
    /// Everything that is scraped, in Prometheus' form, with what `global` says.
    pub fn scrape_jobs(&self) -> Vec<ScrapeJob> {
        let short = self.scrapes.iter().map(|(name, scrape)| scrape.job(name));
        short.chain(self.scrape_configs.iter().map(|job| job.clone().with_global(&self.global))).collect()
    }

    /// A service with its project; a service's name is unique over all projects.
    pub fn service(&self, name: &ServiceName) -> Option<(&ProjectName, &ServiceConfig)> {
        self.projects.iter().find_map(|(project, config)| config.services.get(name).map(|service| (project, service)))
    }

    /// All services with their projects.
    pub fn services(&self) -> impl Iterator<Item = (&ProjectName, &ServiceName, &ServiceConfig)> {
        self.projects
            .iter()
            .flat_map(|(project, config)| config.services.iter().map(move |(name, service)| (project, name, service)))
    }

    /// A service in one environment.
    pub fn place(&self, service: &ServiceName, environment: &EnvironmentName) -> Option<&PlaceConfig> {
        self.service(service)?.1.environments.get(environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_as_prometheus_writes_them() {
        for (text, millis) in
            [("200ms", 200), ("20s", 20_000), ("1h30m", 5_400_000), ("7d", 604_800_000), ("0", 0), ("1m0s", 60_000)]
        {
            assert_eq!(Span::parse(text), Some(Span(millis)), "{text}");
        }
        for bad in ["", "5", "5x", "s", "1m1h", "5m5m", "-5s", "1.5s", "99999999999999999999y"] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
        assert_eq!(Span(5_400_200).to_string(), "1h30m200ms");
        assert_eq!(Span::parse(&Span(5_400_200).to_string()), Some(Span(5_400_200)));
    }

    #[test]
    fn an_empty_configuration_has_defaults() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(serde_json::from_str::<ApprovalRule>("\"another person\"").unwrap(), ApprovalRule::AnotherPerson);
        assert!(serde_json::from_str::<Config>(r#"{"hots":{}}"#).is_err());
    }
}
