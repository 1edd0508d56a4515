//! What a host takes of its machine.

use std::{fs, time::Duration};

use rustix::process::Pid;

use crate::wait::{PATIENCE, pause, wait_until};

#[derive(Clone, Copy, Debug)]
pub(super) struct Vitals {
    /// What it has in memory, in KiB.
    pub(super) memory: u64,
    /// How many descriptors are open.
    pub(super) descriptors: usize,
}

/// Of a host that has come to rest.
pub(super) fn of(pid: Pid) -> Vitals {
    let at = format!("/proc/{}", pid.as_raw_nonzero());
    let descriptors = || fs::read_dir(format!("{at}/fd")).map(Iterator::count).unwrap_or_default();
    let descriptors = wait_until("the host's descriptors come to rest", PATIENCE, || {
        let before = descriptors();
        pause(Duration::from_millis(500));
        (descriptors() == before).then_some(before)
    });
    let status = fs::read_to_string(format!("{at}/status")).expect("the host runs");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory = memory.and_then(|memory| memory.trim().strip_suffix(" kB")?.parse().ok());
    Vitals { memory: memory.expect("a process has some memory"), descriptors }
}

/// It takes no more than before.
pub(super) fn flat(before: Vitals, after: Vitals) {
    assert_eq!(before.descriptors, after.descriptors, "descriptors");
    let (was, is) = (before.memory, after.memory);
    assert!(is <= was + was / 10, "memory: {was} KiB became {is} KiB");
}
