//! What one host needs of the configuration.

use model::HostName;
use model::config::Config;
use wire::link::duty::{HostDuty, ServiceDuty};

/// The duty of `host`. Probes that start from nowhere start from `own`, the server's host.
pub fn duty(config: &Config, host: &HostName, own: Option<&HostName>) -> HostDuty {
    let entry = config.hosts.get(host).cloned().unwrap_or_default();
    let mut services: Vec<ServiceDuty> = Vec::new();
    for (service, settings) in config.projects.values().flat_map(|project| &project.services) {
        // One server of a service per host: of two environments on one host the first counts.
        let server = settings.environments.values().flat_map(|place| &place.servers).find(|server| server.host == *host);
        services.extend(server.map(|server| ServiceDuty {
            service: service.clone(),
            run: settings.run.clone(),
            address: entry.address.clone(),
            port: server.port,
        }));
    }
    let is_mine = |from: &[HostName]| if from.is_empty() { own == Some(host) } else { from.contains(host) };
    let probes = config.probes.iter().filter(|(_, probe)| is_mine(&probe.from));
    let probes = probes.map(|(name, probe)| (name.clone(), probe.clone())).collect();
    HostDuty { host: host.clone(), config: entry, services, probes, outgoing_allow: config.outgoing.allow.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_hears_of_its_own_only() {
        let config: Config = serde_json::from_value(serde_json::json!({
            "hosts": {"a": {"address": "127.0.0.11", "services_only": true}, "b": {}},
            "projects": {"shop": {"services": {
                "shop": {"run": {"command": ["{release}/shop"]}, "environments": {
                    "prod": {"servers": [{"host": "a", "port": 8080}]},
                    "uat": {"servers": [{"host": "a", "port": 9090}, {"host": "b", "port": 9090}]}}},
                "pay": {"environments": {"prod": {"servers": [{"host": "b", "port": 7}]}}}}}},
            "probes": {"here": {"tcp": "127.0.0.1:1"}, "there": {"tcp": "127.0.0.1:2", "from": ["a"]}}
        }))
        .unwrap();
        let name = |text: &str| HostName::new(text).unwrap();
        let say = |host: &str, own: Option<&str>| {
            let duty = duty(&config, &name(host), own.map(name).as_ref());
            let services: Vec<String> = duty
                .services
                .iter()
                .map(|of| format!("{} {}:{} {}", of.service, of.address, of.port, of.run.is_some()))
                .collect();
            let probes: Vec<&str> = duty.probes.keys().map(|probe| probe.as_str()).collect();
            format!("{services:?} {probes:?} {}", duty.config.services_only)
        };
        assert_eq!(say("a", None), r#"["shop 127.0.0.11:8080 true"] ["there"] true"#);
        assert_eq!(say("b", Some("b")), r#"["pay :7 false", "shop :9090 true"] ["here"] false"#);
        assert_eq!(say("c", None), "[] [] false");
    }
}
