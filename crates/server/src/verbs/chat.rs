//! Verbs in rooms: who speaks to the bot is answered there, by the same executor as everywhere.
//!
//! What people say and what the bot answers are events, so that a room reads the same after a restart.

use model::api::{Accepted, Answer, AnswerPart, Ask};
use model::{Actor, Command, EffectKey, Event, EventId, Outcome, RoomName, Surface, Text, Verb};

use super::grammar::{self, Wish};
use super::{change, names, new_id};
use crate::http::app::App;
use crate::http::error::HttpError;
use crate::people::Caller;

/// Lines of a log that a room is shown; who wants more opens it.
const ROOM_LINES: usize = 50;
/// Longest line of a log in a room, in characters.
const ROOM_LINE_LEN: usize = 500;
/// Most series with a picture in a room.
const ROOM_SERIES: usize = 8;

/// The rooms that there are: `ops`, the configured ones, those of receivers.
pub fn rooms(app: &App) -> Vec<RoomName> {
    let config = app.config();
    let told = config.notification.receivers.values().filter_map(|receiver| receiver.room.clone());
    let mut rooms: Vec<RoomName> = config.flyball.rooms.iter().cloned().chain(told).collect();
    rooms.extend(RoomName::new("ops"));
    rooms.sort();
    rooms.dedup();
    rooms
}

/// 404 with the nearest for a room that is not there.
pub fn known_room(app: &App, room: &RoomName) -> Result<(), HttpError> {
    let rooms = rooms(app);
    if rooms.contains(room) {
        return Ok(());
    }
    Err(names::unknown("room", room.as_str(), rooms.iter().map(RoomName::as_str)))
}

/// What is asked of the bot in a line, without the words that call it; none: people talk to each other.
pub fn addressed<'a>(text: &'a str, bot: &str) -> Option<&'a str> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('/') {
        // `/etc is full` is no verb.
        let word = rest.split_whitespace().next()?;
        return grammar::verb(word).is_ok().then_some(rest);
    }
    let called = text.strip_prefix('@');
    let rest = called.unwrap_or(text).strip_prefix(bot)?;
    let rest_of = |rest: &'a str| rest.trim_start_matches([':', ',', '：', '，']).trim_start();
    match (called, rest.chars().next()) {
        (Some(_), None) => Some("help"),
        (Some(_), Some(next)) if next.is_whitespace() || matches!(next, ':' | ',' | '：' | '，') => Some(rest_of(rest)),
        (None, Some(':' | '：')) => Some(rest_of(rest)),
        _ => None,
    }
}

/// Says something in a room; what is asked of the bot is answered there soon, also when it takes a while.
pub async fn say(app: &App, caller: &Caller, room: &RoomName, text: &str) -> Result<Accepted, HttpError> {
    known_room(app, room)?;
    let id = new_id();
    let by = Actor { name: caller.name.clone(), via: Surface::Chat };
    let verb = Verb::Say { room: room.clone(), text: text.to_owned() };
    let submitted = app.pump.submit(Event::Command(Command { id: id.clone(), by, verb })).await?;
    if let Some(Outcome::Refused(refusal)) = &submitted.outcome {
        return Err(change::of_refusal(refusal).at("text"));
    }
    if let Some(asked) = addressed(text, &app.config().flyball.bot) {
        let (app, caller, room, asked) = (app.clone(), caller.clone(), room.clone(), asked.to_owned());
        tokio::spawn(async move { answer(&app, &caller, &room, asked).await });
    }
    Ok(Accepted { seq: submitted.seq, id })
}

async fn answer(app: &App, caller: &Caller, room: &RoomName, asked: String) {
    let id = new_id();
    if let Ok(Wish::Check(target)) = grammar::parse(&asked, &app.config().flyball.bot) {
        let text = Text::new("verb.looking").with("what", &target.name);
        let looking = spoken(&asked, text, true);
        if let Err(error) = put(app, room, format!("looking/{id}"), &asked, &looking).await {
            tracing::warn!(message = error.body().message, "failed to say in a room that it is looking");
        }
    }
    let ask = Ask { id: Some(id.clone()), text: asked.clone(), via: Surface::Chat, yes: false, dry_run: false, room: None };
    let answer = super::ask(app, caller, ask).await.unwrap_or_else(|error| {
        let said = error.body();
        let text = [Some(said.message.as_str()), said.hint.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(". ");
        spoken(&asked, Text::plain(text), false)
    });
    if let Err(error) = answered(app, room, &id, &asked, &answer).await {
        tracing::error!(message = error.body().message, "failed to answer in a room");
    }
}

fn spoken(asked: &str, text: Text, well: bool) -> Answer {
    Answer { understood: asked.to_owned(), text, well, parts: Vec::new(), confirm: None, outcome: None }
}

/// Puts an answer into a room. A confirmed verb has two: the question and what came of it.
pub(super) async fn answered(app: &App, room: &RoomName, id: &EventId, asked: &str, answer: &Answer) -> Result<(), HttpError> {
    let head = if answer.confirm.is_some() { "confirm" } else { "answer" };
    put(app, room, format!("{head}/{id}"), asked, answer).await
}

async fn put(app: &App, room: &RoomName, key: String, asked: &str, answer: &Answer) -> Result<(), HttpError> {
    let answer = Box::new(for_room(answer.clone()));
    let event = Event::Answered { key: EffectKey::from(key), room: room.clone(), asked: asked.to_owned(), answer };
    app.pump.submit(event).await?;
    Ok(())
}

/// What a room keeps of an answer: it lies in the journal, and nobody reads a thousand lines there.
fn for_room(mut answer: Answer) -> Answer {
    for part in &mut answer.parts {
        match part {
            AnswerPart::Log { lines } => {
                let skip = lines.len().saturating_sub(ROOM_LINES);
                lines.drain(..skip);
                for line in lines {
                    if let Some((end, _)) = line.text.char_indices().nth(ROOM_LINE_LEN) {
                        line.text.truncate(end);
                    }
                }
            }
            AnswerPart::Picture { series, .. } => series.truncate(ROOM_SERIES),
            _ => {}
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_speaks_to_the_bot() {
        for (text, asked) in [
            ("@flyball check shop", Some("check shop")),
            (" @flyball: check shop ", Some("check shop")),
            ("@flyball，检查 shop", Some("检查 shop")),
            ("flyball: status", Some("status")),
            ("/halt", Some("halt")),
            ("@flyball", Some("help")),
            ("/etc is full", None),
            ("@flyballs check shop", None),
            ("flyball is slow today", None),
            ("what does @flyball say", None),
            ("", None),
            ("/", None),
        ] {
            assert_eq!(addressed(text, "flyball"), asked, "{text:?}");
        }
    }
}
