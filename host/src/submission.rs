//! What a client hands in, and why it may be refused: everything is decided before there is a row.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use longshore_plugin_api::JobShape;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::{
    config::{Exclusive, JobType, Limits},
    job::{JobId, NewJob},
    tokens::Caller,
};

/// The tenant of a submission that names none.
pub const DEFAULT_WORKSPACE: &str = "default";

/// One submission.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The job type.
    #[schema(example = "score_traces")]
    pub job_name: String,
    /// The parameters: a JSON object.
    #[schema(value_type = Object)]
    pub params: Box<RawValue>,
    /// How long an attempt may take, in seconds, set-up included. The type's own if absent.
    #[serde(default)]
    pub timeout: Option<f64>,
    /// 1 is first, 4 is last. The type's own if absent.
    #[serde(default)]
    pub priority: Option<u8>,
    /// Not to be started before: milliseconds UTC.
    #[serde(default)]
    pub run_at: Option<i64>,
    /// The tenant. `default` if absent.
    #[serde(default)]
    pub workspace: Option<String>,
    /// A second submission with the same key and content answers with the first job.
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

/// Why a submission left no row.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Rejection {
    /// Which submission of the call, from 0.
    pub index: usize,
    /// Which field, as a path: `params.experiment_id`.
    pub field: String,
    /// Stable, for programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// Whose matter it is.
    pub kind: RejectionKind,
}

/// Whose matter a refusal is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RejectionKind {
    /// The submission is wrong.
    Invalid,
    /// The submitter may not.
    Forbidden,
    /// It is larger than the limit.
    TooLarge,
    /// Its idempotency key was used for something else.
    Conflict,
    /// The host cannot take it now.
    Unavailable,
    /// The disk is full.
    Full,
}

/// What submissions are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The types there are.
    pub types: &'a BTreeMap<String, Arc<JobType>>,
    /// The size limits.
    pub limits: &'a Limits,
}

impl Rules<'_> {
    /// Checks one submission and decides everything that its row needs.
    ///
    /// # Errors
    ///
    /// What is wrong with it, by field.
    pub fn admit(
        &self,
        caller: &Caller,
        submission: Submission,
    ) -> Result<(NewJob, Arc<JobType>), Rejection> {
        let workspace = submission.workspace.unwrap_or_else(|| DEFAULT_WORKSPACE.to_owned());
        check_workspace(&workspace)?;
        let Some(job_type) = self.types.get(&submission.job_name) else {
            let known = self.types.keys().map(String::as_str);
            let hint = crate::config::suggest::closest(&submission.job_name, known.clone())
                .map_or_else(
                    || format!("there are {}", known.collect::<Vec<_>>().join(", ")),
                    |name| format!("did you mean `{name}`?"),
                );
            let message = format!("unknown job type `{}`; {hint}", submission.job_name);
            return Err(invalid("job_name", "unknown_job_type", message));
        };
        if !caller.may_submit(&job_type.name, &workspace) {
            return Err(Rejection {
                kind: RejectionKind::Forbidden,
                ..invalid(
                    "job_name",
                    "not_permitted",
                    format!(
                        "`{}` may not submit `{}` in workspace `{workspace}`",
                        caller.name, job_type.name
                    ),
                )
            });
        }
        let params = self.check_params(job_type, &submission.params)?;
        let lock_key = job_type
            .exclusive
            .as_ref()
            .map(|exclusive| lock_key(&workspace, &job_type.name, exclusive, &params))
            .transpose()?;
        let job = NewJob {
            id: JobId::new(),
            job_type: job_type.name.clone(),
            workspace,
            creator: caller.name.clone(),
            executor: job_type.executor.clone(),
            priority: priority(submission.priority, job_type)?,
            due_at: submission.run_at.map(run_at).transpose()?,
            timeout: timeout(submission.timeout, job_type)?,
            params: submission.params.get().to_owned(),
            lock_key,
            idempotency_key: submission.idempotency_key.map(idempotency_key).transpose()?,
        };
        Ok((job, Arc::clone(job_type)))
    }

    fn check_params(
        &self,
        job_type: &JobType,
        params: &RawValue,
    ) -> Result<serde_json::Map<String, Value>, Rejection> {
        let size = params.get().len();
        if size > self.limits.params {
            let message = format!(
                "the parameters have {size} bytes, the limit (`limits.params`) is {}; pass a reference to where they are",
                self.limits.params
            );
            return Err(Rejection {
                kind: RejectionKind::TooLarge,
                ..invalid("params", "params_too_large", message)
            });
        }
        // Depth is bounded by the parser itself.
        let value: Value = serde_json::from_str(params.get()).map_err(|error| {
            invalid("params", "invalid_params", format!("not usable JSON: {error}"))
        })?;
        let Value::Object(params) = value else {
            let message = "expected a JSON object with a value for each parameter".to_owned();
            return Err(invalid("params", "invalid_params", message));
        };
        if let Some(missing) =
            job_type.required_params.iter().find(|name| !params.contains_key(*name))
        {
            let message = format!("`{}` needs the parameter `{missing}`", job_type.name);
            return Err(invalid(&format!("params.{missing}"), "missing_param", message));
        }
        if let Some(accepted) = &job_type.accepted_params
            && let Some(extra) = params.keys().find(|name| !accepted.contains(name))
        {
            let hint = crate::config::suggest::closest(extra, accepted.iter().map(String::as_str))
                .map_or_else(
                    || format!("it takes {}", accepted.join(", ")),
                    |name| format!("did you mean `{name}`?"),
                );
            let message = format!("`{}` has no parameter `{extra}`; {hint}", job_type.name);
            return Err(invalid(&format!("params.{extra}"), "unknown_param", message));
        }
        Ok(params)
    }
}

/// What the executor is asked before there is a row.
#[must_use]
pub fn shape(job_type: &JobType, params_bytes: usize) -> JobShape {
    JobShape {
        job_type: job_type.name.clone(),
        run: job_type.run.clone(),
        python: job_type.python.clone(),
        resources: job_type.resources.clone(),
        options: job_type.options.clone(),
        params_bytes: params_bytes as u64,
    }
}

fn invalid(field: &str, code: &'static str, message: String) -> Rejection {
    Rejection { index: 0, field: field.to_owned(), code, message, kind: RejectionKind::Invalid }
}

fn check_workspace(name: &str) -> Result<(), Rejection> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=63).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    let message = "expected 1 to 63 letters, digits, `-`, `_` or `.`".to_owned();
    Err(invalid("workspace", "invalid_workspace", message))
}

fn priority(wanted: Option<u8>, job_type: &JobType) -> Result<u8, Rejection> {
    match wanted {
        None => Ok(job_type.priority.get()),
        Some(priority @ 1..=4) => Ok(priority),
        Some(other) => {
            let message = format!("expected 1 (first) to 4 (last), got {other}");
            Err(invalid("priority", "invalid_priority", message))
        }
    }
}

/// NaN, infinity, zero and less are refused here: everything after goes by this one number.
fn timeout(wanted: Option<f64>, job_type: &JobType) -> Result<Duration, Rejection> {
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
    let Some(seconds) = wanted else { return Ok(job_type.timeout) };
    match Duration::try_from_secs_f64(seconds) {
        Ok(timeout) if timeout >= Duration::from_millis(1) && timeout <= LONGEST => Ok(timeout),
        _ => {
            let message =
                format!("expected a positive number of seconds, at most a year, got {seconds}");
            Err(invalid("timeout", "invalid_timeout", message))
        }
    }
}

fn run_at(milliseconds: i64) -> Result<i64, Rejection> {
    milliseconds.checked_mul(1000).filter(|us| *us >= 0).ok_or_else(|| {
        let message = format!("expected milliseconds since 1970 UTC, got {milliseconds}");
        invalid("run_at", "invalid_run_at", message)
    })
}

fn idempotency_key(key: String) -> Result<String, Rejection> {
    if (1..=255).contains(&key.len()) {
        return Ok(key);
    }
    let message = "expected 1 to 255 bytes".to_owned();
    Err(invalid("idempotency_key", "invalid_idempotency_key", message))
}

/// The whole of SHA-256 over workspace, type and the named parameters, each with its length before
/// it. Values in their canonical form: keys sorted, no white space, `1`, `1.0` and `"1"` differ.
fn lock_key(
    workspace: &str,
    job_type: &str,
    exclusive: &Exclusive,
    params: &serde_json::Map<String, Value>,
) -> Result<[u8; 32], Rejection> {
    let names: Vec<&String> = match exclusive {
        Exclusive::AllParams => params.keys().collect(),
        Exclusive::Params(names) => names.iter().collect(),
    };
    let mut sorted = BTreeMap::new();
    for name in names {
        let value = params.get(name).ok_or_else(|| {
            let message =
                format!("`{job_type}` is exclusive by `{name}`, so a submission must give it");
            invalid(&format!("params.{name}"), "missing_param", message)
        })?;
        sorted.insert(name.as_str(), canonical(value));
    }
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    part(workspace);
    part(job_type);
    for (name, value) in sorted {
        part(name);
        part(&value);
    }
    Ok(hash.finalize().into())
}

/// Objects are sorted maps in this build of `serde_json` unless a dependency turns `preserve_order`
/// on: sorted here, so that no dependency can change a key.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            let parts: Vec<_> = sorted
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(workspace: &str, names: &[&str], params: &str) -> Result<[u8; 32], Rejection> {
        let exclusive = Exclusive::Params(names.iter().map(|&name| name.to_owned()).collect());
        lock_key(workspace, "score", &exclusive, &serde_json::from_str(params).unwrap())
    }

    #[test]
    fn equal_parameters_share_a_key_and_different_ones_do_not() {
        let one = key("default", &["a"], r#"{"a": 1, "b": 2}"#).unwrap();
        assert_eq!(one, key("default", &["a"], r#"{"b": 3, "a": 1}"#).unwrap());
        for other in
            [r#"{"a": 1.0}"#, r#"{"a": "1"}"#, r#"{"a": [1]}"#, r#"{"a": null}"#, r#"{"a": true}"#]
        {
            assert_ne!(one, key("default", &["a"], other).unwrap(), "{other}");
        }
        assert_ne!(one, key("other", &["a"], r#"{"a": 1}"#).unwrap());
        let nested = |text| key("default", &["a"], text).unwrap();
        assert_eq!(
            nested(r#"{"a": {"x": 1, "y": {"p": 1, "q": 2}}}"#),
            nested(r#"{"a": {"y": {"q": 2, "p": 1}, "x": 1}}"#)
        );
    }

    #[test]
    fn an_absent_named_parameter_is_a_refusal_that_names_it() {
        assert_eq!(key("default", &["a"], "{}").unwrap_err().field, "params.a");
    }

    proptest! {
        #[test]
        fn no_split_of_names_and_values_collides(a in ".{0,8}", b in ".{0,8}", c in ".{0,8}", d in ".{0,8}") {
            prop_assume!((&a, &b) != (&c, &d));
            let of = |name: &str, value: &str| {
                let params = [(name.to_owned(), Value::from(value))].into_iter().collect();
                lock_key("default", "score", &Exclusive::AllParams, &params).unwrap()
            };
            prop_assert_ne!(of(&a, &b), of(&c, &d));
        }
    }
}
