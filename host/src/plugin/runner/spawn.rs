//! Starts the process of a runner, and is the only one to reap it.

use std::{
    fs::DirBuilder,
    io::{self, PipeReader},
    os::{
        fd::OwnedFd,
        unix::{
            fs::DirBuilderExt as _,
            process::{CommandExt as _, ExitStatusExt as _},
        },
    },
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::{OnceLock, mpsc},
    thread,
};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::oneshot,
};

use super::{Order, Program, channel, death::How, watched::watched};

/// A runner that has just been started.
pub(super) struct Spawned {
    pub(super) process: Process,
    pub(super) socket: OwnedFd,
    pub(super) output: PipeReader,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {source}")]
pub(super) struct CannotSpawn {
    step: String,
    source: io::Error,
}

pub(super) async fn spawn(program: &Program, order: &Order<'_>) -> Result<Spawned, CannotSpawn> {
    let cannot = |step: &str| {
        let step = step.to_owned();
        move |source| CannotSpawn { step, source }
    };
    let dir = &order.run_dir;
    empty(dir).map_err(cannot(&format!("cannot make `{}`", dir.display())))?;
    let (socket, theirs) = channel::pair().map_err(cannot("cannot have a socket"))?;
    let (output, writer) = io::pipe().map_err(cannot("cannot have a pipe"))?;
    let error = writer.try_clone().map_err(cannot("cannot have a pipe"))?;
    let mut command = Command::new(&program.0);
    command
        .arg0(format!("longshore-runner[{}]", order.executor))
        .arg(super::COMMAND)
        .env_clear()
        .envs(order.env.iter().map(|(name, value)| (name, value)))
        .env("TMPDIR", dir)
        .process_group(0)
        .stdin(theirs)
        .stdout(writer)
        .stderr(error);
    let leader = start(command).await.map_err(|source| CannotSpawn {
        step: format!("cannot start `{}`", program.0.display()),
        source,
    })?;
    let process = Process::watch(leader).map_err(cannot("cannot watch it"))?;
    Ok(Spawned { process, socket, output })
}

/// A directory that nothing is in, of whatever an earlier runner left.
fn empty(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

struct Job(Command, oneshot::Sender<io::Result<Leader>>);

/// Starts it on a thread that lives as long as this process: the kernel kills a runner when the *thread*
/// that started it ends, and the threads of a runtime come and go.
async fn start(command: Command) -> io::Result<Leader> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = match SPAWNER.get() {
        Some(spawner) => spawner,
        None => {
            let (jobs, taken) = mpsc::channel::<Job>();
            thread::Builder::new().name("runner-spawn".to_owned()).spawn(move || {
                for Job(mut command, answer) in taken {
                    // Where nobody waits any more the leader is dropped, and with it the process.
                    drop(answer.send(command.spawn().map(|child| Leader { child, reaped: false })));
                }
            })?;
            // Of two that were first, one has a thread that ends, having started nothing.
            SPAWNER.get_or_init(|| jobs)
        }
    };
    let (answer, answered) = oneshot::channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    spawner.send(Job(command, answer)).map_err(|_| gone())?;
    answered.await.map_err(|_| gone())?
}

/// The leader of a process group, which dies with this.
struct Leader {
    child: Child,
    reaped: bool,
}

impl Leader {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Kills the group. Its number is nobody else's as long as the leader is not reaped.
    fn kill_group(&self) {
        if !self.reaped {
            // Its last process may just have ended.
            let _ = kill_process_group(self.pid(), Signal::KILL);
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.kill_group();
        // As far as it goes without waiting; this process may be ending itself.
        let _ = self.child.try_wait();
    }
}

pub(super) struct Process {
    leader: Leader,
    pidfd: AsyncFd<OwnedFd>,
}

impl Process {
    fn watch(leader: Leader) -> io::Result<Self> {
        let pidfd = pidfd_open(leader.pid(), PidfdFlags::empty())?;
        let pidfd = watched(pidfd, Interest::READABLE)?;
        Ok(Self { leader, pidfd })
    }

    pub(super) fn id(&self) -> u32 {
        self.leader.child.id()
    }

    /// Waits until it has ended. It is not reaped by that.
    pub(super) async fn ended(&self) {
        // An error would mean that the runtime is ending, and then nobody waits.
        let _ = self.pidfd.readable().await;
    }

    /// Kills everything that is left of the group and reaps the leader.
    pub(super) async fn bury(mut self) -> How {
        self.leader.kill_group();
        self.ended().await;
        let status = self.leader.child.wait();
        self.leader.reaped = true;
        match status.map(|status| (status.code(), ExitStatus::signal(&status))) {
            Ok((Some(code), _)) => How::Exit(code),
            Ok((None, Some(signal))) => How::Signal(signal),
            // A plugin in this process that ignores `SIGCHLD` makes the kernel reap it.
            Ok((None, None)) | Err(_) => How::Unknown,
        }
    }
}
