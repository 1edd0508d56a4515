//! Types to verbs and JSON, over any transport, each within its deadline.

use std::{future::Future, sync::Arc, time::Duration};

use longshore_plugin_api::{
    Attempt, Ended, Error, ErrorKind, Facts, Handle, Job, JobShape, LogChunk, Verdict, Work,
    wire::{self, Verb},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    schema,
    secret::Secrets,
    transport::{Text, Transport},
    watchdog::Watchdog,
};
use crate::{clock::Moment, config::Deadlines};

/// A handle names work, and is stored in the job's row and sent with each call about it, in bytes.
const MAX_HANDLE: usize = 64 << 10;

/// One opened executor.
#[derive(Debug)]
pub(super) struct Verbs {
    pub(super) plugin: String,
    pub(super) facts: Facts,
    pub(super) options_schema: Option<serde_json::Value>,
    pub(super) deadlines: Deadlines,
    pub(super) watchdog: Watchdog,
    pub(super) secrets: Arc<Secrets>,
    pub(super) transport: Transport,
}

impl Verbs {
    async fn call<A: DeserializeOwned>(
        &self,
        verb: Verb,
        job: Option<&str>,
        payload: &impl Serialize,
    ) -> Result<A, Error> {
        let payload = write(payload)?;
        let answer = match self.transport.call(verb, job, payload).await {
            Ok(text) => self.read(verb, &text),
            Err(error) => Err(error),
        };
        answer.map_err(|error| Error { message: self.redact(&error.message), ..error })
    }

    /// The text without what is secret in this executor's settings.
    pub(super) fn redact(&self, text: &str) -> String {
        self.secrets.redact(text).into_owned()
    }

    async fn within<A>(
        &self,
        deadline: Duration,
        verb: Verb,
        call: impl Future<Output = Result<A, Error>>,
    ) -> Result<A, Error> {
        let began = Moment::now();
        match tokio::time::timeout(deadline, call).await {
            Ok(answer) => {
                self.watchdog.answered(verb);
                answer
            }
            Err(_) => {
                self.watchdog.overran(verb, began);
                let (plugin, verb) = (&self.plugin, verb.name());
                let message =
                    format!("plugin `{plugin}` did not answer `{verb}` within {deadline:?}");
                Err(Error::new(ErrorKind::Hung, message))
            }
        }
    }

    fn read<A: DeserializeOwned>(&self, verb: Verb, text: &Text) -> Result<A, Error> {
        serde_json::from_str(text.as_ref()).map_err(|e| {
            let (plugin, verb) = (&self.plugin, verb.name());
            let message =
                format!("plugin `{plugin}` answers `{verb}` with what makes no sense: {e}");
            Error::new(ErrorKind::Protocol, message)
        })
    }

    /// Whether it answers at all, outside of every count.
    pub(super) async fn is_alive(&self) -> bool {
        let question = self.transport.call(Verb::Health, None, "null".to_owned());
        tokio::time::timeout(self.deadlines.health, question).await.is_ok()
    }

    pub(super) async fn locality(&self) -> Result<Option<String>, Error> {
        let verb = Verb::Locality;
        self.within(self.deadlines.locality, verb, self.call(verb, None, &())).await
    }

    pub(super) async fn validate_job(&self, job: &JobShape) -> Result<(), Error> {
        self.check_options(job)?;
        let verb = Verb::ValidateJob;
        self.within(self.deadlines.validate_job, verb, self.call(verb, None, job)).await
    }

    pub(super) async fn submit(&self, job: &Job) -> Result<Option<Handle>, Error> {
        let handle: Option<Handle> = self.call(Verb::Submit, Some(&job.job_id), job).await?;
        if let Some(handle) = &handle {
            let size = write(handle)?.len();
            if size > MAX_HANDLE {
                let plugin = &self.plugin;
                let message = format!(
                    "plugin `{plugin}` answers `submit` with a handle of {size} bytes; at most {MAX_HANDLE} are kept"
                );
                return Err(Error::new(ErrorKind::Protocol, message));
            }
        }
        Ok(handle)
    }

    pub(super) async fn wait(&self, attempt: &Attempt) -> Result<Ended, Error> {
        self.call(Verb::Wait, Some(&attempt.job_id), attempt).await
    }

    pub(super) async fn cancel(&self, attempt: &Attempt, grace: Duration) -> Result<Work, Error> {
        let payload = wire::Cancel { attempt, grace: grace.into() };
        let call = self.call(Verb::Cancel, Some(&attempt.job_id), &payload);
        self.within(grace.saturating_add(self.deadlines.margin), Verb::Cancel, call).await
    }

    pub(super) async fn recover(&self, attempts: &[Attempt]) -> Result<Vec<Verdict>, Error> {
        let verb = Verb::Recover;
        self.within(self.deadlines.recover, verb, self.call(verb, None, &attempts)).await
    }

    pub(super) async fn forget(&self, attempt: &Attempt) -> Result<(), Error> {
        let verb = Verb::Forget;
        self.within(self.deadlines.forget, verb, self.call(verb, Some(&attempt.job_id), attempt))
            .await
    }

    pub(super) async fn retain(&self, attempts: &[Attempt]) -> Result<(), Error> {
        let verb = Verb::Retain;
        self.within(self.deadlines.retain, verb, self.call(verb, None, &attempts)).await
    }

    pub(super) async fn logs(&self, attempt: &Attempt, offset: u64) -> Result<LogChunk, Error> {
        let payload = wire::Logs { attempt, offset };
        self.within(
            self.deadlines.logs,
            Verb::Logs,
            self.call(Verb::Logs, Some(&attempt.job_id), &payload),
        )
        .await
    }

    pub(super) async fn health(&self) -> Result<(), Error> {
        let verb = Verb::Health;
        let health = self.within(self.deadlines.health, verb, self.call(verb, None, &())).await;
        self.transport.look_around(&self.plugin);
        health
    }

    pub(super) async fn check_requirements(&self) -> Result<(), Error> {
        let verb = Verb::CheckRequirements;
        self.within(self.deadlines.check_requirements, verb, self.call(verb, None, &())).await
    }

    pub(super) async fn start(&self) -> Result<(), Error> {
        self.within(self.deadlines.start, Verb::Start, self.call(Verb::Start, None, &())).await
    }

    pub(super) async fn stop(&self, grace: Duration) -> Result<(), Error> {
        let payload = wire::Stop { grace: grace.into() };
        let call = self.call(Verb::Stop, None, &payload);
        self.within(grace.saturating_add(self.deadlines.margin), Verb::Stop, call).await
    }

    fn check_options(&self, job: &JobShape) -> Result<(), Error> {
        match (&job.options, &self.options_schema) {
            (None, _) => Ok(()),
            (Some(_), None) => {
                let plugin = &self.plugin;
                Err(Error::invalid_job(format!("plugin `{plugin}` takes no options"))
                    .at("/options"))
            }
            (Some(options), Some(schema)) => {
                match schema::mistakes(schema, options).into_iter().next() {
                    None => Ok(()),
                    Some(mistake) => Err(Error::invalid_job(mistake.message)
                        .at(format!("/options{}", mistake.pointer))),
                }
            }
        }
    }
}

fn write(payload: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(payload)
        .map_err(|e| Error::internal(format!("cannot be written as JSON: {e}")))
}
