//! Jobs that are only remembered: each ends at once with its parameters as its result, unless they say
//! otherwise. It uses as much of the API as fits into a page.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use longshore_plugin_api::{
    Attempt, Counts, Ended, Ending, Error, Executor, Facts, Found, Handle, Host, Job, JobShape,
    LogChunk, NoConfig, Progress, Verdict, Work, export_executor,
};
use tokio::sync::watch;

struct Memory {
    host: Host,
    runs: Mutex<HashMap<String, watch::Sender<Option<Ending>>>>,
}

impl Memory {
    fn runs(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Option<Ending>>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Executor for Memory {
    type Config = NoConfig;

    fn new(_: NoConfig, host: Host) -> Result<Self, Error> {
        Ok(Self { host, runs: Mutex::default() })
    }

    fn facts(&self) -> Facts {
        Facts::default()
    }

    fn validate_job(&self, job: &JobShape) -> Result<(), Error> {
        match &*job.job_type {
            "refused" => Err(Error::invalid_job("as its name says").at("/job_type")),
            _ => Ok(()),
        }
    }

    async fn submit(&self, job: Job) -> Result<Option<Handle>, Error> {
        let params: serde_json::Value = serde_json::from_str(job.params.get())
            .map_err(|error| Error::invalid_job(error.to_string()))?;
        let ending = match params["how"].as_str() {
            Some("long") => None,
            Some("bad") => Some(Ending::failed("as asked")),
            _ => Some(Ending::succeeded(&params)?),
        };
        let mut runs = self.runs();
        if runs.contains_key(&job.attempt_tag) {
            return Err(Error::already_exists("this attempt was submitted before"));
        }
        let counts = Counts { completed: Some(Some(1)), ..Counts::default() };
        let progress =
            Progress { message: Some(Some("begun".to_owned())), progress: Some(Some(counts)) };
        self.host.progress(&job.attempt_tag, &progress);
        runs.insert(job.attempt_tag, watch::Sender::new(ending));
        Ok(Some(Handle { version: 1, data: std::process::id().into() }))
    }

    async fn wait(&self, attempt: &Attempt) -> Result<Ended, Error> {
        let run = self.runs().get(&attempt.attempt_tag).map(watch::Sender::subscribe);
        let mut run = run.ok_or_else(|| Error::not_found("there is no such attempt"))?;
        let ended = run.wait_for(Option::is_some).await;
        let ending = ended.ok().and_then(|ending| ending.clone());
        Ok(ending.ok_or_else(|| Error::not_found("it was forgotten meanwhile"))?.into())
    }

    async fn cancel(&self, attempt: &Attempt, _: Duration) -> Result<Work, Error> {
        if let Some(run) = self.runs().get(&attempt.attempt_tag) {
            run.send_if_modified(|ending| {
                let running = ending.is_none();
                if running {
                    *ending = Some(Ending::Canceled { message: "as asked".to_owned() });
                }
                running
            });
        }
        Ok(Work::Gone)
    }

    async fn recover(&self, attempts: Vec<Attempt>) -> Result<Vec<Verdict>, Error> {
        let runs = self.runs();
        let verdict = |attempt: Attempt| {
            // What is not remembered was in a process that has ended, and nowhere else.
            let here = runs.contains_key(&attempt.attempt_tag);
            let found = if here { Found::Here } else { Found::Gone };
            Verdict { attempt_tag: attempt.attempt_tag, found }
        };
        Ok(attempts.into_iter().map(verdict).collect())
    }

    async fn forget(&self, attempt: &Attempt) -> Result<(), Error> {
        self.runs().remove(&attempt.attempt_tag);
        Ok(())
    }

    async fn logs(&self, attempt: &Attempt, offset: u64) -> Result<LogChunk, Error> {
        let runs = self.runs();
        let end = runs.get(&attempt.attempt_tag).is_none_or(|run| run.borrow().is_some());
        Ok(LogChunk { offset, text: String::new(), next_offset: offset, end })
    }
}

export_executor!(Memory);
