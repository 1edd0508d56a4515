//! What a client is told when it does not get what it asked for: always the same shape, with a code
//! that never changes its meaning.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    job::JobId,
    lifecycle::State,
    report::Chain,
    store::StoreError,
    submission::{Rejection, RejectionKind},
};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $code:ident = $text:literal, $status:ident;)+) => {
        /// What went wrong. Stable: programs read it.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Code { $($(#[doc = $doc])+ $code,)+ }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The code as programs read it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $text,)+ }
            }

            /// The status that it comes with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$code => StatusCode::$status,)+ }
            }

            /// What it means, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$code => concat!($($doc),+),)+ }
            }
        }
    };
}

codes! {
    /// The job is stored, but cannot be shown now; `job_id` is the job. Do not submit it again.
    AcceptedUnread = "accepted_unread", ACCEPTED;
    /// The body is not JSON.
    InvalidJson = "invalid_json", BAD_REQUEST;
    /// A field of the body is missing, unknown or of the wrong type; `field` names it.
    InvalidField = "invalid_field", BAD_REQUEST;
    /// The query string has an unknown, wrong or repeated parameter.
    InvalidQuery = "invalid_query", BAD_REQUEST;
    /// `page_token` is not one that a search has answered with.
    InvalidPageToken = "invalid_page_token", BAD_REQUEST;
    /// There is no such job type.
    UnknownJobType = "unknown_job_type", BAD_REQUEST;
    /// The parameters are not a JSON object that can be read.
    InvalidParams = "invalid_params", BAD_REQUEST;
    /// The job type needs a parameter that is not there.
    MissingParam = "missing_param", BAD_REQUEST;
    /// The job type has no such parameter.
    UnknownParam = "unknown_param", BAD_REQUEST;
    /// The workspace's name is not one.
    InvalidWorkspace = "invalid_workspace", BAD_REQUEST;
    /// The priority is not 1, 2, 3 or 4.
    InvalidPriority = "invalid_priority", BAD_REQUEST;
    /// The timeout is not a positive number of seconds, or longer than a year.
    InvalidTimeout = "invalid_timeout", BAD_REQUEST;
    /// The time is not one that can be waited for.
    InvalidRunAt = "invalid_run_at", BAD_REQUEST;
    /// The idempotency key is empty or too long.
    InvalidIdempotencyKey = "invalid_idempotency_key", BAD_REQUEST;
    /// The job's executor says that it can never run it.
    ExecutorRefused = "executor_refused", BAD_REQUEST;
    /// There is no token, or it is not one that opens this door.
    Unauthorized = "unauthorized", UNAUTHORIZED;
    /// Only an admin may do this.
    AdminOnly = "admin_only", FORBIDDEN;
    /// The token may not submit this type in this workspace.
    NotPermitted = "not_permitted", FORBIDDEN;
    /// The `Host` header names somebody else; see `server.allowed_hosts`.
    ForbiddenHost = "forbidden_host", FORBIDDEN;
    /// The page that sent this may not call the host; see `server.allowed_origins`.
    ForbiddenOrigin = "forbidden_origin", FORBIDDEN;
    /// There is no such job among those that the token may see.
    JobNotFound = "job_not_found", NOT_FOUND;
    /// There is no executor of that name.
    NoSuchExecutor = "no_such_executor", NOT_FOUND;
    /// The job has ended without a result.
    NoResult = "no_result", NOT_FOUND;
    /// There is no such path.
    NoSuchPath = "no_such_path", NOT_FOUND;
    /// The path has no such method.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    /// The job has ended otherwise; `status` says how.
    AlreadyFinished = "already_finished", CONFLICT;
    /// The job has not ended; `status` says where it stands.
    NotFinished = "not_finished", CONFLICT;
    /// The idempotency key belongs to a job that was submitted differently.
    IdempotencyKeyReused = "idempotency_key_reused", CONFLICT;
    /// The body is larger than this path takes.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE;
    /// The parameters are larger than `limits.params`.
    ParamsTooLarge = "params_too_large", PAYLOAD_TOO_LARGE;
    /// The body's `Content-Type` is not `application/json`.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE;
    /// The host is at fault; its log says more under the answer's `x-request-id`.
    Internal = "internal", INTERNAL_SERVER_ERROR;
    /// The database does not answer now; nothing was done, try again.
    StorageUnavailable = "storage_unavailable", SERVICE_UNAVAILABLE;
    /// The executor does not answer now, try again.
    ExecutorUnavailable = "executor_unavailable", SERVICE_UNAVAILABLE;
    /// The disk under the database is full; nothing was stored.
    StorageFull = "storage_full", INSUFFICIENT_STORAGE;
}

impl Code {
    /// The code of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word)
    }
}

/// An answer that is not what was asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ApiError {
    /// Stable, for programs; `docs/http-errors.md` lists them.
    #[serde(serialize_with = "word")]
    #[schema(value_type = String, example = "unknown_job_type")]
    code: Code,
    /// For people.
    message: String,
    /// Which field, as a path: `params.experiment_id`, or `jobs[3].timeout` in a bulk submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The job that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    /// Where that job stands.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "state")]
    #[schema(value_type = Option<String>, example = "SUCCEEDED")]
    status: Option<State>,
}

/// The body of every answer that is an error.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ApiError,
}

impl ApiError {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, job_id: None, status: None }
    }

    pub(super) fn at(mut self, field: impl Into<String>) -> Self {
        let field = field.into();
        self.field = (!field.is_empty()).then_some(field);
        self
    }

    pub(super) fn about(mut self, job: JobId, state: Option<State>) -> Self {
        self.job_id = Some(job.to_string());
        self.status = state;
        self
    }

    /// One answer for every way in which a request is not authorised: it tells nothing about which.
    pub(super) fn unauthorized() -> Self {
        Self::new(Code::Unauthorized, "a valid token is needed: `Authorization: Bearer TOKEN`")
    }

    /// One answer for a job that is not there and for one that the caller may not see.
    pub(super) fn no_such_job(id: &str) -> Self {
        Self::new(Code::JobNotFound, format!("there is no job `{id}` that this token may see"))
    }

    pub(super) fn internal() -> Self {
        Self::new(
            Code::Internal,
            "the host is at fault; its log says more under this `x-request-id`",
        )
    }

    /// A refused submission. `bulk` says that it was one of several.
    pub(super) fn refused(rejection: Rejection, bulk: bool) -> Self {
        let code = Code::from_word(rejection.code).unwrap_or_else(|| kind(rejection.kind));
        let field = match (bulk, rejection.field.as_str()) {
            // Storage refuses the whole call, not the submission that it happened to look at.
            (true, "") => String::new(),
            (true, field) => format!("jobs[{}].{field}", rejection.index),
            (false, field) => field.to_owned(),
        };
        Self::new(code, rejection.message).at(field)
    }
}

/// What a code that is not in the table counts as. A test sees to it that all of them are.
const fn kind(kind: RejectionKind) -> Code {
    match kind {
        RejectionKind::Invalid => Code::InvalidField,
        RejectionKind::Forbidden => Code::NotPermitted,
        RejectionKind::TooLarge => Code::BodyTooLarge,
        RejectionKind::Conflict => Code::IdempotencyKeyReused,
        RejectionKind::Unavailable => Code::StorageUnavailable,
        RejectionKind::Full => Code::StorageFull,
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let code = if error.is_full() {
            Code::StorageFull
        } else if error.is_transient() {
            Code::StorageUnavailable
        } else {
            Code::Internal
        };
        tracing::error!("{}", Chain(&error));
        // What the database said is for the log: it may hold paths.
        match code {
            Code::StorageFull => {
                Self::new(code, "the disk under the database is full; nothing was stored")
            }
            Code::StorageUnavailable => {
                Self::new(code, "the database does not answer now; try again")
            }
            _ => Self::internal(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let mut response = (status, Json(ErrorBody { error: self })).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// `docs/http-errors.md`.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "<!-- Generated from host/src/http/error.rs; `UPDATE_DOCS=1 cargo test -p longshore --test http` writes it. -->\n\
         # HTTP errors\n\n\
         Every answer that is an error has the body `{\"error\": {\"code\", \"message\", \"field\"?, \"job_id\"?, \
         \"status\"?}}`.\nA code never changes its meaning; a message may. `503` comes with `Retry-After`.\n\n\
         | status | code | meaning |\n| --- | --- | --- |\n",
    );
    for code in Code::ALL {
        text += &format!(
            "| {} | `{}` | {} |\n",
            code.status().as_u16(),
            code.as_str(),
            code.meaning().trim()
        );
    }
    text
}

fn word<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn state<S: serde::Serializer>(state: &Option<State>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.map_or("", State::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words in those files that look like codes and are fields.
    const FIELDS: [&str; 3] = ["job_name", "run_at", "idempotency_key"];

    #[test]
    fn every_code_that_a_rejection_is_made_with_is_in_the_table() {
        let mut seen = 0;
        for source in [include_str!("../submission.rs"), include_str!("../host.rs")] {
            let code = source.split("mod tests").next().unwrap();
            let lines = code.lines().filter(|line| !line.contains("#[") && !line.contains("//"));
            for word in lines.flat_map(|line| line.split('"').skip(1).step_by(2)) {
                let looks = |c: char| c.is_ascii_lowercase() || c == '_';
                if word.contains('_') && word.chars().all(looks) && !FIELDS.contains(&word) {
                    assert!(Code::from_word(word).is_some(), "`{word}` is in no table");
                    seen += 1;
                }
            }
        }
        assert!(seen > 10, "{seen}: this test looks in the wrong place");
    }

    #[test]
    fn a_full_disk_refuses_the_call_and_a_wrong_submission_is_named() {
        let rejection = |field: &str, code, kind| Rejection {
            index: 3,
            field: field.to_owned(),
            code,
            message: String::new(),
            kind,
        };
        let full = || rejection("", "storage_full", RejectionKind::Full);
        for error in [ApiError::refused(full(), true), ApiError::refused(full(), false)] {
            assert_eq!((error.code.status().as_u16(), error.field), (507, None));
        }
        let late = || rejection("timeout", "invalid_timeout", RejectionKind::Invalid);
        assert_eq!(ApiError::refused(late(), true).field.as_deref(), Some("jobs[3].timeout"));
        assert_eq!(ApiError::refused(late(), false).field.as_deref(), Some("timeout"));
    }

    #[test]
    fn codes_are_unique() {
        for code in Code::ALL {
            assert_eq!(Code::from_word(code.as_str()), Some(*code));
        }
    }
}
