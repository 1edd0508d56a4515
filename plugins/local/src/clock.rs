//! The clock of deadlines: it goes on while the machine sleeps, and nobody sets it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since the machine started.
pub(crate) fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    // The kernel's values are never negative, and the fraction is below a second.
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// A moment or a length as the keeper counts it; what is too long is for ever.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
