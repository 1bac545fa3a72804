//! Whether the server lives and may be sent work, and its own figures.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::rights::Right;
use wire::MetricKind;
use wire::exposition::{TEXT_CONTENT_TYPE, Writer};

use super::app::App;
use super::routes::{Access, NONE, Routes};

/// Adds the routes of health.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes
        .get("/-/healthy", Access::Open, "The process lives", NONE, healthy)
        .get("/-/ready", Access::Open, "Journal and store are open and it may be sent work; 503 otherwise", NONE, ready)
        .get("/health", Access::Open, "The same as Influx' clients ask for it", NONE, health)
        .get("/metrics", Access::Needs(Right::View), "flyball's own figures in Prometheus' text format", NONE, metrics)
}

async fn healthy() -> &'static str {
    "flyball lives.\n"
}

async fn ready(State(app): State<App>) -> Response {
    match app.is_ready() {
        true => "flyball is ready.\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "flyball is not ready.\n").into_response(),
    }
}

async fn health(State(app): State<App>) -> Response {
    let (status, word) = if app.is_ready() { (StatusCode::OK, "pass") } else { (StatusCode::SERVICE_UNAVAILABLE, "fail") };
    let version = env!("CARGO_PKG_VERSION");
    (status, Json(serde_json::json!({ "name": "flyball", "status": word, "message": "", "checks": [], "version": version })))
        .into_response()
}

async fn metrics(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, TEXT_CONTENT_TYPE)], own_metrics(&app)).into_response()
}

/// flyball's own figures: what `/metrics` answers, and what goes into its own store.
pub fn own_metrics(app: &App) -> Vec<u8> {
    let mut out = Writer::new();
    out.family("flyball_build_info", MetricKind::Gauge, "The program's version.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let (seq, alerts, incidents, orders, hosts_up, hosts) = app.pump.read_state(|state| {
        let hosts_up = state.hosts.values().filter(|host| host.seen.up).count();
        let incidents = state.incidents.values().filter(|incident| incident.resolved_at.is_none()).count();
        let orders = state.orders.values().filter(|order| !order.state.is_final()).count();
        (state.seq.0, state.alerts.len(), incidents, orders, hosts_up, state.hosts.len())
    });
    out.family("flyball_journal_seq", MetricKind::Counter, "The journal's last place.").sample(&[], seq as f64);
    let stats = app.telemetry.stats();
    let refused = &stats.refused;
    let gauges = [
        ("flyball_alerts", "Alerts that are not ok.", alerts as f64),
        ("flyball_incidents_open", "Incidents that are not resolved.", incidents as f64),
        ("flyball_orders_unended", "Release orders that have not ended.", orders as f64),
        ("flyball_agents_up", "Agents whose link is up.", hosts_up as f64),
        ("flyball_agents", "Agents in all.", hosts as f64),
        ("flyball_outbox_owed", "Effects that are owed to the outside.", (app.owed)() as f64),
        ("flyball_store_series", "Series with samples in memory.", stats.series as f64),
        ("flyball_store_samples", "Samples in memory.", stats.samples as f64),
        ("flyball_store_sample_bytes", "Bytes of samples in memory.", stats.sample_bytes as f64),
        ("flyball_store_log_bytes", "Bytes of log on the disk.", stats.log_bytes as f64),
        ("flyball_store_queued_bytes", "Bytes that wait for the disk.", stats.queued_bytes as f64),
        ("flyball_store_last_sync_seconds", "How long the last write and sync of the log took.", stats.last_sync.as_secs_f64()),
        (
            "flyball_store_damaged_places",
            "Places in the log and in the checkpoint, and parts, that the last opening found damaged.",
            stats.damage.places() as f64,
        ),
        ("flyball_store_refusing", "1 while samples are refused.", f64::from(u8::from(stats.refusing.is_some()))),
    ];
    for (name, help, value) in gauges {
        out.family(name, MetricKind::Gauge, help).sample(&[], value);
    }
    out.family("flyball_store_syncs_total", MetricKind::Counter, "Syncs of the log.").sample(&[], stats.syncs as f64);
    out.family("flyball_store_checkpoints_total", MetricKind::Counter, "Checkpoints.").sample(&[], stats.checkpoints as f64);
    out.family("flyball_store_checkpoints_failed_total", MetricKind::Counter, "Checkpoints that failed.")
        .sample(&[], stats.checkpoints_failed as f64);
    out.family("flyball_store_refused_samples_total", MetricKind::Counter, "Samples that were refused.");
    for (reason, count) in [
        ("too_old", refused.too_old),
        ("out_of_order", refused.out_of_order),
        ("in_future", refused.in_future),
        ("bad_key", refused.bad_key),
        ("too_many_series", refused.too_many_series),
    ] {
        out.sample(&[("reason", reason)], count as f64);
    }
    let help = "Blocks of samples and pages of the index that were damaged, each time one was asked for.";
    out.family("flyball_store_damaged_reads_total", MetricKind::Counter, help);
    for (what, count) in [("block", stats.history.damaged_blocks), ("page", stats.history.damaged_pages)] {
        out.sample(&[("what", what)], count as f64);
    }
    let help = "Damaged pages of the index that were made again from their neighbours.";
    out.family("flyball_store_restored_pages_total", MetricKind::Counter, help).sample(&[], stats.history.restored_pages as f64);
    app.metrics.write(&mut out);
    out.finish()
}
