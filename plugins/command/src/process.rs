//! A run of the program: a process group with three pipes, never left behind.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use longshore_plugin_api::Error;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::unix::pipe,
    runtime::Handle,
};

use crate::{config::Settings, life::Kept};

/// How long the pipes of a process that has ended may be held by what has left its group.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// Killed with everything in its group when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    /// Nothing once it has been waited for.
    child: Option<Child>,
    /// Readable once it has ended. Not `tokio::process`, which may take the host's `SIGCHLD`.
    end: AsyncFd<OwnedFd>,
    group: Pid,
    /// The group, for whoever comes after us. Last, so that it is there until the group has been killed.
    _note: Kept,
}

/// Our ends of its pipes.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: pipe::Sender,
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
}

/// Starts what is not started by anybody else: [`Launcher`](crate::launcher::Launcher) says why.
pub(crate) fn start(mut command: Command, note: Kept) -> io::Result<(Process, Pipes)> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    note.bind(&mut command)?;
    let mut child = command.spawn()?;
    let group = Pid::from_child(&child);
    let ends = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let opened = pidfd_open(group, PidfdFlags::empty()).map_err(io::Error::from).and_then(watch);
    let end = match opened {
        Ok(end) => end,
        Err(error) => {
            // A process that cannot be watched is none.
            let _ = kill_process_group(group, Signal::KILL);
            let _ = child.wait();
            return Err(error);
        }
    };
    let process = Process { child: Some(child), end, group, _note: note };
    let (Some(stdin), Some(stdout), Some(stderr)) = ends else {
        return Err(io::Error::other("it has no pipes"));
    };
    let pipes = Pipes {
        stdin: pipe::Sender::from_owned_fd(stdin.into())?,
        stdout: pipe::Receiver::from_owned_fd(stdout.into())?,
        stderr: pipe::Receiver::from_owned_fd(stderr.into())?,
    };
    Ok((process, pipes))
}

fn watch(process: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(unsafe_code, reason = "tokio asks for a promise about the descriptor")]
    // SAFETY: an `OwnedFd` is the same open descriptor for as long as it lives.
    let watched = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) };
    watched.map_err(io::Error::from)
}

/// Nothing was started, so each of these may be tried again but the one that is the job's own fault.
pub(crate) fn cannot_run(settings: &Settings, error: &io::Error) -> Error {
    let what = format!("cannot run the program `{}`: {error}", settings.program());
    let at = settings.directory().display();
    match error.kind() {
        io::ErrorKind::NotFound => Error::unavailable(format!(
            "{what} (hint: `program` is looked up on PATH, or in {at} if it has a slash; of a script \
             also the interpreter in its first line must be there)"
        )),
        io::ErrorKind::PermissionDenied => Error::unavailable(format!(
            "{what} (hint: make it executable with `chmod +x`, on a file system that may run programs)"
        )),
        io::ErrorKind::ArgumentListTooLong | io::ErrorKind::InvalidInput => {
            Error::invalid_job(format!("{what}: the job's command cannot be handed to it"))
        }
        _ => Error::unavailable(what),
    }
}

impl Process {
    /// Waits for its end, and ends what is left in its group. May be dropped and called again.
    pub(crate) async fn end(&mut self) -> io::Result<ExitStatus> {
        // It stays readable, so the guard's readiness is never cleared.
        let _ready = self.end.readable().await?;
        self.kill();
        let child = self.child.as_mut().ok_or_else(|| io::Error::other("it was waited for"))?;
        let status = child.wait()?;
        self.child = None;
        Ok(status)
    }

    /// Kills the group. Before the leader is waited for: until then its number is nobody else's.
    pub(crate) fn kill(&self) {
        if self.child.is_some() {
            // Only fails where nobody is left.
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let Some(mut child) = self.child.take() else { return };
        match Handle::try_current() {
            // The kernel may take its time, and whoever drops this may be on a runtime's thread.
            Ok(runtime) => drop(runtime.spawn_blocking(move || child.wait())),
            Err(_) => drop(child.wait()),
        }
    }
}
