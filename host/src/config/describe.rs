//! Asks Python what its modules declare: `python -m longshore.describe MODULE...` in a child
//! process, because importing a module runs its code.

use std::{
    ffi::OsString,
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Command,
    time::sleep,
};

use super::{Declared, Mistakes, Python, period};

/// Modules that import half of the ecosystem take seconds, not minutes.
const DEADLINE: Duration = Duration::from_secs(60);
/// More than any list of job types, less than memory.
const MOST: u64 = 16 << 20;
/// How much of what Python complains is worth showing.
const TAIL: usize = 2000;

/// Why it is not known what the modules declare.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// Python ended badly.
    #[error("`{command}` ended with {status}:\n{stderr}")]
    Exit {
        /// What ran.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The last of its standard error.
        stderr: String,
    },
    /// The modules have mistakes.
    #[error(transparent)]
    Mistakes(Mistakes),
    /// Its answer could not be read.
    #[error("the answer of `{command}` cannot be read")]
    Read {
        /// What ran.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// Python could not be started.
    #[error("`{command}` cannot be started; `python.interpreter` names the interpreter")]
    Start {
        /// What should have run.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// Python took too long.
    #[error(
        "`{command}` did not answer within {}; importing a module should not do work",
        period::show(DEADLINE)
    )]
    TimedOut {
        /// What ran.
        command: String,
    },
}

/// Asks what `python.modules` declare; without modules, nothing is run. `sdk` is the directory that
/// holds the `longshore` Python package.
///
/// # Errors
///
/// Python cannot be started, ends badly, takes longer than a minute, or finds mistakes.
pub async fn describe(python: &Python, sdk: &Path) -> Result<Declared, DescribeError> {
    ask(python, sdk, sleep(DEADLINE)).await
}

async fn ask(
    python: &Python,
    sdk: &Path,
    deadline: impl Future<Output = ()>,
) -> Result<Declared, DescribeError> {
    if python.modules.is_empty() {
        return Ok(Declared::default());
    }
    let (arguments, command) = question(python);
    let mut child = Command::new(&python.interpreter)
        .args(arguments)
        // Python looks for modules in its current directory first: the host's own must not matter.
        .current_dir(sdk)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that what the modules start goes with them.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| DescribeError::Start { command: command.clone(), source })?;
    let group = child.id();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let answer = async {
        // Both at once: a child that fills one pipe while the host reads the other would hang.
        let (stdout, stderr) = tokio::try_join!(read(stdout), read(stderr))?;
        Ok((stdout, stderr, child.wait().await?))
    };
    let answer = tokio::select! {
        answer = answer => Some(answer),
        () = deadline => None,
    };
    let (stdout, stderr, status) = match answer {
        Some(Ok(answer)) => answer,
        Some(Err(source)) => {
            end_group(group);
            return Err(DescribeError::Read { command, source });
        }
        None => {
            end_group(group);
            return Err(DescribeError::TimedOut { command });
        }
    };
    if !status.success() {
        return Err(DescribeError::Exit { command, status, stderr: tail(&stderr) });
    }
    Declared::parse(&String::from_utf8_lossy(&stdout)).map_err(DescribeError::Mistakes)
}

/// The arguments, and the whole command for people.
fn question(python: &Python) -> (Vec<OsString>, String) {
    let mut arguments: Vec<OsString> = vec!["-m".into(), "longshore.describe".into()];
    for directory in &python.path {
        arguments.extend(["--path".into(), directory.into()]);
    }
    arguments.extend(python.modules.iter().map(OsString::from));
    let words = arguments.iter().map(|word| word.to_string_lossy());
    let command =
        [python.interpreter.as_str().into()].into_iter().chain(words).collect::<Vec<_>>().join(" ");
    (arguments, command)
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MOST + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > MOST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more than 16 MiB of output"));
    }
    Ok(bytes)
}

/// Ends Python and what the modules started. Only before Python is waited for: until then the
/// group's number cannot be somebody else's.
fn end_group(group: Option<u32>) {
    let group = group.and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(group) = group {
        // Nobody left to end is what is hoped for.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end();
    let start = text.char_indices().rev().nth(TAIL).map_or(0, |(i, _)| i);
    text[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_module_that_never_ends_is_ended_with_its_children() {
        let sdk = tempfile::tempdir().unwrap();
        fs::create_dir(sdk.path().join("longshore")).unwrap();
        let script = r"
import subprocess, time
child = subprocess.Popen(['sleep', '600'])
open('child', 'w').write(str(child.pid))
time.sleep(600)
";
        fs::write(sdk.path().join("longshore/describe.py"), script).unwrap();
        let python = Python {
            interpreter: "python3".to_owned(),
            path: Vec::new(),
            modules: vec!["slow".to_owned()],
        };
        let child = sdk.path().join("child");
        let started = until(|| fs::metadata(&child).is_ok_and(|child| child.len() > 0));
        let asked = ask(&python, sdk.path(), started).await;
        assert!(matches!(asked, Err(DescribeError::TimedOut { .. })), "{asked:?}");
        let child = fs::read_to_string(child).unwrap();
        let stat = format!("/proc/{child}/stat");
        // Gone, or a zombie that its new parent has not collected yet.
        until(|| fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))).await;
    }

    async fn until(condition: impl Fn() -> bool) {
        let poll = async {
            while !condition() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), poll).await.unwrap();
    }
}
