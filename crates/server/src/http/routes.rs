//! The one table of routes. A route without its access does not compile, and the API document is made of the same table.

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use model::rights::Right;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::access;
use super::error::HttpError;
use super::guard::Guard;

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: health, login, heartbeat pings, the page itself.
    Open,
    /// A known caller, whatever they may do.
    Known,
    /// A right, at least somewhere; the handler checks the place where there is one.
    Needs(Right),
}

/// The secret by which a request was let in: a stream asks with it again whether its caller is still known.
#[derive(Clone)]
pub struct Credential(pub String);

/// A schema by its name, with those that it uses.
pub type Schemas = Vec<(String, RefOr<Schema>)>;

/// One route as the API document shows it.
pub struct RouteDoc {
    /// `GET`
    pub method: &'static str,
    /// `/api/flyball/v1/incidents/{number}`
    pub path: &'static str,
    /// What it asks for.
    pub access: Access,
    /// One sentence.
    pub summary: &'static str,
    /// The schema of its body.
    pub request: Option<RefOr<Schema>>,
    /// The schema of its answer.
    pub response: Option<RefOr<Schema>>,
}

/// The body or the answer of a route: its type's schema, or none where it is no JSON of ours.
pub struct Body(Option<fn(&mut Schemas) -> RefOr<Schema>>);

/// No JSON of ours.
pub const NONE: Body = Body(None);

/// JSON of this type.
pub fn json<T: ToSchema>() -> Body {
    Body(Some(|schemas| {
        T::schemas(schemas);
        schemas.push((T::name().into_owned(), T::schema()));
        RefOr::Ref(utoipa::openapi::Ref::from_schema_name(T::name()))
    }))
}

/// JSON: a list of this type.
pub fn list<T: ToSchema>() -> Body {
    Body(Some(|schemas| {
        T::schemas(schemas);
        schemas.push((T::name().into_owned(), T::schema()));
        let item = utoipa::openapi::Ref::from_schema_name(T::name());
        RefOr::T(Schema::Array(utoipa::openapi::schema::ArrayBuilder::new().items(item).build()))
    }))
}

/// The table while it is put together.
pub struct Routes<S> {
    router: Router<S>,
    guard: Guard,
    docs: Vec<RouteDoc>,
    schemas: Schemas,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// An empty table whose routes are guarded by `guard`.
    pub fn new(guard: Guard) -> Routes<S> {
        Routes { router: Router::new(), guard, docs: Vec::new(), schemas: Vec::new() }
    }

    /// Adds a GET route.
    #[must_use]
    pub fn get<H, T>(self, path: &'static str, access: Access, summary: &'static str, response: Body, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.add("GET", MethodFilter::GET, path, access, summary, (NONE, response), handler)
    }

    /// Adds a POST route.
    #[must_use]
    pub fn post<H, T>(self, path: &'static str, access: Access, summary: &'static str, bodies: (Body, Body), handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.add("POST", MethodFilter::POST, path, access, summary, bodies, handler)
    }

    /// Adds a route of any method.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "one line of the table; get and post are what is called")]
    pub fn add<H, T>(
        mut self,
        method: &'static str,
        filter: MethodFilter,
        path: &'static str,
        access: Access,
        summary: &'static str,
        (request, response): (Body, Body),
        handler: H,
    ) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let request = request.0.map(|make| make(&mut self.schemas));
        let response = response.0.map(|make| make(&mut self.schemas));
        self.docs.push(RouteDoc { method, path, access, summary, request, response });
        let guarded: MethodRouter<S> =
            on(filter, handler).layer(axum::middleware::from_fn_with_state((self.guard.clone(), access), admit));
        self.router = self.router.route(path, guarded);
        self
    }

    /// The router and its document.
    pub fn finish(self) -> (Router<S>, Vec<RouteDoc>, Schemas) {
        (self.router, self.docs, self.schemas)
    }
}

/// Lets a request through to its handler, with its [`Caller`](crate::people::Caller) beside it, or answers 401 or 403.
async fn admit(State((guard, access)): State<(Guard, Access)>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if access == Access::Open {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let Some(presented) = access::presented(&parts) else { return HttpError::who_are_you().into_response() };
    let caller = match guard.who(&presented.secret).await {
        Ok(Some(caller)) => caller,
        Ok(None) => return HttpError::who_are_you().into_response(),
        Err(error) => return HttpError::internal(&error).into_response(),
    };
    if presented.by_cookie && !access::same_origin(&parts) {
        return HttpError::not_allowed("a change by a session comes from flyball's own page only").into_response();
    }
    if let Access::Needs(right) = access
        && !caller.may_somewhere(right)
    {
        guard.refused(&caller, right, parts.method.as_str(), parts.uri.path()).await;
        return HttpError::not_allowed(format!("needs the right `{right}`")).into_response();
    }
    parts.extensions.insert(caller);
    parts.extensions.insert(Credential(presented.secret));
    next.run(Request::from_parts(parts, body)).await
}
