//! Calls that wait for their answers. Each is answered exactly once, also one that was dropped: so an
//! answer that nobody asked for shows.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::frame::Violation;

/// An answer, or the payload of a failure.
pub(super) type Reply = Result<String, String>;

#[derive(Default)]
pub(super) struct Pending {
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
    /// Answers to come for which nobody waits.
    dropped: HashSet<u64>,
    closed: bool,
}

impl Pending {
    /// A call to be sent; nothing once the runner is dead.
    pub(super) fn enter(&self) -> Option<(u64, oneshot::Receiver<Reply>)> {
        let mut calls = self.calls();
        if calls.closed {
            return None;
        }
        calls.last += 1;
        let (answer, answered) = oneshot::channel();
        let id = calls.last;
        calls.waiting.insert(id, answer);
        Some((id, answered))
    }

    /// The call has not been sent.
    pub(super) fn forget(&self, id: u64) {
        let mut calls = self.calls();
        calls.waiting.remove(&id);
        calls.dropped.remove(&id);
    }

    /// Nobody waits for it any more. Whether its answer is still to come.
    pub(super) fn drop(&self, id: u64) -> bool {
        let mut calls = self.calls();
        let comes = calls.waiting.remove(&id).is_some();
        if comes {
            calls.dropped.insert(id);
        }
        comes
    }

    pub(super) fn answer(&self, id: u64, reply: Reply) -> Result<(), Violation> {
        let mut calls = self.calls();
        match calls.waiting.remove(&id) {
            Some(call) => {
                drop(calls);
                // Dropped in this moment: then it is in neither.
                let _ = call.send(reply);
                Ok(())
            }
            None if calls.dropped.remove(&id) => Ok(()),
            None => Err(Violation(format!("an answer to call {id}, which is not open"))),
        }
    }

    /// No call is answered any more.
    pub(super) fn close(&self) {
        let waiting = {
            let mut calls = self.calls();
            calls.closed = true;
            std::mem::take(&mut calls.waiting)
        };
        // Each sees the end; outside of the lock, which they may take.
        drop(waiting);
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_once_and_only_if_it_was_asked_for() {
        let pending = Pending::default();
        let (id, mut answer) = pending.enter().unwrap();
        pending.answer(id, Ok("a".to_owned())).unwrap();
        assert_eq!(answer.try_recv().unwrap().unwrap(), "a");
        let again = pending.answer(id, Ok("b".to_owned())).unwrap_err();
        assert_eq!(again.0, "an answer to call 1, which is not open");
        assert!(pending.answer(99, Ok(String::new())).is_err());
    }

    #[test]
    fn the_answer_to_a_dropped_call_is_no_mistake_once() {
        let pending = Pending::default();
        let (id, _) = pending.enter().unwrap();
        assert!(pending.drop(id));
        assert!(!pending.drop(id));
        pending.answer(id, Err(String::new())).unwrap();
        assert!(pending.answer(id, Err(String::new())).is_err());
    }

    #[test]
    fn nothing_waits_after_the_end() {
        let pending = Pending::default();
        let (_, mut answer) = pending.enter().unwrap();
        pending.close();
        assert_eq!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert!(pending.enter().is_none());
    }
}
