//! Waiting for something to become true in another process.

use std::{thread, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// Longer than anything takes on a machine that does three other things: a limit, not a measure.
pub const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `condition` answers, and returns the answer.
///
/// # Panics
///
/// It has not answered within `limit`; `what` says what was waited for.
#[track_caller]
pub fn wait_until<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = now() + limit;
    loop {
        if let Some(answer) = condition() {
            return answer;
        }
        assert!(now() < until, "waited {limit:?} in vain until {what}");
        pause(PAUSE);
    }
}

/// Lets time pass where passing time is what a test is about: the moment of a kill.
#[expect(clippy::disallowed_methods, reason = "other processes have no condition to wait on")]
pub fn pause(time: Duration) {
    thread::sleep(time);
}

/// Since the machine started.
#[must_use]
pub fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}
