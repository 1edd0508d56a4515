//! A look at every process of the machine, for those of attempts whose keeper is dead.
//!
//! What a job starts inherits its environment, with the attempt's tag in it. A process that threw its
//! environment away is not seen here; the nursery's sweep sees it, unless that was killed too.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::Path,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use crate::clock;

const VARIABLE: &[u8] = b"LONGSHORE_ATTEMPT_TAG=";

/// What a look brought.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Processes by the tag that they carry.
    pub(crate) by_tag: HashMap<String, Vec<Pid>>,
    /// When, since the machine started, the youngest process of this user began into which we could
    /// not look.
    pub(crate) youngest_closed: Option<Duration>,
}

/// Looks for processes that carry one of `tags`.
///
/// # Errors
///
/// `/proc` cannot be read.
pub(crate) fn carrying(tags: &HashSet<&str>) -> io::Result<Found> {
    let me = rustix::process::geteuid();
    let mut found = Found::default();
    for entry in fs::read_dir("/proc")? {
        // A process that has ended meanwhile is not there, whichever of its files says so.
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Some(pid) = Pid::from_raw(pid) else {
            continue;
        };
        match fs::read(entry.path().join("environ")) {
            Ok(environment) => {
                if let Some(tag) = tag_in(&environment).filter(|tag| tags.contains(tag)) {
                    found.by_tag.entry(tag.to_owned()).or_default().push(pid);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                if owner(&entry.path()) == Some(me.as_raw()) {
                    found.youngest_closed = found.youngest_closed.max(began(&entry.path()));
                }
            }
            Err(_) => {}
        }
    }
    Ok(found)
}

fn tag_in(environment: &[u8]) -> Option<&str> {
    let mut variables = environment.split(|byte| *byte == 0);
    std::str::from_utf8(variables.find_map(|variable| variable.strip_prefix(VARIABLE))?).ok()
}

/// The real user of a process. The owner of its directory is root once it is not dumpable.
fn owner(process: &Path) -> Option<u32> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_whitespace().next()?.parse().ok()
}

/// When a process began, since the machine started. One that does not say so began now.
fn began(process: &Path) -> Option<Duration> {
    let ticks = || -> Option<u64> {
        let stat = fs::read_to_string(process.join("stat")).ok()?;
        // The name may hold anything; the fields are counted from the bracket that closes it.
        stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
    };
    let since_boot = |ticks| Duration::from_secs(ticks / rustix::param::clock_ticks_per_second());
    Some(ticks().map_or_else(clock::since_boot, since_boot))
}

/// Kills a process, if it is still one that carries the tag. Through a pidfd, because the pid may be
/// a stranger's by now.
pub(crate) fn kill(pid: Pid, tag: &str) {
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(Errno::SRCH) => return,
        Err(error) => {
            tracing::warn!(%error, pid = pid.as_raw_nonzero(), "cannot open a process to kill it");
            return;
        }
    };
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()));
    if environment.is_ok_and(|environment| tag_in(&environment) == Some(tag)) {
        let _ = pidfd_send_signal(&process, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_began_when_it_was_started() {
        let began = began(Path::new("/proc/self")).unwrap();
        assert!(began <= clock::since_boot() && began > clock::since_boot() / 1000);
        assert!(super::began(Path::new("/proc/0")).unwrap() >= began);
    }

    #[test]
    fn only_the_variable_itself_counts() {
        assert_eq!(tag_in(b"A=1\0LONGSHORE_ATTEMPT_TAG=abc\0B=2\0"), Some("abc"));
        assert_eq!(tag_in(b"X=LONGSHORE_ATTEMPT_TAG=abc\0"), None);
        assert_eq!(tag_in(b""), None);
    }
}
