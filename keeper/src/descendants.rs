//! Killing whatever is below this process.
//!
//! As a subreaper we inherit each orphan in the tree under us, however many sessions it made. So it is
//! enough to kill our direct children until there are none: whoever was below them falls to us.
//!
//! A storm of forks converges, because a group is killed at one stroke: the kernel refuses a fork to
//! a process with a signal pending, and walks the group with forking locked out. A process that
//! leaves its group with every fork needs longer to fork than we need to look.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{Mode, OFlags, open},
    io::{Result, read, retry_on_intr},
    process::{Pid, Signal, getpgid, getpgrp, kill_process, kill_process_group},
};

/// Sends `SIGKILL` to each direct child but those that `spare` names, and to its process group.
/// Returns how many it found; ended children that nobody has waited for count.
///
/// # Errors
///
/// `/proc` is not mounted, or the kernel was built without `CONFIG_PROC_CHILDREN`.
pub(crate) fn kill_children(spare: impl Fn(Pid) -> bool) -> Result<usize> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let list = open(c"/proc/thread-self/children", flags, Mode::empty())?;
    let mut found = 0;
    each_pid(&list, |pid| {
        if !spare(pid) {
            found += 1;
            kill(pid);
        }
    })?;
    Ok(found)
}

/// A child that we have not waited for keeps its pid and its group's id from being used again, so
/// neither signal can reach a stranger.
fn kill(pid: Pid) {
    // A job cannot enter our session, so this is never our own group; were it ever, we would end here.
    if let Ok(group) = getpgid(Some(pid))
        && group != getpgrp()
    {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = kill_process(pid, Signal::KILL);
}

/// Reads pids separated by blanks, wherever the pieces that `read` returns are cut.
fn each_pid(list: &OwnedFd, mut act: impl FnMut(Pid)) -> Result<()> {
    let mut buffer = [0_u8; 1024];
    let mut number: i32 = 0;
    loop {
        let count = retry_on_intr(|| read(list, &mut buffer))?;
        if count == 0 {
            break;
        }
        for byte in &buffer[..count] {
            if byte.is_ascii_digit() {
                number = number.saturating_mul(10).saturating_add(i32::from(byte - b'0'));
            } else if let Some(pid) = Pid::from_raw(std::mem::take(&mut number)) {
                act(pid);
            }
        }
    }
    Pid::from_raw(number).into_iter().for_each(act);
    Ok(())
}
