//! A look at every process of the machine, for those of attempts whose keeper is dead.
//!
//! What a job starts inherits its environment, with the attempt's tag in it, and the pipe of its output,
//! whose other ends nobody else has: either is enough to be killed. Who works in the attempt's
//! directory, or has a file of it open, may be a person who looks at it: it is not killed, but as long
//! as it is there nothing is proven. A process that has got rid of all four is not seen here; the
//! nursery's sweep sees it, unless that was killed too.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal},
};

use crate::clock;

const VARIABLE: &[u8] = b"LONGSHORE_ATTEMPT_TAG=";

/// What the processes of an attempt are known by.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) tag: String,
    /// The inode of its output's pipe, where its keeper got as far as to note it.
    pub(crate) pipe: Option<u64>,
    pub(crate) directory: PathBuf,
}

/// What a process shows of itself.
struct Shown {
    environment: Vec<u8>,
    /// Where its current and root directory and its open files are; pipes by their inodes.
    links: Vec<PathBuf>,
}

impl Shown {
    /// Looks at a process as far as it lets us; the environment is what it must.
    fn of(process: &Path) -> io::Result<Self> {
        let environment = fs::read(process.join("environ"))?;
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let links = [process.join("cwd"), process.join("root")]
            .into_iter()
            .chain(files.map(|file| file.path()))
            .filter_map(|link| fs::read_link(link).ok())
            .collect();
        Ok(Self { environment, links })
    }

    fn belongs_to(&self, mark: &Mark) -> bool {
        let pipe = mark.pipe.map(|inode| PathBuf::from(format!("pipe:[{inode}]")));
        tag_in(&self.environment) == Some(&mark.tag)
            || pipe.is_some_and(|pipe| self.links.contains(&pipe))
    }

    fn is_in(&self, directory: &Path) -> bool {
        self.links.iter().any(|link| link.starts_with(directory))
    }
}

/// What a look brought.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The processes of an attempt, by its tag.
    pub(crate) of: HashMap<String, Vec<Pid>>,
    /// Those that only have to do with its directory, likewise.
    pub(crate) near: HashMap<String, Vec<Pid>>,
    /// When, since the machine started, the youngest process of this user began into which we could
    /// not look.
    pub(crate) youngest_closed: Option<Duration>,
}

/// Looks for the processes of attempts.
///
/// # Errors
///
/// `/proc` cannot be read.
pub(crate) fn look_for(marks: &[Mark]) -> io::Result<Found> {
    let me = rustix::process::geteuid();
    let mut found = Found::default();
    for entry in fs::read_dir("/proc")? {
        // A process that has ended meanwhile is not there, whichever of its files says so.
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // We ourselves may be reading the output.
        let Some(pid) = Pid::from_raw(pid).filter(|pid| *pid != getpid()) else {
            continue;
        };
        match Shown::of(&entry.path()) {
            Ok(shown) => {
                for mark in marks {
                    let whose = if shown.belongs_to(mark) {
                        &mut found.of
                    } else if shown.is_in(&mark.directory) {
                        &mut found.near
                    } else {
                        continue;
                    };
                    whose.entry(mark.tag.clone()).or_default().push(pid);
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

/// Kills a process, if it is still one of the attempt's. Through a pidfd, because the pid may be
/// a stranger's by now.
pub(crate) fn kill(pid: Pid, mark: &Mark) {
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(Errno::SRCH) => return,
        Err(error) => {
            tracing::warn!(%error, pid = pid.as_raw_nonzero(), "cannot open a process to kill it");
            return;
        }
    };
    let shown = Shown::of(Path::new(&format!("/proc/{}", pid.as_raw_nonzero())));
    if shown.is_ok_and(|shown| shown.belongs_to(mark)) {
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
