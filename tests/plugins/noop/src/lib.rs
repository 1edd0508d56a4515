//! The test plugin: each job succeeds at once, or does what its parameters say.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use longshore_plugin_api::{
    Attempt, Counts, Ended, Ending, Error, ErrorKind, Executor, Facts, Found, Handle, Host, Job,
    JobShape, LogChunk, Progress, Verdict, Work, export_executor,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

/// `[executors.NAME.config]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Answer a job with its own parameters instead of `null`.
    echo: bool,
    /// Panic in this method.
    panic: Option<String>,
    /// Never answer this method: `health` or `recover`.
    hang: Option<String>,
    /// Fail `check_requirements` with this message.
    requirement: Option<String>,
    /// What `locality` answers.
    locality: Option<String>,
}

/// What a job's parameters may ask for. Other keys are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wish {
    sleep_ms: Option<u64>,
    fail: Option<Failure>,
    /// Run until canceled.
    hang: bool,
    /// Fail `submit` with an error of this kind.
    refuse: Option<u32>,
    /// Panic in `submit`, in `wait`, or at the `end` of the work.
    panic: Option<String>,
    /// Report progress from 0 to this.
    progress: Option<u64>,
    /// Block the thread that asks `submit`, against the promise that it never blocks.
    block_ms: Option<u64>,
    /// Answer with the time at which `submit` was called, in microseconds UTC.
    clock: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Failure {
    Transient,
    Permanent,
}

struct Noop {
    config: Config,
    host: Host,
    /// What waits for an end, by attempt tag. A job that asks for nothing never gets here.
    unusual: Mutex<HashMap<String, Run>>,
}

#[derive(Clone)]
struct Run {
    wish: Arc<Wish>,
    result: Box<RawValue>,
    cancel: watch::Sender<bool>,
    /// It has ended by itself: `cancel` changes nothing any more.
    over: Arc<AtomicBool>,
}

impl Noop {
    fn runs(&self) -> std::sync::MutexGuard<'_, HashMap<String, Run>> {
        self.unusual.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn hang_if(&self, method: &str) {
        if self.config.hang.as_deref() == Some(method) {
            std::future::pending().await
        }
    }

    fn panic_if(&self, method: &str) {
        assert!(self.config.panic.as_deref() != Some(method), "asked to panic in {method}");
    }
}

impl Executor for Noop {
    type Config = Config;

    const NEVER_BLOCKS: bool = true;

    fn new(config: Config, host: Host) -> Result<Self, Error> {
        let noop = Self { config, host, unusual: Mutex::default() };
        noop.panic_if("new");
        Ok(noop)
    }

    fn facts(&self) -> Facts {
        self.panic_if("facts");
        Facts::default()
    }

    async fn check_requirements(&self) -> Result<(), Error> {
        self.panic_if("check_requirements");
        self.config.requirement.clone().map_or(Ok(()), |missing| Err(Error::unavailable(missing)))
    }

    async fn start(&self) -> Result<(), Error> {
        self.panic_if("start");
        tracing::info!(executor = self.host.executor(), "noop started");
        Ok(())
    }

    async fn stop(&self, _: Duration) -> Result<(), Error> {
        self.panic_if("stop");
        Ok(())
    }

    fn locality(&self) -> Option<String> {
        self.panic_if("locality");
        self.config.locality.clone()
    }

    fn validate_job(&self, job: &JobShape) -> Result<(), Error> {
        self.panic_if("validate_job");
        if job.job_type == "impossible" {
            return Err(Error::invalid_job("noop cannot do the impossible").at("/job_type"));
        }
        Ok(())
    }

    async fn submit(&self, job: Job) -> Result<Option<Handle>, Error> {
        self.panic_if("submit");
        let text = job.params.get();
        // The fast path: parameters without any of the words that mean something here. It still
        // echoes nothing unless told to, and remembers nothing.
        let usual = !self.config.echo && !WORDS.iter().any(|word| text.contains(word));
        if usual {
            return Ok(None);
        }
        let wish: Wish = serde_json::from_str(text).unwrap_or_default();
        if let Some(ms) = wish.block_ms {
            block(ms);
        }
        if let Some(kind) = wish.refuse {
            return Err(Error::new(ErrorKind::from(kind), "refused, as asked"));
        }
        assert!(wish.panic.as_deref() != Some("submit"), "asked to panic in submit");
        let result = if wish.clock {
            now_us()?
        } else if self.config.echo {
            job.params
        } else {
            RawValue::NULL.to_owned()
        };
        let cancel = watch::Sender::new(false);
        let run = Run { wish: wish.into(), result, cancel, over: Arc::default() };
        self.runs().insert(job.attempt_tag, run);
        Ok(None)
    }

    async fn wait(&self, attempt: &Attempt) -> Result<Ended, Error> {
        self.panic_if("wait");
        let run = self.runs().get(&attempt.attempt_tag).cloned();
        let Some(Run { wish, result, cancel, over }) = run else {
            return Ok(Ending::Succeeded { result: RawValue::NULL.to_owned() }.into());
        };
        assert!(wish.panic.as_deref() != Some("wait"), "asked to panic in wait");
        let total = wish.progress.unwrap_or_default();
        for completed in 0..=total {
            let counts = Counts {
                completed: Some(Some(completed)),
                total: Some(Some(total)),
                ..Counts::default()
            };
            if total > 0 {
                let told = Progress { progress: Some(Some(counts)), ..Progress::default() };
                self.host.progress(&attempt.attempt_tag, &told);
            }
        }
        let mut canceled = cancel.subscribe();
        let end = async {
            match wish.sleep_ms {
                _ if wish.hang => std::future::pending().await,
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                None => {}
            }
        };
        tokio::select! {
            biased;
            _ = canceled.wait_for(|canceled| *canceled) => {
                return Ok(Ending::Canceled { message: "canceled, as asked".to_owned() }.into());
            }
            () = end => over.store(true, Ordering::Relaxed),
        }
        assert!(wish.panic.as_deref() != Some("end"), "asked to panic in end");
        let transient = match wish.fail {
            None => return Ok(Ending::Succeeded { result }.into()),
            Some(Failure::Transient) => true,
            Some(Failure::Permanent) => false,
        };
        let ending = Ending::Failed { message: "failed, as asked".to_owned(), transient };
        Ok(Ended { ending, log_tail: "the last words\n".to_owned() })
    }

    async fn cancel(&self, attempt: &Attempt, _: Duration) -> Result<Work, Error> {
        self.panic_if("cancel");
        if let Some(run) = self.runs().get(&attempt.attempt_tag)
            && !run.over.load(Ordering::Relaxed)
        {
            run.cancel.send_replace(true);
        }
        Ok(Work::Gone)
    }

    async fn recover(&self, attempts: Vec<Attempt>) -> Result<Vec<Verdict>, Error> {
        self.hang_if("recover").await;
        self.panic_if("recover");
        let runs = self.runs();
        let verdict = |attempt: Attempt| {
            let here = runs.contains_key(&attempt.attempt_tag);
            let found = if here { Found::Here } else { Found::Gone };
            Verdict { attempt_tag: attempt.attempt_tag, found }
        };
        Ok(attempts.into_iter().map(verdict).collect())
    }

    async fn forget(&self, attempt: &Attempt) -> Result<(), Error> {
        self.panic_if("forget");
        self.runs().remove(&attempt.attempt_tag);
        Ok(())
    }

    async fn logs(&self, _: &Attempt, offset: u64) -> Result<LogChunk, Error> {
        self.panic_if("logs");
        Ok(LogChunk { offset, next_offset: offset, end: true, ..LogChunk::default() })
    }

    async fn health(&self) -> Result<(), Error> {
        self.panic_if("health");
        self.hang_if("health").await;
        Ok(())
    }
}

impl Drop for Noop {
    fn drop(&mut self) {
        if self.config.panic.as_deref() == Some("drop") {
            std::panic::panic_any(PanicsWhenDropped);
        }
    }
}

/// A payload that is a second panic: the worst that a plugin can throw.
struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("the payload panicked too");
    }
}

#[expect(clippy::disallowed_methods, reason = "as asked")]
fn block(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

#[expect(clippy::disallowed_methods, reason = "a bench compares it with its own reading")]
fn now_us() -> Result<Box<RawValue>, Error> {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_err(|error| Error::internal(error.to_string()))?;
    RawValue::from_string(since.as_micros().to_string())
        .map_err(|error| Error::internal(error.to_string()))
}

const WORDS: [&str; 8] = [
    "\"block_ms\"",
    "\"sleep_ms\"",
    "\"fail\"",
    "\"hang\"",
    "\"refuse\"",
    "\"panic\"",
    "\"progress\"",
    "\"clock\"",
];

export_executor!(Noop);
