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
/// `Panic`, `Crashed`, `Hung` (it did not answer in time), `Protocol` (its answer makes no sense) or
/// `Refused` (it is not up).
///
/// Never panics and never blocks, whatever the plugin does; a plugin in this process can still end
/// it (an abort, a wild pointer). Dropping a future abandons the call, not the job's work. An error of
/// kind `Refused` says that nothing reached the plugin. Deadlines are those of the executor's settings
/// ([`Deadlines`](crate::config::Deadlines)).
pub trait HostedExecutor: fmt::Debug + Send + Sync {
    /// The configured name.
    fn name(&self) -> &str;

    /// The plugin's name.
    fn plugin(&self) -> &str;

    /// How it stands.
    fn standing(&self) -> Standing;

    /// Whether it can be asked about jobs that it has; some of them may be an older version's.
    fn answers(&self) -> bool;

    /// Answers when it stands otherwise than when this was called.
    fn changed(&self) -> BoxFuture<'_, ()>;

    /// What it is, as it said when it was opened last; nothing before the first time.
    fn facts(&self) -> Option<Facts>;

    /// Where the work of a job submitted now would be; nothing where it is the host's own place.
    /// At most `deadlines.locality`.
    fn locality(&self) -> Answer<'_, Option<String>>;

    /// Whether such a job can ever run here. At most `deadlines.validate_job`.
    fn validate_job<'a>(&'a self, job: &'a JobShape) -> Answer<'a, ()>;

    /// Starts the work of an attempt. No deadline: set-up may take minutes, and the job has its own.
    fn submit<'a>(&'a self, job: &'a Job) -> Answer<'a, Option<Handle>>;

    /// Answers when the work has ended. No deadline.
    fn wait<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, Ended>;

    /// Stops the work. At most `grace` and `deadlines.margin`.
    fn cancel<'a>(&'a self, attempt: &'a Attempt, grace: Duration) -> Answer<'a, Work>;

    /// Looks for attempts of an earlier process. At most `deadlines.recover`.
    fn recover<'a>(&'a self, attempts: &'a [Attempt]) -> Answer<'a, Vec<Verdict>>;

    /// Removes what is left of an ended attempt. At most `deadlines.forget`.
    fn forget<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, ()>;

    /// Removes what is left of ended attempts beside these. At most `deadlines.retain`.
    fn retain<'a>(&'a self, attempts: &'a [Attempt]) -> Answer<'a, ()>;

    /// Reads output of an attempt. At most `deadlines.logs`.
    fn logs<'a>(&'a self, attempt: &'a Attempt, offset: u64) -> Answer<'a, LogChunk>;

    /// Whether jobs can run now. At most `deadlines.health`.
    fn health(&self) -> Answer<'_, ()>;

    /// Ends. At most `grace` and `deadlines.margin`.
    fn stop(&self, grace: Duration) -> Answer<'_, ()>;
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
