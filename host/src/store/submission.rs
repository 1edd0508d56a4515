//! Submission: all jobs of one call or none of them.

use serde_json::json;
use uuid::Uuid;

use super::{
    Store, StoreError,
    sqlite::Session,
    statement::{job_by_idempotency_key, job_submit, job_submit_params},
    value::{Value, micros},
};
use crate::job::{JobId, NewJob};

/// What became of one submission.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Submitted {
    /// It has a row now.
    New(JobId),
    /// Its idempotency key already has one.
    Known(JobId),
}

impl Submitted {
    /// The job, new or known.
    #[must_use]
    pub const fn id(self) -> JobId {
        match self {
            Self::New(id) | Self::Known(id) => id,
        }
    }
}

impl Store {
    /// Stores the jobs in one transaction; an error leaves no row of any of them.
    ///
    /// # Errors
    ///
    /// Whatever the database says; a full disk is [`StoreError::is_full`].
    pub async fn job_submit(&self, jobs: Vec<NewJob>) -> Result<Vec<Submitted>, StoreError> {
        let jobs = std::sync::Arc::new(jobs);
        let submitted = self
            .writer
            .task(move |session| {
                let jobs = std::sync::Arc::clone(&jobs);
                Box::pin(async move { submit(session, &jobs).await })
            })
            .await?;
        self.wake();
        Ok(submitted)
    }
}

async fn submit(session: &mut Session, jobs: &[NewJob]) -> Result<Vec<Submitted>, StoreError> {
    let mut answers = Vec::with_capacity(jobs.len());
    let mut new = Vec::with_capacity(jobs.len());
    for job in jobs {
        if let Some(known) = known(session, job, &new).await? {
            answers.push(Submitted::Known(known));
        } else {
            answers.push(Submitted::New(job.id));
            new.push(job);
        }
    }
    if new.is_empty() {
        return Ok(answers);
    }
    let rows: Vec<_> = new.iter().map(|job| row(job)).collect();
    session.fetch(&job_submit, vec![serde_json::Value::from(rows).to_string().into()]).await?;
    let params: Vec<_> = new
        .iter()
        .map(|job| json!({ "id": job.id.0.simple().to_string(), "params": job.params }))
        .collect();
    session
        .fetch(&job_submit_params, vec![serde_json::Value::from(params).to_string().into()])
        .await?;
    Ok(answers)
}

/// The job that has this submission's key: stored, or earlier in this very call.
async fn known(
    session: &mut Session,
    job: &NewJob,
    earlier: &[&NewJob],
) -> Result<Option<JobId>, StoreError> {
    let Some(key) = &job.idempotency_key else { return Ok(None) };
    let same = |other: &&&NewJob| {
        other.idempotency_key.as_ref() == Some(key)
            && other.creator == job.creator
            && other.workspace == job.workspace
    };
    let found = match earlier.iter().find(same) {
        Some(other) => Some((other.id, other.job_type.clone(), other.params.clone())),
        None => {
            let arguments: Vec<Value> = vec![
                job.creator.as_str().into(),
                job.workspace.as_str().into(),
                key.as_str().into(),
            ];
            match session.fetch(&job_by_idempotency_key, arguments).await?.pop() {
                Some(mut row) => Some((JobId(row.next::<Uuid>()?), row.next()?, row.next()?)),
                None => None,
            }
        }
    };
    match found {
        Some((id, job_type, params)) if job_type != job.job_type || params != job.params => {
            Err(StoreError::KeyReused { key: key.clone(), job: id })
        }
        Some((id, ..)) => Ok(Some(id)),
        None => Ok(None),
    }
}

fn row(job: &NewJob) -> serde_json::Value {
    json!({
        "id": job.id.0.simple().to_string(),
        "job_type": job.job_type,
        "workspace": job.workspace,
        "creator": job.creator,
        "executor": job.executor,
        "priority": job.priority,
        "due_at": job.due_at,
        "timeout_us": micros(job.timeout),
        "lock_key": job.lock_key.map(|key| key.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        "idempotency_key": job.idempotency_key,
    })
}
