//! Probes over HTTP and TCP, under blackbox_exporter's names, with the time of each phase.
//!
//! Each probe runs by itself at its own pace, so a slow one delays no other. They go only where `outgoing.allow` lets them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dial::{Dialer, Request, Timings};
use model::config::ProbeConfig;
use model::{ProbeName, ServiceName};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wire::link::duty::HostDuty;

use crate::clock::ServerClock;
use crate::collect::{Names, Sink};
use crate::link::chain;
use crate::outbox::Outbox;

/// No probe runs more often.
const EVERY_MIN: Duration = Duration::from_millis(100);
/// Longest answer that is looked at.
const BODY_MAX: usize = 1024 * 1024;

/// What a probe saw.
#[derive(Debug)]
pub struct Seen {
    /// Whether it was as it should be.
    pub success: bool,
    /// Of HTTP, if there was an answer.
    pub status: Option<u16>,
    /// How long each phase took.
    pub timings: Timings,
    /// How long it took, failed or not.
    pub whole: Duration,
}

/// What a probe looks at, as its labels say it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// A page.
    pub http: Option<&'a str>,
    /// A port.
    pub tcp: Option<&'a str>,
    /// Of which service it speaks.
    pub service: Option<&'a ServiceName>,
}

impl<'a> Target<'a> {
    fn of(config: &'a ProbeConfig) -> Target<'a> {
        Target { http: config.http.as_deref(), tcp: config.tcp.as_deref(), service: config.service.as_ref() }
    }
}

/// A probe that runs; it ends with this value.
struct Running {
    config: ProbeConfig,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Keeps the probes of the duty running until it is dropped.
pub async fn keep(mut duty: watch::Receiver<Option<Arc<HostDuty>>>, clock: Arc<ServerClock>, outbox: Arc<Outbox>) {
    let mut running: HashMap<ProbeName, Running> = HashMap::new();
    let mut before: Option<Arc<HostDuty>> = None;
    loop {
        let now = duty.borrow_and_update().clone();
        if let Some(duty) = now {
            let around = |duty: &HostDuty| (duty.config.clone(), duty.outgoing_allow.clone());
            // Labels and allowed addresses are part of every probe: with others all begin anew.
            if before.as_ref().is_none_or(|before| around(before) != around(&duty)) {
                running.clear();
            }
            running.retain(|name, probe| duty.probes.get(name) == Some(&probe.config));
            match dial::Policy::new(&duty.outgoing_allow) {
                Ok(policy) => {
                    let dialer = Dialer::new(policy);
                    for (name, config) in &duty.probes {
                        running.entry(name.clone()).or_insert_with(|| {
                            let probe = Probe {
                                name: name.clone(),
                                config: config.clone(),
                                dialer: dialer.clone(),
                                names: Names::of(&duty),
                                clock: clock.clone(),
                                outbox: outbox.clone(),
                            };
                            Running { config: config.clone(), task: tokio::spawn(probe.run()) }
                        });
                    }
                }
                Err(error) => tracing::error!(%error, "outgoing.allow can't be read, no probe is started"),
            }
            before = Some(duty);
        }
        if duty.changed().await.is_err() {
            return;
        }
    }
}

struct Probe {
    name: ProbeName,
    config: ProbeConfig,
    dialer: Dialer,
    names: Names,
    clock: Arc<ServerClock>,
    outbox: Arc<Outbox>,
}

impl Probe {
    async fn run(mut self) {
        let mut every = tokio::time::interval(self.config.every.duration().max(EVERY_MIN));
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            every.tick().await;
            let at = self.clock.now();
            let seen = look(&self.dialer, &self.config).await;
            let mut sink = Sink::new(&mut self.names);
            put(&self.name, Target::of(&self.config), &seen, &mut sink);
            self.outbox.samples(sink.frame(at));
        }
    }
}

async fn look(dialer: &Dialer, config: &ProbeConfig) -> Seen {
    let begun = Instant::now();
    let timeout = config.timeout.duration();
    let mut seen = Seen { success: false, status: None, timings: Timings::default(), whole: Duration::ZERO };
    if let Some(url) = &config.http {
        let request = Request { timeout, body_max: BODY_MAX, ..Request::get(url) };
        match dialer.send(&request).await {
            Ok(response) => {
                let wanted = config.contains.as_deref().unwrap_or("");
                let contains = wanted.is_empty() || String::from_utf8_lossy(&response.body).contains(wanted);
                seen.success = response.status.is_success() && contains;
                seen.status = Some(response.status.as_u16());
                seen.timings = response.timings;
            }
            Err(error) => tracing::debug!(url, error = %chain(&error), "a probe failed"),
        }
    } else if let Some(target) = &config.tcp {
        match dialer.tcp(target, timeout).await {
            Ok((_, timings)) => {
                seen.success = true;
                seen.timings = timings;
            }
            Err(error) => tracing::debug!(target, error = %chain(&error), "a probe failed"),
        }
    }
    seen.whole = begun.elapsed();
    seen
}

/// Puts the samples of one look.
pub fn put(name: &ProbeName, target: Target<'_>, seen: &Seen, sink: &mut Sink<'_>) {
    let shown = target.http.or(target.tcp).unwrap_or("");
    let service = target.service.map_or("", |service| service.as_str());
    let labels = [("probe", name.as_str()), ("service", service), ("target", shown)];
    sink.put("probe_success", &labels, if seen.success { 1.0 } else { 0.0 });
    sink.put("probe_duration_seconds", &labels, seen.whole.as_secs_f64());
    sink.put("probe_dns_lookup_time_seconds", &labels, seen.timings.dns.as_secs_f64());
    if target.http.is_none() {
        return;
    }
    sink.put("probe_http_status_code", &labels, f64::from(seen.status.unwrap_or(0)));
    let Timings { dns, connect, tls, first_byte, transfer, .. } = seen.timings;
    let phases = [("resolve", dns), ("connect", connect), ("tls", tls), ("processing", first_byte), ("transfer", transfer)];
    for (phase, took) in phases {
        let labels = [labels[0], labels[1], labels[2], ("phase", phase)];
        sink.put("probe_http_duration_seconds", &labels, took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Load;
    use std::collections::BTreeMap;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn page(body: &'static str) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 2048];
                let _ = stream.read(&mut head).await;
                let _ =
                    stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
            }
        });
        address
    }

    fn duty(probes: serde_json::Value) -> Arc<HostDuty> {
        let json = serde_json::json!({ "host": "web-1", "probes": probes, "outgoing_allow": ["127.0.0.0/8"] });
        Arc::new(serde_json::from_value(json).unwrap())
    }

    async fn next(outbox: &Outbox, sent: &mut u64) -> BTreeMap<String, f64> {
        loop {
            if let Some((sequence, Load::Samples(frame))) = outbox.after(*sent) {
                *sent = sequence;
                return frame.rows.iter().map(|(labels, value)| (labels.to_string(), *value)).collect();
            }
            outbox.added().await;
        }
    }

    #[tokio::test]
    async fn a_page_a_port_and_what_is_not_there() {
        let address = page("all is well").await;
        let outbox = Arc::new(Outbox::default());
        let mut config = ProbeConfig {
            http: Some(format!("http://{address}/health")),
            tcp: None,
            from: Vec::new(),
            every: model::config::Span(100),
            timeout: model::config::Span(1_000),
            contains: Some("well".into()),
            service: None,
        };
        let dialer = Dialer::new(dial::Policy::new(["127.0.0.0/8"]).unwrap());
        let seen = look(&dialer, &config).await;
        assert!(seen.success && seen.status == Some(200) && seen.timings.connect > Duration::ZERO);
        config.contains = Some("ill".into());
        assert!(!look(&dialer, &config).await.success);
        assert!(!look(&Dialer::new(dial::Policy::default()), &config).await.success);
        (config.http, config.tcp) = (None, Some(address.to_string()));
        assert!(look(&dialer, &config).await.success);

        let (tell, told) = watch::channel(Some(duty(serde_json::json!({
            "shop": { "http": format!("http://{address}/health"), "every": "100ms", "service": "shop" },
        }))));
        let kept = tokio::spawn(keep(told, Arc::default(), outbox.clone()));
        let mut sent = 0;
        let first = next(&outbox, &mut sent).await;
        let labels = format!(
            r#"host="web-1", instance="web-1", job="flyball", probe="shop", service="shop", target="http://{address}/health""#
        );
        assert_eq!(first[&format!("probe_success{{{labels}}}")], 1.0);
        assert_eq!(first[&format!("probe_http_status_code{{{labels}}}")], 200.0);
        assert_eq!(first.keys().filter(|key| key.starts_with("probe_http_duration_seconds{")).count(), 5);
        tell.send_replace(Some(duty(serde_json::json!({ "port": { "tcp": address.to_string(), "every": "100ms" } }))));
        while !next(&outbox, &mut sent).await.keys().any(|key| key.contains(r#"probe="port""#)) {}
        kept.abort();
    }
}
