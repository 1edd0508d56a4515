//! What happens to one job at a time: every method is one row of one guarded statement.

use std::time::Duration;

use serde_json::json;

use super::{
    Store, StoreError,
    statement::{
        Statement, job_ask_again, job_cancel, job_give_up, job_handle, job_log_put, job_mark,
        job_progress, job_reattach, job_release, job_requeue, job_retry, job_settle, job_work_gone,
    },
    value::{Row, Value, micros},
    writer::FencedRow,
};
use crate::{
    job::{
        ALONE_FROM, AttemptTag, CancelReason, ClaimToken, Claimed, Crashes, Fenced, Job, JobId,
        Outcome, ReplicaId,
    },
    lifecycle::{State, Work},
};

/// An end, and what is known about the work.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the work is proven gone. If not, the lock stays and the row is swept.
    pub work: Work,
}

impl Store {
    /// Keeps what `submit` returned.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_handle(
        &self,
        id: JobId,
        token: ClaimToken,
        handle: &str,
    ) -> Result<Fenced, StoreError> {
        self.fenced(&job_handle, id, token, None, [handle.into()]).await
    }

    /// Records the end. The lock is released with it if the work is gone.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_settle(
        &self,
        id: JobId,
        token: ClaimToken,
        unlock: Option<AttemptTag>,
        ended: &Ended,
    ) -> Result<Fenced, StoreError> {
        let (result, error, reason) = match &ended.outcome {
            Outcome::Succeeded { result } => (Some(result.as_str()), None, None),
            Outcome::Failed { error } | Outcome::Timeout { error } => {
                (None, Some(error.as_str()), None)
            }
            Outcome::Canceled { reason } => (None, None, Some(json!(reason).to_string())),
        };
        let unlock = unlock.filter(|_| ended.work != Work::Maybe);
        let fields = [
            ended.outcome.state().as_str().into(),
            ended.work.as_str().into(),
            result.into(),
            error.into(),
            reason.into(),
            false.into(),
        ];
        self.fenced(&job_settle, id, token, unlock, fields).await
    }

    /// Gives a transient failure another attempt, due after `delay`.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_retry(
        &self,
        id: JobId,
        token: ClaimToken,
        unlock: Option<AttemptTag>,
        delay: Duration,
        max_retries: u32,
    ) -> Result<Fenced, StoreError> {
        let fields =
            [micros(delay).into(), i64::from(max_retries).into(), i64::from(ALONE_FROM).into()];
        self.fenced(&job_retry, id, token, unlock, fields).await
    }

    /// Gives a claim back. `gone` says that the executor has shown that begun work is gone.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_release(
        &self,
        id: JobId,
        token: ClaimToken,
        unlock: Option<AttemptTag>,
        delay: Duration,
        gone: bool,
    ) -> Result<Fenced, StoreError> {
        let fields = [micros(delay).into(), gone.into(), i64::from(ALONE_FROM).into()];
        let fenced = self.fenced(&job_release, id, token, unlock, fields).await;
        self.wake();
        fenced
    }

    /// Lets go of a claim whose work may go on: recovery takes over after `delay`. `crashed` says that
    /// what ran it has died under it, and counts that.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_mark(
        &self,
        id: JobId,
        token: ClaimToken,
        delay: Duration,
        crashed: bool,
    ) -> Result<Fenced, StoreError> {
        self.fenced(&job_mark, id, token, None, [micros(delay).into(), crashed.into()]).await
    }

    /// Watches found work again, under a new claim token, which is the answer if it counted.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_reattach(
        &self,
        id: JobId,
        token: ClaimToken,
        owner: ReplicaId,
        lease: Duration,
    ) -> Result<Option<ClaimToken>, StoreError> {
        let new = ClaimToken::draw();
        let fields = [new.0.into(), owner.0.into(), micros(lease).into()];
        let fenced = self.fenced(&job_reattach, id, token, None, fields).await?;
        Ok((fenced == Fenced::Held).then_some(new))
    }

    /// Makes a job whose work is proven gone claimable again, after `delay`, and adds the crashes of the
    /// attempt to those of its earlier ones.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_requeue(
        &self,
        id: JobId,
        token: ClaimToken,
        unlock: Option<AttemptTag>,
        delay: Duration,
        crashes: Crashes,
    ) -> Result<Fenced, StoreError> {
        let Crashes { all, alone } = crashes;
        let fields = [micros(delay).into(), i64::from(all).into(), i64::from(alone).into()];
        let fenced = self.fenced(&job_requeue, id, token, unlock, fields).await;
        self.wake();
        fenced
    }

    /// Ends a job that recovery cannot bring back.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_give_up(
        &self,
        id: JobId,
        token: ClaimToken,
        unlock: Option<AttemptTag>,
        error: &str,
        work: Work,
    ) -> Result<Fenced, StoreError> {
        let unlock = unlock.filter(|_| work != Work::Maybe);
        let fields = [error.into(), work.as_str().into()];
        self.fenced(&job_give_up, id, token, unlock, fields).await
    }

    /// Asks the executor again later; `crashed` counts a crash that was the answer.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_ask_again(
        &self,
        id: JobId,
        token: ClaimToken,
        delay: Duration,
        crashed: bool,
    ) -> Result<Fenced, StoreError> {
        let arguments = [micros(delay).into(), crashed.into()];
        self.fenced(&job_ask_again, id, token, None, arguments).await
    }

    /// Cancels an unfinished job at once; its work is stopped afterwards.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_cancel(&self, id: JobId, reason: &CancelReason) -> Result<Fenced, StoreError> {
        let arguments = vec![id.0.into(), json!(reason).to_string().into()];
        self.writer.fenced(&job_cancel, FencedRow { arguments, unlock: None }).await
    }

    /// Records the proof that nothing of the attempt runs any more, and releases its lock.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_work_gone(
        &self,
        id: JobId,
        token: ClaimToken,
        unlock: Option<AttemptTag>,
    ) -> Result<Fenced, StoreError> {
        self.fenced(&job_work_gone, id, token, unlock, []).await
    }

    /// Shows how far the work has got.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_progress(
        &self,
        id: JobId,
        token: ClaimToken,
        message: Option<&str>,
        progress: Option<&str>,
    ) -> Result<Fenced, StoreError> {
        self.fenced(&job_progress, id, token, None, [message.into(), progress.into()]).await
    }

    /// Keeps the last output of an attempt.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_log_put(
        &self,
        id: JobId,
        token: ClaimToken,
        tail: &str,
    ) -> Result<Fenced, StoreError> {
        self.fenced(&job_log_put, id, token, None, [tail.into()]).await
    }

    async fn fenced<const N: usize>(
        &self,
        statement: &'static Statement,
        id: JobId,
        token: ClaimToken,
        unlock: Option<AttemptTag>,
        fields: [Value; N],
    ) -> Result<Fenced, StoreError> {
        let arguments = [id.0.into(), token.0.into()].into_iter().chain(fields).collect();
        self.writer.fenced(statement, FencedRow { arguments, unlock }).await
    }
}

impl Claimed {
    /// The lock to release, if the job has one.
    #[must_use]
    pub fn locked(&self) -> Option<AttemptTag> {
        self.lock_key.as_ref().map(|_| self.tag)
    }
}

/// Reads the columns of `job_get` and of a listing.
pub(super) fn job(row: &mut Row) -> Result<Job, StoreError> {
    Ok(Job {
        id: JobId(row.next()?),
        job_type: row.next()?,
        workspace: row.next()?,
        creator: row.next()?,
        executor: row.next()?,
        priority: u8::try_from(row.next::<u32>()?).unwrap_or(u8::MAX),
        due_at: row.next()?,
        timeout: Duration::from_micros(row.next::<i64>()?.unsigned_abs()),
        state: row.word(State::from_word)?,
        work: row.word(Work::from_word)?,
        attempt: row.next()?,
        retry_count: row.next()?,
        recovery_count: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
        started_at: row.next()?,
        finished_at: row.next()?,
        result: row.next()?,
        error_message: row.next()?,
        cancel_reason: row.next()?,
        status_message: row.next()?,
        progress: row.next()?,
        progress_updated_at: row.next()?,
        token: row.next::<Option<_>>()?.map(ClaimToken),
        tag: row.next::<Option<_>>()?.map(AttemptTag),
        handle: row.next()?,
        params: row.next::<Option<_>>()?.unwrap_or_default(),
    })
}
