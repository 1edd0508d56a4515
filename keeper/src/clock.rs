//! Two clocks: one to wait by, one to show.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the machine started, with the time it slept. Deadlines are on this one.
pub(crate) fn boot() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Microseconds since 1970, for people.
pub(crate) fn wall() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1_000
}
