//! An executor with a cache of its own, and jobs for it.

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use longshore_local::{Config, Local};
use longshore_plugin_api::{
    Attempt, Context, Ended, Ending, Executor as _, Handle, Host, Job, PythonEnvironment, Run,
    Seconds, Work,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::value::RawValue;
use tempfile::TempDir;

/// More than any condition here needs, less than a person waits.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let pause = Duration::from_millis(2);
    for _ in 0..PATIENCE.as_millis() / 2 {
        if let Some(value) = condition() {
            return value;
        }
        tokio::time::sleep(pause).await;
    }
    panic!("waited {PATIENCE:?} in vain: {what}");
}

pub(crate) struct Stage {
    pub(crate) local: Local,
    pub(crate) cache: TempDir,
    /// Where Python modules of the test are.
    pub(crate) modules: PathBuf,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let cache = tempfile::tempdir().unwrap();
        let modules = cache.path().join("modules");
        fs::create_dir(&modules).unwrap();
        let local = Self::executor(cache.path(), config);
        local.check_requirements().await.unwrap();
        local.start().await.unwrap();
        Self { local, cache, modules }
    }

    fn executor(cache: &Path, config: Config) -> Local {
        let pythonpath = vec![cache.join("modules")];
        let config = Config { cache_dir: Some(cache.to_owned()), pythonpath, ..config };
        Local::new(config, Host::nowhere()).unwrap()
    }

    /// What a new host finds: the same cache, nothing in memory.
    pub(crate) async fn restarted(self) -> Self {
        let Self { local, cache, modules } = self;
        drop(local);
        let local = Self::executor(cache.path(), Config::default());
        local.start().await.unwrap();
        Self { local, cache, modules }
    }

    pub(crate) fn module(&self, name: &str, source: &str) {
        fs::write(self.modules.join(name), source).unwrap();
    }

    pub(crate) async fn run(&self, job: Job) -> Ended {
        self.submit(job).await.ended().await
    }

    pub(crate) async fn submit(&self, job: Job) -> Submitted<'_> {
        let attempt = attempt_of(&job);
        let handle = self.local.submit(job).await.unwrap();
        self.submitted(attempt, handle)
    }

    pub(crate) fn submitted(&self, mut attempt: Attempt, handle: Option<Handle>) -> Submitted<'_> {
        attempt.handle = handle;
        let directory = self.cache.path().join("attempts").join(&attempt.attempt_tag);
        Submitted { stage: self, attempt, directory }
    }
}

pub(crate) struct Submitted<'a> {
    stage: &'a Stage,
    pub(crate) attempt: Attempt,
    pub(crate) directory: PathBuf,
}

impl Submitted<'_> {
    pub(crate) async fn ended(&self) -> Ended {
        in_time(self.stage.local.wait(&self.attempt)).await.unwrap()
    }

    pub(crate) async fn cancel(&self, grace: Duration) -> Work {
        in_time(self.stage.local.cancel(&self.attempt, grace)).await.unwrap()
    }

    pub(crate) async fn forget(&self) {
        self.stage.local.forget(&self.attempt).await.unwrap();
    }

    /// Waits until the job has written a whole line into a file of its directory.
    pub(crate) async fn file(&self, name: &str) -> String {
        let path = self.directory.join("work").join(name);
        until(&format!("the job's file {name}"), || {
            fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'))
        })
        .await
        .trim()
        .to_owned()
    }

    /// Waits until the keeper has stored that output.
    pub(crate) async fn output(&self, expected: &str) {
        let path = self.directory.join("output.0");
        until("the job's output", || {
            fs::read_to_string(&path).is_ok_and(|text| text == expected).then_some(())
        })
        .await;
    }

    pub(crate) async fn pid(&self) -> Pid {
        Pid::from_raw(self.file("pid").await.parse().unwrap()).unwrap()
    }

    /// Every process that carries the attempt's tag in its environment or its arguments.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        processes_with(&self.attempt.attempt_tag)
    }

    pub(crate) fn keeper_of(&self, job: Pid) -> Pid {
        parent(job)
    }
}

pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("no answer in time")
}

pub(crate) fn attempt_of(job: &Job) -> Attempt {
    Attempt { job_id: job.job_id.clone(), attempt_tag: job.attempt_tag.clone(), handle: None }
}

pub(crate) fn processes_with(tag: &str) -> Vec<Pid> {
    let carries = |file: PathBuf| {
        fs::read(file).is_ok_and(|bytes| bytes.windows(tag.len()).any(|w| w == tag.as_bytes()))
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let pid = Pid::from_raw(path.file_name()?.to_str()?.parse().ok()?)?;
            (carries(path.join("environ")) || carries(path.join("cmdline"))).then_some(pid)
        })
        .collect()
}

pub(crate) fn status(pid: Pid, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap().trim().to_owned()
}

pub(crate) fn parent(pid: Pid) -> Pid {
    Pid::from_raw(status(pid, "PPid").parse().unwrap()).unwrap()
}

pub(crate) fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).unwrap();
}

/// A job that runs `run`, with a tag that nothing else on the machine has.
pub(crate) fn job(run: Run) -> Job {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let tag = format!("t{:08x}{number:08x}", std::process::id());
    Job {
        job_id: format!("00000000-0000-7000-8000-{number:012}"),
        attempt_tag: tag,
        attempt: 1,
        job_type: "score".to_owned(),
        workspace: "default".to_owned(),
        run,
        params: json("{}"),
        timeout: Seconds(600.0),
        stop_grace: Seconds(0.2),
        python: None,
        resources: None,
        transient_errors: Vec::new(),
        context: Context::default(),
        options: None,
    }
}

pub(crate) fn shell(script: &str) -> Job {
    command(&["sh", "-c", script])
}

pub(crate) fn command(arguments: &[&str]) -> Job {
    job(Run::Command(arguments.iter().map(|&argument| argument.to_owned()).collect()))
}

pub(crate) fn function(name: &str) -> Job {
    job(Run::Function(name.to_owned()))
}

pub(crate) fn needing(requirements: &[&str]) -> Option<PythonEnvironment> {
    let requirements = requirements.iter().map(|&name| name.to_owned()).collect();
    Some(PythonEnvironment { requirements, index_url: None })
}

pub(crate) fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

pub(crate) fn result(ended: &Ended) -> &str {
    match &ended.ending {
        Ending::Succeeded { result } => result.get(),
        other => panic!("no success: {other:?}\n{}", ended.log_tail),
    }
}

pub(crate) fn failure(ended: &Ended) -> (&str, bool) {
    match &ended.ending {
        Ending::Failed { message, transient } => (message, *transient),
        other => panic!("no failure: {other:?}\n{}", ended.log_tail),
    }
}
