//! Verbs: one grammar and one executor for every surface. What somebody may not do is refused here and noted in the audit;
//! whether it can be done is the engine's to say.

mod change;
mod chat;
mod draw;
pub mod grammar;
mod list;
mod look;
mod names;
mod pending;
pub mod picture;
mod preview;

use model::api::{Answer, Ask};
use model::{EventId, Language, RoomName, Surface};

use crate::http::app::App;
use crate::http::error::HttpError;
use crate::http::params::short;
use crate::people::Caller;
use grammar::{GrammarError, Wish};

pub use change::{Wanted, allowed, deploy, of_refusal, submit, wanted_of};
pub use chat::{known_room, rooms, say};
pub use list::{help, incident_number, order_log};
pub use look::measured;
pub use names::unknown;
pub use pending::Pending;
pub use preview::{plan_of, servers_with_steps};

/// Longest id that a sender may give a command, in bytes.
const ID_LEN_MAX: usize = 64;

/// One question, with who asks and how.
struct Question<'a> {
    app: &'a App,
    caller: &'a Caller,
    id: EventId,
    text: &'a str,
    via: Surface,
    yes: bool,
    dry_run: bool,
}

/// Reads a line, does what it says, and answers with data. What was said in a room is answered there too.
pub async fn ask(app: &App, caller: &Caller, ask: Ask) -> Result<Answer, HttpError> {
    if let Some(room) = &ask.room {
        chat::known_room(app, room)?;
    }
    let id = ask.id.clone().map_or_else(|| Ok(new_id()), checked_id)?;
    // What flyball does by itself is its own word: nobody else can claim it.
    let via = if ask.via == Surface::Flyball { Surface::Api } else { ask.via };
    let question = Question { app, caller, id, text: ask.text.trim(), via, yes: ask.yes, dry_run: ask.dry_run };
    let answer = question.answer().await?;
    if let Some(room) = &ask.room {
        chat::answered(app, room, &question.id, question.text, &answer).await?;
    }
    Ok(answer)
}

/// An id for a command whose sender gave none.
pub fn new_id() -> EventId {
    EventId::from(uuid::Uuid::now_v7().to_string())
}

/// An id that a sender gave.
pub fn checked_id(id: EventId) -> Result<EventId, HttpError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    if id.as_str().is_empty() || id.as_str().len() > ID_LEN_MAX || !id.as_str().bytes().all(plain) {
        let text = format!("an id is {ID_LEN_MAX} letters, digits, `-`, `_`, `.` and `:` at most");
        return Err(HttpError::bad_request(text).at("id").hint(Some("A uuid.".into())));
    }
    Ok(id)
}

impl Question<'_> {
    async fn answer(&self) -> Result<Answer, HttpError> {
        if let Some(answer) = self.confirmed().await? {
            return Ok(answer);
        }
        let wish = grammar::parse(self.text, &self.app.config().flyball.bot).map_err(of_grammar)?;
        match wish {
            Wish::Check(target) => self.check(&target).await,
            Wish::Status(None) => self.status().await,
            Wish::Status(Some(target)) => self.status_of(&target).await,
            Wish::Log { target, lines } => self.log(&target, lines).await,
            Wish::Graph { what, back } => self.graph(&what, back).await,
            Wish::Incidents { all } => self.incidents(all).await,
            Wish::Orders(of) => self.orders(of).await,
            Wish::Changes(of) => self.changes(of).await,
            Wish::Help(verb) => help(verb.as_deref()),
            wish @ (Wish::Deploy { .. }
            | Wish::Restart { .. }
            | Wish::Order { .. }
            | Wish::Acknowledge(_)
            | Wish::Resolve(_)
            | Wish::Note { .. }
            | Wish::Reassign { .. }) => self.change(&wish).await,
        }
    }

    /// In which language this caller reads what is only text.
    fn language(&self) -> Language {
        let config = self.app.config();
        config.users.get(self.caller.name.as_str()).map_or(config.flyball.language, |user| user.language)
    }
}

/// What is wrong with a line: 400 with what would be right.
fn of_grammar(error: GrammarError) -> HttpError {
    let hint = match &error {
        GrammarError::UnknownVerb { nearest, .. } => Some(format!("Nearest: `{nearest}`. Try: help")),
        GrammarError::Usage(usage) | GrammarError::Option { usage, .. } => Some((*usage).to_owned()),
        GrammarError::Quote(_) | GrammarError::TooLong | GrammarError::Empty => None,
    };
    HttpError::bad_request(error.to_string()).at("text").hint(hint)
}

/// A room by its name as a sender wrote it.
pub fn room(name: &str) -> Result<RoomName, HttpError> {
    RoomName::new(name).map_err(|error| HttpError::bad_request(error.to_string()).at("room").hint(Some(short(name))))
}
