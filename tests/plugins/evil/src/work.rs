//! The good half: jobs that live in this process's memory and end at once, after `millis`, or when the
//! file `hold` is there.

use std::{
    collections::HashMap,
    path::PathBuf,
    process,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use longshore_plugin_api::{Ending, Error, Handle, Job};
use serde::Deserialize;
use serde_json::json;
use tokio::{sync::watch, time::Instant};

use crate::mode::Mode;

/// How often a file is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// What a job's parameters may say. Other keys are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wish {
    /// What to do wrong in this job.
    evil: Option<Mode>,
    /// How long it runs.
    millis: u64,
    /// Runs until this file exists.
    hold: Option<PathBuf>,
    /// Fails when it ends.
    fail: bool,
}

/// One attempt.
pub(crate) struct Run {
    pub(crate) mode: Option<Mode>,
    pub(crate) handle: Handle,
    wish: Wish,
    since: Instant,
    /// How it ends by itself.
    own_end: Ending,
    ending: watch::Sender<Option<Ending>>,
}

impl Run {
    pub(crate) fn new(job: &Job) -> Result<Arc<Self>, Error> {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let wish: Wish = serde_json::from_str(job.params.get())
            .map_err(|error| Error::invalid_job(error.to_string()).at("/params"))?;
        let (pid, run) = (process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
        let own_end = if wish.fail {
            Ending::failed("failed, as asked")
        } else {
            Ending::succeeded(&json!({
                "version": env!("CARGO_PKG_VERSION"),
                "pid": pid,
                "attempt": job.attempt,
                "run": run,
            }))?
        };
        Ok(Arc::new(Self {
            mode: wish.evil,
            handle: Handle { version: 1, data: json!({ "pid": pid, "run": run }) },
            wish,
            since: Instant::now(),
            own_end,
            ending: watch::Sender::new(None),
        }))
    }

    /// Answers the same for ever, once it has answered.
    pub(crate) async fn ended(&self) -> Ending {
        let mut ending = self.ending.subscribe();
        loop {
            self.end_if_over();
            if let Some(ending) = &*ending.borrow_and_update() {
                return ending.clone();
            }
            // The sender is `self`: it cannot be gone.
            let _ = tokio::time::timeout(LOOK, ending.changed()).await;
        }
    }

    /// Ends it this way, unless it has ended.
    pub(crate) fn end(&self, ending: Ending) {
        // What is over has ended by itself, even if nobody has looked yet.
        self.end_if_over();
        self.settle(ending);
    }

    /// Whether it is told not to end yet.
    pub(crate) fn is_held(&self) -> bool {
        self.wish.hold.as_ref().is_some_and(|file| !file.exists())
    }

    fn end_if_over(&self) {
        if !self.is_held() && self.since.elapsed() >= Duration::from_millis(self.wish.millis) {
            self.settle(self.own_end.clone());
        }
    }

    fn settle(&self, ending: Ending) {
        self.ending.send_if_modified(|settled| {
            let first = settled.is_none();
            settled.get_or_insert(ending);
            first
        });
    }
}

/// The attempts of one executor, by tag.
#[derive(Default)]
pub(crate) struct Runs(Mutex<HashMap<String, Arc<Run>>>);

impl Runs {
    pub(crate) fn get(&self, tag: &str) -> Option<Arc<Run>> {
        self.lock().get(tag).cloned()
    }

    pub(crate) fn put(&self, tag: String, run: Arc<Run>) {
        self.lock().insert(tag, run);
    }

    pub(crate) fn forget(&self, tag: &str) {
        self.lock().remove(tag);
    }

    pub(crate) fn end_all(&self) {
        for run in self.lock().values() {
            run.end(Ending::Interrupted { message: "the executor was stopped".to_owned() });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Run>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
