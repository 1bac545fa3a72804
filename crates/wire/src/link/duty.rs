//! What a host shall do, and what it tells: the two things on the link that travel as JSON beside steps and their answers.
//!
//! [`HostDuty`] is the content of `HostConfig.json`: the part of the configuration that one host needs, put together by
//! the server. [`AgentNews`] is the content of `AgentEvent.json`. Both skip fields that they do not know, so agent and
//! server may be one version apart.

use std::collections::BTreeMap;

use model::change::Change;
use model::config::{HostConfig, ProbeConfig, RunConfig};
use model::signal::{LogLine, ServiceSeen};
use model::{HostName, ProbeName, ServiceName};
use serde::{Deserialize, Serialize};

/// Everything that one host needs from the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostDuty {
    /// The host; also the value of the label `host` on everything that it reports.
    pub host: HostName,
    /// Its own entry: address, labels, services_only, watch_files.
    #[serde(default)]
    pub config: HostConfig,
    /// The services that run on it.
    #[serde(default)]
    pub services: Vec<ServiceDuty>,
    /// The probes that start from it.
    #[serde(default)]
    pub probes: BTreeMap<ProbeName, ProbeConfig>,
    /// `outgoing.allow` of the configuration, for its probes.
    #[serde(default)]
    pub outgoing_allow: Vec<String>,
}

/// One service on one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceDuty {
    /// Its name.
    pub service: ServiceName,
    /// How its process runs; none: it is not supervised, only known.
    #[serde(default)]
    pub run: Option<RunConfig>,
    /// The address that stands for `{address}`: the host's.
    #[serde(default)]
    pub address: String,
    /// The port that stands for `{port}`.
    #[serde(default)]
    pub port: u16,
}

/// What an agent tells. The first two are written exactly as `model::Event` writes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of", rename_all = "snake_case")]
pub enum AgentNews {
    /// Something was altered on the host.
    Changed(Change),
    /// A service's process changed its state.
    ServiceSeen(ServiceSeen),
    /// Lines that services wrote, and the agent's own under the service name `deploy`.
    Log(Vec<LogLine>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::signal::ServiceState;
    use model::{Event, Time};

    #[test]
    fn news_are_events_where_the_model_has_them() {
        let seen = ServiceSeen {
            host: HostName::new("web-1").unwrap(),
            service: ServiceName::new("shop").unwrap(),
            state: ServiceState::Running,
            release: None,
            since: Time(5),
            pid: Some(7),
            restarts: 0,
        };
        let json = serde_json::to_vec(&AgentNews::ServiceSeen(seen.clone())).unwrap();
        assert_eq!(serde_json::from_slice::<Event>(&json).unwrap(), Event::ServiceSeen(seen));
    }

    #[test]
    fn a_duty_needs_only_a_host_and_skips_what_is_newer() {
        let duty: HostDuty = serde_json::from_str(r#"{"host":"web-1","tomorrow":1}"#).unwrap();
        assert!(duty.services.is_empty() && duty.probes.is_empty() && !duty.config.services_only);
    }
}
