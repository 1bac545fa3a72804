//! `flyball rules`: rule files before they are in force. Checks them, runs their unit tests, says what they would have told.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use model::backtest::{BacktestReport, BacktestRequest, BacktestRule};
use model::config::Span;
use model::{Language, Text, Time};
use server::Features;
use server::clock::{Clock as _, SystemClock};
use server::journal::JournalError;
use server::rules::backtest::{Asked, BacktestError, picture};
use server::rules::{backtest, check, unit};

use crate::cli::{Promql, Server};
use crate::client::Client;
use crate::exit::{Failure, NOT_WELL, WELL, chain};
use crate::local::{DATA, block_on};
use crate::remote::language;
use crate::render::{heads, mention, say, table, when};

/// Characters of a bar.
const BAR: usize = 48;

/// What can be done with rule files.
#[derive(Subcommand)]
pub enum RulesCommand {
    /// Say everything that is wrong in rule files, with its place: 0 well, 1 mistakes
    Check {
        /// Rule files, and folders of them
        #[arg(required = true, value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        promql: Promql,
    },
    /// Run unit tests in promtool's format: 0 all passed, 1 some did not
    Test {
        /// Files of tests; they name the rule files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        promql: Promql,
    },
    /// Say what rules would have told: how often, how long, when
    Backtest(BacktestArgs),
}

/// What a back-test goes over.
#[derive(Args)]
pub struct BacktestArgs {
    /// A rule file or a folder of them
    #[arg(value_name = "FILE|DIR")]
    rules: PathBuf,
    /// From when on: so long ago, as 24h, or a time as 2026-11-22T09:00:00Z
    #[arg(long, default_value = "24h", value_name = "TIME")]
    from: String,
    /// Until when, in the same way
    #[arg(long, default_value = "0s", value_name = "TIME")]
    to: String,
    /// Write a picture of it: SVG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    #[command(flatten)]
    promql: Promql,
    #[command(flatten)]
    server: Server,
}

/// Runs what was written.
pub fn run(command: RulesCommand) -> Result<u8, Failure> {
    match command {
        RulesCommand::Check { paths, promql } => check_files(&paths, &promql.features()),
        RulesCommand::Test { files, promql } => test_files(&files, promql.features()),
        RulesCommand::Backtest(args) => run_backtest(&args),
    }
}

fn check_files(paths: &[PathBuf], allowed: &Features) -> Result<u8, Failure> {
    if let Some(path) = paths.iter().find(|path| !path.exists()) {
        return Err(Failure::Usage(format!("`{}` is neither a file nor a folder", path.display())));
    }
    let checked = check::check(paths, allowed);
    for mistake in &checked.mistakes {
        say(&mistake.to_string());
    }
    for warning in &checked.warnings {
        say(&format!("warning: {warning}"));
    }
    let (alerts, records) = checked.rules();
    let read = format!(
        "{}, {}, {}, {}",
        count(checked.files, "file", "files"),
        count(checked.groups.len(), "group", "groups"),
        count(alerts, "alerting rule", "alerting rules"),
        count(records, "recording rule", "recording rules")
    );
    let warnings = match checked.warnings.len() {
        0 => String::new(),
        some => format!("; {}", count(some, "warning", "warnings")),
    };
    if checked.mistakes.is_empty() {
        say(&format!("well: {read}{warnings}"));
        return Ok(WELL);
    }
    say(&format!("{} in {read}{warnings}", count(checked.mistakes.len(), "mistake", "mistakes")));
    Ok(NOT_WELL)
}

fn test_files(files: &[PathBuf], features: Features) -> Result<u8, Failure> {
    if let Some(path) = files.iter().find(|path| !path.is_file()) {
        return Err(Failure::Usage(format!("`{}` is no file", path.display())));
    }
    let mut code = WELL;
    for file in files {
        say(&format!("Unit Testing:  {}", file.display()));
        match unit::run_file(file, features, &mut |said| mention(&format!("  WARNING: {said}"))) {
            Ok(()) => say("  SUCCESS\n"),
            Err(failures) => {
                say(&format!("  FAILED:\n{}\n", failures.join("\n")));
                code = NOT_WELL;
            }
        }
    }
    Ok(code)
}

fn run_backtest(args: &BacktestArgs) -> Result<u8, Failure> {
    let now = SystemClock::new().now();
    let (from, to) = (instant(&args.from, now)?, instant(&args.to, now)?);
    if from >= to {
        return Err(Failure::Usage(format!("--from is {}, which is not before --to, {}", when(from), when(to))));
    }
    if !args.rules.exists() {
        return Err(Failure::Usage(format!("`{}` is neither a file nor a folder", args.rules.display())));
    }
    let checked = check::check(std::slice::from_ref(&args.rules), &args.promql.features());
    if !checked.mistakes.is_empty() {
        checked.mistakes.iter().for_each(|mistake| say(&mistake.to_string()));
        return Ok(NOT_WELL);
    }
    let request = BacktestRequest { groups: checked.groups, from, to };
    let report = answered(args, &request, now)?;
    let language = language(&args.server);
    if let Some(path) = &args.picture {
        let write = std::fs::write(path, picture::svg(&report, language));
        write.map_err(|error| Failure::Failed(format!("write `{}`: {error}", path.display())))?;
    }
    if args.server.json {
        say(&serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        show(&report, language);
    }
    Ok(WELL)
}

/// The data folder's own server answers where it runs; else the folder is read.
fn answered(args: &BacktestArgs, request: &BacktestRequest, now: Time) -> Result<BacktestReport, Failure> {
    if args.server.server.is_none() {
        let data = args.server.data.clone().unwrap_or_else(|| PathBuf::from(DATA));
        if !data.join("telemetry").is_dir() {
            let why = "no server was started in this data folder; name one by --server, FLYBALL_SERVER or --data";
            return Err(Failure::NotReachable { server: data.display().to_string(), why: why.to_owned() });
        }
        let features = args.promql.features();
        let asked = Asked { groups: &request.groups, from: request.from, to: request.to, features, url: "", stop: &|| false };
        match block_on(backtest::run_folder(&data, now, &asked))? {
            Err(BacktestError::Folder(JournalError::Locked { .. })) => {}
            Err(error @ (BacktestError::Times(_) | BacktestError::Rules(_))) => return Err(Failure::Usage(error.to_string())),
            done => return done.map_err(|error| Failure::Failed(chain(&error))),
        }
    }
    block_on(async { Client::new(&args.server)?.post("/api/flyball/v1/rules/backtest", request).await })?
}

/// `24h` is so long ago.
fn instant(text: &str, now: Time) -> Result<Time, Failure> {
    let wrong = || Failure::Usage(format!("`{text}` is neither a length of time as 24h nor a time as 2026-11-22T09:00:00Z"));
    Span::parse(text).map(|span| now - span.duration()).or_else(|| Time::parse(text).ok()).ok_or_else(wrong)
}

fn show(report: &BacktestReport, language: Language) {
    let row = |rule: &BacktestRule| {
        let times = |at: Option<Time>| at.map_or_else(|| "-".to_owned(), when);
        let alerts = report.changes.iter().filter(|change| change.goes_bad() && change.transition.rule.as_str() == rule.name);
        let first = alerts.clone().map(|change| change.at).min();
        let last = alerts.map(|change| change.at).max();
        let length = |span: Span| match span.0 {
            0 => "-".to_owned(),
            1..1_000 => span.to_string(),
            millis => Span(millis / 1_000 * 1_000).to_string(),
        };
        vec![
            rule.name.clone(),
            rule.times.to_string(),
            length(rule.bad_for),
            length(rule.longest),
            times(first),
            times(last),
            picture::bar(report, rule, BAR),
        ]
    };
    // A recording rule is never bad: what it recorded is said below.
    let rows: Vec<Vec<String>> = report.rules.iter().filter(|rule| !rule.records).map(row).collect();
    let tell = |text: Text| say(&text.render(language));
    if !rows.is_empty() {
        say(&table(&heads(["rule", "times bad", "bad for", "longest", "first", "last", "when"], language), &rows));
    }
    for rule in &report.rules {
        if rule.records {
            tell(Text::new("backtest.recorded").with("rule", &rule.name).with("count", rule.recorded));
        }
        if let Some(why) = &rule.failed {
            tell(Text::new("backtest.failed").with("rule", &rule.name).with("why", why));
        }
    }
    let over = |id: &str| Text::new(id).with("from", when(report.from)).with("to", when(report.to));
    tell(match report.exact_from {
        Some(from) if from <= report.from => over("backtest.exact"),
        Some(from) => over("backtest.exact_from").with("exact", when(from)),
        None => over("backtest.history"),
    });
    tell(match report.samples {
        0 => Text::new("backtest.no_samples"),
        samples => Text::new("backtest.samples").with("samples", samples).with("late", report.late),
    });
    report.missed.iter().for_each(|said| say(said));
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
