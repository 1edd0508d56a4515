//! What is done about one row: the plan's step, written under the row's own token.

use std::{sync::Arc, time::Duration};

use longshore_plugin_api as api;

use super::{Pass, Recovery, Step, attempt_of};
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
        let (id, token, unlock) = (row.id, row.token, Some(row.tag));
        match step {
            Step::Reattach => {
                if self.reattach(row).await? {
                    pass.reattached += 1;
                }
            }
            Step::Requeue { delay, crash } => {
                if self.store.job_requeue(id, token, unlock, delay, crash).await? == Fenced::Held {
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
                let (outcome, work) = self.end_overdue(row, open).await;
                let ended = Ended { outcome, work };
                if self.store.job_settle(id, token, unlock, &ended).await? == Fenced::Held {
                    pass.timed_out += 1;
                    if work == Work::Gone {
                        forget(row, open).await;
                    }
                }
            }
            Step::StopEnded => {
                if self.stop(row, open).await == Work::Gone {
                    self.confirm(row, open, pass).await?;
                } else {
                    pass.waiting += 1;
                    let delay = Duration::from_secs(5);
                    let _ = self.store.job_ask_again(id, token, delay).await?;
                }
            }
            Step::WorkGone => self.confirm(row, open, pass).await?,
            Step::AskAgain { delay } => {
                pass.waiting += 1;
                let _ = self.store.job_ask_again(id, token, delay).await?;
            }
        }
        Ok(())
    }

    /// On a task that nobody cuts off: a row under a new token must not be left without a watcher.
    async fn reattach(self: &Arc<Self>, row: &Unresolved) -> Result<bool, StoreError> {
        let (recovery, id, token) = (Arc::clone(self), row.id, row.token);
        let reattaching = async move {
            let Self { store, worker, owner, settings, .. } = &*recovery;
            let new = store.job_reattach(id, token, *owner, settings.lease).await?;
            let Some(token) = new else { return Ok(false) };
            let watched = match store.job_reattached(id, token).await? {
                Some(found) => worker.rejoin(found).await,
                None => return Ok(false),
            };
            if !watched {
                // Its type is configured no more. Nobody here can watch it: it waits for somebody who can.
                let _ = store.job_mark(id, token, Duration::from_secs(60)).await?;
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

    /// Work that has ended by itself before anybody looked is judged by what it left, however late
    /// that is; what still runs is stopped.
    async fn end_overdue(&self, row: &Unresolved, open: Option<&Open>) -> (Outcome, Work) {
        let error =
            format!("job {} ({}) ran out of time while nobody watched it", row.id, row.job_type);
        let timeout = Outcome::Timeout { error };
        if row.work == Work::Gone {
            return (timeout, Work::Gone);
        }
        if let Some(open) = open {
            let named = attempt_of(row);
            let wait = open.executor.wait(&named);
            match tokio::time::timeout(Duration::from_secs(1), wait)
                .await
                .map(|said| said.map(|ended| ended.ending))
            {
                Ok(Ok(api::Ending::Succeeded { result })) => {
                    return (self.worker.outcome(&result), Work::Gone);
                }
                Ok(Ok(api::Ending::Failed { message, .. })) => {
                    return (Outcome::Failed { error: message }, Work::Gone);
                }
                _ => {}
            }
        }
        (timeout, self.stop(row, open).await)
    }

    async fn stop(&self, row: &Unresolved, open: Option<&Open>) -> Work {
        let Some(open) = open else { return Work::Maybe };
        open.stop_work(&attempt_of(row), self.settings.stop_grace).await
    }
}

async fn forget(row: &Unresolved, open: Option<&Open>) {
    if let Some(open) = open {
        open.forget(&attempt_of(row)).await;
    }
}
