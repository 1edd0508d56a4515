//! Claims: batches per type, in one transaction for all types of a replica.

use std::{collections::HashSet, time::Duration};

use uuid::Uuid;

use super::{
    Store, StoreError,
    sqlite::Session,
    statement::{
        Statement, job_alive_count, job_claim, job_claim_solo, job_next_due, job_reattached,
        job_renew, job_solo_waiting,
    },
    value::{Row, Value, micros},
};
use crate::job::{AttemptTag, ClaimToken, Claimed, JobId, ReplicaId};

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
        let wants = std::sync::Arc::new(wants);
        self.writer
            .task(move |session| {
                let wants = std::sync::Arc::clone(&wants);
                Box::pin(async move {
                    let types: Vec<&str> =
                        wants.iter().map(|want| want.job_type.as_str()).collect();
                    let types = serde_json::Value::from(types).to_string();
                    let rows = session.fetch(&job_solo_waiting, vec![types.into()]).await?;
                    let alone = rows.into_iter().map(|mut row| row.next());
                    let alone = alone.collect::<Result<HashSet<String>, _>>()?;
                    let mut jobs = Vec::new();
                    for want in wants.iter().filter(|want| !alone.contains(&want.executor)) {
                        claim(session, want, owner, lease, &mut jobs).await?;
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
        types: Vec<String>,
        owner: ReplicaId,
        lease: Duration,
    ) -> Result<Option<Claimed>, StoreError> {
        let executor = executor.to_owned();
        let types = serde_json::Value::from(types).to_string();
        self.writer
            .task(move |session| {
                let arguments = vec![
                    executor.as_str().into(),
                    owner.0.into(),
                    micros(lease).into(),
                    types.as_str().into(),
                ];
                Box::pin(async move {
                    let mut rows = session.fetch(&job_claim_solo, arguments).await?;
                    rows.pop().map(|mut row| claimed(&mut row)).transpose()
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
        Ok(Some(Reattached {
            claimed: claimed(&mut row)?,
            handle: row.next()?,
            remaining_us: row.next()?,
        }))
    }
}

async fn claim(
    session: &mut Session,
    want: &Want,
    owner: ReplicaId,
    lease: Duration,
    claims: &mut Vec<Claimed>,
) -> Result<(), StoreError> {
    let mut slots = want.slots;
    if let Some(cap) = want.max_running {
        let alive: u32 = count(session, &job_alive_count, &want.job_type).await?;
        slots = slots.min(cap.saturating_sub(alive));
    }
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
            owner.0.into(),
            micros(lease).into(),
        ];
        let rows = session.fetch(&job_claim, arguments).await?;
        slots = slots.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        for mut row in rows {
            claims.push(claimed(&mut row)?);
        }
    }
    Ok(())
}

async fn count(
    session: &mut Session,
    statement: &'static Statement,
    job_type: &str,
) -> Result<u32, StoreError> {
    session.fetch(statement, vec![job_type.into()]).await?.remove(0).next()
}

fn claimed(row: &mut Row) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        id: JobId(row.next()?),
        job_type: row.next()?,
        workspace: row.next()?,
        executor: row.next()?,
        attempt: row.next()?,
        retry_count: row.next()?,
        recovery_count: row.next()?,
        timeout: Duration::from_micros(row.next::<i64>()?.unsigned_abs()),
        token: ClaimToken(row.next::<Uuid>()?),
        tag: AttemptTag(row.next::<Uuid>()?),
        lock_key: row.next()?,
        params: row.next()?,
    })
}
