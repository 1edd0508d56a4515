//! Submission: all jobs of one call or none of them.

use std::collections::{HashMap, hash_map::Entry};

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
            .await??;
        self.wake();
        Ok(submitted)
    }
}

/// A refusal is an answer and no error of the transaction: nothing is written yet, and the writes of
/// others that share it are not to be undone.
async fn submit(
    session: &mut Session,
    jobs: &[NewJob],
) -> Result<Result<Vec<Submitted>, StoreError>, StoreError> {
    let mut answers = Vec::with_capacity(jobs.len());
    let mut new = Vec::with_capacity(jobs.len());
    let mut keyed: HashMap<Key<'_>, Holder> = HashMap::new();
    for job in jobs {
        let Some(key) = key(job) else {
            answers.push(Submitted::New(job.id));
            new.push(job);
            continue;
        };
        let holder = match keyed.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(first) => match stored(session, key).await? {
                Some(holder) => first.insert(holder),
                None => {
                    first.insert(Holder {
                        id: job.id,
                        job_type: job.job_type.clone(),
                        params: job.params.clone(),
                    });
                    answers.push(Submitted::New(job.id));
                    new.push(job);
                    continue;
                }
            },
        };
        if holder.job_type != job.job_type || holder.params != job.params {
            return Ok(Err(StoreError::KeyReused { key: key.2.to_owned(), job: holder.id }));
        }
        answers.push(Submitted::Known(holder.id));
    }
    let rows: Vec<_> = new.iter().map(|job| row(job)).collect();
    session.each(&job_submit, rows.iter().map(<[Value; 10]>::as_slice)).await?;
    let params: Vec<_> =
        new.iter().map(|job| [job.id.0.into(), job.params.as_str().into()]).collect();
    session.each(&job_submit_params, params.iter().map(<[Value; 2]>::as_slice)).await?;
    Ok(Ok(answers))
}

/// An idempotency key and what it is unique within: creator, workspace, key.
type Key<'a> = (&'a str, &'a str, &'a str);

fn key(job: &NewJob) -> Option<Key<'_>> {
    job.idempotency_key.as_deref().map(|key| (&*job.creator, &*job.workspace, key))
}

/// The job that has an idempotency key.
struct Holder {
    id: JobId,
    job_type: String,
    params: String,
}

async fn stored(session: &mut Session, key: Key<'_>) -> Result<Option<Holder>, StoreError> {
    let arguments = vec![key.0.into(), key.1.into(), key.2.into()];
    let Some(mut row) = session.fetch(&job_by_idempotency_key, arguments).await?.pop() else {
        return Ok(None);
    };
    Ok(Some(Holder { id: JobId(row.next()?), job_type: row.next()?, params: row.next()? }))
}

fn row(job: &NewJob) -> [Value; 10] {
    [
        job.id.0.into(),
        job.job_type.as_str().into(),
        job.workspace.as_str().into(),
        job.creator.as_str().into(),
        job.executor.as_str().into(),
        i64::from(job.priority).into(),
        job.due_at.into(),
        micros(job.timeout).into(),
        job.lock_key.map(|key| key.to_vec()).into(),
        job.idempotency_key.as_deref().into(),
    ]
}
