//! One attempt, from the start gate until nothing of it is left.

use std::{os::fd::OwnedFd, time::Duration};

use longshore_keeper::{
    control::{PACKET_BYTES, Reason, Stop},
    order::Order,
    record::{self, Cause, Record, Status},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
    io::{Errno, retry_on_intr},
    net::{RecvFlags, recv},
    pipe::{PipeFlags, pipe_with},
    process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, wait},
    time::{Itimerspec, TimerfdTimerFlags, timerfd_settime},
};

use crate::{
    clock, descendants,
    keeper::{self, Desk},
    output::{Drained, Output},
    signals,
    spawn::{self, Failure},
};

/// Descendants that are killed wake us when they end. This is for those that come to us without
/// waking anybody: orphans of a process that had ended before we looked.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// How much is drained after the last descendant is gone, in reads: more than a pipe can hold, and
/// an end for one that a stranger goes on writing to.
const LAST_READS: usize = 256;

/// How an attempt ended.
pub(crate) struct End {
    pub(crate) record: Record,
    /// Whether the host still listened.
    pub(crate) host_is_there: bool,
}

/// Runs an attempt. Returns when nothing of it is left.
pub(crate) fn keep(
    order: &Order<'_>,
    desk: &Desk,
    directory: &OwnedFd,
    exit_file: &OwnedFd,
) -> End {
    match Keeper::start(order, desk, directory, exit_file) {
        Ok(keeper) => keeper.see_through(),
        Err(NotStarted { cause, status }) => {
            let ended = clock::wall();
            let record = Record { cause, status, started: 0, ended, output: 0, lost: 0 };
            End { record, host_is_there: cause != Cause::HostGone }
        }
    }
}

struct NotStarted {
    cause: Cause,
    status: Status,
}

impl From<Errno> for NotStarted {
    fn from(errno: Errno) -> Self {
        Self { cause: Cause::SetUpFailed, status: Status::Errno(errno.raw_os_error()) }
    }
}

struct Keeper<'a> {
    attempt: u64,
    desk: &'a Desk,
    directory: &'a OwnedFd,
    pipe: Option<OwnedFd>,
    output: Output,
    main: Pid,
    status: Option<WaitStatus>,
    started: u64,
    grace: u64,
    ending: Option<Ending>,
    host_is_there: bool,
}

/// The work is being ended, by force at `kill_at`.
struct Ending {
    cause: Cause,
    kill_at: u64,
}

/// Whether to go on waiting.
enum Next {
    Wait,
    /// The main process has ended, or its time is up.
    Finish,
}

impl<'a> Keeper<'a> {
    fn start(
        order: &Order<'_>,
        desk: &'a Desk,
        directory: &'a OwnedFd,
        exit_file: &OwnedFd,
    ) -> Result<Self, NotStarted> {
        let (pipe, output) = pipe_with(PipeFlags::CLOEXEC)?;
        // Before there is anybody to be found by it.
        keeper::write_line(exit_file, &record::running(rustix::fs::fstat(&pipe)?.st_ino))?;
        // Only our end: the job's own would be non-blocking too if the pipe were made so.
        rustix::fs::fcntl_setfl(&pipe, OFlags::RDONLY | OFlags::NONBLOCK)?;
        // The start gate. A host that was frozen while it submitted must not start work that somebody
        // else has meanwhile given up; nor is there a point in starting what is already canceled.
        gate(order, &desk.control)?;
        let main = spawn::spawn(order, directory, &output).map_err(|failure| {
            let (cause, errno) = match failure {
                Failure::Clone(errno) => (Cause::SetUpFailed, errno),
                Failure::Exec(errno) => (Cause::ExecFailed, errno),
            };
            NotStarted { cause, status: Status::Errno(errno.raw_os_error()) }
        })?;
        let keeper = Self {
            attempt: order.attempt,
            desk,
            directory,
            pipe: Some(pipe),
            output: Output::default(),
            main,
            status: None,
            started: clock::wall(),
            grace: order.grace,
            ending: None,
            host_is_there: true,
        };
        keeper.wake_at(order.deadline);
        Ok(keeper)
    }

    fn see_through(mut self) -> End {
        while matches!(self.step(), Next::Wait) {}
        self.kill_all();
        if let Some(pipe) = &self.pipe {
            for _ in 0..LAST_READS {
                if self.output.drain(self.directory, pipe) != Drained::Some {
                    break;
                }
            }
        }
        let record = Record {
            cause: self.ending.as_ref().map_or(Cause::Ended, |ending| ending.cause),
            status: self.status.map_or(Status::None, read_status),
            started: self.started,
            ended: clock::wall(),
            output: self.output.stored,
            lost: self.output.lost,
        };
        End { record, host_is_there: self.host_is_there }
    }

    /// Waits for one round of events and handles it.
    fn step(&mut self) -> Next {
        let [children, timer, control, pipe] = self.wait_for_events();
        if pipe {
            self.drain();
        }
        // The main process first: what ended by itself was not stopped by what came in the same
        // instant.
        if children {
            self.reap();
            if self.status.is_some() {
                return Next::Finish;
            }
        }
        if control && matches!(self.obey(), Next::Finish) {
            return Next::Finish;
        }
        if timer {
            return self.time_is_up();
        }
        Next::Wait
    }

    fn wait_for_events(&self) -> [bool; 4] {
        let (desk, on) = (self.desk, |fd| PollFd::new(fd, PollFlags::IN));
        let mut events =
            [on(&desk.children), on(&desk.timer), on(&desk.control), on(&desk.children)];
        // A closed pipe is always readable: without this the loop would never sleep again.
        let watched = if let Some(pipe) = &self.pipe {
            events[3] = on(pipe);
            4
        } else {
            3
        };
        let woken = poll(&mut events[..watched], None).is_ok();
        let ready = |at: usize| woken && at < watched && !events[at].revents().is_empty();
        [ready(0), ready(1), ready(2), ready(3)]
    }

    fn drain(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        if self.output.drain(self.directory, pipe) == Drained::Closed {
            self.pipe = None;
        }
    }

    fn reap(&mut self) {
        signals::drain(&self.desk.children);
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == self.main {
                self.status = Some(status);
            }
        }
    }

    fn obey(&mut self) -> Next {
        match request(&self.desk.control, self.attempt) {
            Request::Nothing => Next::Wait,
            Request::Stop(stop) => {
                let now = clock::boot();
                self.end(of(stop.reason), now.saturating_add(nanoseconds(stop.grace)))
            }
            // Nobody is left to wait for a grace, and the next host waits for our lock.
            Request::HostGone => {
                self.host_is_there = false;
                self.end(Cause::HostGone, 0)
            }
        }
    }

    fn time_is_up(&mut self) -> Next {
        let now = clock::boot();
        match &self.ending {
            Some(ending) if ending.kill_at <= now => Next::Finish,
            // Moved meanwhile, and armed anew.
            Some(_) => Next::Wait,
            None => self.end(Cause::Timeout, now.saturating_add(self.grace)),
        }
    }

    /// Begins to end the work, or hastens the end.
    fn end(&mut self, cause: Cause, kill_at: u64) -> Next {
        let kill_at = match &mut self.ending {
            None => {
                self.ending = Some(Ending { cause, kill_at });
                // Once: many programs take a second one as a demand to stop cleaning up. The main
                // process has not been waited for, so the group is still its own.
                let _ = kill_process_group(self.main, Signal::TERM);
                // A stopped process hears nothing before it goes on.
                let _ = kill_process_group(self.main, Signal::CONT);
                kill_at
            }
            Some(ending) => {
                if rank(cause) > rank(ending.cause) {
                    ending.cause = cause;
                }
                ending.kill_at = ending.kill_at.min(kill_at);
                ending.kill_at
            }
        };
        if kill_at <= clock::boot() {
            return Next::Finish;
        }
        self.wake_at(kill_at);
        Next::Wait
    }

    /// Kills until the kernel says that there is nobody left. May take as long as the kernel needs to
    /// end a process that is stuck in it: until then there is no proof, hence no record.
    fn kill_all(&mut self) {
        loop {
            signals::drain(&self.desk.children);
            loop {
                match wait(WaitOptions::NOHANG) {
                    Ok(Some((pid, status))) if pid == self.main => self.status = Some(status),
                    Ok(Some(_)) | Err(Errno::INTR) => {}
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
            if descendants::kill_children(|_| false).is_err() && self.status.is_none() {
                let _ = kill_process_group(self.main, Signal::KILL);
            }
            let mut ended = [PollFd::new(&self.desk.children, PollFlags::IN)];
            let _ = poll(&mut ended, Some(&LOOK_AGAIN));
        }
    }

    fn wake_at(&self, moment: u64) {
        let value = Timespec {
            // Zero would disarm it.
            tv_sec: i64::try_from(moment / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(moment % 1_000_000_000).unwrap_or(0).max(1),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // Cannot fail: the descriptor is ours and the value is in range.
        let _ = timerfd_settime(&self.desk.timer, TimerfdTimerFlags::ABSTIME, &once);
    }
}

fn gate(order: &Order<'_>, control: &OwnedFd) -> Result<(), NotStarted> {
    let refused = |cause| Err(NotStarted { cause, status: Status::None });
    match request(control, order.attempt) {
        Request::Stop(stop) => refused(of(stop.reason)),
        Request::HostGone => refused(Cause::HostGone),
        Request::Nothing if order.deadline <= clock::boot() => refused(Cause::Timeout),
        Request::Nothing => Ok(()),
    }
}

enum Request {
    Nothing,
    Stop(Stop),
    HostGone,
}

/// What the host asks, if it asks something about this attempt.
fn request(control: &OwnedFd, attempt: u64) -> Request {
    let mut packet = [0_u8; PACKET_BYTES];
    match retry_on_intr(|| recv(control, &mut packet, RecvFlags::DONTWAIT)) {
        Ok((0, _)) => Request::HostGone,
        Ok((count, _)) => Stop::decode(&packet[..count])
            .filter(|stop| stop.attempt == attempt)
            .map_or(Request::Nothing, Request::Stop),
        Err(Errno::AGAIN) => Request::Nothing,
        Err(_) => Request::HostGone,
    }
}

fn of(reason: Reason) -> Cause {
    match reason {
        Reason::Stop => Cause::Stopped,
        Reason::Cancel => Cause::Canceled,
    }
}

/// Of several reasons the record names one: what a person asked for, else what came first.
fn rank(cause: Cause) -> u8 {
    u8::from(cause == Cause::Canceled)
}

fn read_status(status: WaitStatus) -> Status {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Status::Code(code),
        (None, Some(signal)) => Status::Signal(signal),
        (None, None) => Status::None,
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
