//! The first acts of a runner, before it has a second thread.
#![expect(unsafe_code, reason = "standard input, and `close_range`, have no safe owner")]

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags},
    io::fcntl_dupfd_cloexec,
    net::{SocketType, sockopt::socket_type},
    process::{Signal, set_parent_process_death_signal},
};

/// The socket that is our standard input; nothing where it is something else.
pub(super) fn settle() -> io::Result<Option<OwnedFd>> {
    // SAFETY: nothing in this process has touched standard input yet.
    let inherited = unsafe { BorrowedFd::borrow_raw(0) };
    if socket_type(inherited) != Ok(SocketType::SEQPACKET) {
        return Ok(None);
    }
    let socket = fcntl_dupfd_cloexec(inherited, 3)?;
    // What a plugin reads from standard input must not be the host's frames.
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    // SAFETY: both are open, and nobody owns the latter.
    if unsafe { libc::dup2(null.as_raw_fd(), 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // Whatever the host has leaked to us must not reach the plugin's children as well. Old kernels
    // cannot, and leak.
    // SAFETY: sets a flag of descriptors.
    let _ = unsafe {
        libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int)
    };
    // A host that is killed closes the socket, which a stopped or blocked runner does not see. The
    // socket covers the time before this.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Else it would be called `exe`.
    let _ = rustix::thread::set_name(c"longshore-run");
    Ok(Some(socket))
}
