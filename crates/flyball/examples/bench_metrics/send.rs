//! Senders: one connection each, every series on one connection in time order.
//!
//! Bodies are made before the clock starts where they fit into memory, and beside the sending where they do not.

use std::io::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::encode::{Form, bodies};
use super::fleet::{Fleet, SERIES_A_HOST, Shard};
use super::target::Target;

/// The work after the last body is counted so long.
const SETTLING: Duration = Duration::from_secs(5);
/// Samples whose bodies are made before the clock starts.
const AHEAD_MAX: usize = 30_000_000;
/// Between two samples of a series, as a rule.
pub const STEP_MS: i64 = 15_000;

/// What is sent.
#[derive(Clone, Copy)]
pub struct Load {
    pub form: Form,
    pub series: usize,
    pub steps: usize,
    pub senders: usize,
    /// The time of the last step.
    pub end_ms: i64,
    /// Between two samples of a series.
    pub step_ms: i64,
    /// Only this metric, one series a host; `series` counts hosts then.
    pub only: Option<&'static str>,
}

impl Load {
    /// A load that ends now, on the grid of its step.
    pub fn ending_now(form: Form, series: usize, steps: usize, senders: usize) -> Load {
        Load { form, series, steps, senders, end_ms: now_ms() / STEP_MS * STEP_MS, step_ms: STEP_MS, only: None }
    }

    pub fn samples(&self) -> usize {
        self.series * self.steps
    }

    fn fleet(&self, sender: usize) -> Fleet {
        let hosts = if self.only.is_some() { self.series } else { self.series / SERIES_A_HOST };
        Fleet::new(hosts, Shard { number: sender, of: self.senders }, self.only)
    }

    fn time_of(&self, step: usize) -> i64 {
        self.end_ms - self.step_ms * (self.steps - 1 - step) as i64
    }

    /// All bodies of each sender.
    fn made(&self) -> Result<Vec<Vec<Vec<u8>>>> {
        let load = *self;
        let threads = (0..self.senders).map(|sender| {
            std::thread::spawn(move || {
                let mut fleet = load.fleet(sender);
                let mut out = Vec::new();
                for step in 0..load.steps {
                    let time = load.time_of(step);
                    fleet.step(load.step_ms as f64 / 1e3, time);
                    bodies(&fleet, load.form, time, &mut out);
                }
                out
            })
        });
        join(threads.collect())
    }
}

/// What sending came to.
pub struct Sent {
    pub samples_a_second: f64,
    /// Processor seconds of the target per million samples, with the time of settling.
    pub processor_per_million: f64,
    pub peak_megabytes: f64,
}

/// Now, in milliseconds.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Waits for threads and gives what each came to.
pub fn join<T>(threads: Vec<JoinHandle<T>>) -> Result<Vec<T>> {
    threads.into_iter().map(|thread| thread.join().map_err(|_| Error::other("a thread of the measurement broke"))).collect()
}

/// Sends it all as fast as it is taken.
pub fn bulk(target: &Target, load: &Load) -> Result<Sent> {
    let before = target.processor_seconds()?;
    let seconds = if load.samples() <= AHEAD_MAX {
        let made = load.made()?;
        let began = Instant::now();
        send_made(target, load.form, made)?;
        began.elapsed().as_secs_f64()
    } else {
        let began = Instant::now();
        send_beside(target, load)?;
        began.elapsed().as_secs_f64()
    };
    std::thread::sleep(SETTLING);
    let used = target.processor_seconds()? - before;
    let samples = load.samples() as f64;
    Ok(Sent {
        samples_a_second: samples / seconds,
        processor_per_million: used / (samples / 1e6),
        peak_megabytes: target.peak_megabytes()?,
    })
}

fn send_made(target: &Target, form: Form, made: Vec<Vec<Vec<u8>>>) -> Result<()> {
    let threads = made.into_iter().map(|bodies| {
        let mut client = target.client();
        std::thread::spawn(move || bodies.iter().try_for_each(|body| client.post(form.path(), form.headers(), body)))
    });
    join(threads.collect())?.into_iter().collect()
}

fn send_beside(target: &Target, load: &Load) -> Result<()> {
    let threads = (0..load.senders).map(|sender| {
        let (load, mut client) = (*load, target.client());
        std::thread::spawn(move || {
            let mut fleet = load.fleet(sender);
            let mut out = Vec::new();
            for step in 0..load.steps {
                let time = load.time_of(step);
                fleet.step(STEP_MS as f64 / 1e3, time);
                bodies(&fleet, load.form, time, &mut out);
                for body in out.drain(..) {
                    client.post(load.form.path(), load.form.headers(), &body)?;
                }
            }
            Ok(())
        })
    });
    join(threads.collect())?.into_iter().collect()
}

/// Sends in time order and asks for the processor time at the end of each of several equal parts: seconds per million of each.
pub fn in_parts(target: &Target, load: &Load, parts: usize) -> Result<Vec<f64>> {
    let steps = load.steps / parts;
    let mut fleets: Vec<Fleet> = (0..load.senders).map(|sender| load.fleet(sender)).collect();
    let mut found = Vec::new();
    for part in 0..parts {
        let before = target.processor_seconds()?;
        let threads = fleets.into_iter().map(|mut fleet| {
            let (load, mut client) = (*load, target.client());
            std::thread::spawn(move || -> Result<Fleet> {
                let mut out = Vec::new();
                for step in part * steps..(part + 1) * steps {
                    let time = load.time_of(step);
                    fleet.step(STEP_MS as f64 / 1e3, time);
                    bodies(&fleet, load.form, time, &mut out);
                    for body in out.drain(..) {
                        client.post(load.form.path(), load.form.headers(), &body)?;
                    }
                }
                Ok(fleet)
            })
        });
        fleets = join(threads.collect())?.into_iter().collect::<Result<_>>()?;
        let used = target.processor_seconds()? - before;
        found.push(used / ((load.series * steps) as f64 / 1e6));
    }
    Ok(found)
}

/// Sends at a rate, not faster: how long each answer took after the first `warming` seconds, in milliseconds.
pub fn paced(target: &Target, load: &Load, samples_a_second: f64, warming: f64) -> Result<Vec<f64>> {
    let made = load.made()?;
    let seconds = load.samples() as f64 / samples_a_second;
    let threads = made.into_iter().enumerate().map(|(sender, bodies)| {
        let (form, mut client) = (load.form, target.client());
        let pause = Duration::from_secs_f64(seconds / bodies.len().max(1) as f64);
        // Senders are not in step with each other.
        let first = pause.mul_f64(sender as f64 / load.senders as f64);
        std::thread::spawn(move || -> Result<Vec<f64>> {
            let began = Instant::now() + first;
            let mut times = Vec::with_capacity(bodies.len());
            for (number, body) in bodies.iter().enumerate() {
                std::thread::sleep((began + pause * number as u32).saturating_duration_since(Instant::now()));
                let sent = Instant::now();
                client.post(form.path(), form.headers(), body)?;
                if began.elapsed().as_secs_f64() > warming {
                    times.push(sent.elapsed().as_secs_f64() * 1e3);
                }
            }
            Ok(times)
        })
    });
    let times: Vec<Vec<f64>> = join(threads.collect())?.into_iter().collect::<Result<_>>()?;
    Ok(times.concat())
}

/// A feed of the present: every series once an interval, in one burst over one connection.
pub struct Live {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    sender: JoinHandle<Result<()>>,
}

impl Live {
    pub fn start(target: &Target, series: usize, interval: Duration) -> Live {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count, mut client) = (stop.clone(), sent.clone(), target.client());
        let form = Form::RemoteWrite;
        let sender = std::thread::spawn(move || {
            let mut fleet = Fleet::new(series / SERIES_A_HOST, Shard { number: 0, of: 1 }, None);
            let began = Instant::now();
            let mut out = Vec::new();
            for round in 1_u32.. {
                let time = now_ms();
                fleet.step(interval.as_secs_f64(), time);
                bodies(&fleet, form, time, &mut out);
                for body in out.drain(..) {
                    client.post(form.path(), form.headers(), &body)?;
                }
                count.fetch_add(fleet.series.len() as u64, Ordering::Relaxed);
                while began.elapsed() < interval * round {
                    if stopped.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    std::thread::sleep((interval * round).saturating_sub(began.elapsed()).min(Duration::from_millis(100)));
                }
                if stopped.load(Ordering::Relaxed) {
                    return Ok(());
                }
            }
            Ok(())
        });
        Live { stop, sent, sender }
    }

    /// Samples sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it; an error where something was not taken.
    pub fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        join(vec![self.sender])?.into_iter().collect()
    }
}
