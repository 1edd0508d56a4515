//! The worker: claims what is due and runs it.
//!
//! ```text
//!   claim loop ──► slots ──► one task an attempt (attempt.rs)
//!       ▲                        │ takes a seat among the watched
//!       │ woken by submissions,  ▼
//!       │ freed slots, due times renewals: one statement for all seats
//!       └──────────────────────  progress: one batch for all that was said
//! ```
//!
//! What is always true: never more is claimed of a type than it has free slots; a full type is
//! skipped, not waited for; nothing that fails here ends a loop.

mod attempt;
mod decide;
mod found;
mod result;
mod slots;
mod watched;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use longshore_plugin_api::Progress;
use serde_json::value::RawValue;
use tokio::{sync::Notify, task::JoinSet};

use self::{
    attempt::Attempt,
    slots::Slots,
    watched::{Watched, Wish},
};
use crate::{
    config::JobType,
    executors::Executors,
    job::{CancelReason, Claimed, Fenced, JobId, Outcome, ReplicaId},
    lifecycle::Work,
    service::{Service, Stop},
    store::{Claims, Store, StoreError, Want},
};

/// How long handing over may take, besides the longest stop grace.
const HAND_OVER: Duration = Duration::from_secs(15);

/// How the worker behaves.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a claim counts without renewal. Renewed every third of it.
    pub lease: Duration,
    /// How long a result may come after the backend's end.
    pub result_grace: Duration,
    /// A result larger than this, in bytes, is a failure.
    pub max_result: usize,
    /// How often the queue is looked at when nothing wakes the worker.
    pub poll: Duration,
}

/// Claims and runs jobs.
pub struct Worker {
    store: Store,
    executors: Arc<Executors>,
    types: BTreeMap<String, Arc<JobType>>,
    owner: ReplicaId,
    settings: Settings,
    slots: Arc<Slots>,
    watched: Arc<Watched>,
    ending: AtomicBool,
    unwatched: Arc<Notify>,
    /// Held from the look at what may be claimed until what was claimed has its slots.
    claiming: tokio::sync::Mutex<()>,
    attempts: tokio::sync::Mutex<JoinSet<()>>,
}

/// The worker's loops.
#[derive(Debug)]
pub struct Running {
    claims: Service,
    renewals: Service,
    progress: Service,
    health: Service,
}

impl Worker {
    /// A worker that does nothing yet.
    #[must_use]
    pub fn new(
        store: Store,
        executors: Arc<Executors>,
        types: BTreeMap<String, Arc<JobType>>,
        owner: ReplicaId,
        settings: Settings,
        watching: Watching,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            executors,
            types,
            owner,
            settings,
            slots: Arc::default(),
            watched: watching.0,
            ending: AtomicBool::new(false),
            unwatched: Arc::default(),
            claiming: tokio::sync::Mutex::default(),
            attempts: tokio::sync::Mutex::default(),
        })
    }

    /// Starts the loops.
    #[must_use]
    pub fn start(self: &Arc<Self>) -> Running {
        let (worker, renewing, showing, asking) =
            (Arc::clone(self), Arc::clone(self), Arc::clone(self), Arc::clone(self));
        Running {
            claims: Service::start("claims", |stop| worker.claim_loop(stop)),
            renewals: Service::every("renewals", self.settings.lease / 3, move || {
                let worker = Arc::clone(&renewing);
                async move { worker.renew_once().await }
            }),
            progress: Service::every("progress", Duration::from_millis(200), move || {
                let worker = Arc::clone(&showing);
                async move { worker.show_once().await }
            }),
            health: Service::every("executor health", Duration::from_secs(5), move || {
                let worker = Arc::clone(&asking);
                async move { worker.ask_health_once().await }
            }),
        }
    }

    /// Cancels a job at once, and tells the attempt if it runs here. `Lost` means that it had ended.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn cancel(&self, id: JobId, reason: &CancelReason) -> Result<Fenced, StoreError> {
        let fenced = self.store.job_cancel(id, reason).await?;
        if fenced == Fenced::Held {
            self.watched.tell(id, Wish::Cancel);
            let maybe = || async {
                self.store
                    .job_get(id)
                    .await
                    .is_ok_and(|job| job.is_some_and(|job| job.work == Work::Maybe))
            };
            if self.watched.get(id).is_none() && maybe().await {
                // Nobody watches its work here: recovery stops it.
                self.unwatched.notify_one();
            }
        }
        Ok(fenced)
    }

    /// Told when an attempt lets go of a job whose work is recovery's to look for.
    #[must_use]
    pub(crate) fn unwatched(&self) -> Arc<Notify> {
        Arc::clone(&self.unwatched)
    }

    /// An executor is up again: jobs wait for it, and those that it had are asked about.
    pub(crate) fn executor_is_up(&self) {
        self.store.wake();
        self.unwatched.notify_one();
    }

    /// How many attempts run here.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.slots.total()
    }

    /// The open executors.
    #[must_use]
    pub const fn executors(&self) -> &Arc<Executors> {
        &self.executors
    }

    /// The outcome of work that returned this.
    #[must_use]
    pub(crate) fn outcome(&self, result: &RawValue) -> Outcome {
        result::outcome(result, self.settings.max_result)
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    async fn claim_loop(self: Arc<Self>, mut stop: Stop) {
        while !stop.is_asked() {
            let wait = match self.claim_once().await {
                Ok(Pass { claimed: 1.., .. }) => continue,
                Ok(Pass { next_due, .. }) => {
                    next_due.map_or(self.settings.poll, |due| due.min(self.settings.poll))
                }
                Err(error) => {
                    tracing::warn!(error = %error, "could not claim");
                    self.settings.poll
                }
            };
            tokio::select! {
                () = stop.asked() => return,
                () = self.store.arrived() => {}
                () = self.slots.freed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One pass: takes what is due and fits.
    async fn claim_once(self: &Arc<Self>) -> Result<Pass, StoreError> {
        self.reap().await;
        let _claiming = self.claiming.lock().await;
        let wants = self.wants();
        if wants.is_empty() {
            return Ok(Pass { claimed: 0, next_due: None });
        }
        let Claims { jobs, alone } =
            self.store.job_claim(wants.clone(), self.owner, self.settings.lease).await?;
        let mut claimed = jobs.len();
        for job in jobs {
            self.spawn(job, false).await;
        }
        for executor in alone {
            claimed += self.claim_alone(&executor).await?;
        }
        let next_due = if claimed == 0 { self.store.job_next_due(&wants).await? } else { None };
        Ok(Pass { claimed, next_due })
    }

    /// What could be taken now: types with free slots, of executors that are well and not kept for
    /// others.
    fn wants(&self) -> Vec<Want> {
        let wants = self.types.values().filter_map(|job_type| {
            let open = self.executors.get(&job_type.executor)?;
            let want = self.want(job_type);
            let kept = self.slots.is_alone(&open.name) || self.slots.is_kept(&open.name);
            (open.takes_jobs() && !kept && want.slots > 0).then_some(want)
        });
        wants.collect()
    }

    fn want(&self, job_type: &JobType) -> Want {
        Want {
            executor: job_type.executor.clone(),
            job_type: job_type.name.clone(),
            slots: self.slots.free(&job_type.name, job_type.max_workers),
            max_running: job_type.max_running,
        }
    }

    /// A job that was running at two crashes runs with no neighbour: its executor is emptied first.
    async fn claim_alone(self: &Arc<Self>, executor: &str) -> Result<usize, StoreError> {
        let ready = self.executors.get(executor).is_some_and(|open| open.takes_jobs());
        if !ready || self.slots.running(executor) > 0 {
            return Ok(0);
        }
        // Of any type: a job keeps the executor that it was routed to, whatever its type says now.
        let wants = self.types.values().map(|job_type| self.want(job_type)).collect();
        let job =
            self.store.job_claim_solo(executor, wants, self.owner, self.settings.lease).await?;
        let Some(job) = job else { return Ok(0) };
        self.spawn(job, true).await;
        Ok(1)
    }

    async fn spawn(self: &Arc<Self>, job: Claimed, alone: bool) {
        let job_type = self.types.get(&job.job_type).cloned();
        let open = self.executors.get(&job.executor).cloned();
        let (Some(job_type), Some(open)) = (job_type, open) else {
            // A solo claim goes by executor: its type may be configured no more.
            let released = self
                .store
                .job_release(job.id, job.token, job.locked(), Duration::from_secs(60), false)
                .await;
            tracing::warn!(job = %job.id, job_type = job.job_type, ?released, "no such type here, released");
            return;
        };
        let slot = self.slots.take(&job.job_type, &job.executor, alone);
        let attempt = Attempt::new(Arc::clone(self), job, job_type, open, slot);
        self.attempts.lock().await.spawn(attempt.run());
    }

    /// Lets go of attempts that have ended. One that panicked leaves a row whose lease expires.
    async fn reap(&self) {
        let mut attempts = self.attempts.lock().await;
        while let Some(ended) = attempts.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "an attempt panicked; recovery takes its job over");
            }
        }
    }

    /// Renews every claim in one statement. A claim that does not count any more is told so.
    pub(crate) async fn renew_once(&self) {
        let claims = self.watched.claims();
        if claims.is_empty() {
            return;
        }
        match self.store.job_renew(&claims, self.settings.lease).await {
            Ok(held) => {
                for (id, token) in claims {
                    if !held.contains(&id) {
                        self.watched.tell_claim(id, token, Wish::Lost);
                    }
                }
            }
            // The next success restores it; until then the lease runs.
            Err(error) => {
                tracing::warn!(error = %error, claims = claims.len(), "could not renew leases")
            }
        }
    }

    async fn show_once(&self) {
        for (attempt, message, counts) in self.watched.unsaved() {
            let shown = self
                .store
                .job_progress(attempt.id, attempt.token, message.as_deref(), counts.as_deref())
                .await;
            if let Err(error) = shown {
                tracing::debug!(job = %attempt.id, error = %error, "could not show progress");
            }
        }
    }

    async fn ask_health_once(&self) {
        if self.executors.ask().await {
            // Recovery first tells one that was never well before which evidence still counts.
            self.unwatched.notify_one();
            self.store.wake();
        }
    }
}

/// What one pass of the claim loop did.
struct Pass {
    claimed: usize,
    next_due: Option<Duration>,
}

/// Where executors tell their progress: made before the worker, because executors are opened first.
#[derive(Clone, Debug, Default)]
pub struct Watching(Arc<Watched>);

impl Watching {
    /// Takes in what an executor says of an attempt.
    pub fn progress(&self, attempt_tag: &str, progress: Progress) {
        self.0.progress(attempt_tag, progress);
    }
}

impl Running {
    /// Stops claiming, gives the attempts `grace`, then hands over what still runs. Renewals go on
    /// to the last.
    pub async fn stop(self, worker: &Worker, grace: Duration) {
        self.claims.stop().await;
        let hand_over = async {
            tokio::time::sleep(grace).await;
            worker.ending.store(true, Ordering::Relaxed);
            tracing::info!(attempts = worker.running(), "handing over");
            worker.watched.tell_all(Wish::HandOver);
            // An executor that does not answer must not keep the host: what it has is found again by
            // the next start.
            let graces = worker.types.values().map(|job_type| job_type.stop_grace);
            tokio::time::sleep(graces.max().unwrap_or_default() + HAND_OVER).await;
            tracing::warn!(
                attempts = worker.running(),
                "not handed over in time, left to recovery"
            );
        };
        let ended = async {
            let mut attempts = worker.attempts.lock().await;
            while attempts.join_next().await.is_some() {}
        };
        tokio::select! {
            () = ended => {}
            () = hand_over => {}
        }
        worker.show_once().await;
        self.health.stop().await;
        self.progress.stop().await;
        self.renewals.stop().await;
    }

    /// The loops that have ended by themselves, which none should.
    #[must_use]
    pub fn dead(&self) -> Vec<&'static str> {
        [&self.claims, &self.renewals, &self.progress, &self.health]
            .into_iter()
            .filter(|service| !service.is_alive())
            .map(Service::name)
            .collect()
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// Types by name, shared.
#[must_use]
pub fn shared(types: BTreeMap<String, JobType>) -> BTreeMap<String, Arc<JobType>> {
    types.into_iter().map(|(name, job_type)| (name, Arc::new(job_type))).collect()
}
