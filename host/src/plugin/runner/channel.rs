//! One end of the socket between host and runner.
//!
//! Sending never waits: a frame goes out at once from the thread that has it, which saves the hop to a
//! writer, and queues up only while the socket is full. Whoever has the channel runs [`Channel::pump`]
//! beside it.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd as _, OwnedFd},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use longshore_plugin_api::{Error, ErrorKind, wire::Verb};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
        SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
        recvmsg, sendmsg, shutdown, socketpair, sockopt,
    },
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
};

use super::{
    frame::{Frame, HEADER, Header, Kind, MAX_PACKET, MAX_PAYLOAD, Violation},
    message::failure,
    payload,
    watched::watched,
};

/// Asked for; the kernel gives what it allows.
const SEND_BUFFER: usize = 1 << 20;
/// How long to wait where the kernel is short of what no socket tells of.
const SCARCE: Duration = Duration::from_millis(10);

pub(super) struct Channel {
    socket: AsyncFd<OwnedFd>,
    waiting: Mutex<VecDeque<Packet>>,
    more: Notify,
    /// What fits into a packet.
    most: usize,
    /// Where a long payload goes, where there are no files in memory.
    scratch: PathBuf,
}

/// A frame that is on its way, and what travels with it.
struct Packet {
    kind: Kind,
    id: u64,
    bytes: Vec<u8>,
    file: Option<OwnedFd>,
}

/// Why a frame has not been sent. The other side knows nothing of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsent {
    #[error("the other side is gone")]
    Gone,
    #[error("{0} bytes; nothing may be longer than {MAX_PAYLOAD}")]
    TooLong(usize),
    #[error("cannot be passed: {0}")]
    Refused(io::Error),
}

/// Both ends; the second is for the other process.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

impl Channel {
    pub(super) fn new(socket: OwnedFd, scratch: PathBuf) -> io::Result<Self> {
        // Less is slower, and no worse.
        let _ = sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER);
        // What is larger than the buffer is never taken, and half of it is the kernel's own.
        let most = MAX_PACKET.min(sockopt::socket_send_buffer_size(&socket)? / 2);
        let socket = watched(socket, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { socket, waiting: Mutex::default(), more: Notify::new(), most, scratch })
    }

    /// Sends a frame, or keeps it until there is room.
    pub(super) fn send(
        &self,
        kind: Kind,
        id: u64,
        verb: Option<Verb>,
        payload: &str,
    ) -> Result<(), Unsent> {
        let len = u32::try_from(payload.len()).ok().filter(|len| *len as usize <= MAX_PAYLOAD);
        let len = len.ok_or(Unsent::TooLong(payload.len()))?;
        tracing::trace!(?kind, ?verb, id, len, "sent");
        let header = Header { kind, verb, id, len, apart: HEADER + payload.len() > self.most };
        let (head, body, file) = if header.apart {
            let file = payload::write(payload, &self.scratch).map_err(Unsent::Refused)?;
            (header.encode(), &[][..], Some(file))
        } else {
            (header.encode(), payload.as_bytes(), None)
        };
        // Held over the call, which never waits: frames leave in the order in which they were given, or
        // a call that nobody wants any more would arrive after that news.
        let mut waiting = self.waiting();
        let sent = if waiting.is_empty() {
            self.put(&[IoSlice::new(&head), IoSlice::new(body)], file.as_ref())
        } else {
            Err(Errno::AGAIN)
        };
        match sent {
            Err(errno) if passes(errno) => {
                waiting.push_back(Packet { kind, id, bytes: [&head[..], body].concat(), file });
                self.more.notify_one();
                Ok(())
            }
            sent => sent.map_err(unsent),
        }
    }

    /// Takes back a call that has not left yet.
    pub(super) fn take_back(&self, id: u64) -> bool {
        let mut waiting = self.waiting();
        let at = waiting.iter().position(|packet| packet.kind != Kind::Drop && packet.id == id);
        at.and_then(|at| waiting.remove(at)).is_some()
    }

    /// Sends what waits for room, for ever. Answers when the other side takes no more.
    pub(super) async fn pump(&self) -> Unsent {
        loop {
            let flushed = self.socket.async_io(Interest::WRITABLE, |_| Ok(self.flush()?)).await;
            match flushed.map_err(|error| Errno::from_io_error(&error)) {
                Ok(()) => self.more.notified().await,
                // The socket would say that it has room.
                Err(Some(errno)) if passes(errno) => tokio::time::sleep(SCARCE).await,
                Err(errno) => return unsent(errno.unwrap_or(Errno::IO)),
            }
        }
    }

    /// Sends what waits, as long as there is room.
    pub(super) fn flush(&self) -> Result<(), Errno> {
        let mut waiting = self.waiting();
        while let Some(Packet { bytes, file, .. }) = waiting.front() {
            self.put(&[IoSlice::new(bytes)], file.as_ref())?;
            waiting.pop_front();
        }
        Ok(())
    }

    /// Whether everything has left.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    fn put(&self, bytes: &[IoSlice<'_>], file: Option<&OwnedFd>) -> Result<(), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let file = file.map(|file| [file.as_fd()]);
        if let Some(file) = &file {
            ancillary.push(SendAncillaryMessage::ScmRights(file));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(self.socket.get_ref(), bytes, &mut ancillary, flags).map(drop)
    }

    /// The next frame; nothing at the end.
    pub(super) async fn receive(&self, packet: &mut [u8]) -> Result<Option<Frame>, Violation> {
        let received =
            self.socket.async_io(Interest::READABLE, |socket| Ok(get(socket, packet)?)).await;
        read(received, packet)
    }

    /// The next frame, if it is here already.
    pub(super) fn receive_now(&self, packet: &mut [u8]) -> Result<Option<Frame>, Violation> {
        match get(self.socket.get_ref(), packet) {
            Err(Errno::AGAIN) => Ok(None),
            received => read(received.map_err(Into::into), packet),
        }
    }

    /// Says that nothing more comes from here. What the other side says still arrives.
    pub(super) fn close(&self) {
        // It may be gone already.
        let _ = shutdown(self.socket.get_ref(), Shutdown::Write);
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Packet>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for one packet.
pub(super) fn packet() -> Vec<u8> {
    vec![0; MAX_PACKET]
}

/// The length of a packet, and what came with it.
type Received = (usize, ReturnFlags, Vec<OwnedFd>);

fn read(received: io::Result<Received>, packet: &[u8]) -> Result<Option<Frame>, Violation> {
    let (len, flags, mut files) =
        received.map_err(|e| Violation(format!("through a socket that fails: {e}")))?;
    // Of what there is room for, nothing came: the kernel had no descriptor to give.
    let lost = flags.contains(ReturnFlags::CTRUNC) && files.is_empty();
    if flags.contains(ReturnFlags::TRUNC) || flags.contains(ReturnFlags::CTRUNC) && !lost {
        return Err(Violation(format!("a packet of more than {MAX_PACKET} bytes or one file")));
    }
    if len == 0 {
        return Ok(None);
    }
    let (header, rest) = Header::decode(&packet[..len])?;
    let Header { kind, verb, id, len, apart } = header;
    match kind {
        Kind::Answer | Kind::Fail if lost && apart => return Ok(Some(unheard(id))),
        _ if lost => {
            let why = format!("a {kind:?} with a file, for which there is no free descriptor");
            return Err(Violation(why));
        }
        _ => {}
    }
    let payload = match (apart, files.pop(), files.len()) {
        (false, None, _) => payload::text(rest.to_vec())?,
        (true, Some(file), 0) => payload::read(file, len)?,
        (_, file, more) => {
            let files = more + usize::from(file.is_some());
            return Err(Violation(format!("a {kind:?} with {files} files")));
        }
    };
    tracing::trace!(?kind, ?verb, id, len, "received");
    Ok(Some(Frame { kind, verb, id, payload }))
}

/// Instead of an answer that could not be taken: it is this process that is short of something, not the
/// other that does not keep to the protocol, and what has come of the call is unknown.
fn unheard(id: u64) -> Frame {
    let message = "its answer is lost: this process has no free file descriptor to take it with";
    let payload = failure(&Error::new(ErrorKind::Exhausted, message));
    Frame { kind: Kind::Fail, verb: None, id, payload }
}

fn get(socket: &OwnedFd, packet: &mut [u8]) -> Result<Received, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let mut receive = || recvmsg(socket, &mut [IoSliceMut::new(packet)], &mut ancillary, flags);
    let received = match receive() {
        // Said once, of what the other side had not read when it closed its end. What it had said
        // before is still to come.
        Err(Errno::CONNRESET) => receive(),
        received => received,
    }?;
    let files = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    // More than the one that may come: whoever receives it says so.
    let files = files.flatten().collect();
    Ok((received.bytes, received.flags, files))
}

/// Whether it is over when somebody has read, or the kernel has what it needs again.
fn passes(errno: Errno) -> bool {
    matches!(errno, Errno::AGAIN | Errno::INTR | Errno::NOBUFS | Errno::NOMEM | Errno::TOOMANYREFS)
}

fn unsent(errno: Errno) -> Unsent {
    match errno {
        Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => Unsent::Gone,
        other => Unsent::Refused(other.into()),
    }
}

#[cfg(test)]
mod tests;
