//! What programs say to the host.
//!
//! ```text
//!   serve ─► observe ─► door ─┬─► health
//!   (TCP,    (id, log,  (Host,│
//!    TLS)     panics)  Origin)└─► authenticate ─► one file per noun ─► host, store, worker
//!                                 (bearer token)
//! ```
//!
//! What is always true: nothing but health answers without a token, a path that does not exist
//! included; a job that the caller may not see answers exactly like one that is not there; every
//! error has the shape of [`ErrorBody`]; a submission that was stored is never answered as refused.
//! Routes and document come from the same annotations, under MLflow's two prefixes alike.

mod auth;
mod body;
mod bulk;
mod door;
mod error;
mod executors;
mod health;
mod jobs;
mod logs;
mod metrics;
mod observe;
mod openapi;
mod plugins;
mod recovery;
mod replicas;
mod search;
mod serve;
mod server_info;
mod shown;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    http::Uri,
    middleware,
    routing::{get, post},
};
use tokio::sync::watch;
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::door::Door;
pub use self::{
    error::{ApiError, Code, ErrorBody, reference},
    serve::serve,
    shown::Shown,
};
use crate::host::Host;

/// Where the API is: MLflow's clients use the one, its pages the other.
pub const PREFIXES: [&str; 2] = ["/api/3.0", "/ajax-api/3.0"];

/// What every handler can reach.
#[derive(Debug)]
struct Api {
    host: Arc<Host>,
    door: Door,
    /// Turns true when the host stops: nobody is kept waiting any more.
    closing: watch::Receiver<bool>,
}

/// What needs a token.
fn guarded() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(jobs::submit))
        .routes(routes!(bulk::submit))
        .routes(routes!(search::search))
        .routes(routes!(jobs::get))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::result))
        .routes(routes!(logs::get))
        .routes(routes!(executors::list))
        .routes(routes!(plugins::list))
        .routes(routes!(plugins::release))
        .routes(routes!(replicas::list))
        .routes(routes!(recovery::get))
        .routes(routes!(server_info::get))
        .routes(routes!(metrics::get))
        .routes(routes!(openapi::get))
}

/// What does not.
fn open() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(health::live)).routes(routes!(health::ready))
}

/// The `OpenAPI` document; paths are relative to either of [`PREFIXES`].
#[must_use]
pub fn document() -> OpenApi {
    openapi::complete(guarded().merge(open()).into_openapi())
}

/// The API of that host, which listens on `listen`. What waits for a job ends when `closing` turns
/// true.
pub fn router(host: Arc<Host>, listen: SocketAddr, closing: watch::Receiver<bool>) -> Router {
    let door = Door::new(&host.config.server, listen);
    let api = Arc::new(Api { host, door, closing });
    // A client that forgets the last stroke means the same.
    let jobs = Router::from(guarded()).route("/jobs", post(jobs::submit));
    let health = Router::from(open());
    let mut guarded = Router::new();
    let mut open = health.clone().route("/health", get(health::ready));
    for prefix in PREFIXES {
        guarded = guarded.nest(prefix, jobs.clone());
        open = open.nest(prefix, health.clone());
    }
    // Before the guard, so that it stands in front of what does not exist, too.
    guarded
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&api), auth::authenticate))
        .merge(open.method_not_allowed_fallback(no_such_method))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), door::check))
        .layer(middleware::from_fn(observe::observe))
        .with_state(api)
}

async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::new(
        Code::NoSuchPath,
        format!(
            "there is nothing at `{}`; GET {}/openapi.json says what there is",
            uri.path(),
            PREFIXES[0]
        ),
    )
}

async fn no_such_method(uri: Uri) -> ApiError {
    ApiError::new(
        Code::MethodNotAllowed,
        format!("`{}` has other methods; see `Allow`", uri.path()),
    )
}
