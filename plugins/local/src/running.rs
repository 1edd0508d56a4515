//! The attempts that this process has submitted, and their control sockets.

use std::{
    collections::{HashMap, VecDeque},
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use longshore_keeper::control::Stop;
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use tokio::io::unix::AsyncFd;

use crate::descriptor;

/// How many cancels of attempts that nobody has submitted yet are remembered.
const REMEMBERED: usize = 4096;

/// Our end of a keeper's control socket.
#[derive(Debug)]
pub(crate) struct Control(AsyncFd<OwnedFd>);

impl Control {
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self(descriptor::register(socket)?))
    }

    /// Asks the keeper to end the work. One that has ended does not mind.
    pub(crate) fn stop(&self, stop: Stop) {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let _ = send(self.0.get_ref(), &stop.encode(), flags);
    }

    /// Returns when keeper and nursery have closed their ends: nothing of the attempt is left, or both
    /// were killed.
    pub(crate) async fn closed(&self) {
        loop {
            let Ok(mut ready) = self.0.readable().await else {
                return;
            };
            let closed = ready.try_io(|socket| {
                // Keepers say nothing, so what can be read is the end of file.
                match recv(socket, &mut [0_u8; 1], RecvFlags::DONTWAIT) {
                    Err(Errno::AGAIN) => Err(io::ErrorKind::WouldBlock.into()),
                    _ => Ok(()),
                }
            });
            if closed.is_ok() {
                return;
            }
        }
    }
}

/// Attempts by tag.
#[derive(Debug, Default)]
pub(crate) struct Running {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    controls: HashMap<String, Arc<Control>>,
    /// Canceled before they were submitted, oldest first.
    canceled: VecDeque<String>,
    stopping: bool,
}

/// Why an attempt is not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// It is here already.
    Present,
    /// It was canceled before it came.
    Canceled,
    /// The executor is being stopped.
    Stopping,
}

impl Running {
    /// Lets an attempt in, before anything of it exists: from here on a cancel finds its control
    /// socket, and what is sent on it waits there for the keeper.
    pub(crate) fn admit(&self, tag: &str, control: Arc<Control>) -> Result<(), Refused> {
        let mut held = self.lock();
        if held.stopping {
            return Err(Refused::Stopping);
        }
        if held.canceled.iter().any(|canceled| canceled == tag) {
            return Err(Refused::Canceled);
        }
        if held.controls.contains_key(tag) {
            return Err(Refused::Present);
        }
        held.controls.insert(tag.to_owned(), control);
        Ok(())
    }

    pub(crate) fn control(&self, tag: &str) -> Option<Arc<Control>> {
        self.lock().controls.get(tag).cloned()
    }

    /// The attempt's control socket; without one, remembers that the attempt must not be let in.
    pub(crate) fn cancel(&self, tag: &str) -> Option<Arc<Control>> {
        let mut held = self.lock();
        if let Some(control) = held.controls.get(tag) {
            return Some(Arc::clone(control));
        }
        if !held.canceled.iter().any(|canceled| canceled == tag) {
            if held.canceled.len() == REMEMBERED {
                held.canceled.pop_front();
            }
            held.canceled.push_back(tag.to_owned());
        }
        None
    }

    pub(crate) fn forget(&self, tag: &str) {
        let mut held = self.lock();
        held.controls.remove(tag);
        held.canceled.retain(|canceled| canceled != tag);
    }

    /// Lets nobody in any more, and returns who is here.
    pub(crate) fn stop(&self) -> Vec<Arc<Control>> {
        let mut held = self.lock();
        held.stopping = true;
        held.controls.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nursery::packet_sockets;

    fn control() -> (Arc<Control>, OwnedFd) {
        let (ours, theirs) = packet_sockets().unwrap();
        (Arc::new(Control::new(ours).unwrap()), theirs)
    }

    #[tokio::test]
    async fn an_attempt_is_let_in_once() {
        let running = Running::default();
        let (control, _keeper) = control();
        assert_eq!(running.admit("a", Arc::clone(&control)), Ok(()));
        assert_eq!(running.admit("a", Arc::clone(&control)), Err(Refused::Present));
        running.forget("a");
        assert_eq!(running.admit("a", control), Ok(()));
    }

    #[tokio::test]
    async fn a_cancel_that_overtakes_its_submission_holds() {
        let running = Running::default();
        let (control, _keeper) = control();
        assert!(running.cancel("a").is_none());
        assert_eq!(running.admit("a", Arc::clone(&control)), Err(Refused::Canceled));
        assert_eq!(running.admit("b", control), Ok(()));
    }

    #[tokio::test]
    async fn nobody_is_let_in_after_the_stop() {
        let running = Running::default();
        let (control, _keeper) = control();
        running.admit("a", Arc::clone(&control)).unwrap();
        assert_eq!(running.stop().len(), 1);
        assert_eq!(running.admit("b", control), Err(Refused::Stopping));
    }

    #[tokio::test]
    async fn a_control_socket_closes_when_the_last_holder_lets_go() {
        let (control, keeper) = control();
        let nursery = keeper.try_clone().unwrap();
        drop(keeper);
        let mut closed = std::pin::pin!(control.closed());
        tokio::select! {
            biased;
            () = &mut closed => panic!("the nursery still holds it"),
            () = tokio::task::yield_now() => {}
        }
        drop(nursery);
        closed.await;
    }
}
