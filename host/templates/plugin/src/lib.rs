//! Runs each job's command as a process of this machine, in a directory of its own:
//!
//! ```text
//! STATE/TAG/params.json, result.json    what goes in, and what comes out
//! STATE/TAG/output                      what it prints; locked for as long as anything of the job runs
//! STATE/TAG/group, exit                 its process group, its exit code
//! STATE/TAG/stop, canceled              it was asked to stop; it ran, and was told so
//! STATE/TAG/work                        where it runs
//! ```
//!
//! All that is known of a job is in its directory, and the job is in a process group of its own: it
//! outlives this plugin's process, and the next one finds it again.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use longshore_plugin_api::{
    Attempt, Ended, Ending, Error, ErrorKind, Executor, Facts, Found, Handle, Host, Isolation, Job,
    JobShape, Run, Verdict, Work, export_executor,
};
use rustix::process::{Pid, Signal, kill_process_group};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::sleep;

/// Notes the process group, runs the command, notes its exit code: whether or not the plugin lives to see
/// it. Descriptor 9 is one more that holds the lock, for commands that redirect their output.
const RUN: &str = r#"exec 9>&1
echo $$ >../group
"$@"
echo $? >../exit.new
mv ../exit.new ../exit"#;
/// How often it is looked whether a job still runs.
const LOOK: Duration = Duration::from_millis(50);
/// How long a killed job may take to be gone.
const DYING: Duration = Duration::from_secs(5);
const LARGEST_RESULT: u64 = 16 << 20;
const LOG_TAIL: u64 = 16 << 10;

/// `[executors.NAME.config]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Variables for every job, beside those of the plugin's own process.
    set_env: BTreeMap<String, String>,
}

pub struct Commands {
    config: Config,
    state: PathBuf,
    /// What each job's shell does first.
    limits: String,
}

impl Commands {
    fn home(&self, tag: &str) -> Result<PathBuf, Error> {
        // Hexadecimal digits, says the API; a path is made of it, and removed with all that is in it.
        if tag.is_empty() || !tag.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Error::not_found(format!("{tag:?} is no attempt's tag")));
        }
        Ok(self.state.join(tag))
    }

    fn runs(&self, attempt: &Attempt) -> Result<bool, Error> {
        runs(&self.home(&attempt.attempt_tag)?)
    }

    fn begin(&self, home: &Path, job: &Job, command: &[String]) -> io::Result<()> {
        let (params, result) = (home.join("params.json"), home.join("result.json"));
        fs::write(&params, job.params.get())?;
        fs::create_dir(home.join("work"))?;
        let output = File::create(home.join("output"))?;
        output.lock()?;
        // Looked for after the lock is held, and made before the lock is looked at: one of the two sees
        // the other, and no job starts that `cancel` has called gone.
        if home.join("stop").exists() {
            return Err(io::Error::other("it was canceled before it began"));
        }
        let mut child = Command::new("sh")
            .args(["-c", &format!("{}{RUN}", self.limits), "sh"])
            .args(command)
            .current_dir(home.join("work"))
            // Before the job's own: what the host promises every job is not the operator's to change.
            .envs(&self.config.set_env)
            .env("LONGSHORE_JOB_ID", &job.job_id)
            .env("LONGSHORE_ATTEMPT", job.attempt.to_string())
            .env("LONGSHORE_ATTEMPT_TAG", &job.attempt_tag)
            .env("LONGSHORE_PARAMS", params)
            .env("LONGSHORE_RESULT", result)
            .env(
                "LONGSHORE_PLUGIN",
                concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")),
            )
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            // What must survive this process leaves its group, which ends with it.
            .process_group(0)
            .spawn()?;
        tracing::debug!(job = job.job_id, pid = child.id(), "began");
        // Only so that no dead process stays in the system's table: what ended how is in the directory.
        thread::spawn(move || child.wait());
        Ok(())
    }
}

impl Executor for Commands {
    type Config = Config;

    fn new(config: Config, host: Host) -> Result<Self, Error> {
        let state = host
            .state_dir()
            .ok_or_else(|| Error::unsupported("it needs a state directory"))?;
        Ok(Self {
            config,
            state: state.to_owned(),
            limits: limits(&host),
        })
    }

    fn facts(&self) -> Facts {
        Facts {
            isolation: Isolation::Process,
            reattach: true,
            ..Facts::default()
        }
    }

    async fn start(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.state)
            .map_err(|e| Error::unavailable(format!("cannot make {}: {e}", self.state.display())))
    }

    fn validate_job(&self, job: &JobShape) -> Result<(), Error> {
        command_of(&job.run).map(drop)
    }

    async fn submit(&self, job: Job) -> Result<Option<Handle>, Error> {
        let command = command_of(&job.run)?;
        let home = self.home(&job.attempt_tag)?;
        fs::create_dir(&home).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => Error::already_exists("it was submitted before"),
            _ => Error::unavailable(format!("cannot make {}: {e}", home.display())),
        })?;
        if let Err(e) = self.begin(&home, &job, command) {
            let _ = fs::remove_dir_all(&home);
            return Err(Error::unavailable(format!("cannot start the command: {e}")));
        }
        // No handle: the tag is all that it takes to find the job again.
        Ok(None)
    }

    async fn wait(&self, attempt: &Attempt) -> Result<Ended, Error> {
        let home = self.home(&attempt.attempt_tag)?;
        while runs(&home)? {
            sleep(LOOK).await;
        }
        Ok(Ended {
            ending: ending(&home)?,
            log_tail: log_tail(&home).unwrap_or_default(),
        })
    }

    async fn cancel(&self, attempt: &Attempt, grace: Duration) -> Result<Work, Error> {
        let Ok(home) = self.home(&attempt.attempt_tag) else {
            return Ok(Work::Gone);
        };
        // Fails where there is no such attempt, which the first look finds, too.
        let _ = File::create(home.join("stop"));
        let (asked, mut told) = (Instant::now(), false);
        loop {
            match runs(&home) {
                Ok(true) => {}
                Ok(false) => return Ok(Work::Gone),
                Err(e) if e.kind == ErrorKind::NotFound => return Ok(Work::Gone),
                Err(e) => return Err(e),
            }
            if asked.elapsed() > grace.saturating_add(DYING) {
                return Ok(Work::Maybe);
            }
            let force = asked.elapsed() > grace;
            if force || !told {
                let signal = if force { Signal::KILL } else { Signal::TERM };
                let _ = File::create(home.join("canceled"));
                // Again until there is a group to tell: the job may be just beginning.
                told = kill(&home, signal);
            }
            sleep(LOOK).await;
        }
    }

    async fn recover(&self, attempts: Vec<Attempt>) -> Result<Vec<Verdict>, Error> {
        let verdict = |attempt: Attempt| {
            let found = match self.runs(&attempt) {
                // Also what has ended: `wait` can tell how.
                Ok(_) => Found::Here,
                Err(e) if e.kind == ErrorKind::NotFound => Found::Gone,
                Err(e) => Found::Unknown { message: e.message },
            };
            Verdict {
                attempt_tag: attempt.attempt_tag,
                found,
            }
        };
        Ok(attempts.into_iter().map(verdict).collect())
    }

    async fn forget(&self, attempt: &Attempt) -> Result<(), Error> {
        match self.home(&attempt.attempt_tag) {
            Ok(home) => remove(&home),
            Err(_) => Ok(()),
        }
    }

    async fn retain(&self, attempts: Vec<Attempt>) -> Result<(), Error> {
        let kept: HashSet<_> = attempts
            .iter()
            .map(|attempt| &*attempt.attempt_tag)
            .collect();
        let homes = fs::read_dir(&self.state).map_err(|e| Error::unavailable(e.to_string()))?;
        for home in homes.flatten().map(|entry| entry.path()) {
            let tag = home.file_name().and_then(|tag| tag.to_str());
            if !tag.is_some_and(|tag| kept.contains(tag)) && matches!(runs(&home), Ok(false)) {
                remove(&home)?;
            }
        }
        Ok(())
    }
}

/// Gives a job's shell what the host itself is allowed: this process may be allowed less.
fn limits(host: &Host) -> String {
    let Some(soft) = host.soft_limits() else {
        return String::new();
    };
    let limit = |flag, limit: Option<u64>, unit| match limit {
        Some(limit) => format!("ulimit -S {flag} {}\n", limit / unit),
        None => format!("ulimit -S {flag} unlimited\n"),
    };
    limit("-d", soft.data, 1024) + &limit("-n", soft.open_files, 1) + &limit("-c", soft.core, 512)
}

fn command_of(run: &Run) -> Result<&[String], Error> {
    match run {
        Run::Command(command) => Ok(command),
        Run::Function(_) => Err(Error::invalid_job(
            "this executor runs commands, no functions",
        )),
    }
}

/// Whether anything of the job is alive: its processes inherit the lock, and the last one to end releases it.
fn runs(home: &Path) -> Result<bool, Error> {
    let output = File::open(home.join("output")).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Error::not_found("there is no such attempt"),
        _ => Error::internal(format!("cannot look at {}: {e}", home.display())),
    })?;
    // Shared, so that two who look do not take each other for the job.
    match output.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(e)) => {
            Err(Error::internal(format!("cannot look at its lock: {e}")))
        }
    }
}

/// Tells all processes of the job, if it has got so far as to have one.
fn kill(home: &Path, signal: Signal) -> bool {
    let group = fs::read_to_string(home.join("group")).ok();
    let group = group
        .and_then(|text| text.trim().parse().ok())
        .and_then(Pid::from_raw);
    group.is_some_and(|group| kill_process_group(group, signal).is_ok())
}

fn ending(home: &Path) -> Result<Ending, Error> {
    let code = fs::read_to_string(home.join("exit")).unwrap_or_default();
    Ok(match code.trim() {
        "0" => result(&home.join("result.json")).unwrap_or_else(Ending::failed),
        "" if home.join("canceled").exists() => Ending::Canceled {
            message: "it was told to stop".to_owned(),
        },
        "" => Ending::Interrupted {
            message: "it was killed, or the machine stopped".to_owned(),
        },
        // sysexits.h: try again later.
        code => Ending::Failed {
            message: format!("the command ended with exit code {code}"),
            transient: code == "75",
        },
    })
}

fn result(file: &Path) -> Result<Ending, String> {
    match fs::metadata(file).map(|file| file.len()) {
        Ok(bytes) if bytes > LARGEST_RESULT => return Err(format!("its result has {bytes} bytes")),
        Ok(_) => {}
        Err(_) => return Ending::succeeded(&()).map_err(|e| e.message),
    }
    let text = fs::read_to_string(file).map_err(|e| format!("its result cannot be read: {e}"))?;
    let result = serde_json::from_str(&text).map_err(|e| format!("its result is no JSON: {e}"))?;
    Ok(Ending::Succeeded { result })
}

fn log_tail(home: &Path) -> io::Result<String> {
    let mut output = File::open(home.join("output"))?;
    let from = output.metadata()?.len().saturating_sub(LOG_TAIL);
    output.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    output.take(LOG_TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn remove(home: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(home) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::internal(format!(
            "cannot remove {}: {e}",
            home.display()
        ))),
        _ => Ok(()),
    }
}

export_executor!(Commands);
