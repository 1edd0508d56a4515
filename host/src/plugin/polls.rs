//! How long a plugin holds the threads that ask it. It must not: those of the host renew leases, and the
//! one of a runner carries every other call.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use longshore_plugin_api::wire::Verb;

use crate::clock::Moment;

/// What is longer than this was not only looking whether there is something to do.
const LONG: Duration = Duration::from_millis(10);
/// Between two complaints.
const PAUSE: Duration = Duration::from_secs(10);

type Say = Box<dyn Fn(&str) + Send + Sync>;

/// Watches one executor.
pub(super) struct Polls {
    say: Say,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    last: Option<Moment>,
    /// So many were long since then.
    since: u32,
}

impl Polls {
    pub(super) fn new(say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { say: Box::new(say), told: Mutex::default() }
    }

    /// Runs what should return at once.
    pub(super) fn watch<T>(&self, verb: Verb, poll: impl FnOnce() -> T) -> T {
        let begun = Moment::now();
        let polled = poll();
        let now = Moment::now();
        let took = now.since(begun);
        if took > LONG {
            self.long(verb, took, now);
        }
        polled
    }

    fn long(&self, verb: Verb, took: Duration, now: Moment) {
        let more = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.last.is_some_and(|last| now < last.after(PAUSE)) {
                told.since += 1;
                return;
            }
            told.last = Some(now);
            std::mem::take(&mut told.since)
        };
        let (verb, took) = (verb.name(), took.as_millis());
        let often = match more {
            0 => String::new(),
            n => format!("; {n} calls more did so since this was said last"),
        };
        (self.say)(&format!(
            "the plugin held the thread that asked it for {took} ms in `{verb}`{often}"
        ));
    }
}

impl fmt::Debug for Polls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Polls")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_thread_that_is_held_is_told_once_in_ten_seconds_with_a_count() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let polls = {
            let heard = Arc::clone(&heard);
            Polls::new(move |text| heard.lock().unwrap().push(text.to_owned()))
        };
        let at = |millis| Moment::START.after(Duration::from_millis(millis));
        let long = |now| polls.long(Verb::Wait, Duration::from_millis(212), at(now));
        [0, 1, 9_999, 10_000, 12_000].into_iter().for_each(long);
        assert_eq!(polls.watch(Verb::Submit, || 7), 7);
        assert_eq!(
            *heard.lock().unwrap(),
            [
                "the plugin held the thread that asked it for 212 ms in `wait`",
                "the plugin held the thread that asked it for 212 ms in `wait`; 2 calls more did so \
                 since this was said last",
            ]
        );
    }
}
