//! What it costs to take samples: processor, memory, disk; and how fast it is ready again with a million series.

use std::io::{Error, Result};

use super::{Context, one_value, with_rules};
use crate::encode::Form;
use crate::figures::Seen;
use crate::send::{Load, Sent, bulk};
use crate::target::{Kind, Settings, Signal};

/// Rules that are loaded while samples come in.
const RULES: usize = 1_000;

/// Both forms, both sizes.
pub fn run(context: &Context) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    for (form, key, series, steps) in [
        (Form::Influx, "cpu-influx-10k", 10_000, 480),
        (Form::RemoteWrite, "cpu-rw-10k", 10_000, 480),
        (Form::Influx, "cpu-influx-100k", 100_000, 100),
        (Form::RemoteWrite, "cpu-rw-100k", 100_000, 100),
    ] {
        let load = Load::ending_now(form, series, context.scaled(steps), 2);
        let (ours, our_disk) = one(context, Kind::Flyball, &load)?;
        let (victoria, victoria_disk) = one(context, Kind::Victoria, &load)?;
        let mut cpu = Seen::new(key, ours.processor_per_million)
            .against(victoria.processor_per_million)
            .beside("M samples/s", ours.samples_a_second / 1e6)
            .beside("VictoriaMetrics M samples/s", victoria.samples_a_second / 1e6)
            .beside("peak MB", ours.peak_megabytes)
            .beside("VictoriaMetrics peak MB", victoria.peak_megabytes);
        if key == "cpu-rw-100k" {
            seen.push(Seen::new("memory-rw-100k", ours.peak_megabytes).against(victoria.peak_megabytes));
        }
        if key == "cpu-rw-10k" {
            let (prometheus, prometheus_disk) = one(context, Kind::Prometheus, &load)?;
            cpu = cpu.beside("Prometheus CPU-s/M", prometheus.processor_per_million);
            seen.push(Seen::new("disk-10k", our_disk).against(victoria_disk).beside("Prometheus", prometheus_disk));
        }
        seen.push(cpu);
    }
    Ok(seen)
}

/// One target, one load: what it came to, and bytes per sample after a flush, NaN where there was none.
fn one(context: &Context, kind: Kind, load: &Load) -> Result<(Sent, f64)> {
    let target = context.start(kind, &with_rules(RULES, 100))?;
    let before = target.disk_bytes() as f64;
    let sent = bulk(&target, load)?;
    let disk = match target.flushed_bytes() {
        // The snapshot is a folder of its own: nothing was there before.
        Ok(bytes) if kind == Kind::Prometheus => bytes / load.samples() as f64,
        Ok(bytes) => (bytes - before) / load.samples() as f64,
        Err(error) => {
            crate::say(&format!("  {}: no flush: {error}", kind.name()));
            f64::NAN
        }
    };
    Ok((sent, disk))
}

/// A million series, eight senders; then the two ways in which a program ends.
pub fn million(context: &Context) -> Result<Vec<Seen>> {
    let load = Load::ending_now(Form::RemoteWrite, context.scaled(1_000_000), 20, 8);
    let mut ours = context.start(Kind::Flyball, &Settings::default())?;
    let sent = bulk(&ours, &load)?;
    let after_kill = ours.restart(Signal::Kill)?.as_secs_f64();
    let hosts = load.series / crate::fleet::SERIES_A_HOST;
    let kept = one_value(&ours, "sum(count_over_time(node_load1[1h]))", load.end_ms / 1_000)?;
    if kept != (hosts * load.steps) as f64 {
        return Err(Error::other(format!(
            "of {} acknowledged samples of node_load1, {kept} are there after kill -9",
            hosts * load.steps
        )));
    }
    let after_term = ours.restart(Signal::Term)?.as_secs_f64();
    drop(ours);
    let target = context.start(Kind::Victoria, &Settings::default())?;
    let victoria = bulk(&target, &load)?;
    let a_series = |sent: &Sent| sent.peak_megabytes * 1e3 / load.series as f64;
    Ok(vec![
        Seen::new("cpu-rw-1m", sent.processor_per_million)
            .against(victoria.processor_per_million)
            .beside("M samples/s", sent.samples_a_second / 1e6)
            .beside("VictoriaMetrics M samples/s", victoria.samples_a_second / 1e6),
        Seen::new("memory-rw-1m", a_series(&sent)).against(a_series(&victoria)),
        Seen::new("ready-kill", after_kill),
        Seen::new("ready-term", after_term),
    ])
}
