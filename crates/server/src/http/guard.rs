//! What every route asks before its handler runs: who is it, and a line in the audit where somebody may not.

use std::sync::Arc;

use futures::future::BoxFuture;
use model::config::Config;
use model::rights::Right;

use crate::people::{Caller, People, PeopleError};

/// Gives the configuration in force.
pub type ConfigNow = Arc<dyn Fn() -> Arc<Config> + Send + Sync>;
/// Takes a refusal to the audit, and ends when it is there.
pub type Refused = Arc<dyn Fn(Refusal) -> BoxFuture<'static, ()> + Send + Sync>;

/// Somebody asked for what they may not.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Who.
    pub by: String,
    /// What was missing.
    pub right: Right,
    /// `POST`
    pub method: String,
    /// `/-/reload`
    pub path: String,
}

/// Knows callers by their secrets.
#[derive(Clone)]
pub struct Guard {
    known: Option<Known>,
}

#[derive(Clone)]
struct Known {
    people: Arc<People>,
    config: ConfigNow,
    refused: Refused,
}

impl Guard {
    /// A guard over these accounts.
    pub fn new(people: Arc<People>, config: ConfigNow, refused: Refused) -> Guard {
        Guard { known: Some(Known { people, config, refused }) }
    }

    /// A guard that knows nobody: for the table of routes without a server, as the references need it.
    pub fn without_accounts() -> Guard {
        Guard { known: None }
    }

    /// Who has this secret.
    pub async fn who(&self, secret: &str) -> Result<Option<Caller>, PeopleError> {
        match &self.known {
            Some(known) => known.people.authenticate(secret, &(known.config)()).await,
            None => Ok(None),
        }
    }

    /// Somebody asked for what they may not: it is in the audit when this ends.
    pub async fn refused(&self, caller: &Caller, right: Right, method: &str, path: &str) {
        if let Some(known) = &self.known {
            let refusal = Refusal { by: caller.name.clone(), right, method: method.to_owned(), path: path.to_owned() };
            (known.refused)(refusal).await;
        }
    }
}
