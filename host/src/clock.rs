//! The two clocks of a process. Expiry in the database is judged by the database's own clock; here is
//! what everything else uses, and the only place that may ask the operating system.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// A moment on a clock that never goes back and counts the time the machine was suspended, so that a
/// laptop that slept through a deadline notices.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Moment(Duration);

/// How long a suspended machine may have been awake again before a deadline is noticed.
const LOOK: Duration = Duration::from_secs(10);

impl Moment {
    /// When the clock began.
    #[cfg(test)]
    pub(crate) const START: Self = Self(Duration::ZERO);

    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        Self(Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0)))
    }

    /// That much later.
    #[must_use]
    pub const fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }

    /// How long after `earlier` that is; zero where it is before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// How long until then; zero once it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }

    /// Waits until then. Timers do not count the time that a machine was suspended: after such a sleep
    /// the clock is looked at within ten seconds.
    pub async fn reached(self) {
        while self.remaining() > Duration::ZERO {
            tokio::time::sleep(self.remaining().min(LOOK)).await;
        }
    }

    /// How long ago that was; zero while it is still to come.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// Wall-clock time of this process in microseconds UTC; for display and file names, never for expiry.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks")]
pub fn wall_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// As [`wall_us`], in the milliseconds of everything that leaves the host.
#[must_use]
pub fn wall_ms() -> i64 {
    millis(wall_us())
}

/// Date and time, to the second: `2026-03-01 12:00:00 UTC`.
#[must_use]
pub fn utc(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| milliseconds.to_string(), |at| at.strftime("%F %T UTC").to_string())
}

/// Milliseconds of microseconds.
#[must_use]
pub const fn millis(us: i64) -> i64 {
    us.div_euclid(1000)
}
