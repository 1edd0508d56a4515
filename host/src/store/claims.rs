//! Claims: batches per type, in one transaction for all types of a replica.

use std::{collections::HashSet, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    Store, StoreError,
    sqlite::Session,
    statement::{
        job_alive_count, job_claim, job_due, job_due_solo, job_next_due, job_reattached, job_renew,
        job_settle, job_solo_waiting,
    },
    value::{Row, Value, micros},
};
use crate::{
    job::{AttemptTag, ClaimToken, Claimed, JobId, ReplicaId},
    lifecycle::{State, Work},
};

/// What a replica can take of one type.
#[derive(Clone, Debug)]
pub struct Want {
    /// Where it would run.
    pub executor: String,
    /// The type.
    pub job_type: String,
    /// Free slots.
    pub slots: u32,
    /// How many of the type may be at work in the whole fleet, if that is limited.
    pub max_running: Option<u32>,
}

/// What one pass over the queue has found.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// What is this replica's now.
    pub jobs: Vec<Claimed>,
    /// The executors for which a job is due that must run alone. Nothing was claimed for them: they
    /// are to be emptied first.
    pub alone: HashSet<String>,
}

/// A reattached job: the claim, and what is known of its work.
#[derive(Clone, Debug)]
pub struct Reattached {
    /// The job, under its new claim token.
    pub claimed: Claimed,
    /// What the executor gave at `submit`: JSON as text.
    pub handle: Option<String>,
    /// What is left until the deadline; negative once it has passed. Microseconds.
    pub remaining_us: i64,
}

impl Store {
    /// Claims what is due, at most the wanted number of each type, most urgent first.
    ///
    /// # Errors
    ///
    /// Whatever the database says; nothing is claimed then.
    pub async fn job_claim(
        &self,
        wants: Vec<Want>,
        owner: ReplicaId,
        lease: Duration,
    ) -> Result<Claims, StoreError> {
        let wants = Arc::new(wants);
        self.writer
            .task(move |session| {
                let wants = Arc::clone(&wants);
                Box::pin(async move {
                    let mut open = Vec::with_capacity(wants.len());
                    for want in wants.iter() {
                        // A type without room keeps no executor waiting for its lone jobs either.
                        let room = room(session, want).await?;
                        if room > 0 {
                            open.push((want, room));
                        }
                    }
                    let types: Vec<&str> =
                        open.iter().map(|(want, _)| want.job_type.as_str()).collect();
                    let types = serde_json::Value::from(types).to_string();
                    let rows = session.fetch(&job_solo_waiting, vec![types.into()]).await?;
                    let alone = rows.into_iter().map(|mut row| row.next());
                    let alone = alone.collect::<Result<HashSet<String>, _>>()?;
                    let mut jobs = Vec::new();
                    for (want, room) in open {
                        if !alone.contains(&want.executor) {
                            claim(session, want, room, owner, lease, &mut jobs).await?;
                        }
                    }
                    Ok(Claims { jobs, alone })
                })
            })
            .await
    }

    /// Renews these claims in one statement; the answer lists the jobs whose claims still count.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_renew(
        &self,
        claims: &[(JobId, ClaimToken)],
        lease: Duration,
    ) -> Result<HashSet<JobId>, StoreError> {
        let rows: Vec<_> = claims
            .iter()
            .map(|(id, token)| {
                serde_json::json!({
                    "id": id.0.simple().to_string(), "token": token.0.simple().to_string(), "lease_us": micros(lease),
                })
            })
            .collect();
        let rows = serde_json::Value::from(rows).to_string();
        self.writer
            .task(move |session| {
                let arguments = vec![rows.as_str().into()];
                Box::pin(async move {
                    let rows = session.fetch(&job_renew, arguments).await?;
                    rows.into_iter().map(|mut row| row.next().map(JobId)).collect()
                })
            })
            .await
    }

    /// Claims the job of this executor, of one of these types, that must run alone and has waited
    /// longest.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_claim_solo(
        &self,
        executor: &str,
        wants: Vec<Want>,
        owner: ReplicaId,
        lease: Duration,
    ) -> Result<Option<Claimed>, StoreError> {
        let claim = Arc::new((executor.to_owned(), wants));
        self.writer
            .task(move |session| {
                let claim = Arc::clone(&claim);
                Box::pin(async move {
                    let (executor, wants) = &*claim;
                    let mut types = Vec::with_capacity(wants.len());
                    for want in wants {
                        if room(session, want).await? > 0 {
                            types.push(want.job_type.as_str());
                        }
                    }
                    let types = serde_json::Value::from(types).to_string();
                    let arguments = vec![executor.as_str().into(), types.into()];
                    let due = session.fetch(&job_due_solo, arguments).await?;
                    Ok(claim_all(session, due, owner, lease).await?.pop())
                })
            })
            .await
    }

    /// How long until the next job of one of these is due, by the database's clock.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_next_due(&self, wants: &[Want]) -> Result<Option<Duration>, StoreError> {
        let mut next: Option<i64> = None;
        for want in wants {
            let arguments: Vec<Value> =
                vec![want.executor.as_str().into(), want.job_type.as_str().into()];
            let due: Option<i64> =
                self.database.fetch(&job_next_due, arguments).await?.remove(0).next()?;
            next = next.into_iter().chain(due).min();
        }
        let Some(due) = next else { return Ok(None) };
        let now = self.clock_read().await?;
        Ok(Some(Duration::from_micros(u64::try_from(due - now).unwrap_or(0))))
    }

    /// What a replica needs to watch a job that it has just reattached.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_reattached(
        &self,
        id: JobId,
        token: ClaimToken,
    ) -> Result<Option<Reattached>, StoreError> {
        let mut rows =
            self.database.fetch(&job_reattached, vec![id.0.into(), token.0.into()]).await?;
        let Some(mut row) = rows.pop() else { return Ok(None) };
        let tag = AttemptTag(row.next()?);
        Ok(Some(Reattached {
            claimed: claimed(&mut row, token, tag)?,
            handle: row.next()?,
            remaining_us: row.next()?,
        }))
    }
}

/// How many of a type may be taken now.
async fn room(session: &mut Session, want: &Want) -> Result<u32, StoreError> {
    let Some(cap) = want.max_running else { return Ok(want.slots) };
    let arguments = vec![want.job_type.as_str().into()];
    let alive: u32 = session.fetch(&job_alive_count, arguments).await?.remove(0).next()?;
    Ok(want.slots.min(cap.saturating_sub(alive)))
}

async fn claim(
    session: &mut Session,
    want: &Want,
    mut slots: u32,
    owner: ReplicaId,
    lease: Duration,
    claims: &mut Vec<Claimed>,
) -> Result<(), StoreError> {
    // One index range a priority: jobs that are due later stand behind those that are due now in
    // each range, and are never walked over.
    for priority in 1..=4_i64 {
        if slots == 0 {
            return Ok(());
        }
        let arguments = vec![
            want.executor.as_str().into(),
            want.job_type.as_str().into(),
            priority.into(),
            i64::from(slots).into(),
        ];
        let due = session.fetch(&job_due, arguments).await?;
        slots = slots.saturating_sub(u32::try_from(due.len()).unwrap_or(u32::MAX));
        claims.append(&mut claim_all(session, due, owner, lease).await?);
    }
    Ok(())
}

/// Claims what this transaction has just read as due, each under a token and a tag of its own. A row
/// that makes no sense is claimed too, and fails at once: left where it is, it would take a place at
/// the head of the queue for ever.
async fn claim_all(
    session: &mut Session,
    due: Vec<Row>,
    owner: ReplicaId,
    lease: Duration,
) -> Result<Vec<Claimed>, StoreError> {
    let (mut jobs, mut rows, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
    for mut row in due {
        let (id, token, tag): (Uuid, _, _) = (row.first()?, ClaimToken::draw(), AttemptTag::draw());
        let claim: [Value; 5] =
            [id.into(), token.0.into(), tag.0.into(), owner.0.into(), micros(lease).into()];
        rows.push(claim);
        match claimed(&mut row, token, tag) {
            // The claim counts the attempt.
            Ok(job) => jobs.push(Claimed { attempt: job.attempt + 1, ..job }),
            Err(error) => {
                tracing::error!(job = %id, %error, "a row that cannot be read is failed");
                damaged.push(settlement(
                    id,
                    token,
                    &format!("the stored job cannot be read: {error}"),
                ));
            }
        }
    }
    // In the transaction that read them as PENDING, and nobody else writes: each of them counts.
    session.each(&job_claim, rows.iter().map(<[Value; 5]>::as_slice)).await?;
    session.each(&job_settle, damaged.iter().map(<[Value; 8]>::as_slice)).await?;
    Ok(jobs)
}

fn settlement(id: Uuid, token: ClaimToken, error: &str) -> [Value; 8] {
    let (failed, gone) = (State::Failed.as_str(), Work::Gone.as_str());
    [
        id.into(),
        token.0.into(),
        failed.into(),
        gone.into(),
        Value::Null,
        error.into(),
        Value::Null,
        false.into(),
    ]
}

/// Reads the columns of `job_due`.
fn claimed(row: &mut Row, token: ClaimToken, tag: AttemptTag) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        id: JobId(row.next()?),
        token,
        tag,
        job_type: row.next()?,
        workspace: row.next()?,
        executor: row.next()?,
        attempt: row.next()?,
        retry_count: row.next()?,
        recovery_count: row.next()?,
        timeout: Duration::from_micros(row.next::<i64>()?.unsigned_abs()),
        lock_key: row.next()?,
        params: row.next()?,
    })
}
