//! The dialer for everything that leaves: one policy, made of the configuration in force and of our own listeners.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use dial::{Dialer, Policy};

use crate::pump::PumpHandle;

/// Gives the dialer that fits the configuration in force. Cheap to clone.
#[derive(Clone)]
pub struct Outgoing {
    pump: PumpHandle,
    own: Arc<Vec<SocketAddr>>,
    made: Arc<Mutex<Option<Made>>>,
}

/// A dialer, and the list that it was made of.
type Made = (Vec<String>, Dialer);

impl Outgoing {
    /// Never dials `own`: flyball's own listeners.
    pub fn new(pump: PumpHandle, own: Vec<SocketAddr>) -> Outgoing {
        Outgoing { pump, own: Arc::new(own), made: Arc::default() }
    }

    /// The dialer for now.
    pub fn dialer(&self) -> Dialer {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.pump.read_state(|state| match &*made {
            Some((allow, dialer)) if *allow == state.config.outgoing.allow => Ok(dialer.clone()),
            _ => Err(state.config.outgoing.allow.clone()),
        });
        known.unwrap_or_else(|allow| {
            let policy = Policy::new(&allow).or_else(|error| {
                tracing::error!(%error, "failed to read `outgoing.allow`; only public addresses are dialled");
                Policy::new(Vec::<String>::new())
            });
            // Without entries there is nothing that could be misread.
            let policy = policy.unwrap_or_else(|_| unreachable!("an empty list is a policy"));
            let dialer = Dialer::new(policy.with_own(self.own.iter().copied()));
            *made = Some((allow, dialer.clone()));
            dialer
        })
    }
}
