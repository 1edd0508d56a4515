//! One attempt, as a pipeline.
//!
//! ```text
//!  claimed ─► begun ─► submitted ─► waited for ─► decided ─► written ─► forgotten
//!     │         │          │            │                       │
//!     │         │          │            ├ canceled: stop the work, record the proof
//!     │         │          │            ├ claim lost: look at the row; leave the work to recovery
//!     │         │          │            └ host goes away: mark, or stop and release
//!     │         │          ├ unknown: mark; nothing is proven
//!     │         │          └ its runner is not up: release; died: mark, and count that
//!     │         └ lock busy: cancel or release; claim lost: nothing was started
//!     └ executor unavailable: release
//! ```
//!
//! What is always true: the lease is renewed from the claim to the last write; nothing is submitted
//! before `work = maybe` is committed; the lock is released only with proof; the evidence is
//! forgotten only after the outcome is committed; the slot comes back on every path.

mod close;

use std::{sync::Arc, time::Duration};

use longshore_plugin_api as api;
use longshore_plugin_api::{Ended, Ending, ErrorKind, Handle, Job};
use serde_json::value::RawValue;

use super::{
    Worker,
    decide::{Facts, Step, decide},
    slots::Slot,
    watched::{Seat, Wish},
};
use crate::{
    backoff::{Backoff, jitter},
    clock::Moment,
    config::{JobType, OnConflict},
    executors::Open,
    job::{CancelReason, Claimed, Fenced, Outcome},
    lifecycle::Work,
    store::{Begun, LockWanted, StoreError},
};

/// How long a released job waits when its executor could not take it.
const UNAVAILABLE_DELAY: Duration = Duration::from_secs(5);
/// How long recovery waits before it asks about work that could not be watched or stopped just now.
const PATIENCE: Duration = Duration::from_secs(5);

/// One attempt under way.
pub(super) struct Attempt {
    worker: Arc<Worker>,
    job: Claimed,
    job_type: Arc<JobType>,
    open: Arc<Open>,
    seat: Seat,
    named: api::Attempt,
    deadline: Moment,
    _slot: Slot,
}

impl Attempt {
    pub(super) fn new(
        worker: Arc<Worker>,
        job: Claimed,
        job_type: Arc<JobType>,
        open: Arc<Open>,
        slot: Slot,
    ) -> Self {
        // From here on the lease is renewed: before submission, which may take minutes.
        let seat = worker.watched.enter(job.id, job.token, job.tag);
        let named = api::Attempt {
            job_id: job.id.to_string(),
            attempt_tag: format!("{:x}", job.tag),
            handle: None,
        };
        let deadline = Moment::now().after(job.timeout);
        Self { worker, job, job_type, open, seat, named, deadline, _slot: slot }
    }

    /// Runs a claimed job to its end.
    pub(super) async fn run(mut self) {
        match self.begin().await {
            Ok(Begun::Held) => {}
            Ok(Begun::Busy { holder }) => return self.conflict(holder).await,
            Ok(Begun::Lost) => return,
            Err(error) => {
                // Nothing was started. If not even the release can be written, the lease expires.
                tracing::warn!(job = %self.job.id, error = %error, "could not begin, released");
                self.release(Duration::from_secs(1), false).await;
                return;
            }
        }
        let ended = match self.submit().await {
            Submitted::Running => self.wait().await,
            Submitted::Done => return,
        };
        self.finish(ended).await;
    }

    /// Watches work that recovery has found.
    pub(super) async fn rejoin(mut self, handle: Option<Handle>, remaining: Duration) {
        self.named.handle = handle;
        self.deadline = Moment::now().after(remaining);
        let ended = self.wait().await;
        self.finish(ended).await;
    }

    async fn begin(&self) -> Result<Begun, StoreError> {
        let lock = self.job.lock_key.clone().map(|key| LockWanted { key, tag: self.job.tag });
        let locality = self.worker.executors.locality(&self.open);
        self.worker.store.job_begin(self.job.id, self.job.token, &locality, lock).await
    }

    /// Another job holds the lock: a rival on the first attempt is a conflict, a later attempt waits.
    async fn conflict(&self, holder: Option<crate::job::JobId>) {
        let first = self.job.attempt == 1 && self.job.recovery_count == 0;
        if first && self.job_type.on_conflict == OnConflict::Cancel {
            // By claim token, unlike a client's cancel: it is this attempt's own end.
            let reason = CancelReason::ExclusiveConflict { holder };
            self.settle(Outcome::Canceled { reason }, Work::None).await;
        } else {
            self.release(self.job_type.conflict_delay, false).await;
        }
    }

    async fn submit(&mut self) -> Submitted {
        let job = match self.job_for_executor() {
            Ok(job) => job,
            Err(error) => {
                self.settle(Outcome::Failed { error }, Work::Gone).await;
                return Submitted::Done;
            }
        };
        let open = Arc::clone(&self.open);
        let mut submit = open.executor.submit(&job);
        let answer = tokio::select! {
            biased;
            answer = &mut submit => answer,
            wish = self.seat.wish() => {
                // The executor may know the job already. Its answer is still waited for: what was
                // started meanwhile is stopped afterwards.
                if wish == Wish::Cancel {
                    self.prove_gone().await;
                }
                let rest = self.deadline.remaining() + self.job_type.stop_grace + self.worker.settings.result_grace;
                match tokio::time::timeout(rest, submit).await {
                    Ok(answer) => answer,
                    // Whatever it still does is not this attempt's to wait for.
                    Err(_) => {
                        self.mark(PATIENCE).await;
                        return Submitted::Done;
                    }
                }
            }
            () = self.deadline.after(self.worker.settings.result_grace).reached() => {
                let work = self.prove_gone().await;
                let error = format!(
                    "job {} ({}) was still being set up after {:?}",
                    self.job.id, self.job_type.name, self.job.timeout
                );
                self.settle(Outcome::Timeout { error }, work).await;
                return Submitted::Done;
            }
        };
        match answer {
            Ok(handle) => {
                if let Some(handle) = handle {
                    self.keep(handle).await;
                }
                Submitted::Running
            }
            Err(error) => {
                self.refused(error).await;
                Submitted::Done
            }
        }
    }

    fn job_for_executor(&self) -> Result<Job, String> {
        let params = RawValue::from_string(self.job.params.clone())
            .map_err(|error| format!("the stored parameters are not JSON: {error}"))?;
        Ok(Job {
            job_id: self.named.job_id.clone(),
            attempt_tag: self.named.attempt_tag.clone(),
            attempt: self.job.attempt,
            job_type: self.job.job_type.clone(),
            workspace: self.job.workspace.clone(),
            run: self.job_type.run.clone(),
            params,
            timeout: self.deadline.remaining().into(),
            stop_grace: self.job_type.stop_grace.into(),
            python: self.job_type.python.clone(),
            resources: self.job_type.resources.clone(),
            transient_errors: self.job_type.transient_errors.clone(),
            context: api::Context::default(),
            options: self.job_type.options.clone(),
        })
    }

    /// Keeps what the work is found by again. The work runs whether this succeeds or not.
    async fn keep(&mut self, handle: Handle) {
        match serde_json::to_string(&handle) {
            Ok(text) => {
                let kept = self.worker.store.job_handle(self.job.id, self.job.token, &text).await;
                if let Err(error) = kept {
                    tracing::warn!(job = %self.job.id, error = %error, "could not store the handle");
                }
            }
            Err(error) => tracing::error!(job = %self.job.id, %error, "unusable handle"),
        }
        self.named.handle = Some(handle);
    }

    /// `submit` answered with an error. Whether anything runs is asked, not assumed.
    async fn refused(&self, error: api::Error) {
        match error.kind {
            // Nothing was sent: nothing runs, nobody is there to be asked, and nothing crashed under it.
            ErrorKind::Refused => {
                // If it is back by now, nobody would say so again.
                if !self.open.executor.standing().takes_jobs() {
                    self.open.unwell(&error.message);
                }
                if self.release(UNAVAILABLE_DELAY, true).await == Some(Fenced::Lost) {
                    self.untouched().await;
                }
                return;
            }
            // It died with the job, or of it. Its successor is asked what there is of that.
            ErrorKind::Crashed | ErrorKind::Hung => return self.died(&error).await,
            ErrorKind::Panic | ErrorKind::Protocol | ErrorKind::Internal => {
                return self.broken(&error).await;
            }
            _ => {}
        }
        if self.prove_gone().await != Work::Gone {
            tracing::warn!(job = %self.job.id, executor = self.open.name, %error, "submission is unresolved");
            return self.mark(PATIENCE).await;
        }
        if self.seat.wished() == Wish::Cancel {
            return self.stopped().await;
        }
        match error.kind {
            ErrorKind::Unavailable | ErrorKind::Exhausted => {
                self.open.unwell(&error.message);
                if self.release(UNAVAILABLE_DELAY, true).await == Some(Fenced::Held) {
                    self.forget().await;
                }
            }
            ErrorKind::InvalidJob
            | ErrorKind::Unsupported
            | ErrorKind::Denied
            | ErrorKind::NotFound
            | ErrorKind::InvalidConfig => {
                let error =
                    format!("executor `{}` refused the job: {}", self.open.name, error.message);
                self.settle(Outcome::Failed { error }, Work::Gone).await;
            }
            // Unknown: it may be the job's fault or the plugin's. Recovery counts it, and ends a
            // job that does this every time.
            _ => {
                tracing::warn!(job = %self.job.id, executor = self.open.name, %error, "submission failed");
                self.interrupted().await;
            }
        }
    }

    /// Waits for the end, or for a reason not to. `None` says that somebody else has the job now.
    async fn wait(&mut self) -> Option<Ended> {
        let open = Arc::clone(&self.open);
        let named = self.named.clone();
        let mut wait = open.executor.wait(&named);
        // The executor enforces the deadline; this is for one that does not.
        let grace = self.job_type.stop_grace + self.worker.settings.result_grace;
        let overdue = self.deadline.after(grace);
        tokio::select! {
            biased;
            answer = &mut wait => match answer {
                Ok(ended) => return Some(ended),
                Err(error) => match error.kind {
                    ErrorKind::Crashed | ErrorKind::Hung | ErrorKind::Refused => self.died(&error).await,
                    ErrorKind::Panic | ErrorKind::Protocol => self.broken(&error).await,
                    _ => {
                        tracing::warn!(job = %self.job.id, executor = self.open.name, %error, "waiting failed");
                        self.mark(PATIENCE).await;
                    }
                },
            },
            wish = self.seat.wish() => match wish {
                Wish::Cancel => self.stopped().await,
                Wish::Lost => self.lost().await,
                Wish::HandOver | Wish::None => self.hand_over().await,
            },
            () = overdue.reached() => {
                let work = self.prove_gone().await;
                if work == Work::Gone {
                    self.keep_last_words().await;
                }
                let error = format!(
                    "job {} ({}) ran longer than its timeout of {:?}",
                    self.job.id, self.job_type.name, self.job.timeout
                );
                self.settle(Outcome::Timeout { error }, work).await;
            }
        }
        None
    }

    /// The plugin broke over this job and lives on: watched again, it would break again, and nobody would
    /// learn why. What it has of the job is stopped; the job fails with the plugin's words, and is tried
    /// again as often as its type allows.
    async fn broken(&self, error: &api::Error) {
        tracing::warn!(job = %self.job.id, executor = self.open.name, %error, "the plugin broke over the job");
        if self.prove_gone().await != Work::Gone {
            return self.mark(PATIENCE).await;
        }
        if self.seat.wished() == Wish::Cancel {
            return self.stopped().await;
        }
        let message = format!("executor `{}`: {}", self.open.name, error.message);
        let ending = Ending::Failed { message, transient: true };
        self.finish(Some(Ended { ending, log_tail: String::new() })).await;
    }

    async fn finish(&self, ended: Option<Ended>) {
        let Some(Ended { ending, log_tail }) = ended else { return };
        self.keep_output(&log_tail).await;
        // A timeout that the executor reports for a job that was canceled is a cancel.
        if matches!(ending, Ending::Timeout { .. } | Ending::Canceled { .. })
            && self.seat.wished() == Wish::Cancel
        {
            return self.stopped().await;
        }
        let retry = &self.job_type.retry;
        let facts = Facts {
            retry_count: self.job.retry_count,
            max_retries: retry.max_retries,
            backoff: Backoff { base_delay: retry.base_delay, max_delay: retry.max_delay },
            jitter: jitter(),
            max_result: self.worker.settings.max_result,
        };
        match decide(ending, &facts) {
            Step::Settle(outcome) => self.settle(outcome, Work::Gone).await,
            Step::Interrupted => self.interrupted().await,
            Step::Retry(delay) => {
                let max = facts.max_retries;
                let store = &self.worker.store;
                let unlock = self.job.locked();
                let written = self
                    .written(|| store.job_retry(self.job.id, self.job.token, unlock, delay, max))
                    .await;
                match written {
                    Some(Fenced::Held) => {
                        self.forget().await;
                        store.wake();
                    }
                    Some(Fenced::Lost) => self.lost().await,
                    None => {}
                }
            }
        }
    }
}

/// What became of a submission.
enum Submitted {
    /// The work runs, or has ended already.
    Running,
    /// Everything was written; there is nothing to wait for.
    Done,
}
