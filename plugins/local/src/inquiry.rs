//! A program that is asked one thing: it gets its time, and takes what it has started with it, also
//! where nobody waits for the answer any more.

use std::{
    io::{self, Read},
    os::{fd::AsFd, unix::process::CommandExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};

use crate::clock;

/// Between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// What it said. Beyond what a pipe holds it would not have ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program for at most `patience`; `None` if that was not enough.
pub(crate) async fn ask(command: &mut Command, patience: Duration) -> io::Result<Option<Answer>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that what it starts can be ended with it.
    let asked = Asked(Some(command.process_group(0).spawn()?));
    let until = clock::since_boot() + patience;
    while !asked.has_ended()? {
        if clock::since_boot() >= until {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
    asked.answer().map(Some)
}

/// A process in a group of its own. When this is dropped, all of the group is killed.
struct Asked(Option<Child>);

impl Asked {
    /// Whether it has ended; it is not waited for, so that its group's number stays its own.
    fn has_ended(&self) -> io::Result<bool> {
        let Some(pid) = self.pid() else { return Ok(true) };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        Ok(waitid(WaitId::Pid(pid), options)?.is_some())
    }

    fn answer(mut self) -> io::Result<Answer> {
        self.kill();
        let mut child = self.0.take().expect("taken here and by `drop` only");
        let status = child.wait()?;
        let (stdout, stderr) = (said(child.stdout.take())?, said(child.stderr.take())?);
        Ok(Answer { status, stdout, stderr })
    }

    fn kill(&self) {
        if let Some(group) = self.pid() {
            // Nobody left to kill is what is hoped for.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    fn pid(&self) -> Option<Pid> {
        self.0.as_ref().map(Pid::from_child)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.kill();
        let Some(mut child) = self.0.take() else { return };
        // Elsewhere: what is stuck in the kernel may take its time to die.
        let _ = thread::Builder::new().name("inquiry-end".to_owned()).spawn(move || child.wait());
    }
}

/// What is in the pipe. Without waiting for more: what has left the group may hold it open for ever.
fn said(pipe: Option<impl Read + AsFd>) -> io::Result<String> {
    let Some(mut pipe) = pipe else { return Ok(String::new()) };
    fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
    let mut text = Vec::new();
    match pipe.read_to_end(&mut text) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(String::from_utf8_lossy(&text).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str, directory: &Path) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(directory);
        command
    }

    /// Waits until the process whose pid is in the file is gone, or a zombie of somebody else's.
    async fn gone(file: &Path) {
        let pid = fs::read_to_string(file).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        let dead = async {
            while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(LONG, dead).await.expect("it is killed");
    }

    async fn written(file: &Path) {
        while !fs::read_to_string(file).is_ok_and(|text| text.ends_with('\n')) {
            tokio::time::sleep(PAUSE).await;
        }
    }

    #[tokio::test]
    async fn an_answer_takes_what_was_started_for_it_along() {
        let root = tempfile::tempdir().unwrap();
        // One in the group, and one outside that keeps the pipe.
        let script = "sleep 600 & echo $! > inside; setsid sleep 601 & echo $! > outside; echo yes; \
                      echo no >&2; exit 3";
        let answer = ask(&mut shell(script, root.path()), LONG).await.unwrap().unwrap();
        assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), ("yes\n", "no\n"));
        assert_eq!(answer.status.code(), Some(3));
        gone(&root.path().join("inside")).await;
        let outside = fs::read_to_string(root.path().join("outside")).unwrap();
        let outside = Pid::from_raw(outside.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(outside, Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn what_takes_too_long_and_what_nobody_waits_for_is_killed() {
        let root = tempfile::tempdir().unwrap();
        let pid = root.path().join("pid");
        let script = "sleep 600 & echo $! > pid; wait";
        let mut command = shell(script, root.path());
        tokio::select! {
            _ = ask(&mut command, LONG) => panic!("it has no answer"),
            () = written(&pid) => {}
        }
        gone(&pid).await;
        fs::remove_file(&pid).unwrap();
        assert!(
            ask(&mut shell(script, root.path()), Duration::from_secs(1)).await.unwrap().is_none()
        );
        gone(&pid).await;
    }
}
