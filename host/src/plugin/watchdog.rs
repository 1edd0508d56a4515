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
use crate::clock::Moment;

/// So many overruns of one verb in a row say something.
pub(super) const STRIKES: u32 = 3;

#[derive(Debug)]
pub(super) struct Watchdog {
    strikes: Mutex<HashMap<&'static str, Strikes>>,
    /// Whether there are any: the usual answer takes no lock.
    any: AtomicBool,
    /// Weak: a supervisor that nobody needs any more must notice.
    asks: WeakUnboundedSender<Ask>,
}

/// The overruns of one verb since it was answered last.
#[derive(Debug, Default)]
struct Strikes {
    count: u32,
    last: Option<Moment>,
}

impl Watchdog {
    pub(super) fn new(asks: WeakUnboundedSender<Ask>) -> Self {
        Self { strikes: Mutex::default(), any: AtomicBool::new(false), asks }
    }

    /// A call that began then was given up. Calls side by side are one silence, not several in a row.
    pub(super) fn overran(&self, verb: Verb, began: Moment) {
        let strikes = {
            let mut strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
            let strikes = strikes.entry(verb.name()).or_default();
            if strikes.last.is_none_or(|last| began >= last) {
                strikes.count += 1;
                strikes.last = Some(Moment::now());
            }
            strikes.count
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
