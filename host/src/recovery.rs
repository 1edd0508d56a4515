//! Recovery: what a dead process, a lost lease or a failed watch has left behind is found again,
//! without ever assuming that something is dead.
//!
//! ```text
//!   expired, overdue ──► NEEDS_RECOVERY ─┐
//!   ended, work maybe ───────────────────┤
//!                                        ▼
//!        one question per executor: what is there? ──► plan (pure) ──► one guarded write a row
//! ```
//!
//! What is always true: an executor that fails, hangs, omits an attempt or answers nonsense changes
//! nothing; one whose process dies of a question about one attempt is asked about that one when nothing
//! else runs there, until the job has had its crashes; a verdict counts only if the row still has the claim token that it was asked about. Rows of an
//! executor whose process is not up are neither asked about nor written: the host asks for a pass when it is.

mod asking;
mod carry_out;
mod pass;
mod plan;
mod retain;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashSet},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use longshore_plugin_api as api;
use tokio::task::{JoinError, JoinSet};

use self::asking::Doubts;
pub use self::{
    pass::Pass,
    plan::{Rules, Step, plan},
};
use crate::{
    clock::{Moment, wall_ms},
    job::{AttemptTag, JobId, ReplicaId},
    service::Service,
    store::{Silent, Store, StoreError, Unresolved},
    worker::Worker,
};

/// Between two passes while found work waits for its turn.
const TURNS: Duration = Duration::from_secs(1);

/// How recovery behaves.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Time between two passes.
    pub interval: Duration,
    /// What the plan goes by.
    pub rules: Rules,
    /// After how long a job that nobody offers to run is failed.
    pub orphan_after: Duration,
    /// What is added to a timeout before a row is overdue, at least.
    pub overdue_grace: Duration,
    /// The lease of a reattached job.
    pub lease: Duration,
    /// How long work that is stopped may take.
    pub stop_grace: Duration,
}

/// The recovery of one host.
pub struct Recovery {
    store: Store,
    worker: Arc<Worker>,
    owner: ReplicaId,
    settings: Settings,
    offered: HashSet<(String, String)>,
    started: Moment,
    last: Mutex<Option<Pass>>,
    doubts: Doubts,
    parts: tokio::sync::Mutex<Parts>,
}

/// What still runs of passes: at most one part for each executor.
#[derive(Default)]
struct Parts {
    running: JoinSet<(String, Pass)>,
    busy: HashSet<String>,
}

impl Parts {
    /// Takes in a part that has ended. Only an end of the host cuts one off.
    fn take(&mut self, ended: Result<(String, Pass), JoinError>, pass: &mut Pass) {
        if let Ok((executor, part)) = ended {
            self.busy.remove(&executor);
            pass.absorb(part);
        }
    }
}

impl Recovery {
    /// Recovery for this host. `offered` lists executor and type as configured.
    #[must_use]
    pub fn new(
        store: Store,
        worker: Arc<Worker>,
        owner: ReplicaId,
        settings: Settings,
        offered: HashSet<(String, String)>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            worker,
            owner,
            settings,
            offered,
            started: Moment::now(),
            last: Mutex::default(),
            doubts: Doubts::default(),
            parts: tokio::sync::Mutex::default(),
        })
    }

    /// At the start of the host: its former self is dead (this one holds the lock of its state
    /// directory), so that what it watched need not wait for a lease to expire.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn take_over_own(&self) -> Result<usize, StoreError> {
        self.store.job_mark_own(self.owner).await
    }

    /// Starts the loop.
    #[must_use]
    pub fn start(self: &Arc<Self>) -> Service {
        let recovery = Arc::clone(self);
        let unwatched = self.worker.unwatched();
        Service::start("recovery", |mut stop| async move {
            loop {
                // A pass may be cut off anywhere: every write of it is guarded by itself.
                let passed = tokio::select! {
                    () = stop.asked() => return,
                    passed = recovery.run_once() => passed,
                };
                if let Err(error) = passed {
                    tracing::warn!(error = %error, "a recovery pass failed");
                }
                let interval = recovery.settings.interval;
                // Whoever waits for its turn keeps an executor idle.
                let waiting = recovery.worker.has_waiting();
                let pause = if waiting { interval.min(TURNS) } else { interval };
                tokio::select! {
                    () = stop.asked() => return,
                    () = unwatched.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        })
    }

    /// What the last pass saw and did.
    #[must_use]
    pub fn last_pass(&self) -> Option<Pass> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One pass.
    ///
    /// # Errors
    ///
    /// The database could not be read. A row that could not be written is asked about again.
    pub async fn run_once(self: &Arc<Self>) -> Result<Pass, StoreError> {
        // What this host watches is not lost because the database was away for longer than a lease.
        self.worker.renew_once().await;
        let mut pass = Pass {
            marked: self.store.job_mark_expired(self.settings.overdue_grace).await?,
            ..Pass::default()
        };
        let silent = self.silent();
        let rows = self.store.job_unresolved(self.settings.overdue_grace, &silent).await?;
        self.count_unanswered(&silent, &mut pass).await?;
        let executors = self.worker.executors();
        let mut by_executor: BTreeMap<String, Vec<Unresolved>> =
            executors.iter().map(|open| (open.name.clone(), Vec::new())).collect();
        for row in rows {
            by_executor.entry(row.executor.clone()).or_default().push(row);
        }
        self.side_by_side(by_executor, &mut pass).await;
        pass.orphaned = self.orphan().await?;
        pass.ended_at = wall_ms();
        if pass.did_something() {
            tracing::info!(?pass, "recovery pass");
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(pass.clone());
        Ok(pass)
    }

    /// The executors whose process is not up. When it is, the host asks for a pass at once.
    fn silent(&self) -> Silent {
        let executors = self.worker.executors().silent();
        // What they had is looked at first when they are back, however long that takes.
        executors.iter().for_each(|executor| self.worker.keep_on(executor));
        Silent {
            executors: executors.into_iter().map(str::to_owned).collect(),
            give_up_after: self.settings.rules.give_up_after,
        }
    }

    async fn count_unanswered(&self, silent: &Silent, pass: &mut Pass) -> Result<(), StoreError> {
        if silent.executors.is_empty() {
            return Ok(());
        }
        for (executor, rows) in self.store.job_unanswered(silent).await? {
            pass.waiting += rows;
            let open = self.worker.executors().get(&executor);
            let why = open.and_then(|open| open.trouble());
            let why = why.unwrap_or_else(|| "its plugin does not run".to_owned());
            pass.trouble.insert(executor, why);
        }
        Ok(())
    }

    /// Each executor's part of a pass, on a task of its own: one that hangs keeps its own rows waiting,
    /// and no other's. A part that takes longer than an interval goes on beside the next passes.
    async fn side_by_side(
        self: &Arc<Self>,
        by_executor: BTreeMap<String, Vec<Unresolved>>,
        pass: &mut Pass,
    ) {
        let mut parts = self.parts.lock().await;
        while let Some(ended) = parts.running.try_join_next() {
            parts.take(ended, pass);
        }
        let mut awaited = HashSet::new();
        for (executor, rows) in by_executor {
            if parts.busy.contains(&executor) {
                pass.seen += rows.len();
                pass.waiting += rows.len();
                continue;
            }
            parts.busy.insert(executor.clone());
            awaited.insert(executor.clone());
            let recovery = Arc::clone(self);
            parts.running.spawn(async move {
                let part = AssertUnwindSafe(recovery.recover(&executor, &rows)).catch_unwind();
                let part = part.await.unwrap_or_else(|_| Pass {
                    trouble: [(executor.clone(), "its recovery panicked".to_owned())].into(),
                    ..Pass::default()
                });
                (executor, part)
            });
        }
        let mut enough = pin!(tokio::time::sleep(self.settings.interval));
        while !awaited.is_empty() {
            tokio::select! {
                ended = parts.running.join_next() => match ended {
                    Some(ended) => {
                        parts.take(ended, pass);
                        awaited.retain(|executor| parts.busy.contains(executor));
                    }
                    None => break,
                },
                () = &mut enough => break,
            }
        }
        for executor in &parts.busy {
            pass.trouble.insert(executor.clone(), "takes long to answer".to_owned());
        }
    }

    /// Ends what still runs of earlier passes: every write of it is guarded by itself.
    pub async fn abandon(&self) {
        self.parts.lock().await.running.shutdown().await;
    }

    /// A host that has just started does not know what others offered while it was away.
    async fn orphan(&self) -> Result<usize, StoreError> {
        let after = self.settings.orphan_after;
        if self.started.elapsed() < after {
            return Ok(0);
        }
        let error = format!(
            "no host has offered its type or executor for {after:?}; configure them again and resubmit"
        );
        let mut orphaned = 0;
        for (executor, job_type) in self.store.job_routes().await? {
            if !self.offered.contains(&(executor.clone(), job_type.clone())) {
                orphaned += self.store.job_orphan(&executor, &job_type, after, &error).await?;
            }
        }
        Ok(orphaned)
    }
}

fn named(id: JobId, tag: AttemptTag, handle: Option<&str>) -> api::Attempt {
    api::Attempt {
        job_id: id.to_string(),
        attempt_tag: format!("{tag:x}"),
        handle: handle.and_then(|text| serde_json::from_str(text).ok()),
    }
}

fn attempt_of(row: &Unresolved) -> api::Attempt {
    named(row.id, row.tag, row.handle.as_deref())
}

impl std::fmt::Debug for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovery").field("settings", &self.settings).finish_non_exhaustive()
    }
}
