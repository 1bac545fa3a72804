//! Takes servers out of a load balancer and in again, through HAProxy's runtime API, and believes only what it shows.
//!
//! Each action may be repeated: it sets a state, then looks whether it is so. No answer at all is "unreachable", never a success.

use std::io;
use std::time::Duration;

use model::config::BalancerConfig;
use model::plan::{Action, StepOutcome, StepRequest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout};
use wire::haproxy::stat::{RowKind, RowState, StatRow};
use wire::haproxy::{ANSWER_LEN_MAX, Command, NameError, RuntimeError, ServerName, WantedState, parse_servers_state, stat};

/// For one command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two looks at a state that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A balancer that does not answer is asked again for so long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a balancer did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BalancerError {
    /// No connection, or it broke.
    #[error("talk to HAProxy at `{address}`: {source}")]
    Socket {
        /// As it is configured.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// No answer in time.
    #[error("talk to HAProxy at `{address}`: no answer within {} s", COMMAND_TIMEOUT.as_secs())]
    Silent {
        /// As it is configured.
        address: String,
    },
    /// It answered something else.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A name that can't be used.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl BalancerError {
    /// True where nothing is known of the balancer.
    fn is_unreachable(&self) -> bool {
        matches!(self, BalancerError::Socket { .. } | BalancerError::Silent { .. })
    }
}

/// Reads the counters of everything.
pub async fn counters(config: &BalancerConfig) -> Result<Vec<StatRow>, BalancerError> {
    Ok(stat::parse(&exchange(&config.haproxy, &Command::ShowStat).await?)?)
}

/// Does one step at a balancer.
pub async fn perform(config: &BalancerConfig, request: &StepRequest) -> StepOutcome {
    let limit = Duration::from_millis(request.time_limit_ms);
    let until = Instant::now() + limit;
    let result = timeout(limit, act(config, &request.action, until)).await;
    match result {
        Ok(Ok(note)) => StepOutcome::Done { note },
        Ok(Err(error)) if error.is_unreachable() => StepOutcome::Unreachable { why: error.to_string() },
        Ok(Err(error)) => StepOutcome::Failed { why: error.to_string() },
        Err(_) => StepOutcome::Failed { why: format!("{}: not so after {} ms", request.action.word(), request.time_limit_ms) },
    }
}

async fn act(config: &BalancerConfig, action: &Action, until: Instant) -> Result<String, BalancerError> {
    match action {
        Action::BalancerOut { backend, server, .. } => {
            let name = ServerName::new(backend, server)?;
            set(config, &name, WantedState::Drain).await?;
            while !is_out(config, &name).await? {
                sleep(LOOK_EVERY).await;
            }
            Ok(format!("{name} takes no new requests"))
        }
        Action::Drain { backend, server, at_most_ms, .. } => {
            let name = ServerName::new(backend, server)?;
            let at_most = Instant::now() + Duration::from_millis(*at_most_ms);
            let left = loop {
                let left = row(config, &name).await?.sessions.unwrap_or(0);
                // A little before the step's own limit, so that the server is out in any case.
                if left == 0 || Instant::now() >= at_most || Instant::now() + Duration::from_millis(500) >= until {
                    break left;
                }
                sleep(LOOK_EVERY).await;
            };
            set(config, &name, WantedState::Maint).await?;
            while !is_out(config, &name).await? {
                sleep(LOOK_EVERY).await;
            }
            Ok(format!("{left} sessions left at {name}"))
        }
        Action::BalancerIn { backend, server, .. } => {
            let name = ServerName::new(backend, server)?;
            set(config, &name, WantedState::Ready).await?;
            while row(config, &name).await?.state != Some(RowState::Up) {
                sleep(LOOK_EVERY).await;
            }
            Ok(format!("{name} is in and up"))
        }
        other => {
            let why = format!("`{}` is not done at a balancer", other.word());
            Err(RuntimeError::Refused(why).into())
        }
    }
}

async fn set(config: &BalancerConfig, server: &ServerName, state: WantedState) -> Result<(), BalancerError> {
    let command = Command::SetState { server: server.clone(), state };
    let answer = patiently(config, &command).await?;
    Ok(command.check_answer(&answer)?)
}

/// Whether an operator's word keeps new requests away, whatever its health is.
async fn is_out(config: &BalancerConfig, server: &ServerName) -> Result<bool, BalancerError> {
    let answer = patiently(config, &Command::ShowServersState).await?;
    let states = parse_servers_state(&answer)?;
    let found = states.iter().find(|state| state.backend == server.backend() && state.server == server.server());
    let state = found.ok_or_else(|| RuntimeError::NoSuchServer(server.to_string()))?;
    Ok(state.is_draining || state.is_maintained)
}

async fn row(config: &BalancerConfig, server: &ServerName) -> Result<StatRow, BalancerError> {
    let rows = stat::parse(&patiently(config, &Command::ShowStat).await?)?;
    let is_it = |row: &StatRow| row.kind == RowKind::Server && row.proxy == server.backend() && row.server == server.server();
    Ok(rows.into_iter().find(is_it).ok_or_else(|| RuntimeError::NoSuchServer(server.to_string()))?)
}

/// Asks again for two seconds where nobody answers: HAProxy's socket is away for a moment while it reloads.
async fn patiently(config: &BalancerConfig, command: &Command) -> Result<String, BalancerError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match exchange(&config.haproxy, command).await {
            Err(BalancerError::Socket { .. }) if Instant::now() < until => sleep(LOOK_EVERY * 4).await,
            result => return result,
        }
    }
}

/// One command on its own connection.
async fn exchange(address: &str, command: &Command) -> Result<String, BalancerError> {
    let talk = async {
        if address.starts_with('/') {
            talk(UnixStream::connect(address).await?, command).await
        } else {
            talk(TcpStream::connect(address).await?, command).await
        }
    };
    match timeout(COMMAND_TIMEOUT, talk).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(BalancerError::Socket { address: address.to_owned(), source }),
        Err(_) => Err(BalancerError::Silent { address: address.to_owned() }),
    }
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, command: &Command) -> io::Result<String> {
    stream.write_all(command.line().as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LEN_MAX as u64 + 1).read_to_end(&mut answer).await?;
    if answer.len() > ANSWER_LEN_MAX {
        return Err(io::Error::other("the answer is longer than 16 MiB"));
    }
    String::from_utf8(answer).map_err(|_| io::Error::other("the answer is not text"))
}

#[cfg(test)]
#[path = "balancer_tests.rs"]
mod tests;
