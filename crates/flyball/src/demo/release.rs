//! `flyball demo release good|bad`: makes the order, and with `--wait` tells its story until it ends.

use std::time::Duration;

use clap::ValueEnum;
use model::api::{Answer, Ask, Demo};
use model::order::{Order, OrderState};
use model::{Language, Outcome, Surface};

use crate::cli::Server;
use crate::client::Client;
use crate::exit::{Failure, NOT_WELL, WELL};
use crate::local::block_on;
use crate::render::say;

/// Which release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Works.
    Good,
    /// Answers one request in ten with an error.
    Bad,
}

/// Longest wait for the end of an order.
const PATIENCE: Duration = Duration::from_secs(600);

/// Makes the order; waits for its end if asked to.
pub fn run(server: &Server, kind: Kind, wait: bool) -> Result<u8, Failure> {
    block_on(async {
        let client = Client::new(server)?;
        let demo: Demo = client.get("/api/flyball/v1/demo").await?;
        let word = match kind {
            Kind::Good => "good",
            Kind::Bad => "bad",
        };
        let version = demo
            .releases
            .get(word)
            .ok_or_else(|| Failure::Failed(format!("release: the demo has no {word} release left; start it anew")))?;
        let text = format!("deploy {} {version} {} --reason \"demo: a {word} release\"", demo.service, demo.environment);
        let ask = Ask { id: None, text, via: Surface::Cli, yes: true, dry_run: false, room: None };
        let answer: Answer = client.post("/api/flyball/v1/command", &ask).await?;
        let Some(Outcome::Accepted { order: Some(number), .. }) = &answer.outcome else {
            return crate::remote::show(&answer, server);
        };
        say(&format!("order {number}: {} {version} in {}", demo.service, demo.environment));
        if !wait {
            return Ok(WELL);
        }
        let end = tokio::time::timeout(
            PATIENCE,
            follow(&client, &format!("/api/flyball/v1/orders/{number}"), crate::remote::language(server)),
        )
        .await
        .map_err(|_| Failure::Failed(format!("see the end of order {number} within {} s", PATIENCE.as_secs())))??;
        say(&format!("order {number}: {}", crate::render::word(end.word(), crate::remote::language(server))));
        let expected = match kind {
            Kind::Good => OrderState::Done,
            Kind::Bad => OrderState::RolledBack,
        };
        Ok(if end == expected { WELL } else { NOT_WELL })
    })?
}

/// Prints the story as it grows; gives the state in which it ended.
async fn follow(client: &Client, path: &str, language: Language) -> Result<OrderState, Failure> {
    let mut told = 0;
    loop {
        let order: Order = client.get(path).await?;
        for note in order.story.iter().skip(told) {
            let host = note.host.as_ref().map_or(String::new(), |host| format!("{host}: "));
            say(format!("{} {host}{} {}", note.at.clock(), note.text.render(language), note.note).trim_end());
        }
        told = told.max(order.story.len());
        if order.state.is_final() {
            return Ok(order.state);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
