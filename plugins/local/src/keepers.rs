//! Keepers at work, and those that wait for their next order.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use longshore_keeper::control::{Done, PACKET_BYTES, Stop};
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use tokio::io::unix::AsyncFd;

use crate::{
    attempt_dir::Opened,
    descriptor,
    nursery::{self, Nursery},
};

/// How many keepers may wait. Each is a process of a few hundred KiB, most of it shared; below this,
/// an attempt costs no process but its own.
const IDLE: usize = 16;

/// One keeper, by our end of its control socket. When this is dropped the keeper ends, and its work
/// before it.
#[derive(Debug)]
pub(crate) struct Keeper(AsyncFd<OwnedFd>);

impl Keeper {
    /// Gives an order. It has been given, whole, if this succeeds, and not at all if not.
    pub(crate) fn order(&self, packet: &[u8], opened: &Opened) -> rustix::io::Result<()> {
        nursery::send(self.0.get_ref(), packet, &[&opened.directory, &opened.exit_file])
    }

    /// Asks for the end of an attempt. One that has ended does not mind.
    pub(crate) fn stop(&self, stop: Stop) {
        let _ = send(self.0.get_ref(), &stop.encode(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }

    /// Returns when the keeper is done with the attempt, and whether it can have another. If it cannot
    /// it was killed, and the nursery has swept up after it or was killed too.
    pub(crate) async fn done(&self, attempt: u64) -> bool {
        let mut packet = [0; PACKET_BYTES];
        loop {
            let Ok(mut ready) = self.0.readable().await else { return false };
            let received = ready.try_io(|socket| {
                Ok(recv(socket, &mut packet, RecvFlags::DONTWAIT).map(|(count, _)| count)?)
            });
            match received {
                Ok(Ok(count @ 1..)) if Done::decode(&packet[..count]) == Some(Done { attempt }) => {
                    return true;
                }
                Err(_) => {}
                Ok(_) => return false,
            }
        }
    }
}

/// Where keepers come from and go back to.
#[derive(Debug)]
pub(crate) struct Keepers {
    nursery: Nursery,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    keepers: Vec<Arc<Keeper>>,
    closed: bool,
}

impl Keepers {
    pub(crate) fn new(nursery: Nursery) -> Self {
        Self { nursery, idle: Mutex::default() }
    }

    /// Gives an order to a keeper that waits, or else to a new one.
    ///
    /// # Errors
    ///
    /// There is no keeper to be had. The order has not been given.
    pub(crate) fn order(&self, packet: &[u8], opened: &Opened) -> io::Result<Arc<Keeper>> {
        // The last to come back is the first to go: its memory is still in the caches.
        while let Some(keeper) = { self.lock().keepers.pop() } {
            match keeper.order(packet, opened) {
                Ok(()) => return Ok(keeper),
                // It was killed while it waited.
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let keeper = Keeper(descriptor::register(self.nursery.new_keeper()?)?);
        keeper.order(packet, opened)?;
        Ok(Arc::new(keeper))
    }

    /// Takes a keeper back that is done.
    pub(crate) fn put_back(&self, keeper: Arc<Keeper>) {
        let mut idle = self.lock();
        if !idle.closed && idle.keepers.len() < IDLE {
            idle.keepers.push(keeper);
        }
    }

    /// Dismisses all keepers and the nursery. Blocks until those that are at work are done.
    pub(crate) fn close(&self) {
        let idle = {
            let mut idle = self.lock();
            idle.closed = true;
            std::mem::take(&mut idle.keepers)
        };
        drop(idle);
        self.nursery.close();
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
