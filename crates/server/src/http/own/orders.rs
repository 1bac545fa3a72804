//! Release orders: the list, each with its plan and log, making one, and what people do with them.

use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use model::api::{NewOrder, OrderRow};
use model::command::Outcome;
use model::order::{Order, OrderState};
use model::plan::Plan;
use model::rights::Right;
use model::signal::LogLine;
use model::{EventId, HostName, OrderNumber, PlanDigest, Verb};
use serde::{Deserialize, Serialize};

use super::{command, limit, word};
use crate::http::app::App;
use crate::http::body::JsonBody;
use crate::http::error::HttpError;
use crate::http::params::{Params, short};
use crate::http::routes::{Access, Routes, json, list};
use crate::journal::OrderFilter;
use crate::people::Caller;
use crate::verbs;
use crate::verbs::grammar::Target;
use crate::view::rows;

/// Most lines of an order's log.
const LINES: usize = 1_000;
/// Longest reason, in bytes.
const REASON_LEN_MAX: usize = 4 * 1024;
/// Most servers named in an order.
const HOSTS_MAX: usize = 1_000;

/// Adds their routes.
pub fn register(routes: Routes<App>) -> Routes<App> {
    let view = Access::Needs(Right::View);
    let release = Access::Needs(Right::Release);
    let operate = Access::Needs(Right::Operate);
    let bodies = || (json::<OrderVerb>(), json::<Outcome>());
    routes
        .get(
            "/api/flyball/v1/orders",
            view,
            "Orders, newest first; `project`, `service`, `environment`, `state` (or `unended`), `before` a number, `limit`",
            list::<OrderRow>(),
            orders,
        )
        .post(
            "/api/flyball/v1/orders",
            release,
            "Makes an order (201), or with `dry_run` shows the plan that it would have (200)",
            (json::<NewOrder>(), json::<Order>()),
            create,
        )
        .get("/api/flyball/v1/orders/{number}", view, "An order", json::<Order>(), order)
        .get(
            "/api/flyball/v1/orders/{number}/plan",
            view,
            "Its plan; with `format=text` or `Accept: text/plain` the canonical text that approvals sign; its digest is in x-plan-digest",
            json::<Plan>(),
            plan,
        )
        .get("/api/flyball/v1/orders/{number}/log", view, "Its story and its agents' lines, oldest first", list::<LogLine>(), log)
        .post(
            "/api/flyball/v1/orders/{number}/approve",
            Access::Needs(Right::Approve),
            "Approves the plan with this `digest`",
            bodies(),
            approve,
        )
        .post("/api/flyball/v1/orders/{number}/halt", operate, "Stops it now", bodies(), halt)
        .post("/api/flyball/v1/orders/{number}/brake", operate, "Stops it after this batch", bodies(), brake)
        .post("/api/flyball/v1/orders/{number}/resume", release, "Goes on where it stopped", bodies(), resume)
        .post("/api/flyball/v1/orders/{number}/retry", release, "Asks the failed step again, then goes on", bodies(), retry)
        .post("/api/flyball/v1/orders/{number}/rollback", release, "Takes back exactly what it touched", bodies(), rollback)
        .post("/api/flyball/v1/orders/{number}/cancel", release, "Ends it before it began", bodies(), cancel)
}

/// POST /orders/{number}/...
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderVerb {
    /// The same id twice is one command; none: made here.
    #[serde(default)]
    pub id: Option<EventId>,
    /// The digest of the plan that is approved, 64 digits.
    #[serde(default)]
    pub digest: Option<String>,
}

/// POST /orders with `dry_run`: what would be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlanPreview {
    /// The plan; its order has no number yet.
    pub plan: Plan,
    /// Its canonical text.
    pub text: String,
    /// Servers that change.
    pub servers: usize,
}

async fn orders(State(app): State<App>, params: Params) -> Result<Json<Vec<OrderRow>>, HttpError> {
    let unended = params.one("state") == Some("unended");
    let filter = OrderFilter {
        project: params.parsed("project", str::parse)?,
        service: params.parsed("service", str::parse)?,
        environment: params.parsed("environment", str::parse)?,
        state: if unended { None } else { params.parsed("state", word::<OrderState>)? },
        unended,
        before: params.one("before").map(OrderNumber::from),
        limit: limit(&params)?,
    };
    Ok(Json(app.projections.orders(&filter).await?.iter().map(rows::order).collect()))
}

async fn find(app: &App, number: &str) -> Result<Order, HttpError> {
    let found = app.projections.order(&OrderNumber::from(number)).await?;
    found.ok_or_else(|| {
        let nearest = app.pump.read_state(|state| {
            let numbers = state.orders.keys().map(OrderNumber::as_str);
            crate::config::nearest(number, numbers).map(|near| format!("Nearest: `{near}`."))
        });
        HttpError::unknown(format!("there is no order {}", short(number))).at("number").hint(nearest)
    })
}

async fn order(State(app): State<App>, Path(number): Path<String>) -> Result<Json<Order>, HttpError> {
    find(&app, &number).await.map(Json)
}

async fn plan(
    State(app): State<App>,
    Path(number): Path<String>,
    params: Params,
    headers: axum::http::HeaderMap,
) -> Result<Response, HttpError> {
    let order = find(&app, &number).await?;
    let digest = (HeaderName::from_static("x-plan-digest"), order.digest.to_string());
    let accepts = crate::http::body::header_text(&headers, &header::ACCEPT);
    match params.one("format") {
        Some("text") => Ok(([digest], order.plan.text()).into_response()),
        None if accepts.starts_with("text/plain") => Ok(([digest], order.plan.text()).into_response()),
        None | Some("json") => Ok(([digest], Json(order.plan)).into_response()),
        Some(_) => Err(HttpError::bad_request("`text` or `json`").at("format")),
    }
}

async fn log(State(app): State<App>, Path(number): Path<String>) -> Result<Json<Vec<LogLine>>, HttpError> {
    let order = find(&app, &number).await?;
    Ok(Json(verbs::order_log(&app, &order, app.config().flyball.language, LINES)))
}

async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(new): JsonBody<NewOrder>,
) -> Result<Response, HttpError> {
    if new.reason.len() > REASON_LEN_MAX {
        return Err(HttpError::bad_request(format!("{REASON_LEN_MAX} bytes at most")).at("reason"));
    }
    if new.hosts.len() > HOSTS_MAX {
        return Err(HttpError::bad_request(format!("{HOSTS_MAX} servers at most")).at("hosts"));
    }
    let target = Target { name: new.service.to_string(), environment: Some(new.environment.to_string()) };
    let hosts: Vec<String> = new.hosts.iter().map(HostName::to_string).collect();
    let wanted = app.pump.read_state(|state| verbs::deploy(state, &target, &new.artifact, new.strategy, &hosts, &new.reason))?;
    verbs::allowed(&app, &caller, &wanted, ("POST", "/api/flyball/v1/orders")).await?;
    if new.dry_run {
        let plan = app.pump.read_state(|state| verbs::plan_of(state, &wanted.verb));
        let plan = plan.map_err(|refusal| verbs::of_refusal(&refusal))?;
        let plan = plan.ok_or_else(|| HttpError::bad_request("this makes no plan"))?;
        let servers = verbs::servers_with_steps(&plan);
        return Ok(Json(PlanPreview { text: plan.text(), servers, plan }).into_response());
    }
    match verbs::submit(&app, &caller, command::surface(&caller), &verbs::new_id(), wanted.verb).await? {
        Outcome::Accepted { order: Some(number), .. } => {
            let order = find(&app, number.as_str()).await?;
            Ok((StatusCode::CREATED, Json(order)).into_response())
        }
        Outcome::Refused(refusal) => Err(verbs::of_refusal(&refusal)),
        accepted => Ok(Json(accepted).into_response()),
    }
}

async fn approve(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(number): Path<String>,
    JsonBody(asked): JsonBody<OrderVerb>,
) -> Result<Json<Outcome>, HttpError> {
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digest = asked.digest.filter(|digest| is_digest(digest));
    let digest = digest.ok_or_else(|| HttpError::bad_request("the plan's digest, 64 hexadecimal digits").at("digest"))?;
    let verb = Verb::Approve { order: OrderNumber::from(number), digest: PlanDigest::from(digest) };
    command::perform(&app, &caller, asked.id, verb, "approve").await.map(Json)
}

macro_rules! verbs_on_orders {
    ($($name:ident $verb:ident;)*) => {$(
        async fn $name(
            State(app): State<App>,
            Extension(caller): Extension<Caller>,
            Path(number): Path<String>,
            JsonBody(asked): JsonBody<OrderVerb>,
        ) -> Result<Json<Outcome>, HttpError> {
            let verb = Verb::$verb { order: OrderNumber::from(number) };
            command::perform(&app, &caller, asked.id, verb, stringify!($name)).await.map(Json)
        }
    )*};
}

verbs_on_orders! {
    halt Halt;
    brake Brake;
    resume Resume;
    retry Retry;
    rollback Rollback;
    cancel Cancel;
}
