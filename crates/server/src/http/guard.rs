//! What every route asks before its handler runs: who is it, and a line in the audit where somebody may not.

use std::sync::Arc;

use model::config::Config;
use model::rights::Right;

use crate::people::{Caller, People, PeopleError};

/// Gives the configuration in force.
pub type ConfigNow = Arc<dyn Fn() -> Arc<Config> + Send + Sync>;
/// Takes a refusal to the audit: who, which right, method, path.
pub type Refused = Arc<dyn Fn(&Caller, Right, &str, &str) + Send + Sync>;

/// Knows callers by their secrets.
#[derive(Clone)]
pub struct Guard {
    people: Arc<People>,
    config: ConfigNow,
    refused: Refused,
}

impl Guard {
    /// A guard over these accounts.
    pub fn new(people: Arc<People>, config: ConfigNow, refused: Refused) -> Guard {
        Guard { people, config, refused }
    }

    /// Who has this secret.
    pub async fn who(&self, secret: &str) -> Result<Option<Caller>, PeopleError> {
        self.people.authenticate(secret, &(self.config)()).await
    }

    /// Somebody asked for what they may not: it is in the audit.
    pub fn refused(&self, caller: &Caller, right: Right, method: &str, path: &str) {
        (self.refused)(caller, right, method, path);
    }
}
