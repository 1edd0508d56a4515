//! Every request has an id, an entry in the log, and an answer, whatever happens in between.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt as _;
use tracing::Instrument as _;
use uuid::Uuid;

use super::error::ApiError;
use crate::clock::Moment;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers a panic like any other fault of the host, and says in the log what was answered to whom.
/// The log gets the route, not the path, and neither query, headers nor body.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let id = Uuid::new_v4().simple().to_string();
    let route =
        request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("http", request = id, method = %request.method(), route);
    let begun = Moment::now();
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let _inside = span.enter();
    let mut response = answer.unwrap_or_else(|_| {
        // The panic hook has said where and why.
        tracing::error!("a handler panicked");
        ApiError::internal().into_response()
    });
    tracing::debug!(status = response.status().as_u16(), took = ?begun.elapsed(), "answered");
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    async fn broken() -> String {
        panic!("the secret of the house")
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_that_tells_nothing_but_where_to_look() {
        let router = Router::new().route("/", get(broken)).layer(middleware::from_fn(observe));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), 500);
        assert!(response.headers().contains_key(REQUEST_ID));
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body = String::from_utf8(body.into()).unwrap();
        assert!(body.contains("\"internal\"") && !body.contains("secret"), "{body}");
    }
}
