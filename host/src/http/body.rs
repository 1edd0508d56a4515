//! What a client sends: bodies and query strings, with every mistake named by its field.

use std::sync::Arc;

use axum::{
    body::to_bytes,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{header, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::{
    Api,
    error::{ApiError, Code},
};
use crate::config::Limits;

/// What a body may hold beside the parameters, in bytes.
const SLACK: usize = 64 << 10;

/// Something that comes as a JSON body.
pub(super) trait Accepted: DeserializeOwned {
    /// The largest body, in bytes.
    fn limit(limits: &Limits) -> usize {
        let _ = limits;
        SLACK
    }
}

/// What a body may hold that carries the parameters of `jobs` jobs.
pub(super) const fn limit_of(limits: &Limits, jobs: usize) -> usize {
    limits.params.saturating_mul(jobs).saturating_add(SLACK)
}

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<T: Accepted> FromRequest<Arc<Api>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        let headers = request.headers();
        // A form cannot say this type, so a page cannot send one past the browser's own check.
        let json = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| {
                let kind = value.split(';').next().unwrap_or_default().trim();
                kind.eq_ignore_ascii_case("application/json")
            });
        if !json {
            let message = "send the body as `Content-Type: application/json`";
            return Err(ApiError::new(Code::UnsupportedMediaType, message));
        }
        let limit = T::limit(&api.host.config.limits);
        let bytes = to_bytes(request.into_body(), limit).await.map_err(|error| {
            if is_too_large(&error) {
                ApiError::new(Code::BodyTooLarge, format!("a body here has at most {limit} bytes"))
            } else {
                ApiError::new(Code::InvalidJson, "the body ended too early")
            }
        })?;
        parse(&bytes).map(Self)
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        // The type is http-body-util's, which axum does not show; its words are all there is.
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        source = error.source();
    }
    false
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if error.classify() == Category::Data {
            // The place in the text says nothing to a program that wrote it on one line.
            let message = error.to_string();
            let message =
                message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
            ApiError::new(Code::InvalidField, message).at(if path == "." {
                String::new()
            } else {
                path
            })
        } else {
            ApiError::new(Code::InvalidJson, format!("the body is not JSON: {error}"))
        }
    })?;
    json.end().map_err(|error| {
        ApiError::new(Code::InvalidJson, format!("the body is not JSON: {error}"))
    })?;
    Ok(parsed)
}

/// A query string.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(error) => Err(ApiError::new(Code::InvalidQuery, error.body_text())),
        }
    }
}
