//! What a host takes of its machine.

use std::{fs, path::Path, time::Duration};

use rustix::process::Pid;

use crate::wait::{PATIENCE, pause, wait_until};

#[derive(Clone, Debug)]
pub(super) struct Vitals {
    /// What it has in memory, in KiB.
    pub(super) memory: u64,
    /// How large its database is, in KiB.
    pub(super) database: u64,
    /// What its open descriptors are, sorted.
    pub(super) descriptors: Vec<String>,
}

/// Of a host with that state directory that has come to rest.
pub(super) fn of(pid: Pid, state: &Path) -> Vitals {
    let at = format!("/proc/{}", pid.as_raw_nonzero());
    let descriptors = wait_until("the host's descriptors come to rest", PATIENCE, || {
        let before = descriptors(&at);
        pause(Duration::from_millis(500));
        (descriptors(&at) == before).then_some(before)
    });
    let size = |name| fs::metadata(state.join(name)).map_or(0, |file| file.len() >> 10);
    let database = size("longshore.db") + size("longshore.db-wal");
    Vitals { memory: memory(pid), database, descriptors }
}

/// What it has in memory, in KiB.
pub(super) fn memory(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    let status = status.expect("the host runs");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory = memory.and_then(|memory| memory.trim().strip_suffix(" kB")?.parse().ok());
    memory.expect("a process has some memory")
}

fn descriptors(at: &str) -> Vec<String> {
    let open = fs::read_dir(format!("{at}/fd")).expect("the host runs").flatten();
    // One may be closed between the list and the look.
    let open = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    let open = open.map(|file| match file.to_string_lossy().split_once(":[") {
        // The number of a pipe or a socket.
        Some((kind, number)) if number.starts_with(|c: char| c.is_ascii_digit()) => kind.to_owned(),
        _ => file.to_string_lossy().into_owned(),
    });
    // Connections that read are opened when so many read at once for the first time, up to four.
    let mut open: Vec<_> = open.filter(|file| !file.contains("/longshore.db")).collect();
    open.sort_unstable();
    open
}

/// It takes no more than before: a tenth, and what the database has grown in the cache of each connection,
/// one that writes and up to four that read. As many jobs without any death take the same.
pub(super) fn flat(before: &Vitals, after: &Vitals) {
    assert_eq!(before.descriptors, after.descriptors, "descriptors");
    let (was, is) = (before.memory, after.memory);
    let cached = after.database.saturating_sub(before.database) * 5;
    assert!(is <= was + was / 10 + cached, "memory: {before:?} became {after:?}");
}
