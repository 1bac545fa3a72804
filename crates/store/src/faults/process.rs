//! F-01: a real process on a real disk, killed with -9.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use model::{SampleBatch, Time};
use query::source::TimeRange;

use super::truth::{self, Put, Truth};
use super::{BEGIN, Report, sending};
use crate::files::{OnDisk, Random};
use crate::{Options, Store, StoreError};

/// F-01's child: appends to a store in `dir` for ever, and writes a line with the batch's number after each acknowledgement.
pub fn write_until_killed(dir: &Path, out: &mut dyn Write) -> Result<(), StoreError> {
    let options = Options { segment_bytes: 256 << 10, checkpoint_bytes: 256 << 10, ..Options::new(dir) };
    let store = Store::open(options, Arc::new(OnDisk), Time::from_secs(BEGIN))?;
    let whole = TimeRange { from: Time::MIN, to: Time::MAX };
    let newest = (0..20).filter_map(|number| truth::read(&store, number, whole)?.last().map(|put| put.time)).max();
    let begin = newest.map_or(0, |newest| newest.micros_from(Time::from_secs(BEGIN)) / 1_000_000 + 1);
    for number in begin.. {
        let appended = store.append(&numbered(number).0, Time::from_secs(BEGIN + number))?;
        appended.commit.wait()?;
        if writeln!(out, "{number}").and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    Ok(())
}

fn numbered(number: i64) -> (SampleBatch, Vec<Put>) {
    sending((0..20).map(|host| (host, Time::from_secs(BEGIN + number), (number * 31 + host as i64) as f64)))
}

/// F-01: starts the child, kills it with -9 after some acknowledgements, opens its folder; `rounds` times in one folder.
pub fn kill(dir: &Path, rounds: u64, child: impl Fn() -> Command) -> std::io::Result<Report> {
    let mut report = Report::default();
    let mut random = Random::new(rounds);
    let mut acked = Vec::new();
    for round in 0..rounds {
        let mut running = child().stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(running.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?).lines();
        let wanted = acked.len() + 1 + random.below(400) as usize;
        let number = |line: String| line.trim().parse::<i64>().ok();
        while acked.len() < wanted {
            let Some(line) = lines.next() else { break };
            acked.extend(number(line?));
        }
        running.kill()?;
        running.wait()?;
        // What it said before it died counts too.
        for line in lines.map_while(Result::ok) {
            acked.extend(number(line));
        }
        if acked.len() < wanted {
            report.fail(format!("round {round}: the writer ended by itself"));
        }
        report.runs += 1;
        let store =
            Store::open(Options { driven_by_caller: true, ..Options::new(dir) }, Arc::new(OnDisk), Time::from_secs(BEGIN));
        let store = match store {
            Ok(store) => store,
            Err(error) => {
                report.fail(format!("round {round}: does not open: {error}"));
                continue;
            }
        };
        let mut truth = Truth::default();
        let newest = acked.last().copied().unwrap_or(0);
        let kept_from = newest - store.inner.options.retention.as_secs() as i64;
        // The batch after the last acknowledged one may be there too.
        for &number in acked.iter().filter(|number| **number > kept_from).chain([&(newest + 1)]) {
            let (_, puts) = numbered(number);
            truth.sent(&puts);
            if number <= newest {
                truth.acked(&puts);
            }
        }
        // Batches that were written but not told, of rounds before.
        let (lost, wrong) = truth.compare_acked(&store);
        report.lost += lost;
        report.wrong += wrong;
        if lost + wrong > 0 {
            report.fail(format!("round {round}: {lost} lost, {wrong} wrong"));
        }
    }
    report.acked = acked.len() as u64 * 20;
    Ok(report)
}
