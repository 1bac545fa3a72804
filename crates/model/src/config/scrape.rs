//! What is scraped: flyball's short form, and Prometheus' own `global` and `scrape_configs`. What flyball knows of them means
//! what it means there; a key that it doesn't know is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Span;

/// Targets to scrape, the short form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScrapeConfig {
    /// `127.0.0.1:9100`
    pub targets: Vec<String>,
    /// How often.
    #[serde(default = "fifteen_seconds")]
    pub every: Span,
    /// Given up after; 10 s where it is not said, and the interval at most.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// The path.
    #[serde(default = "metrics_path")]
    pub path: String,
    /// Labels on everything from these targets.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Prometheus' `global`: what scrape configurations and rule groups have where they say nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GlobalConfig {
    /// How often is scraped; none: 1 min.
    pub scrape_interval: Option<Span>,
    /// A scrape is given up after; none: 10 s.
    pub scrape_timeout: Option<Span>,
    /// How often rule groups are evaluated that don't say so themselves; none: 1 min.
    pub evaluation_interval: Option<Span>,
    /// Largest answer, unpacked: `10MB`.
    #[serde(skip_serializing_if = "Size::is_zero")]
    pub body_size_limit: Size,
    /// Most samples after relabelling.
    #[serde(skip_serializing_if = "is_zero")]
    pub sample_limit: u64,
    /// Most labels of a series.
    #[serde(skip_serializing_if = "is_zero")]
    pub label_limit: u64,
    /// Longest name of a label, in bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub label_name_length_limit: u64,
    /// Longest value of a label, in bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub label_value_length_limit: u64,
    /// Most targets of a job.
    #[serde(skip_serializing_if = "is_zero")]
    pub target_limit: u64,
    /// Which formats are asked for, the dearest first; none: all that flyball reads.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "protocols")]
    pub scrape_protocols: Option<Vec<ScrapeProtocol>>,
}

/// A job that is scraped, as Prometheus writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScrapeJob {
    /// The job's name; also the label `job`.
    pub job_name: String,
    /// How often; none: that of `global`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrape_interval: Option<Span>,
    /// Given up after; none: that of `global`, the interval at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrape_timeout: Option<Span>,
    /// The path.
    #[serde(default = "metrics_path")]
    pub metrics_path: String,
    /// Whether a series keeps its own label where the target has one of that name; else it is renamed `exported_...`.
    #[serde(default)]
    pub honor_labels: bool,
    /// Whether timestamps in the answer count.
    #[serde(default = "yes")]
    pub honor_timestamps: bool,
    /// Whether series with timestamps of their own end too when they vanish.
    #[serde(default)]
    pub track_timestamps_staleness: bool,
    /// `http` or `https`.
    #[serde(default)]
    pub scheme: Scheme,
    /// Parameters of the address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether the answer may be packed.
    #[serde(default = "yes")]
    pub enable_compression: bool,
    /// HTTP/1.1 is spoken, whatever this says.
    #[serde(default = "yes", skip_serializing)]
    pub enable_http2: bool,
    /// Redirects are not followed, whatever this says: a scrape that is redirected fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow_redirects: Option<bool>,
    /// Which formats are asked for, the dearest first; none: those of `global`, or all that flyball reads.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "protocols")]
    pub scrape_protocols: Option<Vec<ScrapeProtocol>>,
    /// The format of an answer whose content type says none; none: Prometheus' text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_scrape_protocol: Option<ScrapeProtocol>,
    /// User and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// The header `Authorization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// The same as `authorization` with `credentials_file`, as older files have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<String>,
    /// Whom to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<ScrapeTls>,
    /// Targets by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub static_configs: Vec<TargetGroup>,
    /// Targets in files, read again when they change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub file_sd_configs: Vec<FileDiscovery>,
    /// Targets that a server names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http_sd_configs: Vec<HttpDiscovery>,
    /// What makes of a discovered target a scraped one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relabel_configs: Vec<RelabelConfig>,
    /// What is done to the labels of each series.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metric_relabel_configs: Vec<RelabelConfig>,
    /// Largest answer, unpacked: `10MB`. 0: that of `global`; beyond any limit the whole scrape fails.
    #[serde(default, skip_serializing_if = "Size::is_zero")]
    pub body_size_limit: Size,
    /// Most samples after relabelling.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sample_limit: u64,
    /// Most labels of a series.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_limit: u64,
    /// Longest name of a label, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_name_length_limit: u64,
    /// Longest value of a label, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_value_length_limit: u64,
    /// Most targets of a job.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub target_limit: u64,
}

impl GlobalConfig {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == GlobalConfig::default()
    }
}

impl ScrapeJob {
    /// A job with this name and Prometheus' defaults.
    pub fn named(name: &str) -> ScrapeJob {
        ScrapeJob {
            job_name: name.to_owned(),
            scrape_interval: None,
            scrape_timeout: None,
            metrics_path: metrics_path(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            scheme: Scheme::Http,
            params: BTreeMap::new(),
            enable_compression: true,
            enable_http2: true,
            follow_redirects: None,
            scrape_protocols: None,
            fallback_scrape_protocol: None,
            basic_auth: None,
            authorization: None,
            bearer_token_file: None,
            tls_config: None,
            static_configs: Vec::new(),
            file_sd_configs: Vec::new(),
            http_sd_configs: Vec::new(),
            relabel_configs: Vec::new(),
            metric_relabel_configs: Vec::new(),
            body_size_limit: Size(0),
            sample_limit: 0,
            label_limit: 0,
            label_name_length_limit: 0,
            label_value_length_limit: 0,
            target_limit: 0,
        }
    }

    /// The interval that counts.
    pub fn interval(&self) -> Span {
        self.scrape_interval.unwrap_or(Span::secs(60))
    }

    /// The timeout that counts.
    pub fn timeout(&self) -> Span {
        self.scrape_timeout.unwrap_or_else(|| Span::secs(10).min(self.interval()))
    }

    /// Fills what it doesn't say from `global`.
    pub fn with_global(mut self, global: &GlobalConfig) -> ScrapeJob {
        let interval = self.scrape_interval.or(global.scrape_interval).unwrap_or(Span::secs(60));
        self.scrape_interval = Some(interval);
        self.scrape_timeout = self.scrape_timeout.or(Some(global.scrape_timeout.unwrap_or(Span::secs(10)).min(interval)));
        self.scrape_protocols = self.scrape_protocols.or_else(|| global.scrape_protocols.clone());
        for (own, all) in [
            (&mut self.body_size_limit.0, global.body_size_limit.0),
            (&mut self.sample_limit, global.sample_limit),
            (&mut self.label_limit, global.label_limit),
            (&mut self.label_name_length_limit, global.label_name_length_limit),
            (&mut self.label_value_length_limit, global.label_value_length_limit),
            (&mut self.target_limit, global.target_limit),
        ] {
            if *own == 0 {
                *own = all;
            }
        }
        self
    }
}

impl ScrapeConfig {
    /// The same as Prometheus writes it.
    pub fn job(&self, name: &str) -> ScrapeJob {
        ScrapeJob {
            scrape_interval: Some(self.every),
            scrape_timeout: Some(self.timeout.unwrap_or(Span::secs(10)).min(self.every)),
            metrics_path: self.path.clone(),
            static_configs: vec![TargetGroup { targets: self.targets.clone(), labels: self.labels.clone() }],
            ..ScrapeJob::named(name)
        }
    }
}

/// A format that a target may answer in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
pub enum ScrapeProtocol {
    /// OpenMetrics 1.0, with names in UTF-8.
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetricsText1_0_0,
    /// OpenMetrics before 1.0.
    #[serde(rename = "OpenMetricsText0.0.1")]
    OpenMetricsText0_0_1,
    /// Prometheus' text with names in UTF-8.
    #[serde(rename = "PrometheusText1.0.0")]
    PrometheusText1_0_0,
    /// Prometheus' text.
    #[serde(rename = "PrometheusText0.0.4")]
    PrometheusText0_0_4,
}

impl ScrapeProtocol {
    /// All, in the order that Prometheus 3 asks for them.
    pub const ALL: [ScrapeProtocol; 4] = [
        ScrapeProtocol::OpenMetricsText1_0_0,
        ScrapeProtocol::OpenMetricsText0_0_1,
        ScrapeProtocol::PrometheusText1_0_0,
        ScrapeProtocol::PrometheusText0_0_4,
    ];
}

/// How is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// In the open.
    #[default]
    Http,
    /// By TLS.
    Https,
}

impl Scheme {
    /// `http`
    pub fn word(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// User and password; the password lies in a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BasicAuth {
    /// The user.
    pub username: String,
    /// Or a file with the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username_file: Option<String>,
    /// A file with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<String>,
}

/// The header `Authorization`; its secret lies in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Authorization {
    /// The word before the secret.
    #[serde(rename = "type", default = "bearer")]
    pub kind: String,
    /// A file with the secret.
    pub credentials_file: String,
}

/// Whom to trust.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScrapeTls {
    /// A file with certificates in PEM that are trusted instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// Targets with labels in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TargetGroup {
    /// `127.0.0.1:9100`
    pub targets: Vec<String>,
    /// Labels on all of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Targets in files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDiscovery {
    /// Files that end in `.json`, `.yml` or `.yaml`; the last part may have a `*`. Relative to the configuration folder.
    pub files: Vec<String>,
    /// They are read again at least so often, and soon after they changed.
    #[serde(default = "five_minutes")]
    pub refresh_interval: Span,
}

/// Targets that a server names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpDiscovery {
    /// Answers a GET with a list of groups as JSON.
    pub url: String,
    /// How often it is asked.
    #[serde(default = "one_minute")]
    pub refresh_interval: Span,
    /// User and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// The header `Authorization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// Whom to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<ScrapeTls>,
}

/// One step of relabelling, as Prometheus has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RelabelConfig {
    /// The values of these labels are joined.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_labels: Vec<String>,
    /// With this between them.
    pub separator: String,
    /// What the joined text is compared with; anchored at both ends.
    pub regex: String,
    /// Of `hashmod`.
    #[serde(skip_serializing_if = "is_zero")]
    pub modulus: u64,
    /// Which label is set.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target_label: String,
    /// To what; `$1` is the regex' first group.
    pub replacement: String,
    /// What is done.
    pub action: RelabelAction,
}

impl RelabelConfig {
    /// The regex where none is named.
    pub const REGEX: &str = "(.*)";
    /// The replacement where none is named.
    pub const REPLACEMENT: &str = "$1";
    /// The separator where none is named.
    pub const SEPARATOR: &str = ";";
}

impl Default for RelabelConfig {
    fn default() -> RelabelConfig {
        RelabelConfig {
            source_labels: Vec::new(),
            separator: RelabelConfig::SEPARATOR.into(),
            regex: RelabelConfig::REGEX.into(),
            modulus: 0,
            target_label: String::new(),
            replacement: RelabelConfig::REPLACEMENT.into(),
            action: RelabelAction::Replace,
        }
    }
}

/// What a step of relabelling does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RelabelAction {
    /// Sets a label where the regex fits.
    #[default]
    Replace,
    /// Drops what the regex doesn't fit.
    Keep,
    /// Drops what the regex fits.
    Drop,
    /// Drops where the joined text is not the target label's value.
    KeepEqual,
    /// Drops where it is.
    DropEqual,
    /// Sets a label to a hash of the joined text, modulo.
    HashMod,
    /// Copies labels whose name fits to a name made by the replacement.
    LabelMap,
    /// Takes labels away whose name fits.
    LabelDrop,
    /// Takes labels away whose name doesn't fit.
    LabelKeep,
    /// Sets a label to the joined text in small letters.
    Lowercase,
    /// Sets a label to the joined text in capitals.
    Uppercase,
}

/// An amount of bytes: `512KB`, `10MiB`, `0`; units of 1,024 as in Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// Reads `10MB`.
    pub fn parse(text: &str) -> Option<Size> {
        let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let number: f64 = number.parse().ok().filter(|number: &f64| *number >= 0.0)?;
        let power = match unit {
            "" if number == 0.0 => 0,
            "B" => 0,
            "KB" | "KiB" => 1,
            "MB" | "MiB" => 2,
            "GB" | "GiB" => 3,
            "TB" | "TiB" => 4,
            _ => return None,
        };
        let bytes = number * 1024_f64.powi(power);
        (bytes < 9e15).then_some(Size(bytes as u64))
    }

    fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        match units.into_iter().find(|(_, shift)| self.0 > 0 && self.0.trailing_zeros() >= *shift) {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refused = || serde::de::Error::custom(format!("`{text}` is no amount of bytes: write it like 512KB or 10MB"));
        Size::parse(&text).ok_or_else(refused)
    }
}

impl schemars::JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^(0|[0-9.]+([KMGT]i?)?B)$", "examples": ["512KB", "10MB"] })
    }
}

impl utoipa::PartialSchema for Size {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        <String as utoipa::PartialSchema>::schema()
    }
}
impl utoipa::ToSchema for Size {}

/// Formats: at least one, and each once.
fn protocols<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<ScrapeProtocol>>, D::Error> {
    let protocols: Option<Vec<ScrapeProtocol>> = Option::deserialize(deserializer)?;
    let list = protocols.as_deref().unwrap_or(&ScrapeProtocol::ALL);
    if list.is_empty() {
        return Err(serde::de::Error::custom("one format at least is asked for"));
    }
    if list.iter().enumerate().any(|(place, protocol)| list[..place].contains(protocol)) {
        return Err(serde::de::Error::custom("a format is asked for twice"));
    }
    Ok(protocols)
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
fn metrics_path() -> String {
    "/metrics".into()
}
fn bearer() -> String {
    "Bearer".into()
}
fn yes() -> bool {
    true
}
fn fifteen_seconds() -> Span {
    Span::secs(15)
}
fn one_minute() -> Span {
    Span::secs(60)
}
fn five_minutes() -> Span {
    Span::secs(300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_prometheus_writes_them() {
        for (text, bytes) in [("0", 0), ("512B", 512), ("10MB", 10 << 20), ("1.5KiB", 1_536), ("2GiB", 2 << 30)] {
            let size = Size::parse(text).unwrap();
            assert_eq!(size, Size(bytes), "{text}");
            assert_eq!(Size::parse(&size.to_string()), Some(size), "{size}");
        }
        for bad in ["", "10", "MB", "-1MB", "1mb", "1e99TB", "NaNB"] {
            assert_eq!(Size::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn formats_are_named_as_prometheus_does() {
        use ScrapeProtocol::{OpenMetricsText1_0_0, PrometheusText0_0_4};
        let job = |list: &str| serde_json::from_str::<ScrapeJob>(&format!(r#"{{"job_name":"b","scrape_protocols":{list}}}"#));
        let own = job(r#"["PrometheusText0.0.4","OpenMetricsText1.0.0"]"#).unwrap();
        assert_eq!(own.scrape_protocols, Some(vec![PrometheusText0_0_4, OpenMetricsText1_0_0]));
        let global: GlobalConfig = serde_json::from_str(r#"{"scrape_protocols":["PrometheusText0.0.4"]}"#).unwrap();
        assert_eq!(own.clone().with_global(&global), own.clone().with_global(&GlobalConfig::default()));
        assert_eq!(ScrapeJob::named("c").with_global(&global).scrape_protocols, Some(vec![PrometheusText0_0_4]));
        for (list, why) in [
            ("[]", "one format at least"),
            (r#"["PrometheusText0.0.4","PrometheusText0.0.4"]"#, "twice"),
            (r#"["PrometheusProto"]"#, "PrometheusProto"),
        ] {
            let error = job(list).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_a_job_does_not_say_comes_from_global() {
        let global: GlobalConfig =
            serde_json::from_str(r#"{"scrape_interval":"5s","sample_limit":9,"body_size_limit":"1MB"}"#).unwrap();
        let job = ScrapeJob::named("a").with_global(&global);
        assert_eq!((job.interval(), job.timeout()), (Span::secs(5), Span::secs(5)));
        assert_eq!((job.sample_limit, job.body_size_limit), (9, Size(1 << 20)));
        let own: ScrapeJob = serde_json::from_str(r#"{"job_name":"b","scrape_interval":"30s","sample_limit":3}"#).unwrap();
        let own = own.with_global(&global);
        assert_eq!((own.interval(), own.timeout(), own.sample_limit), (Span::secs(30), Span::secs(10), 3));
        assert_eq!(serde_json::from_value::<ScrapeJob>(serde_json::to_value(&own).unwrap()).unwrap(), own);
    }
}
