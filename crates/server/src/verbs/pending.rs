//! Verbs that wait for the confirmation of the person who asked: in memory, few, and not for long.
//!
//! What is confirmed is exactly what was shown: the resolved command lies here, the repeated text is only compared.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::{EventId, Time, Verb};

/// A confirmation is waited for so long.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(60);
/// Most that wait; the oldest gives way.
const WAITING_MAX: usize = 1_000;

/// What waits.
#[derive(Default)]
pub struct Pending(Mutex<VecDeque<Waiting>>);

/// A verb that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// The command's id.
    pub id: EventId,
    /// Who asked.
    pub by: String,
    /// What they wrote.
    pub asked: String,
    /// In the grammar's own form.
    pub understood: String,
    /// What would be done.
    pub verb: Verb,
    /// Not after this.
    pub until: Time,
}

/// Why a confirmation does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    /// Too late.
    #[error("this was asked more than 60 s ago: ask again")]
    Late,
    /// Somebody else asked.
    #[error("only the person who asked can confirm it")]
    SomebodyElse,
    /// The text is another than what was shown.
    #[error("this id belongs to another verb: ask again")]
    Different,
}

impl Pending {
    /// Lets a verb wait. The same person may ask again under the same id, and sees the newer figures.
    pub fn put(&self, waiting: Waiting) -> Result<(), ConfirmError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = all.iter().find(|have| have.id == waiting.id)
            && same.by != waiting.by
        {
            return Err(ConfirmError::SomebodyElse);
        }
        all.retain(|have| have.id != waiting.id);
        if all.len() >= WAITING_MAX {
            all.pop_front();
        }
        all.push_back(waiting);
        Ok(())
    }

    /// Takes what waits under this id; none where nothing does. Who may not confirm it leaves it where it is.
    pub fn take(&self, id: &EventId, by: &str, asked: &str, now: Time) -> Result<Option<Waiting>, ConfirmError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = all.iter().position(|have| have.id == *id) else { return Ok(None) };
        let have = &all[place];
        if have.by != by {
            return Err(ConfirmError::SomebodyElse);
        }
        if now > have.until {
            return Err(ConfirmError::Late);
        }
        if have.asked != asked && have.understood != asked {
            return Err(ConfirmError::Different);
        }
        Ok(all.remove(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::OrderNumber;

    fn waiting(id: &str, by: &str) -> Waiting {
        Waiting {
            id: EventId::from(id),
            by: by.into(),
            asked: "rollback".into(),
            understood: "rollback 20261122-101500-7K".into(),
            verb: Verb::Rollback { order: OrderNumber::from("20261122-101500-7K") },
            until: Time::from_secs(60),
        }
    }

    #[test]
    fn only_the_same_person_in_time_with_the_same_words() {
        let pending = Pending::default();
        let id = EventId::from("1");
        let now = Time::from_secs(1);
        assert_eq!(pending.take(&id, "lin", "rollback", now), Ok(None));
        pending.put(waiting("1", "lin")).unwrap();
        assert_eq!(pending.put(waiting("1", "mallory")), Err(ConfirmError::SomebodyElse));
        assert_eq!(pending.take(&id, "mallory", "rollback", now), Err(ConfirmError::SomebodyElse));
        assert_eq!(pending.take(&id, "lin", "deploy shop 1", now), Err(ConfirmError::Different));
        assert_eq!(pending.take(&id, "lin", "rollback", Time::from_secs(61)), Err(ConfirmError::Late));
        assert_eq!(pending.take(&id, "lin", "rollback", now), Ok(Some(waiting("1", "lin"))));
        assert_eq!(pending.take(&id, "lin", "rollback", now), Ok(None));
    }

    #[test]
    fn the_oldest_give_way() {
        let pending = Pending::default();
        for number in 0..=WAITING_MAX {
            pending.put(waiting(&number.to_string(), "lin")).unwrap();
        }
        let now = Time::from_secs(1);
        assert_eq!(pending.take(&EventId::from("0"), "lin", "rollback", now), Ok(None));
        assert!(pending.take(&EventId::from("1"), "lin", "rollback", now).unwrap().is_some());
    }
}
