//! One call of the program: what is asked, and what surrounds it.

use std::time::Duration;

use longshore_plugin_api::{
    Attempt, Error, Job, Run,
    wire::{self, Verb},
};
use serde::Serialize;
use serde_json::value::RawValue;

/// A verb with its payload. The rest is for a program that is run once for it: a shell reads
/// variables and arguments more easily than JSON.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) verb: Verb,
    /// One line of JSON.
    pub(crate) payload: String,
    pub(crate) limit: Option<Duration>,
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) arguments: &'a [String],
    pub(crate) params: Option<&'a RawValue>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(verb: Verb, payload: &impl Serialize) -> Result<Self, Error> {
        let payload = serde_json::to_string(payload)
            .map_err(|e| Error::internal(format!("`{}` is no JSON: {e}", verb.name())))?;
        Ok(Self {
            verb,
            // Parameters keep the line breaks that they were submitted with; in JSON those only stand
            // between words, where a blank is as good.
            payload: payload.replace(['\n', '\r'], " "),
            limit: None,
            variables: Vec::new(),
            arguments: &[],
            params: None,
        })
    }

    pub(crate) fn submit(job: &'a Job) -> Result<Self, Error> {
        let mut call = Self::new(Verb::Submit, job)?;
        call.name(&job.job_id, &job.attempt_tag);
        call.tell("LONGSHORE_ATTEMPT", job.attempt);
        call.tell("LONGSHORE_TIMEOUT", job.timeout.0);
        if let Run::Command(words) = &job.run {
            call.arguments = words;
        }
        call.params = Some(&job.params);
        Ok(call)
    }

    /// About one attempt, which is all of the payload.
    pub(crate) fn about(verb: Verb, attempt: &Attempt) -> Result<Self, Error> {
        let mut call = Self::new(verb, attempt)?;
        call.name(&attempt.job_id, &attempt.attempt_tag);
        Ok(call)
    }

    pub(crate) fn cancel(attempt: &Attempt, grace: Duration) -> Result<Self, Error> {
        let payload = wire::Cancel { attempt, grace: grace.into() };
        let mut call = Self::new(Verb::Cancel, &payload)?;
        call.name(&attempt.job_id, &attempt.attempt_tag);
        call.tell("LONGSHORE_GRACE", grace.as_secs_f64());
        Ok(call)
    }

    pub(crate) fn logs(attempt: &Attempt, offset: u64) -> Result<Self, Error> {
        let mut call = Self::new(Verb::Logs, &wire::Logs { attempt, offset })?;
        call.name(&attempt.job_id, &attempt.attempt_tag);
        call.tell("LONGSHORE_OFFSET", offset);
        Ok(call)
    }

    pub(crate) fn stop(grace: Duration) -> Result<Self, Error> {
        let mut call = Self::new(Verb::Stop, &wire::Stop { grace: grace.into() })?;
        call.tell("LONGSHORE_GRACE", grace.as_secs_f64());
        Ok(call)
    }

    fn name(&mut self, job_id: &str, attempt_tag: &str) {
        self.tell("LONGSHORE_JOB_ID", job_id);
        self.tell("LONGSHORE_ATTEMPT_TAG", attempt_tag);
    }

    fn tell(&mut self, name: &'static str, value: impl ToString) {
        self.variables.push((name, value.to_string()));
    }
}
