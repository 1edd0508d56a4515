//! How the nursery comes to hold the lock of each running attempt without being disturbed by any.
//!
//! A keeper sends the `exit` file of its attempt through a socket whose other end it shares with the
//! nursery, and takes it back when it is done. In between the file lies in the socket: open, and
//! therefore locked, whatever becomes of the keeper. Only when a keeper is killed does the nursery look
//! whether there is something.

use std::os::fd::OwnedFd;

use rustix::{
    io::Result,
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
};

use crate::descriptors;

/// The socket, both ends of it.
#[derive(Debug)]
pub(crate) struct Deposit {
    near: OwnedFd,
    far: OwnedFd,
}

impl Deposit {
    pub(crate) fn new() -> Result<Self> {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let (near, far) = socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
        Ok(Self { near, far })
    }

    /// Leaves a file.
    pub(crate) fn leave(&self, file: &OwnedFd) -> Result<()> {
        descriptors::send(&self.near, b"L", file)
    }

    /// Takes the file that was left, if there is one.
    pub(crate) fn take(&self) -> Option<OwnedFd> {
        let (_, [file]) = descriptors::receive(&self.far, &mut [0; 1]).ok()?;
        file
    }

    /// Both ends, for `close_all_but`.
    pub(crate) fn numbers(&self) -> [i32; 2] {
        [descriptors::number(&self.near), descriptors::number(&self.far)]
    }
}
