//! The executor itself: which piece does what.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Once, OnceLock},
    time::Duration,
};

use longshore_keeper::control::Reason;
use longshore_plugin_api::{
    Attempt, Ended, Ending, Error, Executor, Facts, Found, Handle, Host, Isolation, Job, JobShape,
    LogChunk, Progress, Run, Scope, Verdict, Work,
};
use tokio::task::JoinSet;

use crate::{
    attempt_dir::{self, AttemptDir, State},
    bundle::{self, Installed},
    config::{Config, Settings},
    ending,
    failure::not_started,
    keepers::Keepers,
    logs,
    nursery::Nursery,
    owner,
    progress::Watcher,
    python::Python,
    recover, removal, room,
    running::Running,
    spares::Spares,
};

/// What a stop may take beyond its grace: killing, reaping, writing the record.
const AFTER_GRACE: Duration = Duration::from_secs(10);

/// Between two looks at work that nobody tells us about.
const PAUSE: Duration = Duration::from_millis(50);

/// The version of our handles.
pub(crate) const HANDLE: u32 = 1;

/// The executor `local`.
#[derive(Debug)]
pub struct Local {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    host: Host,
    pub(crate) running: Running,
    started: OnceLock<Started>,
    /// Whether it was said that nobody enforces what a type may use.
    unenforced: Once,
    /// One task per attempt at work; they end with the executor.
    pub(crate) followers: Mutex<JoinSet<()>>,
}

/// What there is from `start` on.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) boot_id: String,
    pub(crate) installed: Installed,
    pub(crate) python: Python,
    pub(crate) keepers: Keepers,
    pub(crate) spares: Spares,
    pub(crate) progress: Watcher,
    /// What our attempts are known by, where other hosts share the directory.
    pub(crate) owner: String,
}

impl Executor for Local {
    type Config = Config;

    fn new(config: Config, host: Host) -> Result<Self, Error> {
        let settings = Settings::new(config, &host)?;
        Ok(Self {
            inner: Arc::new(Inner {
                settings,
                host,
                running: Running::default(),
                started: OnceLock::new(),
                unenforced: Once::new(),
                followers: Mutex::default(),
            }),
        })
    }

    fn facts(&self) -> Facts {
        Facts {
            remote_execution: false,
            scope: Scope::Host,
            isolation: Isolation::Process,
            // A keeper ends its work when the host goes away; what is left to find is the evidence.
            reattach: false,
        }
    }

    async fn check_requirements(&self) -> Result<(), Error> {
        let settings = &self.inner.settings;
        // Without it a keeper could not tell who is left to kill.
        if !Path::new("/proc/thread-self/children").exists() {
            return Err(Error::unavailable(
                "`/proc/thread-self/children` is missing (hint: mount /proc; the kernel needs \
                 CONFIG_PROC_CHILDREN)",
            ));
        }
        self.inner.make_directories()?;
        room::check(&settings.cache_dir, 0)?;
        Python::find(settings)?.check(settings).await
    }

    async fn start(&self) -> Result<(), Error> {
        let inner = &self.inner;
        let settings = &inner.settings;
        inner.make_directories()?;
        for name in &settings.missing {
            tracing::warn!(
                "jobs are to get `{name}`, which this executor does not have; add it to the executor's `pass_env`, if the host has it"
            );
        }
        let cache_dir = &settings.cache_dir;
        let failed = |step: &str, error: io::Error| not_started(step, cache_dir, &error);
        let installed = bundle::install(cache_dir).map_err(|e| failed("install into", e))?;
        let boot_id = attempt_dir::boot_id().map_err(|e| failed("learn the boot id for", e))?;
        let home = inner.host.state_dir().unwrap_or(cache_dir);
        let owner = bundle::private_directory(home)
            .and_then(|()| owner::of(home))
            .map_err(|e| not_started("keep the executor's own name in", home, &e))?;
        let host = inner.host.clone();
        let tell = Box::new(move |tag: &str, progress: &Progress| host.progress(tag, progress));
        let started = Started {
            boot_id,
            python: Python::find(settings)?,
            keepers: Keepers::new(Nursery::new(installed.keeper.clone(), inner.host.soft_limits())),
            installed,
            spares: Spares::new(settings.attempts()).map_err(|e| failed("clean up in", e))?,
            progress: Watcher::start(tell).map_err(|e| failed("watch", e))?,
            owner,
        };
        inner.started.set(started).map_err(|_| Error::internal("the executor was started before"))
    }

    async fn stop(&self, grace: Duration) -> Result<(), Error> {
        let submissions = self.inner.running.stop();
        for submission in &submissions {
            submission.stop(Reason::Stop, grace);
        }
        let all = async {
            for submission in &submissions {
                submission.over().await;
            }
        };
        if tokio::time::timeout(grace + AFTER_GRACE, all).await.is_err() {
            return Err(Error::timeout(
                "some attempts do not end; their keepers go on killing them",
            ));
        }
        let inner = Arc::clone(&self.inner);
        // Quick, because every keeper is done.
        let closed = tokio::task::spawn_blocking(move || {
            if let Some(started) = inner.started.get() {
                started.keepers.close();
                started.spares.clear();
            }
        });
        closed.await.map_err(|e| Error::internal(format!("cannot wait for the nursery: {e}")))
    }

    fn validate_job(&self, job: &JobShape) -> Result<(), Error> {
        if job.resources.is_some() {
            // Not refused: the same type may run elsewhere tomorrow.
            self.inner.unenforced.call_once(|| {
                tracing::warn!(
                    job_type = job.job_type,
                    "`resources` are not enforced here: jobs are plain processes of this machine \
                     (hint: limit the host's service, or use an executor with containers)"
                );
            });
        }
        let Run::Command(command) = &job.run else {
            return Ok(());
        };
        if command.first().is_none_or(String::is_empty) {
            return Err(Error::invalid_job("the command names no program").at("/run/command"));
        }
        if command.iter().any(|argument| argument.contains('\0')) {
            let message = "an argument contains a NUL character";
            return Err(Error::invalid_job(message).at("/run/command"));
        }
        if job.python.is_some() {
            let message = "a command has no Python environment of its own; only functions do";
            return Err(Error::invalid_job(message).at("/python"));
        }
        Ok(())
    }

    async fn submit(&self, job: Job) -> Result<Option<Handle>, Error> {
        self.inner.submit(&job)
    }

    async fn wait(&self, attempt: &Attempt) -> Result<Ended, Error> {
        let directory = self.inner.directory(attempt)?;
        let boot_id = &self.inner.started()?.boot_id;
        if let Some(submission) = self.inner.running.get(&attempt.attempt_tag) {
            submission.over().await;
        }
        loop {
            match state(&directory, boot_id)? {
                State::Ended(record) => return Ok(ending::of(directory.path(), &record)),
                State::Missing => return Err(unknown(attempt)),
                State::OtherBoot => {
                    let message = "the machine was restarted".to_owned();
                    return Ok(Ending::Interrupted { message }.into());
                }
                State::Abandoned if self.inner.prove_gone(attempt, &directory).await => {
                    return Ok(ending::abandoned(directory.path()));
                }
                // Of an earlier host, and still dying; or not yet proven to be dead.
                State::Locked | State::Abandoned => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn cancel(&self, attempt: &Attempt, grace: Duration) -> Result<Work, Error> {
        let directory = self.inner.directory(attempt)?;
        let submission = self.inner.running.cancel(&attempt.attempt_tag);
        if let Some(submission) = &submission {
            submission.stop(Reason::Cancel, grace);
        }
        let gone = async {
            if let Some(submission) = &submission {
                submission.over().await;
            }
            self.inner.until_gone(attempt, &directory).await
        };
        match tokio::time::timeout(grace + AFTER_GRACE, gone).await {
            Ok(Ok(())) => Ok(Work::Gone),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(Work::Maybe),
        }
    }

    async fn recover(&self, attempts: Vec<Attempt>) -> Result<Vec<Verdict>, Error> {
        let boot_id = &self.inner.started()?.boot_id;
        let mut verdicts = Vec::new();
        let mut to_look_for = Vec::new();
        for attempt in attempts {
            let found = match self.inner.directory(&attempt) {
                _ if self.inner.running.get(&attempt.attempt_tag).is_some() => Found::Here,
                Err(error) => Found::Unknown { message: error.message },
                Ok(directory) => {
                    to_look_for.push((attempt.attempt_tag, directory));
                    continue;
                }
            };
            verdicts.push(Verdict { attempt_tag: attempt.attempt_tag, found });
        }
        verdicts.extend(recover::verdicts(to_look_for, boot_id).await);
        Ok(verdicts)
    }

    async fn forget(&self, attempt: &Attempt) -> Result<(), Error> {
        let directory = self.inner.directory(attempt)?;
        let started = self.inner.started()?;
        if state(&directory, &started.boot_id)? == State::Locked {
            let tag = &attempt.attempt_tag;
            return Err(Error::unavailable(format!(
                "attempt {tag} has not ended and cannot be forgotten (hint: cancel it first)"
            )));
        }
        self.inner.running.forget(&attempt.attempt_tag);
        let failed = |error| not_started("remove", directory.path(), &error);
        let Some(apart) = started.spares.set_apart(directory.path()).map_err(failed)? else {
            return Ok(());
        };
        if started.spares.keep(&apart) {
            return Ok(());
        }
        // A job may have left many files.
        let removed = tokio::task::spawn_blocking(move || {
            removal::remove(&apart).map_err(|e| not_started("remove", &apart, &e))
        });
        removed.await.map_err(|e| Error::internal(format!("the removal was lost: {e}")))?
    }

    async fn retain(&self, attempts: Vec<Attempt>) -> Result<(), Error> {
        let inner = Arc::clone(&self.inner);
        let wanted = attempts.into_iter().map(|attempt| attempt.attempt_tag).collect();
        // Looks into every directory there is.
        let removed = tokio::task::spawn_blocking(move || inner.remove_leftovers(&wanted));
        removed.await.map_err(|e| Error::internal(format!("the removal was lost: {e}")))?
    }

    async fn logs(&self, attempt: &Attempt, offset: u64) -> Result<LogChunk, Error> {
        let directory = self.inner.directory(attempt)?;
        // Before reading, so that what is called the end was written before the end.
        let over = match state(&directory, &self.inner.started()?.boot_id)? {
            State::Missing => return Err(unknown(attempt)),
            State::Locked => false,
            State::Ended(_) | State::Abandoned | State::OtherBoot => true,
        };
        logs::read(directory.path(), offset, over)
            .map_err(|e| Error::internal(format!("cannot read the output: {e}")))
    }

    async fn health(&self) -> Result<(), Error> {
        Python::find(&self.inner.settings)?;
        room::check(&self.inner.settings.attempts(), 0)
    }
}

impl Inner {
    pub(crate) fn started(&self) -> Result<&Started, Error> {
        self.started.get().ok_or_else(|| Error::unavailable("the executor has not been started"))
    }

    fn make_directories(&self) -> Result<(), Error> {
        for directory in [self.settings.attempts(), self.settings.environments()] {
            bundle::private_directory(&directory)
                .map_err(|e| not_started("make the directory", &directory, &e))?;
        }
        Ok(())
    }

    /// Where an attempt is: where its handle says, because `cache_dir` may have been changed since.
    fn directory(&self, attempt: &Attempt) -> Result<AttemptDir, Error> {
        let handle = attempt.handle.as_ref().filter(|handle| handle.version == HANDLE);
        let attempts = handle
            .and_then(|handle| handle.data.get("attempts")?.as_str())
            .map_or_else(|| self.settings.attempts(), PathBuf::from);
        AttemptDir::new(&attempts, &attempt.attempt_tag)
    }

    /// Returns when nothing of the attempt is left; whoever does not want to wait for ever stops
    /// waiting.
    async fn until_gone(&self, attempt: &Attempt, directory: &AttemptDir) -> Result<(), Error> {
        // Nothing can have been submitted before the start, and evidence of it is not ours to judge.
        let boot_id = &self.started()?.boot_id;
        loop {
            match state(directory, boot_id)? {
                State::Missing | State::Ended(_) | State::OtherBoot => return Ok(()),
                State::Abandoned if self.prove_gone(attempt, directory).await => return Ok(()),
                State::Locked | State::Abandoned => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Kills whatever is known to be the attempt's, and says whether nothing is left.
    async fn prove_gone(&self, attempt: &Attempt, directory: &AttemptDir) -> bool {
        let tag = &attempt.attempt_tag;
        let left = recover::sweep(vec![directory.mark(tag)]).await;
        match left.stands_against(tag, directory.path()) {
            None => true,
            Some(message) => {
                tracing::warn!(attempt_tag = tag, "not proven to be gone: {message}");
                false
            }
        }
    }
}

fn state(directory: &AttemptDir, boot_id: &str) -> Result<State, Error> {
    directory.state(boot_id).map_err(|error| {
        let path = directory.path().display();
        Error::internal(format!("cannot look at the attempt in `{path}`: {error}"))
    })
}

fn unknown(attempt: &Attempt) -> Error {
    Error::not_found(format!("there is no attempt {} here", attempt.attempt_tag))
}
