//! What an attempt writes when it is over, one way or another, and what it clears away afterwards.

use std::time::Duration;

use longshore_plugin_api::{Ended, Ending, Error, ErrorKind};

use super::{Attempt, PATIENCE};
use crate::{
    backoff::{Backoff, jitter},
    job::{Fenced, Outcome},
    lifecycle::{State, Work},
    store::{self, StoreError},
};

/// How long an executor may take to say how work has ended that it has just proven gone.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How much of the last output is kept, in bytes.
const KEPT_OUTPUT: usize = 64 << 10;
/// How long a write that the database refuses for now waits before it is tried again, at most.
const WRITE_RETRY: Backoff =
    Backoff { base_delay: Duration::from_millis(50), max_delay: Duration::from_secs(5) };

impl Attempt {
    pub(super) async fn settle(&self, outcome: Outcome, work: Work) {
        let state = outcome.state();
        let ended = store::Ended { outcome, work };
        let store = &self.worker.store;
        let unlock = self.job.locked();
        let written =
            self.written(|| store.job_settle(self.job.id, self.job.token, unlock, &ended)).await;
        match written {
            Some(Fenced::Held) => {
                tracing::debug!(job = %self.job.id, %state, "settled");
                if work == Work::Gone {
                    self.forget().await;
                }
            }
            Some(Fenced::Lost) => match store.job_get(self.job.id).await {
                // The commit was ours, only its answer got lost.
                Ok(Some(row)) if row.token == Some(self.job.token) && row.state == state => {
                    if work == Work::Gone {
                        self.forget().await;
                    }
                }
                _ => self.lost().await,
            },
            None => {}
        }
    }

    /// The claim does not count any more. A canceled job is still this attempt's to stop; anything
    /// else belongs to whoever claimed or marked it.
    pub(super) async fn lost(&self) {
        match self.worker.store.job_get(self.job.id).await {
            Ok(Some(row)) if row.state == State::Canceled && row.token == Some(self.job.token) => {
                self.stopped().await;
            }
            Ok(_) => tracing::info!(job = %self.job.id, "claim lost, left alone"),
            Err(error) => {
                tracing::warn!(job = %self.job.id, error = %error, "claim lost, row unreadable")
            }
        }
    }

    /// Stops the work of a canceled job and records the proof. Without proof the row stays `maybe`,
    /// its lock stays held, and recovery sweeps it.
    pub(super) async fn stopped(&self) {
        if self.prove_gone().await != Work::Gone {
            tracing::warn!(job = %self.job.id, executor = self.open.name, "canceled, but its work is not proven gone");
            return;
        }
        self.keep_last_words().await;
        let store = &self.worker.store;
        let unlock = self.job.locked();
        if self.written(|| store.job_work_gone(self.job.id, self.job.token, unlock)).await.is_some()
        {
            self.forget().await;
        }
    }

    pub(super) async fn prove_gone(&self) -> Work {
        self.open.stop_work(&self.named, self.job_type.stop_grace).await
    }

    /// The host goes away: what can be found again is left running, the rest is stopped and given
    /// back. It is nobody's cancel.
    pub(super) async fn hand_over(&self) {
        if self.open.facts().is_some_and(|facts| facts.reattach) {
            return self.mark(Duration::ZERO).await;
        }
        if self.prove_gone().await != Work::Gone {
            return self.mark(PATIENCE).await;
        }
        // It may have returned by itself between the wish and the stop: then its result counts.
        if let Some(ended) = self.last_words().await
            && matches!(ended.ending, Ending::Succeeded { .. })
        {
            return self.finish(Some(ended)).await;
        }
        if self.release(Duration::ZERO, true).await == Some(Fenced::Held) {
            self.forget().await;
        }
    }

    /// Keeps the output of work that was just proven gone.
    pub(super) async fn keep_last_words(&self) {
        if let Some(ended) = self.last_words().await {
            self.keep_output(&ended.log_tail).await;
        }
    }

    /// What the executor still says of work that it has just proven gone.
    pub(super) async fn last_words(&self) -> Option<Ended> {
        let wait = self.open.executor.wait(&self.named);
        tokio::time::timeout(LAST_WORDS, wait).await.ok()?.ok()
    }

    /// Keeps the last output. A later attempt that said nothing replaces what an earlier one said.
    pub(super) async fn keep_output(&self, tail: &str) {
        if tail.is_empty() && self.job.attempt == 1 {
            return;
        }
        // An executor was asked for no more than this; what it gives all the same is not for the database.
        let tail = &tail[tail.ceil_char_boundary(tail.len().saturating_sub(KEPT_OUTPUT))..];
        let kept = self.worker.store.job_log_put(self.job.id, self.job.token, tail).await;
        if let Err(error) = kept {
            tracing::warn!(job = %self.job.id, error = %error, "could not keep the job's output");
        }
    }

    /// The work is gone, through no fault that anybody could name: recovery counts it and decides. Of a
    /// job that was canceled meanwhile there is nothing left to decide.
    pub(super) async fn interrupted(&self) {
        let store = &self.worker.store;
        let unlock = self.job.locked();
        let gone = self.written(|| store.job_work_gone(self.job.id, self.job.token, unlock)).await;
        let marked = self.marked(Duration::ZERO, false).await;
        if (gone, marked) == (Some(Fenced::Held), Some(Fenced::Lost)) {
            self.forget().await;
        }
    }

    /// Lets go of the job. A watch that has failed would fail again at once: `delay` keeps recovery
    /// from running in circles with it.
    pub(super) async fn mark(&self, delay: Duration) {
        self.marked(delay, false).await;
    }

    /// What ran the job is not there any more. Recovery asks its successor, as soon as there is one,
    /// and before that takes new jobs: one that must run alone from now on finds it empty.
    pub(super) async fn died(&self, error: &Error) {
        tracing::warn!(job = %self.job.id, executor = self.open.name, %error, "its runner is gone");
        self.worker.slots.keep(&self.job.executor, self.job.id);
        self.marked(Duration::ZERO, error.kind != ErrorKind::Refused).await;
    }

    /// The claim does not count any more, and nothing was ever started under it: that is proof.
    pub(super) async fn untouched(&self) {
        let store = &self.worker.store;
        let unlock = self.job.locked();
        self.written(|| store.job_work_gone(self.job.id, self.job.token, unlock)).await;
    }

    async fn marked(&self, delay: Duration, crashed: bool) -> Option<Fenced> {
        let store = &self.worker.store;
        let marked =
            self.written(|| store.job_mark(self.job.id, self.job.token, delay, crashed)).await;
        self.worker.unwatched.notify_one();
        marked
    }

    pub(super) async fn release(&self, delay: Duration, gone: bool) -> Option<Fenced> {
        let store = &self.worker.store;
        let unlock = self.job.locked();
        self.written(|| store.job_release(self.job.id, self.job.token, unlock, delay, gone)).await
    }

    pub(super) async fn forget(&self) {
        self.open.forget(&self.named).await;
    }

    /// Writes, and tries again while the database is only unwell: an outcome is not lost to a blip.
    /// Gives up when the host goes away; the evidence is still there for the next one.
    pub(super) async fn written<'a, F, Fut>(&'a self, write: F) -> Option<Fenced>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Fenced, StoreError>> + Send + 'a,
    {
        for n in 1.. {
            match write().await {
                Ok(fenced) => return Some(fenced),
                Err(error) if error.is_transient() && !self.worker.is_ending() => {
                    tracing::warn!(job = %self.job.id, error = %error, "the database refused a write, trying again");
                    tokio::time::sleep(WRITE_RETRY.delay(n, jitter())).await;
                }
                Err(error) => {
                    tracing::error!(job = %self.job.id, error = %error, "a write failed");
                    return None;
                }
            }
        }
        None
    }
}
