//! The jobs that one generation of an executor has.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// By attempt tag: from before `submit` is sent until the attempt is forgotten or proven gone.
#[derive(Debug, Default)]
pub(super) struct Held {
    jobs: Mutex<HashMap<String, Job>>,
    /// Whether a job has ended since somebody asked.
    ended: AtomicBool,
}

#[derive(Debug)]
struct Job {
    id: String,
    running: bool,
}

impl Held {
    /// Takes a job in.
    pub(super) fn enter(&self, tag: &str, id: &str) {
        self.lock().insert(tag.to_owned(), Job { id: id.to_owned(), running: true });
    }

    /// Takes in a job that is found to be here, or that something is done to, if it is not in yet. Says
    /// whether it was not.
    pub(super) fn keep(&self, tag: &str, id: &str) -> bool {
        let mut jobs = self.lock();
        let new = !jobs.contains_key(tag);
        if new {
            jobs.insert(tag.to_owned(), Job { id: id.to_owned(), running: true });
        }
        new
    }

    /// Its work has ended; the evidence is still here.
    pub(super) fn ended(&self, tag: &str) {
        if let Some(job) = self.lock().get_mut(tag) {
            job.running = false;
        }
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Nothing of it is here any more. Says whether that was the last one.
    pub(super) fn leave(&self, tag: &str) -> bool {
        let mut jobs = self.lock();
        jobs.remove(tag).is_some() && jobs.is_empty()
    }

    /// Its process has died: whether something of a job is left is found out anew. Answers with the ids
    /// of those that were running.
    pub(super) fn lose(&self) -> Vec<String> {
        let lost = std::mem::take(&mut *self.lock());
        lost.into_values().filter(|job| job.running).map(|job| job.id).collect()
    }

    pub(super) fn has(&self, tag: &str) -> bool {
        self.lock().contains_key(tag)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether a job has ended since the last call.
    pub(super) fn any_ended(&self) -> bool {
        self.ended.swap(false, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
