//! An agent from its start to its end: opens its folder, finds its services, and keeps everything going side by side.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use wire::link::duty::HostDuty;

use crate::clock::ServerClock;
use crate::collect::Collector;
use crate::execute::{Executor, Parts};
use crate::folder::{Folder, read_json};
use crate::identity::Identity;
use crate::link::{DUTY_FILE, Link, LinkArtifacts, chain};
use crate::options::{AgentError, Options};
use crate::outbox::Outbox;
use crate::policy::Policy;
use crate::supervise::{POLL_EVERY, Supervisor, process::boot_id};
use crate::watch::Watch;

/// How often the machine is measured.
const COLLECT_EVERY: Duration = Duration::from_secs(1);

/// Runs an agent on the caller's runtime until `shutdown`. Returns early only if it can't start.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<(), AgentError> {
    tokio::pin!(shutdown);
    let folder = Arc::new(Folder::open(&options.dir)?);
    let policy_path = options.policy.clone().unwrap_or_else(|| folder.file("policy.yaml"));
    Policy::load(&policy_path)?;
    let opened = Identity::open(&folder, options.token.as_deref(), options.server.as_deref(), options.host.as_ref());
    let identity = tokio::select! {
        identity = opened => identity?,
        () = &mut shutdown => return Ok(()),
    };
    let host = identity.host.clone();
    let duty = read_json::<HostDuty>(&folder.file(DUTY_FILE)).unwrap_or_else(|error| {
        tracing::warn!(error = %chain(&error), "failed to read the last duty; the server has it");
        None
    });
    let (duty_sender, duty) = watch::channel(duty.filter(|duty| duty.host == host).map(Arc::new));
    let (channel_sender, channel) = watch::channel(None);
    let (clock, outbox) = (Arc::<ServerClock>::default(), Arc::<Outbox>::default());

    let supervisor =
        Supervisor::new(folder.clone(), host.clone(), clock.clone(), outbox.clone(), duty.clone(), policy_path.clone());
    let supervisor = Arc::new(supervisor);
    let executor = Executor::new(Parts {
        folder: folder.clone(),
        host: host.clone(),
        clock: clock.clone(),
        outbox: outbox.clone(),
        supervisor: supervisor.clone(),
        duty: duty.clone(),
        policy_path,
        artifacts: Arc::new(LinkArtifacts { channel }),
    });
    let executor = Arc::new(executor?);
    executor.reconcile().await;

    let link = Link {
        folder: folder.clone(),
        clock: clock.clone(),
        outbox: outbox.clone(),
        executor,
        duty: duty_sender,
        channel: channel_sender,
        identity: Mutex::new(identity),
        run_id: uuid_text(),
        boot_id: boot_id(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { link.keep().await });
    tasks.spawn(supervise(supervisor.clone()));
    tasks.spawn(collect(Collector::new(clock.clone(), outbox.clone(), supervisor.clone()), duty.clone()));
    tasks.spawn(look(Watch::new(&folder, host, clock.clone(), outbox.clone()), duty.clone()));
    tasks.spawn(crate::probe::keep(duty, clock, outbox));
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            ended = tasks.join_next() => match ended {
                // A part that fell must not take the others with it; it is missed in its own figures.
                Some(Err(error)) => tracing::error!(%error, "a part of the agent ended"),
                Some(Ok(())) => tracing::error!("a part of the agent ended"),
                None => break,
            }
        }
    }
    tasks.shutdown().await;
    if options.stop_services_at_exit {
        supervisor.stop_all().await;
    }
    Ok(())
}

fn uuid_text() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    interval
}

async fn supervise(supervisor: Arc<Supervisor>) {
    let mut tick = every(POLL_EVERY);
    loop {
        tick.tick().await;
        supervisor.poll();
    }
}

async fn collect(mut collector: Collector, duty: watch::Receiver<Option<Arc<HostDuty>>>) {
    let mut tick = every(COLLECT_EVERY);
    loop {
        tick.tick().await;
        let duty = duty.borrow().clone();
        // Before the first duty nobody knows what the labels are.
        if let Some(duty) = duty {
            collector.collect(&duty).await;
        }
    }
}

async fn look(mut watch: Watch, duty: watch::Receiver<Option<Arc<HostDuty>>>) {
    let boot_id = boot_id();
    let mut tick = every(crate::watch::EVERY);
    loop {
        tick.tick().await;
        let Some(duty) = duty.borrow().clone() else { continue };
        let boot_id = boot_id.clone();
        let looked = tokio::task::spawn_blocking(move || {
            watch.look(&duty, &boot_id);
            watch
        });
        match looked.await {
            Ok(back) => watch = back,
            Err(error) => return tracing::error!(%error, "watching for changes ended"),
        }
    }
}
