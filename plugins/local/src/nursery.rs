//! The executor's side of the nursery: one process that forks a keeper for each order.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use longshore_keeper::order::DESCRIPTORS;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
        SocketType, sendmsg, socketpair,
    },
};

use crate::{attempt_dir::Opened, clock};

/// How often a program that somebody is still writing is tried again. Nobody is: another thread may
/// have forked while we had the file open, and its child closes it when it executes.
const BUSY_TRIES: usize = 20;

/// How long a nursery may leave its orders unread.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two tries to send.
const PAUSE: Duration = Duration::from_millis(2);

/// Starts nurseries when there is none, and sends them orders.
#[derive(Debug)]
pub(crate) struct Nursery {
    program: PathBuf,
    current: Mutex<Option<Arc<Serving>>>,
}

#[derive(Debug)]
struct Serving {
    orders: OwnedFd,
    process: Mutex<Option<Child>>,
}

impl Nursery {
    pub(crate) fn new(program: PathBuf) -> Self {
        Self { program, current: Mutex::new(None) }
    }

    /// Sends an order with what belongs to it; starts a nursery, or another one if it was killed.
    /// Whoever stops waiting has not given the order.
    ///
    /// # Errors
    ///
    /// There is no nursery to be had, or it takes no orders. This one has not been given.
    pub(crate) async fn order(
        &self,
        packet: &[u8],
        control: OwnedFd,
        opened: Opened,
    ) -> io::Result<()> {
        let until = clock::since_boot() + PATIENCE;
        let mut serving = self.serving()?;
        let mut replaced = false;
        loop {
            match serving.send(packet, &control, &opened) {
                Ok(()) => return Ok(()),
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) if !replaced => {
                    self.part_with(&serving);
                    serving = self.serving()?;
                    replaced = true;
                }
                // Hundreds of orders are waiting. The socket is not watched for room, because that
                // would cost every order what this costs one in a thousand.
                Err(Errno::AGAIN) if clock::since_boot() < until => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Lets the nursery go. It ends when its last keeper has; then this returns.
    pub(crate) fn close(&self) {
        let serving = self.lock().take();
        if let Some(mut process) = serving.and_then(|serving| {
            let mut process = serving.process.lock().unwrap_or_else(PoisonError::into_inner);
            process.take()
        }) {
            let _ = process.wait();
        }
    }

    fn serving(&self) -> io::Result<Arc<Serving>> {
        let mut current = self.lock();
        if let Some(serving) = &*current {
            return Ok(Arc::clone(serving));
        }
        Ok(Arc::clone(current.insert(Arc::new(Serving::start(&self.program)?))))
    }

    fn part_with(&self, broken: &Arc<Serving>) {
        let mut current = self.lock();
        // Somebody else may have met the same broken socket, and started another already.
        if current.as_ref().is_some_and(|serving| Arc::ptr_eq(serving, broken)) {
            *current = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Serving>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Serving {
    fn start(program: &Path) -> io::Result<Self> {
        let (orders, theirs) = packet_sockets()?;
        let mut command = Command::new(program);
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
        Ok(Self { orders, process: Mutex::new(Some(process)) })
    }

    fn send(&self, packet: &[u8], control: &OwnedFd, opened: &Opened) -> rustix::io::Result<()> {
        let descriptors = [control.as_fd(), opened.directory.as_fd(), opened.exit_file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        // A nursery that does not read must not block a thread of ours.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&self.orders, &[IoSlice::new(packet)], &mut ancillary, flags).map(drop)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // Waited for, so that no zombie is left; elsewhere, because its keepers may take their time.
        if let Some(mut process) = process {
            let _ = thread::Builder::new().name("nursery-end".to_owned()).spawn(move || {
                let _ = process.wait();
            });
        }
    }
}

/// Two connected sockets that keep packets apart.
pub(crate) fn packet_sockets() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}
