//! A descriptor that the runtime waits for.
#![expect(unsafe_code, reason = "the runtime asks for a promise about the descriptor")]

use std::{io, os::fd::OwnedFd};

use tokio::io::{Interest, unix::AsyncFd};

/// Hands a non-blocking descriptor to the runtime, to wait until it can be read. It is closed with what
/// is returned.
pub(crate) fn register(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, and always the same number, until it is dropped; and nobody takes
    // it out of the `AsyncFd` without ending the registration.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }.map_err(Into::into)
}
