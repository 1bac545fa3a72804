//! A server's parts in a temporary folder, and requests to its router.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use model::config::Config;
use model::intake::{KeySecret, Rows};
use model::rights::{Grant, Role};
use model::{Event, HostName, SampleBatch, Time, TokenName};
use query::Features;
use query::source::Source;
use store::files::{Files, OnDisk};
use store::{Appended, Store};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tower::ServiceExt as _;
use wire::Metadata;

use crate::artifacts::Artifacts;
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::http::app::{App, Parts};
use crate::http::doors::{Enrolment, EnrolmentError, IngestError, Ingested, Placed, Samples};
use crate::http::routes::RouteDoc;
use crate::http::table::router;
use crate::journal::{Database, SqliteJournal, SqliteProjections};
use crate::logs::Logs;
use crate::people::People;
use crate::pump::{Fold, PumpHandle, pump};
use crate::telemetry::scrape::TargetBoard;

/// The configuration that the house starts with.
pub const SHOP: &str = "\
hosts:
  shop-1: { address: 127.0.0.11 }
environments:
  prod: { approval: none }
projects:
  mall:
    services:
      shop:
        environments:
          prod: { servers: [{ host: shop-1, port: 8080 }] }
heartbeats:
  import: { id: 0123456789abcdef, every: 5m, service: shop }
notification:
  receivers:
    hook: { webhook: { url: 'https://user:secret@hooks.example/very/secret' } }
users:
  zhao: { name: Zhao Wei, language: zh, grants: [{ role: operator }] }
";

/// A running server without sockets.
pub struct House {
    pub app: App,
    pub router: Router,
    pub docs: Vec<RouteDoc>,
    pub folder: TempDir,
    pub pump: PumpHandle,
}

impl House {
    pub async fn open() -> House {
        House::with_files(Arc::new(OnDisk)).await
    }

    /// With a store over these files, as simulated ones that are full.
    pub async fn with_files(files: Arc<dyn Files>) -> House {
        House::with_store(files, |_| {}).await
    }

    /// With a store whose options are changed first.
    pub async fn with_store(files: Arc<dyn Files>, change: impl FnOnce(&mut store::Options)) -> House {
        House::build(files, change, Features::STABLE).await
    }

    /// With experimental parts of PromQL allowed.
    pub async fn with_features(features: Features) -> House {
        House::build(Arc::new(OnDisk), |_| {}, features).await
    }

    async fn build(files: Arc<dyn Files>, change: impl FnOnce(&mut store::Options), features: Features) -> House {
        let folder = tempfile::tempdir().unwrap();
        let configured = folder.path().join("config");
        std::fs::create_dir_all(configured.join("rules")).unwrap();
        std::fs::write(configured.join("shop.yaml"), SHOP).unwrap();
        let rules = "groups:\n  - name: host\n    rules:\n      - alert: Down\n        expr: up == 0\n      - record: a:b\n        expr: up\n";
        std::fs::write(configured.join("rules/host.yaml"), rules).unwrap();
        let config = config::load(&configured, &features).unwrap();

        let clock = Arc::new(SystemClock::new());
        let database = Database::open(folder.path()).await.unwrap();
        let journal = Arc::new(SqliteJournal::new(database.clone()));
        let (fold, _) = Fold::open(journal.clone(), clock.clone()).await.unwrap();
        let (dues, mut due) = mpsc::channel(64);
        let (handle, task) = pump(fold, dues, Duration::from_secs(3600));
        tokio::spawn(task.run());
        tokio::spawn(async move { while due.recv().await.is_some() {} });
        handle.submit(Event::Configured { config: Box::new(config), change: None }).await.unwrap();

        let mut options = store::Options::new(folder.path().join("metrics"));
        change(&mut options);
        let store = Store::open(options, files, clock.now()).unwrap();
        let app = App::new(Parts {
            pump: handle.clone(),
            projections: Arc::new(SqliteProjections::new(database)),
            journal,
            people: Arc::new(People::open(&folder.path().join("people.sqlite")).await.unwrap()),
            telemetry: Arc::new(StoreAlone { store: Arc::new(store), clock: clock.clone(), targets: TargetBoard::default() }),
            logs: Arc::new(Logs::default()),
            artifacts: Arc::new(Artifacts::open(&folder.path().join("artifacts")).unwrap()),
            enrol: Arc::new(Tokens),
            owed: Arc::new(|| 0),
            started_at: clock.now(),
            clock,
            config_folder: Some(configured),
            features,
            demo: false,
            secure: false,
        });
        let (router, docs) = router(app.clone());
        House { app, router, docs, folder, pump: handle }
    }

    /// A token's text with this role everywhere.
    pub async fn token(&self, role: Role) -> String {
        self.token_of(&format!("{role}"), Grant::everywhere(role)).await
    }

    pub async fn token_of(&self, name: &str, grant: Grant) -> String {
        let name = TokenName::new(name).unwrap();
        if self.app.people.tokens().await.unwrap().iter().any(|row| row.name == name.as_str()) {
            self.app.people.revoke_token(&name).await.unwrap();
        }
        self.app.people.create_token(&name, &[grant]).await.unwrap().text().to_owned()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body: bytes }
    }

    /// A request with a role's token and a body that is text.
    pub async fn ask(&self, role: Role, method: &str, uri: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let token = format!("Bearer {}", self.token(role).await);
        let mut all = vec![("authorization", token.as_str())];
        all.extend_from_slice(headers);
        self.send(request(method, uri, &all, body)).await
    }

    pub async fn get(&self, uri: &str) -> Answer {
        self.ask(Role::Admin, "GET", uri, &[], Body::empty()).await
    }

    pub async fn post_json(&self, uri: &str, body: serde_json::Value) -> Answer {
        self.ask(Role::Admin, "POST", uri, &[("content-type", "application/json")], body.to_string()).await
    }

    pub fn config(&self) -> Arc<Config> {
        self.app.config()
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The sentence, place and hint of our own error.
    pub fn error(&self) -> (u16, String, Option<String>, Option<String>) {
        let error = &self.json()["error"];
        let text = |key: &str| error[key].as_str().map(str::to_owned);
        (self.status.as_u16(), text("message").unwrap_or_default(), text("place"), text("hint"))
    }

    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub fn request(method: &str, uri: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

/// The store without rules behind it.
struct StoreAlone {
    store: Arc<Store>,
    clock: Arc<SystemClock>,
    targets: TargetBoard,
}

#[async_trait]
impl Samples for StoreAlone {
    async fn ingest(&self, batch: SampleBatch, metadata: Vec<Metadata>) -> Result<Ingested, IngestError> {
        let placed = placed(self.store.append(&batch, self.clock.now())?);
        self.describe(&metadata);
        placed.settle().await
    }

    fn key_secret(&self) -> &KeySecret {
        self.store.key_secret()
    }

    fn place(&self, rows: &dyn Rows) -> Result<Placed, IngestError> {
        Ok(placed(self.store.append_rows(rows, self.clock.now())?))
    }

    fn describe(&self, metadata: &[Metadata]) {
        for known in metadata.iter().cloned() {
            let Metadata { family, kind, help, unit } = known;
            let known = store::Metadata { kind: kind.word().into(), help, unit };
            let _ = self.store.set_metadata(&family, known).unwrap();
        }
    }

    fn source(&self) -> Arc<dyn Source + Send + Sync> {
        Arc::new(self.store.view())
    }

    fn metadata(&self) -> BTreeMap<String, store::Metadata> {
        self.store.metadata()
    }

    fn stats(&self) -> store::Stats {
        self.store.stats()
    }

    fn store(&self) -> &Arc<Store> {
        &self.store
    }

    fn targets(&self) -> TargetBoard {
        self.targets.clone()
    }
}

fn placed(appended: Appended) -> Placed {
    Placed { accepted: appended.accepted as u64, refused: appended.refused, commit: appended.commit, unsealed: appended.unsealed }
}

struct Tokens;

#[async_trait]
impl Enrolment for Tokens {
    async fn token(&self, host: &HostName) -> Result<String, EnrolmentError> {
        Ok(format!("token-of-{host}"))
    }

    async fn revoke(&self, _: &HostName) -> Result<bool, EnrolmentError> {
        Ok(true)
    }
}

/// Now in seconds, for bodies.
pub fn now_secs(house: &House) -> i64 {
    house.app.clock.now().millis() / 1_000
}

/// A time that a sample may have.
pub fn recent(house: &House) -> Time {
    Time::from_secs(now_secs(house) - 5)
}
