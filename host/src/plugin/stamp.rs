//! What tells one content of a file from the next without reading it.

use std::{fs::Metadata, os::unix::fs::MetadataExt as _, time::Duration};

use rustix::{
    thread::nanosleep,
    time::{ClockId, Timespec, clock_gettime},
};

/// Which file, and when it last changed. A change of mode or owner counts, by its ctime.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// In nanoseconds UTC.
    modified: i128,
    /// In nanoseconds UTC. Nobody but the system's clock sets it.
    changed: i128,
}

/// A tick is 10 ms at most.
const TICKS: u32 = 50;
const A_WHILE: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

impl Stamp {
    pub(super) fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: nanoseconds(file.mtime(), file.mtime_nsec()),
            changed: nanoseconds(file.ctime(), file.ctime_nsec()),
        }
    }

    /// Waits until a change would show. Times of files move by the tick, so a second change within
    /// the tick of the first leaves the stamp as it is. A ctime that the clock does not reach soon
    /// comes from another machine's clock.
    pub(super) fn wait_out_its_tick(self) {
        for _ in 0..TICKS {
            // The clock that the kernel takes times of files from.
            let now = clock_gettime(ClockId::RealtimeCoarse);
            if nanoseconds(now.tv_sec, now.tv_nsec) > self.changed {
                break;
            }
            // Woken early by a signal, it looks at the clock again.
            let _ = nanosleep(&A_WHILE);
        }
    }

    /// Whether it was written or changed within `span` before `now`, in nanoseconds UTC. A time that
    /// lies as near in the future is one of a clock that was set.
    pub(super) fn is_younger(self, span: Duration, now: i128) -> bool {
        [self.modified, self.changed].iter().any(|then| then.abs_diff(now) < span.as_nanos())
    }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The stamp of a file that was written at that time.
    pub(in super::super) fn written(inode: u64, at: i128) -> Stamp {
        Stamp { device: 1, inode, size: 7, modified: at, changed: at }
    }

    #[test]
    fn a_file_is_young_by_either_of_its_times() {
        let span = Duration::from_nanos(200);
        let old = written(1, 1_000);
        assert!(old.is_younger(span, 1_100) && !old.is_younger(span, 1_200));
        // `cp -p` writes now and says that it was then; `chmod` the other way round.
        assert!(Stamp { modified: 5, ..old }.is_younger(span, 1_100));
        assert!(Stamp { changed: 1_150, ..old }.is_younger(span, 1_200));
        assert!(!Stamp { modified: 9_000, ..old }.is_younger(span, 5_000), "an archive's");
    }
}
