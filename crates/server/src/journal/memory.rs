//! The journal's double: transactions in memory, with power cuts and failures where a test wants them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use engine::State;
use model::api::{ChangeRow, ChatMessage, TimelineRow};
use model::incident::{Incident, IncidentState};
use model::order::Order;
use model::{EffectKey, IncidentNumber, OrderNumber, Recorded, RoomName, Seq, Time};

use super::{
    AuditRow, Committed, IncidentFilter, Journal, JournalError, Loaded, NO_HASH, NewAudit, OrderFilter, OutboxChange, Owed,
    Projections, RangeFilter, chain, limit_of,
};

/// What goes wrong with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The database says no; nothing is written.
    Refused,
    /// The disk is full; nothing is written.
    Full,
    /// The power goes before it is on disk: it is lost, and nobody gets an answer.
    CutBefore,
    /// The power goes after it is on disk: it stays, and nobody gets an answer.
    CutAfter,
}

/// A journal in memory. A clone is the same journal: what survives a start.
#[derive(Clone, Default)]
pub struct MemoryJournal {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default)]
struct Disk {
    events: Vec<Recorded>,
    poisoned: Vec<Seq>,
    outbox: BTreeMap<EffectKey, Owed>,
    snapshot: Option<String>,
    incidents: BTreeMap<IncidentNumber, Incident>,
    orders: BTreeMap<OrderNumber, Order>,
    timeline: Vec<TimelineRow>,
    chat: Vec<ChatMessage>,
    changes: Vec<ChangeRow>,
    audit: Vec<AuditRow>,
    last: Seq,
    commits: u64,
    faults: BTreeMap<u64, Fault>,
}

impl MemoryJournal {
    /// An empty one.
    pub fn new() -> MemoryJournal {
        MemoryJournal::default()
    }

    /// Lets the commit after `ahead` more commits go wrong.
    pub fn fail(&self, ahead: u64, fault: Fault) {
        let mut disk = self.disk();
        let at = disk.commits + ahead;
        disk.faults.insert(at, fault);
    }

    /// Commits so far, failed ones too.
    pub fn commits(&self) -> u64 {
        self.disk().commits
    }

    /// All events that are on disk, poisoned ones too.
    pub fn events(&self) -> Vec<Recorded> {
        self.disk().events.clone()
    }

    /// What is owed.
    pub fn owed(&self) -> Vec<Owed> {
        self.disk().owed()
    }

    fn disk(&self) -> std::sync::MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    fn owed(&self) -> Vec<Owed> {
        let mut owed: Vec<Owed> = self.outbox.values().cloned().collect();
        owed.sort_by_key(|owed| owed.seq);
        owed
    }

    fn write(&mut self, committed: &Committed) {
        self.last = committed.recorded.last().map_or(self.last, |recorded| recorded.seq);
        self.events.extend(committed.recorded.iter().cloned());
        self.poisoned.extend(&committed.poisoned);
        for change in &committed.outbox {
            match change {
                OutboxChange::Owe(owed) => {
                    let row = self.outbox.entry(owed.key.clone()).or_insert_with(|| Owed::clone(owed));
                    (row.effect, row.next_at) = (owed.effect.clone(), owed.next_at);
                }
                OutboxChange::Delay(key, tries, next_at) => {
                    if let Some(owed) = self.outbox.get_mut(key) {
                        (owed.tries, owed.next_at) = (*tries, *next_at);
                    }
                }
                OutboxChange::Settle(key) => {
                    self.outbox.remove(key);
                }
            }
        }
        self.incidents.extend(committed.incidents.iter().map(|incident| (incident.number, incident.clone())));
        self.orders.extend(committed.orders.iter().map(|order| (order.number.clone(), order.clone())));
        self.timeline.extend(committed.timeline.iter().cloned());
        self.chat.extend(committed.chat.iter().cloned());
        self.changes.extend(committed.changes.iter().cloned());
        committed.audit.iter().for_each(|line| self.note(line));
    }

    fn note(&mut self, line: &NewAudit) {
        let prev = self.audit.last().map_or(NO_HASH, |row| row.hash.as_str());
        let row = chain(self.audit.len() as u64 + 1, prev, line);
        self.audit.push(row);
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn load(&self) -> Result<Loaded, JournalError> {
        let disk = self.disk();
        let unreadable =
            |error: serde_json::Error| JournalError::Unreadable { what: "the snapshot".into(), why: error.to_string() };
        let snapshot: Option<Box<State>> = disk.snapshot.as_deref().map(serde_json::from_str).transpose().map_err(unreadable)?;
        let after = snapshot.as_ref().map_or(Seq(0), |state| state.seq);
        let replayed = |recorded: &&Recorded| recorded.seq > after && !disk.poisoned.contains(&recorded.seq);
        let tail = disk.events.iter().filter(replayed).cloned().collect();
        Ok(Loaded { snapshot, tail, owed: disk.owed(), last: disk.last })
    }

    async fn commit(&self, committed: &Committed) -> Result<(), JournalError> {
        const DOING: &str = "write to the journal";
        let mut disk = self.disk();
        let number = disk.commits;
        disk.commits += 1;
        let cut = JournalError::Database { doing: DOING, why: "the power went".into() };
        match disk.faults.remove(&number) {
            None => {
                disk.write(committed);
                Ok(())
            }
            Some(Fault::Refused) => Err(JournalError::Database { doing: DOING, why: "refused by the test".into() }),
            Some(Fault::Full) => Err(JournalError::Full { doing: DOING }),
            Some(Fault::CutBefore) => Err(cut),
            Some(Fault::CutAfter) => {
                disk.write(committed);
                Err(cut)
            }
        }
    }

    async fn snapshot(&self, state: &State, keep_from: Time) -> Result<(), JournalError> {
        let text = serde_json::to_string(state)
            .map_err(|error| JournalError::Unreadable { what: "the state".into(), why: error.to_string() })?;
        let mut disk = self.disk();
        disk.snapshot = Some(text);
        disk.events.retain(|recorded| recorded.seq > state.seq || recorded.at >= keep_from);
        Ok(())
    }

    async fn note(&self, audit: &NewAudit) -> Result<(), JournalError> {
        self.disk().note(audit);
        Ok(())
    }
}

#[async_trait]
impl Projections for MemoryJournal {
    async fn incidents(&self, filter: &IncidentFilter) -> Result<Vec<Incident>, JournalError> {
        let fits = |incident: &&Incident| {
            filter.before.is_none_or(|before| incident.number < before)
                && filter.state.is_none_or(|state| incident.state == state)
                && !(filter.unresolved && incident.state == IncidentState::Resolved)
                && (filter.service.is_none() || incident.scope.service == filter.service)
        };
        Ok(self.disk().incidents.values().rev().filter(fits).take(limit_of(filter.limit)).cloned().collect())
    }

    async fn incident(&self, number: IncidentNumber) -> Result<Option<Incident>, JournalError> {
        Ok(self.disk().incidents.get(&number).cloned())
    }

    async fn orders(&self, filter: &OrderFilter) -> Result<Vec<Order>, JournalError> {
        let fits = |order: &&Order| {
            filter.before.as_ref().is_none_or(|before| order.number < *before)
                && filter.project.as_ref().is_none_or(|project| order.project == *project)
                && filter.service.as_ref().is_none_or(|service| order.service == *service)
                && filter.environment.as_ref().is_none_or(|environment| order.environment == *environment)
                && filter.state.is_none_or(|state| order.state == state)
                && !(filter.unended && order.state.is_final())
        };
        Ok(self.disk().orders.values().rev().filter(fits).take(limit_of(filter.limit)).cloned().collect())
    }

    async fn order(&self, number: &OrderNumber) -> Result<Option<Order>, JournalError> {
        Ok(self.disk().orders.get(number).cloned())
    }

    async fn timeline(&self, filter: &RangeFilter) -> Result<Vec<TimelineRow>, JournalError> {
        let fits = |line: &&TimelineRow| in_range(filter, line.seq, line.at, &line.scope);
        Ok(self.disk().timeline.iter().rev().filter(fits).take(limit_of(filter.limit)).cloned().collect())
    }

    async fn chat(&self, room: &RoomName, before: Option<Seq>, limit: u32) -> Result<Vec<ChatMessage>, JournalError> {
        let fits = |message: &&ChatMessage| message.room == *room && before.is_none_or(|before| message.seq < before);
        Ok(self.disk().chat.iter().rev().filter(fits).take(limit_of(limit)).cloned().collect())
    }

    async fn changes(&self, filter: &RangeFilter) -> Result<Vec<ChangeRow>, JournalError> {
        let fits = |row: &&ChangeRow| in_range(filter, row.seq, row.received_at, &row.change.scope);
        Ok(self.disk().changes.iter().rev().filter(fits).take(limit_of(filter.limit)).cloned().collect())
    }

    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditRow>, JournalError> {
        let fits = |row: &&AuditRow| before.is_none_or(|before| row.number < before);
        Ok(self.disk().audit.iter().rev().filter(fits).take(limit_of(limit)).cloned().collect())
    }
}

fn in_range(filter: &RangeFilter, seq: Seq, at: Time, scope: &model::Scope) -> bool {
    filter.from.is_none_or(|from| at >= from)
        && filter.to.is_none_or(|to| at <= to)
        && filter.before.is_none_or(|before| seq < before)
        && (filter.service.is_none() || scope.service == filter.service)
        && (filter.environment.is_none() || scope.environment == filter.environment)
}
