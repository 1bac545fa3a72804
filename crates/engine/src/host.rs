//! Hosts and the services on them, as their agents see them.
use crate::{Effect, State};
use model::Recorded;
use model::signal::{HostSeen, ServiceSeen};
/// A host's link came up or went down.
pub fn seen(_state: &mut State, _recorded: &Recorded, _seen: &HostSeen, _effects: &mut Vec<Effect>) {}
/// A service's process changed its state.
pub fn service_seen(_state: &mut State, _recorded: &Recorded, _seen: &ServiceSeen) {}
