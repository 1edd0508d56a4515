//! How much of what a runner says is worth the host's time.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::Heard;
use crate::clock::Moment;

/// Records and lines that are taken at once.
const BURST: u32 = 2000;
/// One of them is taken so often in the long run: 500 a second.
const EVERY: Duration = Duration::from_millis(2);
/// How often it is said how many were not.
const TELL_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Meter {
    counts: Mutex<Counts>,
}

struct Counts {
    /// When all that was taken would have been taken one by one. Ahead of the clock by at most a burst.
    paid_until: Moment,
    lost: u64,
}

impl Meter {
    pub(super) fn new(now: Moment) -> Self {
        Self { counts: Mutex::new(Counts { paid_until: now, lost: 0 }) }
    }

    /// Takes one more, or says how long it is until there is room for it.
    pub(super) fn take(&self, now: Moment) -> Result<(), Duration> {
        let mut counts = self.counts();
        let wait = counts.paid_until.since(now.after(EVERY * (BURST - 1)));
        if wait > Duration::ZERO {
            return Err(wait);
        }
        counts.paid_until = counts.paid_until.max(now).after(EVERY);
        Ok(())
    }

    /// So many have been dropped.
    pub(super) fn lose(&self, count: u64) {
        self.counts().lost += count;
    }

    /// Says from time to time how many have been dropped; for ever.
    pub(super) async fn tell(&self, heard: &dyn Heard) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(TELL_EVERY).await;
            self.tell_now(heard);
        }
    }

    pub(super) fn tell_now(&self, heard: &dyn Heard) {
        let lost = std::mem::take(&mut self.counts().lost);
        if lost > 0 {
            let message = format!("it said {lost} things more than could be kept");
            heard.log(2, "longshore::plugin::runner", &message, "");
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_at_once_and_then_one_at_a_time() {
        let start = Moment::now();
        let meter = Meter::new(start);
        for _ in 0..BURST {
            meter.take(start).unwrap();
        }
        assert_eq!(meter.take(start), Err(EVERY));
        assert_eq!(meter.take(start.after(EVERY)), Ok(()));
        assert!(meter.take(start.after(EVERY)).is_err());
        let later = start.after(Duration::from_secs(60));
        let taken = (0..).take_while(|_| meter.take(later).is_ok()).count();
        assert_eq!(taken, BURST as usize, "what was not used is not saved up beyond a burst");
    }
}
