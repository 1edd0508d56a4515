//! The attempts that this process has submitted.
//!
//! ```text
//!  admit ──► starting ──order──► at work ──► over ──forget──► (nothing)
//!               │ canceled: refused before the order
//!               └─────────────────────────────► over
//! ```

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use longshore_keeper::control::{Reason, Stop};
use tokio::sync::watch;

use crate::keepers::Keeper;

/// How many cancels of attempts that nobody has submitted yet are remembered.
const REMEMBERED: usize = 4096;

/// One attempt, from its submission on.
#[derive(Debug)]
pub(crate) struct Submission {
    /// What keepers know it by.
    pub(crate) number: u64,
    stage: Mutex<Stage>,
    over: watch::Sender<bool>,
}

#[derive(Debug)]
enum Stage {
    /// Its files are being made.
    Starting,
    /// As before, and somebody wants it stopped.
    Unwanted,
    /// Its keeper has the order.
    AtWork(Arc<Keeper>),
}

impl Submission {
    /// Has the order given, unless the attempt was stopped meanwhile. Nobody can stop it in between:
    /// what is asked during `give` waits, and reaches the keeper after the order.
    pub(crate) fn order<E>(
        &self,
        give: impl FnOnce() -> Result<Arc<Keeper>, E>,
    ) -> Option<Result<Arc<Keeper>, E>> {
        let mut stage = self.lock();
        if matches!(*stage, Stage::Unwanted) {
            return None;
        }
        Some(give().inspect(|keeper| *stage = Stage::AtWork(Arc::clone(keeper))))
    }

    /// Asks for the attempt's end; one that is over does not mind.
    pub(crate) fn stop(&self, reason: Reason, grace: Duration) {
        let mut stage = self.lock();
        match &*stage {
            Stage::Starting | Stage::Unwanted => *stage = Stage::Unwanted,
            Stage::AtWork(keeper) => keeper.stop(Stop { attempt: self.number, reason, grace }),
        }
    }

    /// Says that nothing of it runs any more, or that its keeper was killed.
    pub(crate) fn set_over(&self) {
        self.over.send_replace(true);
        // The keeper is somebody else's now, or must end.
        *self.lock() = Stage::Unwanted;
    }

    /// Waits for that.
    pub(crate) async fn over(&self) {
        // Fails only without a sender, and that is in `self`.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Attempts by tag.
#[derive(Debug, Default)]
pub(crate) struct Running {
    held: Mutex<Held>,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    submissions: HashMap<String, Arc<Submission>>,
    /// Canceled before they were submitted, oldest first.
    canceled: VecDeque<String>,
    stopping: bool,
}

/// Why an attempt is not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// It is here already.
    Present,
    /// It was canceled before it came.
    Canceled,
    /// The executor is being stopped.
    Stopping,
}

impl Running {
    /// Lets an attempt in, before anything of it exists: from here on a cancel finds it.
    pub(crate) fn admit(&self, tag: &str) -> Result<Arc<Submission>, Refused> {
        let mut held = self.lock();
        if held.stopping {
            return Err(Refused::Stopping);
        }
        if held.canceled.iter().any(|canceled| canceled == tag) {
            return Err(Refused::Canceled);
        }
        if held.submissions.contains_key(tag) {
            return Err(Refused::Present);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let stage = Mutex::new(Stage::Starting);
        let run = Arc::new(Submission { number, stage, over: watch::Sender::new(false) });
        held.submissions.insert(tag.to_owned(), Arc::clone(&run));
        Ok(run)
    }

    pub(crate) fn get(&self, tag: &str) -> Option<Arc<Submission>> {
        self.lock().submissions.get(tag).cloned()
    }

    /// The attempt to cancel; if it is not here, remembers that it must not be let in.
    pub(crate) fn cancel(&self, tag: &str) -> Option<Arc<Submission>> {
        let mut held = self.lock();
        if let Some(submission) = held.submissions.get(tag) {
            return Some(Arc::clone(submission));
        }
        if !held.canceled.iter().any(|canceled| canceled == tag) {
            if held.canceled.len() == REMEMBERED {
                held.canceled.pop_front();
            }
            held.canceled.push_back(tag.to_owned());
        }
        None
    }

    pub(crate) fn forget(&self, tag: &str) {
        let mut held = self.lock();
        held.submissions.remove(tag);
        held.canceled.retain(|canceled| canceled != tag);
    }

    /// Lets nobody in any more, and returns who is here.
    pub(crate) fn stop(&self) -> Vec<Arc<Submission>> {
        let mut held = self.lock();
        held.stopping = true;
        held.submissions.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_let_in_once() {
        let running = Running::default();
        running.admit("a").unwrap();
        assert_eq!(running.admit("a").unwrap_err(), Refused::Present);
        running.forget("a");
        running.admit("a").unwrap();
    }

    #[test]
    fn a_cancel_that_overtakes_its_submission_holds() {
        let running = Running::default();
        assert!(running.cancel("a").is_none());
        assert_eq!(running.admit("a").unwrap_err(), Refused::Canceled);
        running.admit("b").unwrap();
    }

    #[test]
    fn a_cancel_before_the_order_keeps_it_from_being_given() {
        let running = Running::default();
        let run = running.admit("a").unwrap();
        running.cancel("a").unwrap().stop(Reason::Cancel, Duration::ZERO);
        assert!(run.order(|| -> Result<_, ()> { panic!("the order was given") }).is_none());
    }

    #[test]
    fn nobody_is_let_in_after_the_stop() {
        let running = Running::default();
        running.admit("a").unwrap();
        assert_eq!(running.stop().len(), 1);
        assert_eq!(running.admit("b").unwrap_err(), Refused::Stopping);
    }

    #[tokio::test]
    async fn whoever_waits_for_the_end_hears_of_it_before_and_after() {
        let running = Running::default();
        let run = running.admit("a").unwrap();
        let mut early = std::pin::pin!(run.over());
        tokio::select! {
            biased;
            () = &mut early => panic!("it is not over"),
            () = tokio::task::yield_now() => {}
        }
        run.set_over();
        early.await;
        run.over().await;
    }
}
