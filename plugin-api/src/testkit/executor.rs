//! An executor under test, as a host holds it: verbs and JSON through the ABI, each with a deadline.

use std::{cell::RefCell, future::Future, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::{
    heard::Heard,
    report::{Outcome, fail},
};
use crate::{
    Attempt, Ended, Error, ErrorKind, Facts, Handle, Job, LogChunk, Verdict, Work,
    abi::ExecutorBox,
    wire::{self, Verb},
};

/// What a host adds to a grace that it gave.
const MARGIN: Duration = Duration::from_secs(10);
/// What a handle may weigh.
const MAX_HANDLE: usize = 64 << 10;
/// What a result and its log tail may weigh.
const MAX_ANSWER: usize = (16 << 20) + (64 << 10) + 1024;

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The executor says so, and may.
    Said { verb: Verb, error: Error },
    /// No executor may do that.
    Broken(Outcome),
}

impl From<Trouble> for Outcome {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Said { verb, error } => {
                Self::Fail(format!("`{}` fails: {error} ({:?})", verb.name(), error.kind))
            }
            Trouble::Broken(outcome) => outcome,
        }
    }
}

fn broken<T>(message: String) -> Result<T, Trouble> {
    Err(Trouble::Broken(Outcome::Fail(message)))
}

pub(super) struct Exec {
    /// Taken when it is closed.
    executor: RefCell<Option<ExecutorBox>>,
    pub(super) heard: Arc<Heard>,
}

impl Exec {
    pub(super) fn new(executor: ExecutorBox, heard: Arc<Heard>) -> Self {
        Self { executor: RefCell::new(Some(executor)), heard }
    }

    pub(super) fn is_open(&self) -> bool {
        self.executor.borrow().is_some()
    }

    /// Lets go of it, without a word: as a process that ends.
    pub(super) fn close(&self) {
        drop(self.executor.take());
    }

    /// A call that can be dropped, or awaited elsewhere; also of a verb that does not exist.
    pub(super) fn begin(
        &self,
        verb: &str,
        payload: String,
    ) -> Result<impl Future<Output = Result<String, Error>> + Send + 'static, Outcome> {
        let executor = self.executor.borrow();
        let Some(executor) = &*executor else {
            return fail("the kit asked an executor that it had closed");
        };
        let call = executor.call(verb.into(), payload.into());
        Ok(async { call.await.into_result().map(String::from).map_err(Error::from) })
    }

    pub(super) fn ask(&self, verb: &str, payload: &str) -> Result<Result<String, Error>, Outcome> {
        let executor = self.executor.borrow();
        let Some(executor) = &*executor else {
            return fail("the kit asked an executor that it had closed");
        };
        let answer = executor.ask(verb.into(), payload.into());
        Ok(answer.into_result().map(String::from).map_err(Error::from))
    }

    /// A verb with whatever payload, and what comes back.
    pub(super) async fn raw(&self, verb: Verb, payload: String) -> Result<String, Trouble> {
        let within = patience(verb);
        let call = self.begin(verb.name(), payload).map_err(Trouble::Broken)?;
        match timeout(within, call).await {
            Ok(answer) => self.judge(verb, answer),
            Err(_) => broken(format!("`{}` has not answered within {within:?}", verb.name())),
        }
    }

    /// What every answer must be, whatever the question was.
    fn judge(&self, verb: Verb, answer: Result<String, Error>) -> Result<String, Trouble> {
        let name = verb.name();
        if let Some(nonsense) = self.heard.nonsense() {
            return broken(format!("it has told the host {nonsense}"));
        }
        match answer {
            Ok(text) if text.len() > MAX_ANSWER => {
                broken(format!("`{name}` answers with {} bytes", text.len()))
            }
            Ok(text) => Ok(text),
            Err(error) if error.kind == ErrorKind::Panic => broken(error.message),
            Err(error) if error.kind.is_hosts() => broken(format!(
                "`{name}` fails with {:?}, which only a host may say: {error}",
                error.kind
            )),
            Err(error) => Err(Trouble::Said { verb, error }),
        }
    }

    async fn call<A: DeserializeOwned>(
        &self,
        verb: Verb,
        payload: &impl Serialize,
    ) -> Result<A, Trouble> {
        let answer = self.raw(verb, write(payload)?).await?;
        read(verb, &answer)
    }

    /// The same with the grace that is part of the question.
    async fn call_within<A: DeserializeOwned>(
        &self,
        verb: Verb,
        payload: &impl Serialize,
        grace: Duration,
    ) -> Result<A, Trouble> {
        let within = grace.saturating_add(MARGIN);
        match timeout(within, self.call(verb, payload)).await {
            Ok(answer) => answer,
            Err(_) => broken(format!(
                "`{}` with a grace of {grace:?} has not answered within {within:?}",
                verb.name()
            )),
        }
    }

    pub(super) async fn facts(&self) -> Result<Facts, Trouble> {
        self.call(Verb::Facts, &()).await
    }

    pub(super) async fn check_requirements(&self) -> Result<(), Trouble> {
        self.call(Verb::CheckRequirements, &()).await
    }

    pub(super) async fn start(&self) -> Result<(), Trouble> {
        self.call(Verb::Start, &()).await
    }

    pub(super) async fn stop(&self, grace: Duration) -> Result<(), Trouble> {
        self.call_within(Verb::Stop, &wire::Stop { grace: grace.into() }, grace).await
    }

    pub(super) async fn health(&self) -> Result<(), Trouble> {
        self.call(Verb::Health, &()).await
    }

    pub(super) async fn submit(&self, job: &Job) -> Result<Option<Handle>, Trouble> {
        let handle: Option<Handle> = self.call(Verb::Submit, job).await?;
        let bytes = handle.as_ref().map_or(0, |handle| handle.data.to_string().len());
        if bytes > MAX_HANDLE {
            return broken(format!("`submit` returns a handle of {bytes} bytes, {MAX_HANDLE} fit"));
        }
        Ok(handle)
    }

    pub(super) async fn wait(&self, attempt: &Attempt) -> Result<Ended, Trouble> {
        self.call(Verb::Wait, attempt).await
    }

    /// `wait`, if it answers in that time.
    pub(super) async fn ended_within(
        &self,
        attempt: &Attempt,
        within: Duration,
    ) -> Result<Option<Ended>, Trouble> {
        timeout(within, self.wait(attempt)).await.ok().transpose()
    }

    pub(super) async fn cancel(&self, attempt: &Attempt, grace: Duration) -> Result<Work, Trouble> {
        let payload = wire::Cancel { attempt, grace: grace.into() };
        self.call_within(Verb::Cancel, &payload, grace).await
    }

    pub(super) async fn recover(&self, attempts: &[Attempt]) -> Result<Vec<Verdict>, Trouble> {
        self.call(Verb::Recover, &attempts).await
    }

    pub(super) async fn forget(&self, attempt: &Attempt) -> Result<(), Trouble> {
        self.call(Verb::Forget, attempt).await
    }

    pub(super) async fn logs(&self, attempt: &Attempt, offset: u64) -> Result<LogChunk, Trouble> {
        self.call(Verb::Logs, &wire::Logs { attempt, offset }).await
    }
}

/// As long as a host's own, as far as a test can last.
fn patience(verb: Verb) -> Duration {
    Duration::from_secs(match verb {
        Verb::Facts | Verb::Locality | Verb::ValidateJob | Verb::Health => 5,
        Verb::Logs => 10,
        // Their own grace comes on top, and ends them earlier.
        Verb::Cancel | Verb::Stop => 60,
        Verb::Wait | Verb::Submit => 20,
        Verb::CheckRequirements | Verb::Start | Verb::Recover | Verb::Forget | Verb::Retain => 25,
    })
}

fn write(payload: &impl Serialize) -> Result<String, Trouble> {
    serde_json::to_string(payload)
        .or_else(|error| broken(format!("the kit cannot write the question: {error}")))
}

fn read<A: DeserializeOwned>(verb: Verb, text: &str) -> Result<A, Trouble> {
    serde_json::from_str(text).or_else(|error| {
        let start: String = text.chars().take(80).collect();
        broken(format!("`{}` answers with what makes no sense: {error}: {start}", verb.name()))
    })
}
