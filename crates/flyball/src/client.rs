//! Finds the server and asks it: by `--server`, FLYBALL_SERVER and FLYBALL_TOKEN, else by the data folder here.
//!
//! A certificate that the system doesn't know is trusted by FLYBALL_CA, a file with it or its authority in PEM.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use model::api::{ApiError, ErrorBody};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::Server;
use crate::exit::{Failure, chain};
use crate::local::DATA;

/// The file in the data folder that says where its server listens.
const ADDRESS_FILE: &str = "address";
/// The file in the data folder with the command line's own token.
const TOKEN_FILE: &str = "cli.token";
/// Largest answer taken, in bytes.
const ANSWER_LEN_MAX: usize = 64 << 20;

/// Where a data folder's server listens, if it has said so.
pub fn address_of(data: &Path) -> Option<String> {
    std::fs::read_to_string(data.join(ADDRESS_FILE)).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Writes where the server listens, for command lines that start in the same place.
pub fn write_address(data: &Path, address: &str) -> std::io::Result<()> {
    std::fs::write(data.join(ADDRESS_FILE), format!("{address}\n"))
}

/// The file of the command line's own token.
pub fn token_file(data: &Path) -> PathBuf {
    data.join(TOKEN_FILE)
}

/// A server to ask.
pub struct Client {
    base: String,
    token: Option<String>,
    dialer: dial::Dialer,
}

impl Client {
    /// The server that the options, the environment or the data folder name.
    pub fn new(server: &Server) -> Result<Client, Failure> {
        let data = server.data.clone().unwrap_or_else(|| PathBuf::from(DATA));
        let base = match &server.server {
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => url.trim_end_matches('/').to_owned(),
            Some(address) => format!("http://{}", address.trim_end_matches('/')),
            None => address_of(&data).ok_or_else(|| Failure::NotReachable {
                server: data.display().to_string(),
                why: "no server was started in this data folder; name one by --server, FLYBALL_SERVER or --data".into(),
            })?,
        };
        let token = std::env::var("FLYBALL_TOKEN")
            .ok()
            .or_else(|| std::fs::read_to_string(token_file(&data)).ok())
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty());
        // The user names the server: every address is meant.
        let policy = dial::Policy::new(["0.0.0.0/0", "::/0"]).map_err(|error| Failure::Failed(error.to_string()))?;
        let dialer = dial::Dialer::new(policy);
        let dialer = match std::env::var_os("FLYBALL_CA").filter(|file| !file.is_empty()) {
            Some(file) => dialer.with_roots(PathBuf::from(file)),
            None => dialer,
        };
        Ok(Client { base, token, dialer })
    }

    /// GET of JSON.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let body = self.send(Method::GET, path, None, Vec::new()).await?;
        read(&body)
    }

    /// POST of JSON.
    pub async fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::Failed(format!("write the request: {error}")))?;
        let answer = self.send(Method::POST, path, Some("application/json"), body).await?;
        read(&answer)
    }

    /// POST of bytes.
    pub async fn post_bytes<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<T, Failure> {
        let answer = self.send(Method::POST, path, Some("application/octet-stream"), body).await?;
        read(&answer)
    }

    async fn send(&self, method: Method, path: &str, content: Option<&'static str>, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let mut request = dial::Request::get(format!("{}{path}", self.base));
        request.method = method;
        request.body = body.into();
        request.timeout = Duration::from_secs(120);
        request.body_max = ANSWER_LEN_MAX;
        if let Some(content) = content {
            request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
        }
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| Failure::Usage("the token has characters that no token has".into()))?;
            value.set_sensitive(true);
            request.headers.insert(AUTHORIZATION, value);
        }
        let response = self
            .dialer
            .send(&request)
            .await
            .map_err(|error| Failure::NotReachable { server: self.base.clone(), why: chain(&error) })?;
        if response.status.is_success() {
            return Ok(response.body.to_vec());
        }
        let said: Result<ErrorBody, _> = serde_json::from_slice(&response.body);
        let error = said.map(|body| body.error).unwrap_or_else(|_| ApiError {
            code: response.status.as_str().to_owned(),
            message: unread(&response.body),
            ..ApiError::default()
        });
        Err(match response.status {
            StatusCode::BAD_REQUEST => Failure::Usage(Failure::Refused(Box::new(error)).to_string()),
            status if status.is_client_error() => Failure::Refused(Box::new(error)),
            status => Failure::Failed(format!("get an answer: {status}: {}", error.message)),
        })
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::Failed(format!("read the answer: {error}; is the server one version apart?")))
}

/// An answer that is none of ours: Prometheus' error in its own form, else the text as it came.
fn unread(body: &[u8]) -> String {
    let prometheus = serde_json::from_slice::<serde_json::Value>(body).ok();
    let error = prometheus.as_ref().and_then(|answer| answer["error"].as_str());
    error.map_or_else(|| String::from_utf8_lossy(body).chars().take(1_000).collect(), str::to_owned)
}
