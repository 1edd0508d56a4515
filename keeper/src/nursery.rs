//! The process that forks keepers, and sweeps up after one that was killed.
#![expect(unsafe_code, reason = "`fork` and `close_range` have no safe wrapper")]

use std::{
    io::IoSliceMut,
    mem::MaybeUninit,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
};

use longshore_keeper::{
    order::{DESCRIPTORS, MAX_ORDER_BYTES, Order},
    record::{Cause, Record, Status},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, Result, fcntl_dupfd_cloexec, retry_on_intr},
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, RecvMsg, recvmsg},
    process::{Pid, Resource, Rlimit, WaitOptions, WaitStatus, wait},
};

use crate::{
    descendants,
    keep::{Desk, keep, wall_clock},
    signals::{self, check},
};

/// How long to wait for killed orphans to end before looking for more of them.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// Serves the executor whose socket is our standard input until it is gone and every keeper is done.
pub(crate) fn run() -> Result<()> {
    // SAFETY: nothing in this process owns standard input but this function.
    let inherited = unsafe { BorrowedFd::borrow_raw(0) };
    let orders = fcntl_dupfd_cloexec(inherited, 3)?;
    settle(&orders)?;
    let mut nursery =
        Nursery { orders: Some(orders), children: signals::of_children()?, kept: vec![] };
    let mut packet = vec![0_u8; MAX_ORDER_BYTES];
    while nursery.orders.is_some() || !nursery.kept.is_empty() {
        let [ordered, ended] = nursery.wait_for_events();
        if ended {
            nursery.reap();
        }
        if ordered {
            nursery.take_order(&mut packet);
        }
    }
    Ok(())
}

/// Leaves everything behind that came from whoever started us, but the environment of no job is ours:
/// each order brings its own.
fn settle(orders: &OwnedFd) -> Result<()> {
    // Fails only where we lead a session already.
    let _ = rustix::process::setsid();
    signals::take_over()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // Two descriptors per running attempt; a job gets the usual limit back.
    let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard })?;
    let null = rustix::fs::open(c"/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    drop(null);
    close_all_but(&mut [orders.as_raw_fd()])?;
    // So that no directory of the host's is kept busy.
    rustix::process::chdir(c"/")
}

struct Nursery {
    orders: Option<OwnedFd>,
    children: OwnedFd,
    kept: Vec<Kept>,
}

/// A running keeper. The desk's copies here keep the lock held, and the control socket open, until the
/// sweep after a killed keeper is done.
struct Kept {
    pid: Pid,
    desk: Desk,
}

impl Nursery {
    fn wait_for_events(&self) -> [bool; 2] {
        let on = |fd| PollFd::new(fd, PollFlags::IN);
        let mut events = [on(&self.children), on(self.orders.as_ref().unwrap_or(&self.children))];
        if poll(&mut events, None).is_err() {
            return [false; 2];
        }
        let [ended, ordered] = events.map(|event| !event.revents().is_empty());
        [ordered && self.orders.is_some(), ended]
    }

    fn take_order(&mut self, packet: &mut [u8]) {
        let Some(orders) = &self.orders else { return };
        let (received, desk) = match receive(orders, packet) {
            Ok(received) => received,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => (0, None),
        };
        if received == 0 {
            self.orders = None;
            return;
        }
        // Without its descriptors (there was no room for them) an order has nowhere to be answered:
        // the executor sees its end of the control socket close, and no record.
        let Some(desk) = desk else { return };
        match Order::decode(&packet[..received]) {
            Some(order) => self.fork(&order, desk),
            None => not_started(&desk, Errno::INVAL),
        }
    }

    fn fork(&mut self, order: &Order<'_>, desk: Desk) {
        // SAFETY: this process has one thread, so the child may do whatever the parent may.
        match check(unsafe { libc::fork() }) {
            Err(errno) => not_started(&desk, errno),
            Ok(0) => {
                let ours = [&desk.control, &desk.directory, &desk.exit_file];
                // Else a keeper would hold the locks and sockets of its brothers.
                if let Err(errno) = close_all_but(&mut ours.map(|fd| fd.as_raw_fd())) {
                    not_started(&desk, errno);
                } else {
                    let _ = rustix::thread::set_name(c"keeper");
                    keep(order, &desk);
                }
                // SAFETY: ends the process without running what belongs to the parent.
                unsafe { libc::_exit(0) }
            }
            Ok(pid) => {
                let pid = Pid::from_raw(pid).expect("a child's pid is positive");
                self.kept.push(Kept { pid, desk });
            }
        }
    }

    fn reap(&mut self) {
        signals::drain(&self.children);
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            self.part_with(pid, status);
        }
    }

    fn part_with(&mut self, pid: Pid, status: WaitStatus) {
        // Anybody else is an orphan that a sweep has killed.
        let Some(at) = self.kept.iter().position(|kept| kept.pid == pid) else {
            return;
        };
        let kept = self.kept.swap_remove(at);
        if status.exit_status() == Some(0) {
            return;
        }
        // Without a look there is no proof, hence no record: the executor's own search by environment
        // is what remains.
        if self.sweep().is_err() {
            return;
        }
        let cause = Cause::KeeperKilled;
        let ended = wall_clock();
        let record = Record { cause, status: Status::None, started: 0, ended, output: 0, lost: 0 };
        kept.desk.record(&record);
    }

    /// Kills what a killed keeper left: as the nearest subreaper we have inherited it. Two empty looks
    /// in a row end it, because the list of children is not read at one instant.
    fn sweep(&mut self) -> Result<()> {
        let mut empty_looks = 0;
        while empty_looks < 2 {
            let kept = &self.kept;
            if descendants::kill_children(|pid| kept.iter().any(|kept| kept.pid == pid))? == 0 {
                empty_looks += 1;
                continue;
            }
            empty_looks = 0;
            let _ = poll(&mut [PollFd::new(&self.children, PollFlags::IN)], Some(&LOOK_AGAIN));
            // May find another killed keeper, and then sweeps for that one too.
            self.reap();
        }
        Ok(())
    }
}

fn not_started(desk: &Desk, errno: Errno) {
    desk.record(&Record {
        cause: Cause::SetUpFailed,
        status: Status::Errno(errno.raw_os_error()),
        started: 0,
        ended: wall_clock(),
        output: 0,
        lost: 0,
    });
}

fn receive(orders: &OwnedFd, packet: &mut [u8]) -> Result<(usize, Option<Desk>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let RecvMsg { bytes, .. } =
        retry_on_intr(|| recvmsg(orders, &mut [IoSliceMut::new(packet)], &mut ancillary, flags))?;
    let mut descriptors = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let mut descriptors = descriptors.by_ref().flatten();
    let desk = descriptors
        .next()
        .zip(descriptors.next())
        .zip(descriptors.next())
        .map(|((control, directory), exit_file)| Desk { control, directory, exit_file });
    Ok((bytes, desk))
}

fn close_all_but(ours: &mut [RawFd]) -> Result<()> {
    ours.sort_unstable();
    let mut from = 3;
    for keep in ours.iter().chain([&RawFd::MAX]) {
        if from < *keep {
            // SAFETY: closes descriptors that no value in this process owns: after a fork those are
            // the parent's, and before the first order there are none.
            check(unsafe { libc::close_range(from.unsigned_abs(), keep.unsigned_abs() - 1, 0) })?;
        }
        from = keep.saturating_add(1);
    }
    Ok(())
}
