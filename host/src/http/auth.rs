//! Who is asking. Everything but health answers to a bearer token only; there is one refusal for
//! every reason, so that it says nothing about which part was right.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    Api,
    error::{ApiError, Code},
};
use crate::tokens::Caller;

/// A job's own token. It opens nothing on this host, and never something more than a bearer token
/// beside it would: a request that carries one is refused whole.
const JOB_TOKEN: &str = "x-mlflow-job-token";

/// Lets nobody in without a token, and hands the rest their [`Caller`].
pub(super) async fn authenticate(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = bearer(request.headers()).and_then(|token| api.host.tokens.authenticate(token));
    match caller {
        Some(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        None => ApiError::unauthorized().into_response(),
    }
}

/// The token, if there is exactly one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    if headers.contains_key(JOB_TOKEN) {
        return None;
    }
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let alone = values.next().is_none();
    (alone && scheme.eq_ignore_ascii_case("bearer")).then(|| token.trim())
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // A route that forgot its guard refuses everybody.
        parts.extensions.get::<Self>().cloned().ok_or_else(ApiError::unauthorized)
    }
}

/// A caller who may do everything.
pub(super) struct Admin;

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.is_admin() {
            return Ok(Self);
        }
        Err(ApiError::new(Code::AdminOnly, format!("`{}` is not an admin", caller.name)))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn token(lines: &[(&str, &str)]) -> Option<String> {
        let lines = lines.iter().map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        });
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn only_one_bearer_token_counts() {
        assert_eq!(token(&[("authorization", "Bearer abc")]).as_deref(), Some("abc"));
        assert_eq!(token(&[("authorization", "bearer  abc ")]).as_deref(), Some("abc"));
        assert_eq!(token(&[]), None);
        assert_eq!(token(&[("authorization", "abc")]), None);
        assert_eq!(token(&[("authorization", "Basic abc")]), None);
        assert_eq!(token(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]), None);
    }

    #[test]
    fn a_job_token_takes_the_bearer_token_beside_it_away() {
        assert_eq!(token(&[("authorization", "Bearer abc"), ("X-MLflow-Job-Token", "x")]), None);
    }
}
