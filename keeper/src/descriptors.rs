//! Packets with descriptors, and getting rid of those that are not ours.
#![expect(unsafe_code, reason = "`close_range` has no safe wrapper")]

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd as _, OwnedFd, RawFd},
};

use rustix::{
    io::{Result, retry_on_intr},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, RecvMsg, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};

use crate::signals::check;

/// Reads one packet without waiting, and the descriptors that came with it, up to `N`. Zero bytes are
/// the end of file; a descriptor for which there was no room is `None`.
pub(crate) fn receive<const N: usize>(
    socket: &OwnedFd,
    packet: &mut [u8],
) -> Result<(usize, [Option<OwnedFd>; N])> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let RecvMsg { bytes, .. } =
        retry_on_intr(|| recvmsg(socket, &mut [IoSliceMut::new(packet)], &mut ancillary, flags))?;
    let mut descriptors = [const { None }; N];
    let received = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    for (place, descriptor) in descriptors.iter_mut().zip(received.flatten()) {
        *place = Some(descriptor);
    }
    Ok((bytes, descriptors))
}

/// Sends one packet with one descriptor, without waiting.
pub(crate) fn send(socket: &OwnedFd, packet: &[u8], descriptor: &OwnedFd) -> Result<()> {
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    retry_on_intr(|| sendmsg(socket, &[IoSlice::new(packet)], &mut ancillary, flags)).map(drop)
}

/// Closes everything from 3 up but what is listed.
pub(crate) fn close_all_but(ours: &mut [RawFd]) -> Result<()> {
    ours.sort_unstable();
    let mut from = 3;
    for keep in ours.iter().chain([&RawFd::MAX]) {
        if from < *keep {
            // SAFETY: closes descriptors that no value in this process owns: after a fork those are
            // the parent's, and before the first request there are none.
            check(unsafe { libc::close_range(from.unsigned_abs(), keep.unsigned_abs() - 1, 0) })?;
        }
        from = keep.saturating_add(1);
    }
    Ok(())
}

/// The number of a descriptor.
pub(crate) fn number(descriptor: &impl AsFd) -> RawFd {
    descriptor.as_fd().as_raw_fd()
}
