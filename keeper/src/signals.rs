//! Signals as events: all of them blocked, `SIGCHLD` read from a descriptor.
//!
//! Blocking instead of ignoring keeps the dispositions at their defaults, so that a job needs only its
//! mask cleared. `SIGTERM` and `SIGHUP` to a whole control group thus stop jobs, not their keepers.
//!
//! These are raw calls with a 64-bit mask: the C library keeps signals 32 and 33 to itself and would
//! leave them as they were inherited.
#![expect(unsafe_code, reason = "no safe wrapper for signal masks, dispositions and `signalfd`")]

use std::{
    os::fd::{FromRawFd as _, OwnedFd},
    ptr,
};

use rustix::io::{Errno, Result};

const COUNT: libc::c_int = 64;
const MASK_BYTES: usize = size_of::<u64>();

/// Blocks every signal and resets every disposition. An ignored signal would stay ignored in the job.
pub(crate) fn take_over() -> Result<()> {
    // The kernel's `struct sigaction`, all zero: the default action, no flags.
    let default = [0_u64; 4];
    for signal in 1..=COUNT {
        // SAFETY: the structure outlives the call, and runs no code of ours. The two signals that
        // cannot be set are refused, harmlessly.
        let nowhere = ptr::null_mut::<u64>();
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &default, nowhere, MASK_BYTES) };
    }
    set_mask(u64::MAX)
}

/// Unblocks every signal.
pub(crate) fn release() -> Result<()> {
    set_mask(0)
}

fn set_mask(mask: u64) -> Result<()> {
    let (set, nowhere) = (libc::SIG_SETMASK, ptr::null_mut::<u64>());
    // SAFETY: the mask outlives the call.
    check(unsafe { libc::syscall(libc::SYS_rt_sigprocmask, set, &mask, nowhere, MASK_BYTES) })
        .map(drop)
}

/// A descriptor that is readable while `SIGCHLD` is pending.
pub(crate) fn of_children() -> Result<OwnedFd> {
    let mask = 1_u64 << (libc::SIGCHLD - 1);
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the mask outlives the call.
    let fd = check(unsafe { libc::syscall(libc::SYS_signalfd4, -1, &mask, MASK_BYTES, flags) })?;
    // SAFETY: the kernel has just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Forgets the pending `SIGCHLD`. To be called before `waitpid`: a child that ends in between makes
/// the descriptor readable again.
pub(crate) fn drain(children: &OwnedFd) {
    let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
    while rustix::io::read(children, &mut info).is_ok_and(|n| n > 0) {}
}

/// The C library's way of saying no.
pub(crate) fn check<T: Into<libc::c_long>>(answer: T) -> Result<libc::c_int> {
    let answer = answer.into();
    if answer < 0 {
        let errno = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&errno).unwrap_or(Errno::IO));
    }
    // Pids and descriptors, all of which are of this size.
    libc::c_int::try_from(answer).map_err(|_| Errno::OVERFLOW)
}
