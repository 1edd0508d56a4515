//! Starts the process of a runner, and is the only one to reap it.

use std::{
    io::{self, PipeReader},
    os::{
        fd::OwnedFd,
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    process::{Child, Command, ExitStatus},
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::oneshot,
};

use super::{Order, Program, channel, death::How, place::Place, watched::watched};

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
    let place = Place::make(dir).map_err(cannot(&format!("cannot make `{}`", dir.display())))?;
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
    let leader = start(command, place).await.map_err(|source| CannotSpawn {
        step: format!("cannot start `{}`", program.0.display()),
        source,
    })?;
    let process = Process::watch(leader).map_err(cannot("cannot watch it"))?;
    Ok(Spawned { process, socket, output })
}

struct Job(Command, Place, oneshot::Sender<io::Result<Leader>>);

/// Starts it on a thread that lives as long as this process: the kernel kills a runner when the *thread*
/// that started it ends, and the threads of a runtime come and go.
async fn start(command: Command, place: Place) -> io::Result<Leader> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = match SPAWNER.get() {
        Some(spawner) => spawner,
        None => {
            let (jobs, taken) = mpsc::channel::<Job>();
            thread::Builder::new().name("runner-spawn".to_owned()).spawn(move || {
                for Job(mut command, place, answer) in taken {
                    let started = command.spawn().map(|child| {
                        place.give_to(child.id());
                        Leader(Some((child, place)))
                    });
                    // Where nobody waits any more the leader is dropped, and with it the process.
                    drop(answer.send(started));
                }
            })?;
            // Of two that were first, one has a thread that ends, having started nothing.
            SPAWNER.get_or_init(|| jobs)
        }
    };
    let (answer, answered) = oneshot::channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    spawner.send(Job(command, place, answer)).map_err(|_| gone())?;
    answered.await.map_err(|_| gone())?
}

/// The leader of a process group, which dies with this, and its directory; nothing once it is buried.
struct Leader(Option<(Child, Place)>);

impl Leader {
    fn pid(&self) -> Option<Pid> {
        self.0.as_ref().map(|(child, _)| Pid::from_child(child))
    }

    /// Kills it and its group. Their number is nobody else's as long as the leader is not reaped.
    fn kill(&mut self) {
        let Some((child, _)) = &mut self.0 else { return };
        // Its last process may just have ended.
        let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
        // A plugin may have moved its process to another group, which is not to be killed.
        let _ = child.kill();
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.kill();
        let Some((mut child, place)) = self.0.take() else { return };
        // Neither who drops this, on a thread of a runtime, nor who starts the next can wait for it.
        let reap = move || {
            let _ = child.wait();
            drop(place);
        };
        // Without a thread it stays a zombie until this process ends.
        let _ = thread::Builder::new().name("runner-reap".to_owned()).spawn(reap);
    }
}

pub(super) struct Process {
    leader: Leader,
    pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
}

impl Process {
    fn watch(leader: Leader) -> io::Result<Self> {
        let pid = leader.pid().ok_or(io::ErrorKind::NotFound)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        let pidfd = watched(pidfd, Interest::READABLE)?;
        Ok(Self { leader, pid, pidfd })
    }

    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits until it has ended. It is not reaped by that.
    pub(super) async fn ended(&self) {
        // An error would mean that the runtime is ending, and then nobody waits.
        let _ = self.pidfd.readable().await;
    }

    /// Kills everything that is left of the group and reaps the leader. Says how it ended, and what is to
    /// be cleared away.
    ///
    /// A process that hangs in the kernel does not end when it is killed: nobody here waits for it longer
    /// than `patience`. It never runs the plugin again, and is reaped whenever that may be.
    pub(super) async fn bury(mut self, patience: Duration) -> (How, Option<Place>) {
        self.leader.kill();
        if tokio::time::timeout(patience, self.ended()).await.is_err() {
            let pid = self.id();
            tracing::warn!(pid, "a plugin's process does not end {patience:?} after it was killed");
            return (How::Unknown, None);
        }
        let Some((mut child, place)) = self.leader.0.take() else { return (How::Unknown, None) };
        let how = match child.wait().map(|status| (status.code(), ExitStatus::signal(&status))) {
            Ok((Some(code), _)) => How::Exit(code),
            Ok((None, Some(signal))) => How::Signal(signal),
            // A plugin in this process that ignores `SIGCHLD` makes the kernel reap it.
            Ok((None, None)) | Err(_) => How::Unknown,
        };
        (how, Some(place))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use rustix::process::getpid;
    use tempfile::TempDir;

    use super::*;
    use crate::config::RunnerLimits;

    /// Something that does not end, started as a runner, and its directory.
    async fn spawned(dir: &TempDir) -> (Spawned, PathBuf) {
        let run_dir = dir.path().join("x.1");
        let order = Order {
            executor: "x",
            copy: Path::new("copy.so"),
            env: Vec::new(),
            limits: RunnerLimits::default(),
            run_dir: run_dir.clone(),
        };
        (spawn(&Program::at("/usr/bin/yes"), &order).await.unwrap(), run_dir)
    }

    /// Also not as a zombie.
    async fn until_gone(pid: Pid, run_dir: &Path) {
        let proc = format!("/proc/{}", pid.as_raw_nonzero());
        let gone = async {
            while Path::new(&proc).exists() || run_dir.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), gone).await.expect("nothing stays");
    }

    #[tokio::test]
    async fn a_process_that_nobody_wants_any_more_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (spawned, run_dir) = spawned(&dir).await;
        let pid = spawned.process.pid;
        assert!(run_dir.exists());
        drop(spawned);
        until_gone(pid, &run_dir).await;
    }

    #[tokio::test]
    async fn nobody_waits_for_a_process_that_cannot_be_killed() {
        let dir = tempfile::tempdir().unwrap();
        let (Spawned { mut process, socket: _socket, output: _output }, run_dir) =
            spawned(&dir).await;
        let pid = process.pid;
        // The end of this one is not seen in any test's time.
        let other = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
        process.pidfd = watched(other, Interest::READABLE).unwrap();
        let buried = process.bury(Duration::from_millis(10));
        let (how, place) = tokio::time::timeout(Duration::from_secs(60), buried).await.unwrap();
        assert_eq!(how, How::Unknown);
        assert!(place.is_none(), "it may still be in its directory");
        until_gone(pid, &run_dir).await;
    }
}
