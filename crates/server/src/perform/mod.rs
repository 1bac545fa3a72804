//! Performs what is owed, and says what came of it as events. Calls nobody in the engine; whatever it does leaves a trace.
//!
//! One task keeps the [`Outbox`](crate::outbox::Outbox) and never waits for the pump; each job runs in a task of its own.

pub mod balancer;
pub mod outgoing;
pub mod outside;
pub mod webhook;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use engine::effect::Tell;
use model::plan::StepRequest;
use model::{EffectKey, HostName};
use tokio::sync::{Semaphore, mpsc};

use crate::clock::SharedClock;
use crate::outbox::{Asked, Attempt, Job, Outbox};
use crate::pump::{Dues, PumpHandle};

/// Most jobs side by side. A receiver has one at a time, so this is a limit for steps at many balancers.
const JOBS_MAX: usize = 64;

/// Whoever carries out what is owed.
#[async_trait]
pub trait Performer: Send + Sync + 'static {
    /// Tells a receiver. Within 30 s.
    async fn tell(&self, tell: &Tell) -> Attempt;

    /// Does a step, or hands it to the host's agent.
    async fn ask(&self, request: &StepRequest) -> Asked;
}

enum Done {
    Told(EffectKey, Attempt),
    Asked(EffectKey, Asked, Duration),
}

/// Says that an agent's link is up, so that what waits for it is asked. Cheap to clone.
#[derive(Clone)]
pub struct LinkNews(mpsc::UnboundedSender<HostName>);

impl LinkNews {
    /// The host's link is up.
    pub fn up(&self, host: HostName) {
        let _ = self.0.send(host);
    }

    /// A pair for tests and for [`run`].
    pub fn channel() -> (LinkNews, mpsc::UnboundedReceiver<HostName>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (LinkNews(sender), receiver)
    }
}

/// Runs until the pump has gone.
pub async fn run(
    mut outbox: Outbox,
    mut dues: mpsc::Receiver<Dues>,
    mut links: mpsc::UnboundedReceiver<HostName>,
    performer: Arc<dyn Performer>,
    pump: PumpHandle,
    clock: SharedClock,
) {
    // Results are at most as many as jobs run.
    let (done_sender, mut done) = mpsc::channel::<Done>(JOBS_MAX);
    let running = Arc::new(Semaphore::new(JOBS_MAX));
    let mut links_open = true;
    loop {
        // First what the pump has said already: at a start, steps are asked again under the new epoch.
        while let Ok(news) = dues.try_recv() {
            outbox.take(news);
        }
        for job in outbox.due(clock.now()) {
            start(job, performer.clone(), done_sender.clone(), running.clone());
        }
        let pause = outbox.next_due().map(|due| due.since(clock.now()).max(Duration::from_millis(1)));
        let due = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            news = dues.recv() => match news {
                Some(news) => { outbox.take(news); None }
                None => break,
            },
            Some(done) = done.recv() => match done {
                Done::Told(key, attempt) => outbox.told(&key, attempt, clock.now()),
                Done::Asked(key, asked, took) => outbox.asked(&key, asked, took, clock.now()),
            },
            host = links.recv(), if links_open => {
                match host {
                    Some(host) => outbox.link_up(&host, clock.now()),
                    None => links_open = false,
                }
                None
            }
            () = due => None,
        };
        if let Some(event) = event {
            let pump = pump.clone();
            // In a task of its own: the pump may be waiting for this one to take what it owes.
            tokio::spawn(async move {
                if let Err(error) = pump.enqueue(event).await {
                    tracing::warn!(%error, "what came of an effect is not in the journal; it will be performed again");
                }
            });
        }
    }
}

fn start(job: Job, performer: Arc<dyn Performer>, done: mpsc::Sender<Done>, running: Arc<Semaphore>) {
    tokio::spawn(async move {
        let Ok(_permit) = running.acquire().await else { return };
        let result = match &job {
            Job::Tell(tell) => Done::Told(tell.key.clone(), performer.tell(tell).await),
            Job::Do(request) => {
                let begun = Instant::now();
                let asked = performer.ask(request).await;
                Done::Asked(request.key.clone(), asked, begun.elapsed())
            }
        };
        let _ = done.send(result).await;
    });
}
