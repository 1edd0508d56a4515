//! The end of what earlier lives of the plugin have left: calls that nobody waits for any more.

use std::{fs, io, path::Path};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, test_kill_process_group},
};

use crate::life::{self, Dead};

/// How long a killed process may take to end.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Kills what is left of the calls of lives that are over, and removes their files. Until that is done
/// nobody can prove that an attempt is gone: a `submit` may still be on its way.
///
/// # Errors
///
/// Something is left.
pub(crate) fn settle(state_dir: &Path) -> io::Result<()> {
    // Whoever comes meanwhile waits, since it would take a life that is being settled for a living one.
    let _turn = life::turn(state_dir)?;
    for dead in life::dead(state_dir)? {
        for group in dead.groups()? {
            end(group, &dead)?;
        }
        match fs::remove_dir_all(&dead.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Kills what is left of a call's group. What has left the group is not the call, but its work.
fn end(group: Pid, dead: &Dead) -> io::Result<()> {
    while let Some((member, ended)) = member(group, dead.mark.as_bytes())? {
        // All at once, so that no child escapes; as long as one of them lives the number is theirs.
        let _ = kill_process_group(group, Signal::KILL);
        if poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&PATIENCE))? == 0 {
            let pid = member.as_raw_nonzero();
            let message = format!("process {pid} of an earlier call was killed and does not end");
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
    }
    Ok(())
}

/// A living process of the group that has the mark. Without it the number has passed to a stranger.
fn member(group: Pid, mark: &[u8]) -> io::Result<Option<(Pid, OwnedFd)>> {
    // What only waits to be reaped still counts here, so that this proves nothing else.
    if test_kill_process_group(group) == Err(Errno::SRCH) {
        return Ok(None);
    }
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok());
        let Some(pid) = number.and_then(Pid::from_raw) else { continue };
        let process = Path::new("/proc").join(&name);
        if group_of(&process) != Some(group) {
            continue;
        }
        // Nothing to read of what has ended, or is another user's.
        let environment = fs::read(process.join("environ"));
        let marked = environment.is_ok_and(|all| all.split(|&byte| byte == 0).any(|v| v == mark));
        if marked && let Ok(ended) = pidfd_open(pid, PidfdFlags::empty()) {
            return Ok(Some((pid, ended)));
        }
    }
    Ok(None)
}

/// Not by `getpgid`: what the kernel does by itself, and what has come from outside a container, is in no
/// group that has a number, and a `Pid` cannot be nothing.
fn group_of(process: &Path) -> Option<Pid> {
    let stat = fs::read(process.join("stat")).ok()?;
    // The name may hold anything, also the end of a name.
    let after = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let group = str::from_utf8(&stat[after..]).ok()?.split_ascii_whitespace().nth(2)?;
    group.parse().ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::CommandExt as _,
        process::{Child, Command},
    };

    use super::*;

    struct Sleeping(Child);

    impl Drop for Sleeping {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// The whole of `/proc` is looked through for a stranger, processes of no group included.
    #[test]
    fn a_member_is_who_has_the_group_and_the_mark() {
        let mut sleep = Command::new("sleep");
        let child = sleep.arg("600").process_group(0).env("MARK", "ours").spawn();
        let child = Sleeping(child.expect("there is a `sleep`"));
        let group = Pid::from_child(&child.0);
        let found =
            |mark: &[u8]| member(group, mark).expect("it can be looked for").map(|one| one.0);
        assert_eq!(found(b"MARK=ours"), Some(group));
        assert_eq!(found(b"MARK=theirs"), None);
        assert_eq!(group_of(Path::new("/proc/self")), Some(rustix::process::getpgrp()));
    }
}
