//! How many jobs may run here, by type; and which executor is kept for jobs that recovery has found or
//! looks for, or for one job alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::{clock::Moment, job::JobId};

/// How long an executor is kept for a job that nobody has looked at since.
const KEPT: Duration = Duration::from_secs(30);

/// The slots of one host.
#[derive(Debug, Default)]
pub(super) struct Slots {
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    types: HashMap<String, u32>,
    executors: HashMap<String, u32>,
    alone: HashMap<String, u32>,
    kept: HashMap<String, HashMap<JobId, Moment>>,
}

/// A taken slot, given back when it is dropped: on every path, a panic's too.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    job_type: String,
    executor: String,
    alone: bool,
}

impl Slots {
    /// How many of `max` are free for that type. A type may be above its maximum (a reattached job
    /// takes a slot whether there is one or not) and then has none.
    #[must_use]
    pub(super) fn free(&self, job_type: &str, max: u32) -> u32 {
        max.saturating_sub(self.lock().types.get(job_type).copied().unwrap_or(0))
    }

    /// How many jobs of that executor run here.
    #[must_use]
    pub(super) fn running(&self, executor: &str) -> u32 {
        self.lock().executors.get(executor).copied().unwrap_or(0)
    }

    /// How many jobs run here.
    #[must_use]
    pub(super) fn total(&self) -> u32 {
        self.lock().executors.values().sum()
    }

    /// Whether a job runs alone in that executor.
    #[must_use]
    pub(super) fn is_alone(&self, executor: &str) -> bool {
        self.lock().alone.get(executor).is_some_and(|jobs| *jobs > 0)
    }

    /// Keeps new jobs away from that executor until this one is watched there, or is let go of, or
    /// nobody has looked at it for 30 seconds.
    pub(super) fn keep(&self, executor: &str, id: JobId) {
        let until = Moment::now().after(KEPT);
        self.lock().kept.entry(executor.to_owned()).or_default().insert(id, until);
    }

    /// Keeps that executor longer for those that it is kept for.
    pub(super) fn keep_on(&self, executor: &str) {
        let until = Moment::now().after(KEPT);
        if let Some(jobs) = self.lock().kept.get_mut(executor) {
            jobs.values_mut().for_each(|kept| *kept = until);
        }
    }

    /// Lets go of what was kept for this job.
    pub(super) fn let_go(&self, executor: &str, id: JobId) {
        let mut taken = self.lock();
        let Some(jobs) = taken.kept.get_mut(executor) else { return };
        let was = jobs.remove(&id).is_some();
        if jobs.is_empty() {
            taken.kept.remove(executor);
        }
        drop(taken);
        if was {
            self.freed.notify_one();
        }
    }

    /// Whether new jobs are kept away from that executor.
    #[must_use]
    pub(super) fn is_kept(&self, executor: &str) -> bool {
        let mut taken = self.lock();
        let Some(jobs) = taken.kept.get_mut(executor) else { return false };
        jobs.retain(|_, until| !until.remaining().is_zero());
        let kept = !jobs.is_empty();
        if !kept {
            taken.kept.remove(executor);
        }
        kept
    }

    /// Takes a slot, whether one is free or not. `alone` keeps the executor for this job.
    #[must_use]
    pub(super) fn take(self: &Arc<Self>, job_type: &str, executor: &str, alone: bool) -> Slot {
        let mut taken = self.lock();
        *taken.types.entry(job_type.to_owned()).or_default() += 1;
        *taken.executors.entry(executor.to_owned()).or_default() += 1;
        if alone {
            *taken.alone.entry(executor.to_owned()).or_default() += 1;
        }
        drop(taken);
        Slot {
            slots: Arc::clone(self),
            job_type: job_type.to_owned(),
            executor: executor.to_owned(),
            alone,
        }
    }

    /// Waits until a slot was given back since the last call.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        give_back(&mut taken.types, &self.job_type);
        give_back(&mut taken.executors, &self.executor);
        if self.alone {
            give_back(&mut taken.alone, &self.executor);
        }
        drop(taken);
        self.slots.freed.notify_one();
    }
}

fn give_back(counts: &mut HashMap<String, u32>, key: &str) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executor_is_kept_until_the_last_that_it_is_kept_for_is_let_go_of() {
        let slots = Slots::default();
        let [first, second] = [JobId::new(), JobId::new()];
        slots.keep("local", first);
        slots.keep("local", first);
        slots.keep("local", second);
        assert!(slots.is_kept("local") && !slots.is_kept("docker"));
        slots.let_go("local", first);
        assert!(slots.is_kept("local"));
        slots.let_go("local", second);
        assert!(!slots.is_kept("local"));
    }

    #[test]
    fn an_executor_is_not_kept_for_a_job_that_nobody_looks_at() {
        let slots = Slots::default();
        let id = JobId::new();
        let until = |moment| {
            slots.lock().kept.entry("local".to_owned()).or_default().insert(id, moment);
        };
        until(Moment::now());
        assert!(!slots.is_kept("local"));
        until(Moment::now());
        slots.keep_on("local");
        assert!(slots.is_kept("local"), "it was looked at in time");
    }

    #[test]
    fn a_slot_comes_back_on_every_path() {
        let slots = Arc::new(Slots::default());
        let first = slots.take("score", "local", false);
        assert_eq!((slots.free("score", 2), slots.running("local")), (1, 1));
        let panicking = slots.take("score", "local", true);
        assert!(slots.is_alone("local"));
        let thread = std::thread::spawn(move || {
            let _held = panicking;
            panic!("on purpose");
        });
        thread.join().expect_err("it panicked");
        assert_eq!((slots.free("score", 2), slots.is_alone("local")), (1, false));
        drop(first);
        assert_eq!((slots.free("score", 2), slots.total()), (2, 0));
    }

    #[test]
    fn an_executor_is_kept_until_the_last_that_must_run_alone_has_gone() {
        let slots = Arc::new(Slots::default());
        // Two that recovery has found running, side by side as they were.
        let [first, second] = [slots.take("a", "local", true), slots.take("b", "local", true)];
        drop(first);
        assert!(slots.is_alone("local"));
        drop(second);
        assert!(!slots.is_alone("local"));
    }

    #[test]
    fn a_type_above_its_maximum_has_no_free_slot() {
        let slots = Arc::new(Slots::default());
        let _held = [slots.take("score", "local", false), slots.take("score", "local", false)];
        assert_eq!(slots.free("score", 1), 0);
    }
}
