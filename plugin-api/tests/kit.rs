//! The conformance kit in a crate's own tests: on an executor that keeps its promises, and on one that
//! breaks one.

use std::{
    collections::HashMap,
    env,
    panic::catch_unwind,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use longshore_plugin_api::{
    Attempt, Ended, Ending, Error, Executor, Facts, Found, Handle, Host, Job, NoConfig, Verdict,
    Work, conformance,
    export::{About, Plugin, root_of},
    testkit::{JobSpec, Sample, conform},
};
use serde_json::Value;
use tokio::sync::watch;

type Run = watch::Sender<Option<Ending>>;

/// Jobs that are only remembered: one whose parameters say so runs until it is canceled.
struct Memory<const HONEST: bool> {
    runs: Mutex<HashMap<String, Run>>,
}

impl<const HONEST: bool> Memory<HONEST> {
    fn runs(&self) -> MutexGuard<'_, HashMap<String, Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<const HONEST: bool> Executor for Memory<HONEST> {
    type Config = NoConfig;

    fn new(_: NoConfig, _: Host) -> Result<Self, Error> {
        Ok(Self { runs: Mutex::default() })
    }

    fn facts(&self) -> Facts {
        Facts::default()
    }

    async fn submit(&self, job: Job) -> Result<Option<Handle>, Error> {
        let params: Value = serde_json::from_str(job.params.get())
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
        runs.insert(job.attempt_tag, watch::Sender::new(ending));
        Ok(None)
    }

    async fn wait(&self, attempt: &Attempt) -> Result<Ended, Error> {
        let run = self.runs().get(&attempt.attempt_tag).map(watch::Sender::subscribe);
        let mut run = run.ok_or_else(|| Error::not_found("no such attempt"))?;
        let ended = run.wait_for(Option::is_some).await;
        let ending = ended.ok().and_then(|ending| ending.clone());
        Ok(ending.ok_or_else(|| Error::not_found("it was forgotten meanwhile"))?.into())
    }

    async fn cancel(&self, attempt: &Attempt, _: Duration) -> Result<Work, Error> {
        if let Some(run) = self.runs().get(&attempt.attempt_tag) {
            run.send_if_modified(|ending| {
                let changes = ending.is_none() || !HONEST;
                if changes {
                    *ending = Some(Ending::Canceled { message: "as asked".to_owned() });
                }
                changes
            });
        }
        Ok(Work::Gone)
    }

    async fn recover(&self, attempts: Vec<Attempt>) -> Result<Vec<Verdict>, Error> {
        let runs = self.runs();
        let verdict = |attempt: Attempt| {
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
}

fn sample() -> Sample {
    Sample {
        quick: JobSpec::default().param("n", 1),
        long: JobSpec::default().param("how", "long"),
        failing: Some(JobSpec::default().param("how", "bad")),
        ..Sample::default()
    }
}

conformance!(Memory<true>, sample());

struct Forgetful;

impl Plugin for Forgetful {
    type Executor = Memory<false>;
    const ABOUT: About = About::of_crate("forgetful", "0.1.0", "", "", true);
}

#[test]
fn a_broken_promise_fails_the_test_and_is_named() {
    let this_test = concat!(module_path!(), "::a_broken_promise_fails_the_test_and_is_named");
    let Err(panic) = catch_unwind(|| conform(root_of::<Forgetful>(), this_test, sample)) else {
        // The process of one of the tests: what it has to say it has written down.
        assert!(env::var_os("LONGSHORE_TESTKIT").is_some(), "the executor breaks its promise");
        return;
    };
    let text = panic.downcast_ref::<String>().expect("it says what is broken");
    let broken: Vec<_> = text.lines().filter(|line| line.starts_with("fail ")).collect();
    assert!(matches!(&*broken, [one] if one.starts_with("fail cancel_after_end: ")), "{text}");
    assert!(!text.contains("crash ") && !text.contains("hang "), "{text}");
}
