//! What is done about one row: the plan's step, written under the row's own token.

use std::{sync::Arc, time::Duration};

use longshore_plugin_api as api;

use super::{Pass, Recovery, Step, asking::is_death, attempt_of, plan::ask_again_in};
use crate::{
    executors::Open,
    job::{Fenced, Outcome},
    lifecycle::Work,
    store::{Ended, StoreError, Unresolved},
};

impl Recovery {
    /// Does what the plan says about one row, and counts what came of it.
    pub(super) async fn carry_out(
        self: &Arc<Self>,
        row: &Unresolved,
        step: Step,
        open: Option<&Open>,
        pass: &mut Pass,
    ) -> Result<(), StoreError> {
        if let Step::Reattach { alone } = step
            && !self.worker.admits(&row.executor, row.id, alone).await
        {
            return self.await_turn(row, pass).await;
        }
        let done = self.act(row, step, open, pass).await;
        self.worker.let_go(&row.executor, row.id);
        done
    }

    async fn act(
        self: &Arc<Self>,
        row: &Unresolved,
        step: Step,
        open: Option<&Open>,
        pass: &mut Pass,
    ) -> Result<(), StoreError> {
        let (id, token, unlock) = (row.id, row.token, Some(row.tag));
        match step {
            Step::Reattach { alone } => {
                if self.reattach(row, alone).await? {
                    pass.reattached += 1;
                }
            }
            Step::Requeue { delay, crashes } => {
                if self.store.job_requeue(id, token, unlock, delay, crashes).await? == Fenced::Held
                {
                    pass.requeued += 1;
                    forget(row, open).await;
                }
            }
            Step::GiveUp { error, work } => {
                if self.store.job_give_up(id, token, unlock, &error, work).await? == Fenced::Held {
                    pass.given_up += 1;
                    if work == Work::Gone {
                        forget(row, open).await;
                    }
                }
            }
            Step::StopOverdue => {
                let error =
                    format!("job {id} ({}) ran out of time while nobody watched it", row.job_type);
                // Work that has ended by itself before anybody looked is judged by what it left,
                // however late that is.
                let ended = self.ended(row, open).await;
                let timeout = Outcome::Timeout { error };
                if self.end(row, open, ended, timeout, pass).await? == Fenced::Held {
                    pass.timed_out += 1;
                }
            }
            Step::StopSuspect { error } => {
                // To ask how it has ended is to wait for it, and whoever did that has died of it.
                let failed = Outcome::Failed { error };
                if self.end(row, open, None, failed, pass).await? == Fenced::Held {
                    pass.given_up += 1;
                }
            }
            Step::StopEnded => match self.stop(row, open).await {
                Some(Work::Gone) => self.confirm(row, open, pass).await?,
                Some(_) => {
                    pass.waiting += 1;
                    let _ = self.store.job_ask_again(id, token, ask_again_in(row), false).await?;
                }
                None => self.count(row, pass).await?,
            },
            Step::WorkGone => self.confirm(row, open, pass).await?,
            Step::AskAgain { delay } => {
                pass.waiting += 1;
                let _ = self.store.job_ask_again(id, token, delay, false).await?;
            }
        }
        Ok(())
    }

    /// On a task that nobody cuts off: a row under a new token must not be left without a watcher.
    async fn reattach(self: &Arc<Self>, row: &Unresolved, alone: bool) -> Result<bool, StoreError> {
        let (recovery, id, token) = (Arc::clone(self), row.id, row.token);
        let reattaching = async move {
            let Self { store, worker, owner, settings, .. } = &*recovery;
            let new = store.job_reattach(id, token, *owner, settings.lease).await?;
            let Some(token) = new else { return Ok(false) };
            let watched = match store.job_reattached(id, token).await? {
                Some(found) => worker.rejoin(found, alone).await,
                None => return Ok(false),
            };
            if !watched {
                // Its type is configured no more. Nobody here can watch it: it waits for somebody who can.
                let _ = store.job_mark(id, token, Duration::from_secs(60), false).await?;
            }
            Ok(watched)
        };
        tokio::spawn(reattaching).await.unwrap_or(Ok(false))
    }

    async fn confirm(
        &self,
        row: &Unresolved,
        open: Option<&Open>,
        pass: &mut Pass,
    ) -> Result<(), StoreError> {
        if self.store.job_work_gone(row.id, row.token, Some(row.tag)).await? == Fenced::Held {
            pass.confirmed += 1;
            forget(row, open).await;
        }
        Ok(())
    }

    /// Ends a job as its work has `ended`; where that is not known the work is stopped, and the job ends
    /// `otherwise`.
    async fn end(
        &self,
        row: &Unresolved,
        open: Option<&Open>,
        ended: Option<Outcome>,
        otherwise: Outcome,
        pass: &mut Pass,
    ) -> Result<Fenced, StoreError> {
        let (outcome, stopped) = match ended {
            Some(outcome) => (outcome, Some(Work::Gone)),
            None => (otherwise, self.stop(row, open).await),
        };
        let work = stopped.unwrap_or(Work::Maybe);
        let ended = Ended { outcome, work };
        let fenced = self.store.job_settle(row.id, row.token, Some(row.tag), &ended).await?;
        if fenced == Fenced::Held && work == Work::Gone {
            forget(row, open).await;
        }
        if stopped.is_none() {
            self.count(row, pass).await?;
        }
        Ok(fenced)
    }

    /// How work has ended by itself, if it has and says so at once.
    async fn ended(&self, row: &Unresolved, open: Option<&Open>) -> Option<Outcome> {
        if row.work == Work::Gone {
            return None;
        }
        let named = attempt_of(row);
        let wait = open?.executor.wait(&named);
        match tokio::time::timeout(Duration::from_secs(1), wait).await.ok()?.ok()?.ending {
            api::Ending::Succeeded { result } => Some(self.worker.outcome(&result)),
            api::Ending::Failed { message, .. } => Some(Outcome::Failed { error: message }),
            _ => None,
        }
    }

    /// Whether the work is gone; nothing where the process of its executor has died of the question.
    async fn stop(&self, row: &Unresolved, open: Option<&Open>) -> Option<Work> {
        let open = match open {
            _ if row.work == Work::Gone => return Some(Work::Gone),
            None => return Some(Work::Maybe),
            Some(open) => open,
        };
        match open.executor.cancel(&attempt_of(row), self.settings.stop_grace).await {
            Ok(api::Work::Gone) => Some(Work::Gone),
            Ok(api::Work::Maybe) => Some(Work::Maybe),
            Err(error) => {
                tracing::warn!(job = %row.id, executor = open.name, %error, "could not stop the work");
                (!is_death(open, &error).await).then_some(Work::Maybe)
            }
        }
    }
}

async fn forget(row: &Unresolved, open: Option<&Open>) {
    if let Some(open) = open {
        open.forget(&attempt_of(row)).await;
    }
}
