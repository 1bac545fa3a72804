//! What flyball costs where nothing happens: processor and memory of an agent alone and of `flyball up`, and how fast it is ready.

use std::io::{Error, Result};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::figures::{Figure, Of, Part};
use crate::process::{Program, within};

/// The figure's length, and into how many windows it is cut for the table.
const SECONDS: u64 = 60;
const WINDOWS: u64 = 20;

/// Starts, then one minute of nothing. The agent's server is a third process, so that what is idle is idle.
pub fn run(flyball: &Path, folder: &Path, starts: usize) -> Result<Part> {
    let mut part = Part::begin("idle");
    let mut ready = Vec::new();
    for number in 0..starts {
        let program = Program::serve(flyball, "up", &folder.join(format!("start-{number}")), &[])?;
        ready.push(program.ready_after.as_secs_f64());
    }
    part.figures.push(
        Figure::new("process start -> ready", "s", ready)
            .at_most(Of::Max, 1.0)
            .needs(starts)
            .note("flyball up in a new data folder each time"),
    );

    let config = folder.join("config");
    std::fs::create_dir_all(&config)?;
    std::fs::write(config.join("hosts.yaml"), "hosts:\n  bench-agent: { address: 127.0.0.1 }\n")?;
    let config = config.to_str().ok_or_else(|| Error::other("the folder is no text"))?;
    let server = Program::serve(flyball, "server", &folder.join("server"), &["--config", config])?;
    let agent = Program::agent(flyball, &folder.join("agent"), &server, "bench-agent")?;
    let up = Program::serve(flyball, "up", &folder.join("up"), &[])?;
    let mut client = server.client();
    within("the agent's samples are there", || {
        let answer = client.json("/api/v1/query?query=node_load1").ok()?;
        answer["data"]["result"].as_array().is_some_and(|result| !result.is_empty()).then_some(())
    })
    .map_err(|error| Error::other(format!("{error}: {}", agent.last_words())))?;
    // What a start costs is no idling.
    std::thread::sleep(Duration::from_secs(5));

    let (mut agent_windows, mut up_windows, mut agent_memory, mut up_memory) = (vec![], vec![], vec![], vec![]);
    let began = Instant::now();
    let first = (agent.processor_seconds()?, up.processor_seconds()?);
    let (mut last, mut last_at) = (first, began);
    for window in 1..=WINDOWS {
        std::thread::sleep(
            (began + Duration::from_millis(SECONDS * 1_000 / WINDOWS * window)).saturating_duration_since(Instant::now()),
        );
        let used = (agent.processor_seconds()?, up.processor_seconds()?);
        let seconds = last_at.elapsed().as_secs_f64();
        agent_windows.push((used.0 - last.0) / seconds * 100.0);
        up_windows.push((used.1 - last.1) / seconds * 100.0);
        agent_memory.push(agent.resident_mib()?);
        up_memory.push(up.resident_mib()?);
        (last, last_at) = (used, Instant::now());
    }
    let seconds = began.elapsed().as_secs_f64();
    let whole = |used: f64| vec![used / seconds * 100.0];
    part.figures.push(
        Figure::new("flyball agent, 60 s, of a core", "%", whole(last.0 - first.0))
            .at_most(Of::Max, 1.0)
            .note("utime + stime over the whole minute"),
    );
    part.figures.push(Figure::new("  in windows of 3 s (a tick is 0.33 %)", "%", agent_windows));
    part.figures.push(Figure::new("flyball agent, VmRSS", "MiB", agent_memory).at_most(Of::Max, 25.0));
    part.figures.push(
        Figure::new("flyball up idle, 60 s, of a core", "%", whole(last.1 - first.1))
            .at_most(Of::Max, 3.0)
            .note("server and this machine's agent in one process, no page open"),
    );
    part.figures.push(Figure::new("  in windows of 3 s (a tick is 0.33 %)", "%", up_windows));
    part.figures.push(Figure::new("flyball up idle, VmRSS", "MiB", up_memory).at_most(Of::Max, 100.0));
    Ok(part)
}
