//! The way of decoded rows to the disk, and what their sender is told.
//!
//! A body is decoded in portions, and each is put into the store before the next is decoded, in memory that other bodies use
//! again: so what a body takes does not grow with what is in it.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use model::intake::{RawRow, Rows};
use store::Reason;

use crate::http::app::App;
use crate::http::doors::{IngestError, Placed};
use crate::http::error::HttpError;

/// So many different reasons are told.
const REASONS_MAX: usize = 3;
/// Who finds no room for a new series may ask again after so long.
const ROOM_AFTER_SECS: u32 = 60;
/// So many bodies' memory is kept while nobody uses it ...
const KEPT_MAX: usize = 8;
/// ... of those that do not take more bytes than this.
const KEPT_BYTES_MAX: usize = 3 << 20;

/// Memory for one body.
#[derive(Default)]
pub struct Memory {
    /// The body as it was sent.
    pub sent: Vec<u8>,
    /// The body unpacked.
    pub plain: Vec<u8>,
    /// Its rows.
    pub rows: Vec<RawRow>,
}

/// Memory that no body uses now.
#[derive(Default)]
pub struct Memories(Mutex<Vec<Memory>>);

impl Memories {
    /// Memory, used before where there is some.
    pub fn take(&self) -> Memory {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Keeps it for the next body, unless it has grown large or enough is kept.
    pub fn keep(&self, memory: Memory) {
        let bytes = memory.sent.capacity() + memory.plain.capacity() + memory.rows.capacity() * size_of::<RawRow>();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes <= KEPT_BYTES_MAX && kept.len() < KEPT_MAX {
            kept.push(memory);
        }
    }
}

/// The rows of one body on their way.
pub(super) struct Taking {
    app: App,
    placed: Vec<Placed>,
    reasons: Vec<(Reason, String)>,
}

/// What became of a body's rows.
#[derive(Default)]
pub(super) struct Taken {
    /// Samples on the disk.
    pub accepted: u64,
    /// Samples that the store refused.
    pub refused: u64,
    /// Of these, those of new series for which there is no room.
    pub without_room: u64,
    /// The first of them, with their places and reasons.
    pub reasons: String,
}

impl Taking {
    pub fn new(app: &App) -> Taking {
        Taking { app: app.clone(), placed: Vec::with_capacity(1), reasons: Vec::new() }
    }

    /// Puts a portion into the store.
    pub fn rows(&mut self, rows: &dyn Rows) -> Result<(), IngestError> {
        let placed = self.app.telemetry.place(rows)?;
        for refused in &placed.refused.examples {
            if self.reasons.len() >= REASONS_MAX || self.reasons.iter().any(|(reason, _)| *reason == refused.reason) {
                continue;
            }
            let said = match &refused.reason {
                Reason::BadKey(sentence) => sentence.clone(),
                reason => format!("{} ({}): {reason}", rows.place(refused.row), refused.series),
            };
            self.reasons.push((refused.reason.clone(), said));
        }
        self.placed.push(placed);
        Ok(())
    }

    /// Waits until all that was taken is on the disk.
    pub async fn settle(self) -> Result<Taken, HttpError> {
        let mut taken = Taken::default();
        for placed in self.placed {
            let ingested = placed.settle().await.map_err(not_taken)?;
            taken.accepted += ingested.accepted;
            taken.refused += ingested.refused.total();
            taken.without_room += ingested.refused.too_many_series;
        }
        self.app.metrics.samples.fetch_add(taken.accepted, Ordering::Relaxed);
        self.app.metrics.refused.fetch_add(taken.refused, Ordering::Relaxed);
        let said: Vec<String> = self.reasons.into_iter().map(|(_, said)| said).collect();
        taken.reasons = said.join("; ");
        Ok(taken)
    }
}

impl Taken {
    /// The answer to a body of which not all was taken. 429 where there was room for none of its series: idle ones leave room
    /// in time. 400 where any of it was taken, or is wrong for ever: sent again, it would hold up what comes behind it.
    pub fn refusal(&self, sentence: String) -> HttpError {
        if self.accepted == 0 && self.without_room > 0 && self.without_room == self.refused {
            return HttpError::too_many(sentence, ROOM_AFTER_SECS);
        }
        HttpError::bad_request(sentence)
    }
}

/// Why nothing more of a body was taken, as its sender is told.
pub(super) fn not_taken(error: IngestError) -> HttpError {
    match error {
        IngestError::Full => HttpError::full(),
        IngestError::NotNow(_) => HttpError::not_now(error.to_string()),
    }
}
