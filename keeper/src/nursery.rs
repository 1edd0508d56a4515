//! The process that forks keepers, and sweeps up after one that was killed.
#![expect(unsafe_code, reason = "`fork` has no safe wrapper")]

use std::os::fd::{BorrowedFd, OwnedFd};

use longshore_keeper::{
    limit::Limit,
    record::{Cause, Evidence, FILE_BYTES, Record, Status},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    io::{Errno, Result, fcntl_dupfd_cloexec, pread},
    process::{Pid, Resource, Rlimit, WaitOptions, WaitStatus, wait},
};

use crate::{
    clock,
    deposit::Deposit,
    descendants, descriptors, keeper,
    signals::{self, check},
};

/// How long to wait for killed orphans to end before looking for more of them.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// Serves the executor whose socket is our standard input until it is gone and every keeper is done.
pub(crate) fn run() -> Result<()> {
    // SAFETY: nothing in this process owns standard input but this function.
    let inherited = unsafe { BorrowedFd::borrow_raw(0) };
    let requests = fcntl_dupfd_cloexec(inherited, 3)?;
    settle(&requests)?;
    let children = signals::of_children()?;
    let mut nursery = Nursery { requests: Some(requests), children, kept: Vec::new() };
    while nursery.requests.is_some() || !nursery.kept.is_empty() {
        let [asked, ended] = nursery.wait_for_events();
        if ended {
            nursery.reap();
        }
        if asked {
            nursery.take_request();
        }
    }
    Ok(())
}

/// Leaves everything behind that came from whoever started us.
fn settle(requests: &OwnedFd) -> Result<()> {
    // Fails only where we lead a session already.
    let _ = rustix::process::setsid();
    signals::take_over()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // A few descriptors per keeper; a job gets the usual limit back.
    let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard })?;
    restore_limits()?;
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    drop(null);
    descriptors::close_all_but(&mut [descriptors::number(requests)])?;
    // So that no directory of the host's is kept busy.
    rustix::process::chdir(c"/")
}

/// Gives back what whoever started us was allowed less of. Hard limits stay, and are heeded.
fn restore_limits() -> Result<()> {
    for argument in std::env::args_os().skip(1) {
        let Some((limit, wanted)) = argument.to_str().and_then(Limit::parse) else {
            return Err(Errno::INVAL);
        };
        let resource = match limit {
            Limit::Data => Resource::Data,
            Limit::Core => Resource::Core,
        };
        let maximum = rustix::process::getrlimit(resource).maximum;
        // Nothing is no limit, which is more than any number.
        let current = [wanted, maximum].into_iter().flatten().min();
        rustix::process::setrlimit(resource, Rlimit { current, maximum })?;
    }
    Ok(())
}

struct Nursery {
    /// Gone when the host is.
    requests: Option<OwnedFd>,
    children: OwnedFd,
    kept: Vec<Kept>,
}

/// A living keeper.
struct Kept {
    pid: Pid,
    /// Our copy, so that the host sees the end of file only after the sweep.
    control: OwnedFd,
    deposit: Deposit,
}

impl Nursery {
    fn wait_for_events(&self) -> [bool; 2] {
        let on = |fd| PollFd::new(fd, PollFlags::IN);
        let mut events = [on(&self.children), on(self.requests.as_ref().unwrap_or(&self.children))];
        if poll(&mut events, None).is_err() {
            return [false; 2];
        }
        let [ended, asked] = events.map(|event| !event.revents().is_empty());
        [asked && self.requests.is_some(), ended]
    }

    fn take_request(&mut self) {
        let Some(requests) = &self.requests else { return };
        match descriptors::receive(requests, &mut [0; 1]) {
            // A keeper for which there is no room here is one whose socket closes at once.
            Ok((1.., [control])) => drop(control.map(|control| self.fork(control))),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok((0, _)) | Err(_) => self.requests = None,
        }
    }

    fn fork(&mut self, control: OwnedFd) -> Result<()> {
        let deposit = Deposit::new()?;
        // SAFETY: this process has one thread, so the child may do whatever the parent may.
        let child = check(unsafe { libc::fork() })?;
        let Some(pid) = Pid::from_raw(child) else {
            let answer = become_keeper(control, &deposit);
            // SAFETY: ends the process without running what belongs to the parent.
            unsafe { libc::_exit(i32::from(answer.is_err())) }
        };
        self.kept.push(Kept { pid, control, deposit });
        Ok(())
    }

    fn reap(&mut self) {
        signals::drain(&self.children);
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            self.part_with(pid, status);
        }
    }

    fn part_with(&mut self, pid: Pid, status: WaitStatus) {
        // Anybody else is an orphan that a sweep has killed.
        let Some(at) = self.kept.iter().position(|kept| kept.pid == pid) else { return };
        let Kept { control, deposit, .. } = self.kept.swap_remove(at);
        if status.exit_status() != Some(0)
            // Without a look there is no proof, hence no record: the executor's own search by
            // environment and output is what remains.
            && self.sweep().is_ok()
            && let Some(exit_file) = deposit.take()
        {
            record_in_its_stead(&exit_file);
        }
        // Only now may the host see that it is over.
        drop(control);
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

fn become_keeper(control: OwnedFd, deposit: &Deposit) -> Result<()> {
    let [near, far] = deposit.numbers();
    // Else a keeper would hold the sockets of its brothers.
    descriptors::close_all_but(&mut [descriptors::number(&control), near, far])?;
    let _ = rustix::thread::set_name(c"keeper");
    keeper::run(control, deposit)
}

fn record_in_its_stead(exit_file: &OwnedFd) {
    let mut content = [0; FILE_BYTES];
    let read = pread(exit_file, &mut content, 0).unwrap_or(0);
    let evidence = std::str::from_utf8(&content[..read]).ok().and_then(Evidence::parse);
    // It may have been killed between its record and its word.
    if evidence.is_none_or(|evidence| evidence.record.is_some()) {
        return;
    }
    let (cause, status, ended) = (Cause::KeeperKilled, Status::None, clock::wall());
    let record = Record { cause, status, started: 0, ended, output: 0, lost: 0 };
    let _ = keeper::write(exit_file, &record);
}
