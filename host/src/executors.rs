//! The executors that are open on this host, by name, and whether jobs may be sent to them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use longshore_plugin_api as api;
use longshore_plugin_api::{Attempt, ErrorKind, Facts};

use crate::{
    lifecycle::Work,
    plugin::{HostedExecutor, Standing},
};

/// One configured executor.
pub struct Open {
    /// Its configured name: what jobs are routed to.
    pub name: String,
    /// The plugin behind it.
    pub executor: Arc<dyn HostedExecutor>,
    ready: AtomicBool,
    swept: AtomicBool,
    trouble: Mutex<Option<String>>,
    /// Ended attempts that it could not be told to forget.
    owed: Mutex<Vec<Attempt>>,
    locality: Mutex<Option<String>>,
}

/// Every configured executor.
#[derive(Default)]
pub struct Executors {
    open: BTreeMap<String, Arc<Open>>,
    /// What this host calls its own place, for executors that do not say.
    here: String,
}

impl Executors {
    /// Executors of a host whose own place is called `here`.
    #[must_use]
    pub fn new(
        here: String,
        open: impl IntoIterator<Item = (String, Arc<dyn HostedExecutor>)>,
    ) -> Self {
        let open = open
            .into_iter()
            .map(|(name, executor)| {
                let open = Open {
                    name: name.clone(),
                    executor,
                    ready: AtomicBool::new(true),
                    swept: AtomicBool::new(false),
                    trouble: Mutex::default(),
                    owed: Mutex::default(),
                    locality: Mutex::default(),
                };
                (name, Arc::new(open))
            })
            .collect();
        Self { open, here }
    }

    /// The executor of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Open>> {
        self.open.get(name)
    }

    /// Those that cannot be asked about their jobs now.
    #[must_use]
    pub fn silent(&self) -> Vec<&str> {
        let silent = self.iter().filter(|open| !open.executor.answers());
        silent.map(|open| open.name.as_str()).collect()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Open>> {
        self.open.values()
    }

    /// Where work submitted to that executor now would physically be.
    #[must_use]
    pub fn locality(&self, open: &Open) -> String {
        open.locality
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .unwrap_or_else(|| self.here.clone())
    }

    /// Asks every executor that is up how it is and where its work would be; says whether one is well
    /// again.
    pub async fn ask(&self) -> bool {
        // One that hangs is asked too: an answer brings it back.
        let up = |open: &&Arc<Open>| {
            matches!(open.executor.standing(), Standing::Ready | Standing::Hung)
        };
        let asking = self.iter().filter(up).map(async |open| {
            let before = open.is_ready();
            self.ask_one(open).await && !before
        });
        join_all(asking).await.into_iter().any(|again| again)
    }

    /// Asks one; says whether it is well.
    pub async fn ask_one(&self, open: &Open) -> bool {
        let well = match open.executor.health().await {
            Ok(()) => open.executor.locality().await,
            Err(error) => Err(error),
        };
        match well {
            Ok(locality) => {
                *open.locality.lock().unwrap_or_else(PoisonError::into_inner) = locality;
                open.forget_owed().await;
                open.well();
                true
            }
            Err(error) => {
                open.unwell(&error.message);
                false
            }
        }
    }
}

impl Open {
    /// What it is; nothing before it was opened for the first time.
    #[must_use]
    pub fn facts(&self) -> Option<Facts> {
        self.executor.facts()
    }

    /// Whether it runs and is well.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && self.executor.standing().takes_jobs()
    }

    /// Whether jobs may be claimed for it: it is well, and knows which evidence still counts. What is
    /// submitted after the list was read is not in the list.
    #[must_use]
    pub fn takes_jobs(&self) -> bool {
        self.is_ready() && self.is_swept()
    }

    /// Whether it was told which evidence still counts.
    #[must_use]
    pub fn is_swept(&self) -> bool {
        self.swept.load(Ordering::Acquire)
    }

    /// Lets the executor remove what is left of ended attempts beside these, and lets jobs in. Once,
    /// whatever the answer: evidence too many harms nobody.
    pub async fn retain(&self, attempts: &[Attempt]) {
        match self.executor.retain(attempts).await {
            Ok(()) => {}
            // It was built before this verb was.
            Err(error) if error.kind == ErrorKind::Unsupported => {}
            Err(error) => {
                tracing::warn!(executor = self.name, %error, "could not clean up after earlier attempts");
            }
        }
        self.retain_all();
    }

    /// Lets jobs in and removes nothing.
    pub fn retain_all(&self) {
        self.swept.store(true, Ordering::Release);
    }

    /// Stops the work of an attempt and says whether it is proven gone. An error is no proof.
    pub async fn stop_work(&self, attempt: &Attempt, grace: Duration) -> Work {
        match self.executor.cancel(attempt, grace).await {
            Ok(api::Work::Gone) => Work::Gone,
            Ok(api::Work::Maybe) => Work::Maybe,
            Err(error) => {
                tracing::warn!(job = attempt.job_id, executor = self.name, %error, "could not stop the work");
                Work::Maybe
            }
        }
    }

    /// Lets the executor remove what is left of an attempt whose outcome is committed. One that is not up
    /// is told once it is.
    pub async fn forget(&self, attempt: &Attempt) {
        let Err(error) = self.executor.forget(attempt).await else { return };
        if matches!(error.kind, ErrorKind::Refused | ErrorKind::Crashed | ErrorKind::Hung) {
            self.owed().push(attempt.clone());
        } else {
            tracing::debug!(job = attempt.job_id, executor = self.name, %error, "could not forget");
        }
    }

    async fn forget_owed(&self) {
        // What it cannot forget now either is owed again.
        let owed = std::mem::take(&mut *self.owed());
        for attempt in owed {
            self.forget(&attempt).await;
        }
    }

    fn owed(&self) -> MutexGuard<'_, Vec<Attempt>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps jobs away until it is well again.
    pub fn unwell(&self, why: &str) {
        if self.ready.swap(false, Ordering::Relaxed) {
            tracing::warn!(executor = self.name, "executor is unavailable: {why}");
        }
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }

    /// Lets jobs in again.
    pub fn well(&self) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if !self.ready.swap(true, Ordering::Relaxed) {
            tracing::info!(executor = self.name, "executor is available again");
        }
    }

    /// What is wrong with it, if something is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open")
            .field("name", &self.name)
            .field("standing", &self.executor.standing())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Executors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.open.values()).finish()
    }
}
