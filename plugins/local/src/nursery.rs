//! The executor's side of the nursery: one process that forks keepers.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use longshore_keeper::{NEW_KEEPER, limit::Limit};
use longshore_plugin_api::wire::SoftLimits;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
        SocketType, sendmsg, socketpair,
    },
};

/// How often a program that somebody is still writing is tried again. Nobody is: another thread may
/// have forked while we had the file open, and its child closes it when it executes.
const BUSY_TRIES: usize = 20;

/// Starts the nursery when there is none, and asks it for keepers.
#[derive(Debug)]
pub(crate) struct Nursery {
    program: PathBuf,
    /// What jobs may use, where that is not what this process may.
    limits: Option<SoftLimits>,
    current: Mutex<Option<Serving>>,
}

#[derive(Debug)]
struct Serving {
    requests: OwnedFd,
    process: Child,
}

impl Nursery {
    pub(crate) fn new(program: PathBuf, limits: Option<SoftLimits>) -> Self {
        Self { program, limits, current: Mutex::new(None) }
    }

    /// Asks for a keeper, and returns our end of its control socket; what is sent there waits for it.
    /// Starts a nursery, or another one if it was killed.
    ///
    /// # Errors
    ///
    /// There is no nursery to be had, or it has been leaving hundreds of requests unread.
    pub(crate) fn new_keeper(&self) -> io::Result<OwnedFd> {
        let (ours, theirs) = packet_sockets()?;
        let mut current = self.lock();
        if let Some(serving) = &*current {
            match serving.request(&theirs) {
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => bury(current.take()),
                result => return Ok(result.map(|()| ours)?),
            }
        }
        current.insert(Serving::start(&self.program, self.limits)?).request(&theirs)?;
        Ok(ours)
    }

    /// Lets the nursery go. It ends when its last keeper has; then this returns.
    pub(crate) fn close(&self) {
        let serving = self.lock().take();
        if let Some(Serving { requests, mut process }) = serving {
            drop(requests);
            let _ = process.wait();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Serving>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        bury(self.lock().take());
    }
}

/// Waits for a nursery, so that no zombie is left; elsewhere, because its keepers may take their time.
fn bury(serving: Option<Serving>) {
    let Some(Serving { requests, mut process }) = serving else { return };
    drop(requests);
    let _ = thread::Builder::new().name("nursery-end".to_owned()).spawn(move || {
        let _ = process.wait();
    });
}

impl Serving {
    fn start(program: &Path, limits: Option<SoftLimits>) -> io::Result<Self> {
        let (requests, theirs) = packet_sockets()?;
        let mut command = Command::new(program);
        if let Some(SoftLimits { data, core, .. }) = limits {
            // Of open files a job has the usual number in any case.
            command.args([Limit::Data.argument(data), Limit::Core.argument(core)]);
        }
        // No environment: each order brings its own, and what the host knows is not for jobs to read
        // in `/proc`. Stderr would keep the host's open after its end.
        command.env_clear().stdin(theirs).stdout(Stdio::null()).stderr(Stdio::null());
        let mut tries = 0;
        let process = loop {
            match command.spawn() {
                Err(error)
                    if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES =>
                {
                    tries += 1;
                    thread::yield_now();
                }
                result => break result?,
            }
        };
        Ok(Self { requests, process })
    }

    fn request(&self, control: &OwnedFd) -> rustix::io::Result<()> {
        send(&self.requests, &[NEW_KEEPER], &[control])
    }
}

/// Sends one packet with its descriptors, without waiting for room.
pub(crate) fn send<const N: usize>(
    socket: &OwnedFd,
    packet: &[u8],
    descriptors: &[&OwnedFd; N],
) -> rustix::io::Result<()> {
    let descriptors = descriptors.map(|descriptor| descriptor.as_fd());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(packet)], &mut ancillary, flags).map(drop)
}

/// Two connected sockets that keep packets apart.
fn packet_sockets() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}
