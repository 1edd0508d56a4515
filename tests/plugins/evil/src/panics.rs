//! Panics of every kind.

use std::{panic, thread};

use crate::mode::Panic;

pub(crate) async fn act(panic: Panic, method: &str) {
    match panic {
        Panic::AfterAwait => {
            tokio::task::yield_now().await;
            panic!("asked to panic in {method}, later");
        }
        // Told by whoever is waiting: it is about what is dropped.
        Panic::Guard => {}
        _ => now(panic, method),
    }
}

/// Where nothing can be awaited.
pub(crate) fn now(panic: Panic, method: &str) {
    match panic {
        Panic::Here | Panic::AfterAwait => panic!("asked to panic in {method}"),
        Panic::Payload => panic::panic_any(PanicsWhenDropped),
        Panic::Guard => {}
        Panic::Thread => {
            let thread = thread::Builder::new().name("evil-thread".to_owned());
            let panics = thread.spawn(|| panic!("asked to panic in a thread"));
            // Waited for, so that it has happened when the method answers.
            let _ = panics.map(thread::JoinHandle::join);
        }
    }
}

/// A payload that is a second panic: the worst that a plugin can throw; and a guard whose end is one.
pub(crate) struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("asked to panic while it is dropped");
        }
    }
}
