//! Deadlines that were not kept. One slow answer is nothing yet; what follows is `supervisor`'s to say.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use longshore_plugin_api::wire::Verb;
use tokio::sync::mpsc::WeakUnboundedSender;

use super::supervisor::Ask;

/// So many overruns of one verb in a row need no further question.
pub(super) const STRIKES: u32 = 3;

#[derive(Debug)]
pub(super) struct Watchdog {
    strikes: Mutex<HashMap<&'static str, u32>>,
    /// Whether there are any: the usual answer takes no lock.
    any: AtomicBool,
    /// Weak: a supervisor that nobody needs any more must notice.
    asks: WeakUnboundedSender<Ask>,
}

impl Watchdog {
    pub(super) fn new(asks: WeakUnboundedSender<Ask>) -> Self {
        Self { strikes: Mutex::default(), any: AtomicBool::new(false), asks }
    }

    /// A call was given up.
    pub(super) fn overran(&self, verb: Verb) {
        let strikes = {
            let mut strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
            let strikes = strikes.entry(verb.name()).or_default();
            *strikes += 1;
            *strikes
        };
        self.any.store(true, Ordering::Relaxed);
        self.say(Ask::Overran { verb, strikes });
    }

    /// A call with a deadline was answered, whatever the answer.
    pub(super) fn answered(&self, verb: Verb) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let mut strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        strikes.remove(verb.name());
        self.any.store(!strikes.is_empty(), Ordering::Relaxed);
        if verb == Verb::Health {
            self.say(Ask::Answered);
        }
    }

    fn say(&self, ask: Ask) {
        // Nobody listens to what has ended.
        if let Some(asks) = self.asks.upgrade() {
            let _ = asks.send(ask);
        }
    }
}
