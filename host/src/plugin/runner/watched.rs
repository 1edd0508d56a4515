//! Descriptors that the runtime watches.
#![expect(unsafe_code, reason = "the watching API leaves a guarantee to its caller")]

use std::{io, os::fd::OwnedFd};

use tokio::io::{Interest, unix::AsyncFd};

/// A descriptor to wait for.
pub(super) fn watched(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` stands for one open descriptor until it is dropped.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(Into::into)
}
