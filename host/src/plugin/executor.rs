//! What the rest of the host sees of an executor.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use longshore_plugin_api::{
    Attempt, Ended, Error, Facts, Handle, Job, JobShape, LogChunk, Progress, Verdict, Work,
};

use super::Standing;

/// A future behind a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An answer of an executor, some time.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// One configured executor, wherever its plugin runs. The methods are those of
/// [`longshore_plugin_api::Executor`], with its promises; here an [`Error`] may also be of kind
/// `Panic`, `Crashed`, `Hung` (it did not answer in time) or `Protocol` (its answer makes no sense).
///
/// Never panics and never blocks, whatever the plugin does; a plugin in this process can still end
/// it (an abort, a wild pointer). Dropping a future abandons the call, not the job's work.
pub trait HostedExecutor: fmt::Debug + Send + Sync {
    /// The configured name.
    fn name(&self) -> &str;

    /// The plugin's name.
    fn plugin(&self) -> &str;

    /// How it stands.
    fn standing(&self) -> Standing;

    /// Answers when it stands otherwise than when this was called.
    fn changed(&self) -> BoxFuture<'_, ()>;

    /// What it is, as it said when it was opened last; nothing before the first time.
    fn facts(&self) -> Option<Facts>;

    /// Where the work of a job submitted now would be; nothing where it is the host's own place.
    /// At most [`deadline::LOCALITY`].
    fn locality(&self) -> Answer<'_, Option<String>>;

    /// Whether such a job can ever run here. At most [`deadline::VALIDATE`].
    fn validate_job<'a>(&'a self, job: &'a JobShape) -> Answer<'a, ()>;

    /// Starts the work of an attempt. No deadline: set-up may take minutes, and the job has its own.
    fn submit<'a>(&'a self, job: &'a Job) -> Answer<'a, Option<Handle>>;

    /// Answers when the work has ended. No deadline.
    fn wait<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, Ended>;

    /// Stops the work. At most `grace` and [`deadline::MARGIN`].
    fn cancel<'a>(&'a self, attempt: &'a Attempt, grace: Duration) -> Answer<'a, Work>;

    /// Looks for attempts of an earlier process. At most [`deadline::RECOVER`].
    fn recover<'a>(&'a self, attempts: &'a [Attempt]) -> Answer<'a, Vec<Verdict>>;

    /// Removes what is left of an ended attempt. At most [`deadline::FORGET`].
    fn forget<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, ()>;

    /// Removes what is left of ended attempts beside these. At most [`deadline::RETAIN`].
    fn retain<'a>(&'a self, attempts: &'a [Attempt]) -> Answer<'a, ()>;

    /// Reads output of an attempt. At most [`deadline::LOGS`].
    fn logs<'a>(&'a self, attempt: &'a Attempt, offset: u64) -> Answer<'a, LogChunk>;

    /// Whether jobs can run now. At most [`deadline::HEALTH`].
    fn health(&self) -> Answer<'_, ()>;

    /// Whether it can work here at all. At most [`deadline::CHECK_REQUIREMENTS`].
    fn check_requirements(&self) -> Answer<'_, ()>;

    /// Gets ready. At most [`deadline::START`].
    fn start(&self) -> Answer<'_, ()>;

    /// Ends. At most `grace` and [`deadline::MARGIN`].
    fn stop(&self, grace: Duration) -> Answer<'_, ()>;
}

/// How long a plugin may take, before it counts as hung.
pub mod deadline {
    use std::time::Duration;

    /// `describe` and loading.
    pub const LOAD: Duration = Duration::from_secs(10);
    /// `open` and `facts`.
    pub const OPEN: Duration = Duration::from_secs(10);
    /// `check_requirements`.
    pub const CHECK_REQUIREMENTS: Duration = Duration::from_secs(30);
    /// `start`.
    pub const START: Duration = Duration::from_secs(60);
    /// `locality`.
    pub const LOCALITY: Duration = Duration::from_secs(5);
    /// `validate_job`.
    pub const VALIDATE: Duration = Duration::from_secs(5);
    /// `recover`.
    pub const RECOVER: Duration = Duration::from_secs(60);
    /// `forget`.
    pub const FORGET: Duration = Duration::from_secs(60);
    /// `retain`.
    pub const RETAIN: Duration = Duration::from_secs(60);
    /// `logs`.
    pub const LOGS: Duration = Duration::from_secs(10);
    /// `health`.
    pub const HEALTH: Duration = Duration::from_secs(5);
    /// What is added to a grace that the plugin was given.
    pub const MARGIN: Duration = Duration::from_secs(10);
}

/// Where what a plugin says by itself goes. Called on the plugin's threads: must not block.
pub trait Events: Send + Sync {
    /// How far the work of an attempt has got. `attempt_tag` is whatever the plugin said.
    fn progress(&self, executor: &str, attempt_tag: &str, progress: Progress);
}

/// Nobody listens.
impl Events for () {
    fn progress(&self, _: &str, _: &str, _: Progress) {}
}
