//! Work that recovery has found: who may be watched again, and when.

use std::{sync::Arc, time::Duration};

use longshore_plugin_api::Handle;

use super::{Worker, attempt::Attempt};
use crate::{job::JobId, store::Reattached};

impl Worker {
    /// Whether found work may be watched again now: work that must be alone waits until nothing else
    /// runs on its executor, and what else was found waits until that is over. Nothing new is claimed
    /// for the executor until then, or until [`let_go`](Self::let_go).
    pub(crate) async fn admits(&self, executor: &str, id: JobId, alone: bool) -> bool {
        // A claim that was under way when the executor was kept has its slots by now; one after it
        // sees that it is kept.
        let _claims = self.claiming.lock().await;
        self.slots.keep(executor, id);
        if alone { self.slots.running(executor) == 0 } else { !self.slots.is_alone(executor) }
    }

    /// Ends what was kept for a job that is watched again, or needs no watching.
    pub(crate) fn let_go(&self, executor: &str, id: JobId) {
        self.slots.let_go(executor, id);
    }

    /// Whether found work waits for its turn on an executor that answers.
    pub(crate) fn has_waiting(&self) -> bool {
        self.executors
            .iter()
            .any(|open| open.executor.standing().answers() && self.slots.is_kept(&open.name))
    }

    /// While an executor cannot be asked what it has, it stays kept for that.
    pub(crate) fn keep_on(&self, executor: &str) {
        self.slots.keep_on(executor);
    }

    /// Watches work that recovery has found, under its new claim. It takes a slot whether one is free
    /// or not; `alone` keeps its executor for it.
    pub async fn rejoin(self: &Arc<Self>, found: Reattached, alone: bool) -> bool {
        let Reattached { claimed, handle, remaining_us } = found;
        let job_type = self.types.get(&claimed.job_type);
        let open = self.executors.get(&claimed.executor);
        let (Some(job_type), Some(open)) = (job_type, open) else { return false };
        let handle: Option<Handle> = handle.and_then(|text| serde_json::from_str(&text).ok());
        let remaining = Duration::from_micros(u64::try_from(remaining_us).unwrap_or(0));
        let slot = self.slots.take(&claimed.job_type, &claimed.executor, alone);
        let worker = Arc::clone(self);
        let attempt = Attempt::new(worker, claimed, Arc::clone(job_type), Arc::clone(open), slot);
        self.attempts.lock().await.spawn(attempt.rejoin(handle, remaining));
        true
    }
}
