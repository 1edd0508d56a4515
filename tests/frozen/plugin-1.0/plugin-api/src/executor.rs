//! What an author writes: one `async` trait in plain Rust.

use std::{future::Future, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Attempt, Ended, Error, Handle, Host, Job, LogChunk, Verdict, Work};

/// Runs jobs somewhere. One value is one configured executor; several may live in one process.
///
/// Every method may be called concurrently, from any thread; all of them run on a runtime of the
/// plugin's own, so `tokio` works inside them and blocking in one does not stall the host. A panic
/// in any of them becomes an [`Error`] of kind `Panic` that names the place.
pub trait Executor: Send + Sync + Sized + 'static {
    /// The executor's settings: `[executors.NAME.config]`. Its JSON Schema is checked before `new`
    /// sees a value. Refuse unknown keys with `#[serde(deny_unknown_fields)]`.
    ///
    /// The host writes `***` for what is secret in every message, log record and line of output of
    /// this executor: for each [`Secret`](crate::Secret), and for each field whose schema says
    /// `"x-secret": true`, with all that is in it. Values of less than 4 bytes are left as they are.
    ///
    /// ```
    /// # use longshore_plugin_api::Secret;
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// #[serde(deny_unknown_fields)]
    /// struct Config {
    ///     token: Secret,
    ///     #[schemars(extend("x-secret" = true))]
    ///     headers: std::collections::BTreeMap<String, String>,
    /// }
    /// # let schema = schemars::schema_for!(Config);
    /// # for field in ["/properties/token", "/properties/headers"] {
    /// #     assert_eq!(schema.pointer(field).unwrap()["x-secret"], true);
    /// # }
    /// ```
    type Config: DeserializeOwned + JsonSchema + Send;

    /// Whether no method ever blocks its thread, not even on a file. Then the host's thread makes the
    /// first step of each call, which saves a small call two thread hops (about 10 µs). A method that
    /// blocks all the same stops every other job of the host meanwhile.
    const NEVER_BLOCKS: bool = false;

    /// JSON Schema of what a job type may say to this executor in its `options`; `schema_for!` makes
    /// one. Without it options are refused.
    fn options_schema() -> Option<schemars::Schema> {
        None
    }

    /// Makes an executor. Quick and without side effects: look at the configuration, nothing else.
    ///
    /// # Errors
    ///
    /// `InvalidConfig`, with the pointer of the value that is wrong.
    fn new(config: Self::Config, host: Host) -> Result<Self, Error>;

    /// What this executor is; asked once, after `new`.
    fn facts(&self) -> Facts;

    /// Asks whether the executor can work here (a daemon answers, an interpreter exists). Called
    /// before `start`, and by `longshore doctor`. The message says how to mend it.
    fn check_requirements(&self) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// Gets ready to run jobs. Called once.
    fn start(&self) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// Ends within `grace`. Work that was not stopped by `cancel` before stays where it is if it
    /// can be found again by `recover`; everything else is stopped.
    fn stop(&self, grace: Duration) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = grace;
        async { Ok(()) }
    }

    /// Where the work of a job submitted now would physically be. Stored with the attempt before
    /// `submit`; `recover` is asked only where this answer is the same. Defaults to what the host
    /// knows as its own place.
    fn locality(&self) -> Option<String> {
        None
    }

    /// Says early that a job can never run here. Pure, under a second, called at submission.
    ///
    /// # Errors
    ///
    /// `InvalidJob`.
    fn validate_job(&self, job: &JobShape) -> Result<(), Error> {
        let _ = job;
        Ok(())
    }

    /// Starts the work of one attempt and returns what it takes to find it again. May take minutes;
    /// [`cancel`](Self::cancel) may come meanwhile. An error of a `retry`able kind (`Unavailable`,
    /// `Exhausted`) promises that nothing was started. A tag that is here already starts nothing: it is
    /// `AlreadyExists`, or answered with the handle that it has.
    fn submit(&self, job: Job) -> impl Future<Output = Result<Option<Handle>, Error>> + Send;

    /// Answers when the work has ended and nothing of it runs any more. Repeatable: the same answer
    /// until [`forget`](Self::forget). Dropping the future only stops waiting.
    fn wait(&self, attempt: &Attempt) -> impl Future<Output = Result<Ended, Error>> + Send;

    /// Stops the work, by force after `grace`, and says whether it is proven gone. Idempotent; an
    /// attempt that never was is `Gone`.
    fn cancel(
        &self,
        attempt: &Attempt,
        grace: Duration,
    ) -> impl Future<Output = Result<Work, Error>> + Send;

    /// Looks for attempts that an earlier process submitted. One verdict per attempt, any order; an
    /// attempt left out counts as `Unknown`.
    fn recover(
        &self,
        attempts: Vec<Attempt>,
    ) -> impl Future<Output = Result<Vec<Verdict>, Error>> + Send;

    /// Removes what is left of an ended attempt (files, containers). Idempotent. Called after the
    /// host has committed the outcome.
    fn forget(&self, attempt: &Attempt) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = attempt;
        async { Ok(()) }
    }

    /// Removes what is left of ended attempts that are not in this list: the host committed their
    /// outcome and died before it could [`forget`](Self::forget) them. Called once after `start`, when
    /// the host has looked at every row that its former self left; the list holds every attempt of
    /// this executor whose evidence still counts.
    ///
    /// Only evidence goes: what still runs, or may, is not touched, listed or not. Neither is what
    /// another host left in the same place. An attempt submitted while this is at work is not in the
    /// list and must survive it; the host submits none before the answer, unless that takes longer
    /// than a minute. An error is logged, and nothing else comes of it.
    fn retain(&self, attempts: Vec<Attempt>) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = attempts;
        async { Ok(()) }
    }

    /// Reads output of an attempt from `offset`, at most 256 KiB, without waiting for more.
    fn logs(
        &self,
        attempt: &Attempt,
        offset: u64,
    ) -> impl Future<Output = Result<LogChunk, Error>> + Send {
        let _ = (attempt, offset);
        async { Err(Error::unsupported("logs")) }
    }

    /// Says whether jobs can run now. Asked every few seconds; `Unavailable` keeps new jobs away.
    fn health(&self) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }
}

/// The configuration of an executor that has none.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// What an executor is, as far as routing and recovery must know.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Facts {
    /// Whether jobs run where they cannot see the host's own files and addresses.
    pub remote_execution: bool,
    /// How far the work reaches.
    pub scope: Scope,
    /// What stands between a job and the machine.
    pub isolation: Isolation,
    /// Whether running work can be found again by a later process.
    pub reattach: bool,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            remote_execution: false,
            scope: Scope::Host,
            isolation: Isolation::None,
            reattach: false,
        }
    }
}

/// How far the work of an executor reaches.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// It lives and dies with one machine, and only that machine can look at it.
    Host,
    /// Any replica can look at it and stop it.
    Cluster,
}

/// What stands between a job and the machine, from nothing to most.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// It runs inside the executor's process.
    None,
    /// It runs in a process of its own.
    Process,
    /// It runs in a container.
    Container,
    /// It runs in a virtual machine.
    Vm,
}

/// What is known of a job before it is stored: enough to say that it can never run here.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct JobShape {
    /// The configured name of what runs.
    pub job_type: String,
    /// What to run.
    pub run: crate::Run,
    /// The Python environment it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<crate::PythonEnvironment>,
    /// Requests and limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<crate::Resources>,
    /// The type's own settings for this executor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<serde_json::Value>,
    /// Size of the parameters, in bytes.
    pub params_bytes: u64,
}
