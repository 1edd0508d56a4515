//! Types to verbs and JSON, over any transport.

use std::{future::Future, time::Duration};

use longshore_plugin_api::{
    Attempt, Ended, Error, ErrorKind, Facts, Handle, Job, JobShape, LogChunk, Verdict, Work,
    wire::{self, Verb},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    BoxFuture, Standing,
    executor::{Answer, HostedExecutor, deadline},
    schema,
    transport::Transport,
};

#[derive(Debug)]
pub(super) struct Verbs<T> {
    pub(super) name: String,
    pub(super) plugin: String,
    pub(super) facts: Facts,
    pub(super) options_schema: Option<serde_json::Value>,
    pub(super) transport: T,
}

impl<T: Transport> Verbs<T> {
    async fn call<A: DeserializeOwned>(
        &self,
        verb: Verb,
        payload: &impl Serialize,
    ) -> Result<A, Error> {
        let payload = write(payload)?;
        self.read(verb, self.transport.call(verb, payload).await?)
    }

    async fn within<A>(
        &self,
        deadline: Duration,
        verb: Verb,
        call: impl Future<Output = Result<A, Error>>,
    ) -> Result<A, Error> {
        tokio::time::timeout(deadline, call).await.unwrap_or_else(|_| {
            let (plugin, verb) = (&self.plugin, verb.name());
            let message = format!("plugin `{plugin}` did not answer `{verb}` within {deadline:?}");
            Err(Error::new(ErrorKind::Hung, message))
        })
    }

    fn read<A: DeserializeOwned>(&self, verb: Verb, text: T::Text) -> Result<A, Error> {
        serde_json::from_str(text.as_ref()).map_err(|e| {
            let (plugin, verb) = (&self.plugin, verb.name());
            let message =
                format!("plugin `{plugin}` answers `{verb}` with what makes no sense: {e}");
            Error::new(ErrorKind::Protocol, message)
        })
    }
}

fn write(payload: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(payload)
        .map_err(|e| Error::internal(format!("cannot be written as JSON: {e}")))
}

impl<T: Transport> HostedExecutor for Verbs<T> {
    fn name(&self) -> &str {
        &self.name
    }

    fn plugin(&self) -> &str {
        &self.plugin
    }

    fn standing(&self) -> Standing {
        Standing::Ready
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn facts(&self) -> Option<Facts> {
        Some(self.facts.clone())
    }

    fn locality(&self) -> Answer<'_, Option<String>> {
        let verb = Verb::Locality;
        Box::pin(self.within(deadline::LOCALITY, verb, self.call(verb, &())))
    }

    fn validate_job<'a>(&'a self, job: &'a JobShape) -> Answer<'a, ()> {
        Box::pin(async move {
            self.check_options(job)?;
            let verb = Verb::ValidateJob;
            self.within(deadline::VALIDATE, verb, self.call(verb, job)).await
        })
    }

    fn submit<'a>(&'a self, job: &'a Job) -> Answer<'a, Option<Handle>> {
        Box::pin(self.call(Verb::Submit, job))
    }

    fn wait<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, Ended> {
        Box::pin(self.call(Verb::Wait, attempt))
    }

    fn cancel<'a>(&'a self, attempt: &'a Attempt, grace: Duration) -> Answer<'a, Work> {
        Box::pin(async move {
            let payload = wire::Cancel { attempt, grace: grace.into() };
            let call = self.call(Verb::Cancel, &payload);
            self.within(grace.saturating_add(deadline::MARGIN), Verb::Cancel, call).await
        })
    }

    fn recover<'a>(&'a self, attempts: &'a [Attempt]) -> Answer<'a, Vec<Verdict>> {
        Box::pin(async move {
            let verb = Verb::Recover;
            self.within(deadline::RECOVER, verb, self.call(verb, &attempts)).await
        })
    }

    fn forget<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, ()> {
        let verb = Verb::Forget;
        Box::pin(self.within(deadline::FORGET, verb, self.call(verb, attempt)))
    }

    fn retain<'a>(&'a self, attempts: &'a [Attempt]) -> Answer<'a, ()> {
        let verb = Verb::Retain;
        Box::pin(
            async move { self.within(deadline::RETAIN, verb, self.call(verb, &attempts)).await },
        )
    }

    fn logs<'a>(&'a self, attempt: &'a Attempt, offset: u64) -> Answer<'a, LogChunk> {
        Box::pin(async move {
            let payload = wire::Logs { attempt, offset };
            self.within(deadline::LOGS, Verb::Logs, self.call(Verb::Logs, &payload)).await
        })
    }

    fn health(&self) -> Answer<'_, ()> {
        Box::pin(self.within(deadline::HEALTH, Verb::Health, self.call(Verb::Health, &())))
    }

    fn check_requirements(&self) -> Answer<'_, ()> {
        let verb = Verb::CheckRequirements;
        Box::pin(self.within(deadline::CHECK_REQUIREMENTS, verb, self.call(verb, &())))
    }

    fn start(&self) -> Answer<'_, ()> {
        Box::pin(self.within(deadline::START, Verb::Start, self.call(Verb::Start, &())))
    }

    fn stop(&self, grace: Duration) -> Answer<'_, ()> {
        Box::pin(async move {
            let payload = wire::Stop { grace: grace.into() };
            let call = self.call(Verb::Stop, &payload);
            self.within(grace.saturating_add(deadline::MARGIN), Verb::Stop, call).await
        })
    }
}

impl<T> Verbs<T> {
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
