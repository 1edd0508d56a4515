//! The life of a keeper: one order after the other.

use std::os::fd::OwnedFd;

use longshore_keeper::{
    control::Done,
    order::{MAX_ORDER_BYTES, Order},
    record::{RECORD_OFFSET, Record},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, Result, pwrite, retry_on_intr},
    net::{SendFlags, send},
    time::{TimerfdClockId, TimerfdFlags, timerfd_create},
};

use crate::{attempt, deposit::Deposit, descriptors, signals};

/// What every attempt of a keeper uses.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) control: OwnedFd,
    /// Readable while `SIGCHLD` is pending.
    pub(crate) children: OwnedFd,
    /// On `CLOCK_BOOTTIME`.
    pub(crate) timer: OwnedFd,
}

/// Serves until the host closes the control socket. Every return leaves nothing behind; an error means
/// that the nursery has to say what became of the attempt.
pub(crate) fn run(control: OwnedFd, deposit: &Deposit) -> Result<()> {
    // Out of the nursery's session too: whoever signals that one does not mean a job.
    rustix::process::setsid()?;
    // Any pid says "yes"; this is a flag.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let children = signals::of_children()?;
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
    let desk = Desk { control, children, timer };
    // Touched only as far as orders fill it.
    let mut packet = vec![0; MAX_ORDER_BYTES];
    loop {
        let (bytes, descriptors) = match descriptors::receive(&desk.control, &mut packet) {
            Ok((0, _)) => return Ok(()),
            Ok(received) => received,
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&desk.control, PollFlags::IN)], None);
                continue;
            }
            Err(error) => return Err(error),
        };
        match (Order::decode(&packet[..bytes]), descriptors) {
            (Some(order), [Some(directory), Some(exit_file)]) => {
                deposit.leave(&exit_file)?;
                let end = attempt::keep(&order, &desk, &directory, &exit_file);
                write(&exit_file, &end.record)?;
                // Before the word, so that whoever hears it finds the lock free.
                drop((exit_file, deposit.take()));
                if !end.host_is_there {
                    return Ok(());
                }
                // A host that is gone is noticed at the next receive.
                let done = Done { attempt: order.attempt }.encode();
                let _ = send(&desk.control, &done, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
            }
            // A stop for an attempt that had ended when it came.
            (None, [None, None]) => {}
            // There was no room for its descriptors, or it is nonsense. It cannot be answered; the
            // executor sees the socket close, and no record.
            _ => return Err(Errno::PROTO),
        }
    }
}

/// Writes the exit record. In place and in one piece: nobody reads the file before the lock is
/// released, or the word given, and both come later.
pub(crate) fn write(exit_file: &OwnedFd, record: &Record) -> Result<()> {
    write_line(exit_file, &record.line())
}

/// Writes what stands in the place of the record. Over blanks, so a full disk does not matter.
pub(crate) fn write_line(exit_file: &OwnedFd, line: &str) -> Result<()> {
    retry_on_intr(|| pwrite(exit_file, line.as_bytes(), RECORD_OFFSET)).map(drop)
}
