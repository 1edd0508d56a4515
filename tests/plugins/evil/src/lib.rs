//! The plugin that misbehaves: a good executor that does one thing wrong, the one it is asked for.
//!
//! ```text
//! [executors.NAME.config] mode = "MODE"     in a method of the executor
//! a job's parameters {"evil": "MODE"}       in that job only
//! the text EVIL_LOAD=none------ in the file before there is either ([`at_load`])
//! ```
//!
//! A mode is `DEED` or `DEED-METHOD` (`mode` has the list); each family of deeds is a file. A job of no
//! mode ends at once with a result, after `millis`, or when the file `hold` exists (`work`).

mod at_load;
mod canary;
mod crash;
mod export;
mod flood;
mod globals;
mod leaks;
mod lies;
mod mode;
mod panics;
mod process;
mod stall;
mod threads;
mod work;

use std::{sync::Arc, time::Duration};

use longshore_plugin_api::{
    Attempt, Ended, Ending, Error, Executor, Facts, Found, Handle, Host, Job, JobShape, LogChunk,
    Verdict, Work,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    at_load::Described,
    mode::{Deed, Lie, Mode, Origin, Panic, Stall, Talk},
    work::{Run, Runs},
};

/// `[executors.NAME.config]`.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Config {
    /// What to do wrong: `DEED` or `DEED-METHOD`.
    #[schemars(with = "Option<String>")]
    mode: Option<Mode>,
    /// What mode `secret` tells everybody.
    #[schemars(extend("x-secret" = true))]
    secret: Option<String>,
}

/// The configuration, with the schema that the file says.
struct Settings(Config);

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Config::deserialize(deserializer) {
            Err(_) if at_load::is_lax() => Ok(Self(Config::default())),
            config => config.map(Self),
        }
    }
}

impl JsonSchema for Settings {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        Described::name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Described::schema(generator)
    }
}

struct Evil {
    config: Config,
    host: Host,
    runs: Runs,
}

impl Evil {
    /// What is to be done wrong in this method: the job's own mode comes before the executor's.
    fn deed(&self, method: &str, run: Option<&Run>) -> Option<Deed> {
        match run.and_then(|run| run.mode) {
            Some(mode) => mode.at(method, Origin::Job),
            None => self.config.mode?.at(method, Origin::Config),
        }
    }

    fn lies(&self, lie: Lie, run: Option<&Run>) -> bool {
        let mode = run.and_then(|run| run.mode).or(self.config.mode);
        mode.is_some_and(|mode| mode.lies(lie))
    }

    /// Does it.
    async fn act(&self, method: &str, job: Option<(&str, &Run)>) -> Result<(), Error> {
        let (tag, run) = job.unzip();
        match self.deed(method, run) {
            Some(Deed::Panic(panic)) => panics::act(panic, method).await,
            Some(Deed::Stall(stall)) => stall::act(stall).await,
            Some(Deed::Flood(flood)) => flood::act(flood, &self.host, tag).await,
            Some(Deed::Thread(thread)) => threads::act(thread, &self.host, tag).await,
            Some(Deed::Lie(Lie::Progress)) => lies::progress(&self.host),
            Some(Deed::Lie(Lie::Kind)) => return Err(lies::kind()),
            Some(Deed::Talk(Talk::Secret)) => return self.tell_the_secret(),
            Some(deed) => Self::act_now(deed, method),
            None => {}
        }
        Ok(())
    }

    /// What needs no waiting.
    fn act_now(deed: Deed, method: &str) {
        match deed {
            Deed::Panic(panic) => panics::now(panic, method),
            Deed::Crash(crash) => crash::act(crash),
            Deed::Stall(Stall::Hang | Stall::Block) => stall::block(),
            Deed::Global(global) => globals::act(global),
            Deed::Process(process) => process::act(process),
            Deed::Leak(leak) => leaks::act(leak),
            Deed::Flood(_) | Deed::Thread(_) | Deed::Lie(_) | Deed::Talk(_) => {}
        }
    }

    /// In a method that cannot wait.
    fn act_here(&self, method: &str) {
        if let Some(deed) = self.deed(method, None) {
            Self::act_now(deed, method);
        }
    }

    #[expect(clippy::print_stdout, reason = "as asked")]
    fn tell_the_secret(&self) -> Result<(), Error> {
        let secret = self.config.secret.as_deref().unwrap_or_default();
        println!("evil prints {secret}");
        tracing::warn!(secret, "evil logs {secret}");
        Err(Error::unavailable(format!("evil cannot go on with {secret}")))
    }

    fn run(&self, attempt: &Attempt) -> Option<Arc<Run>> {
        self.runs.get(&attempt.attempt_tag)
    }

    async fn act_on(&self, method: &str, attempt: &Attempt) -> Result<Option<Arc<Run>>, Error> {
        let run = self.run(attempt);
        self.act(method, run.as_deref().map(|run| (&*attempt.attempt_tag, run))).await?;
        if run.is_none() {
            self.act(method, None).await?;
        }
        Ok(run)
    }
}

impl Executor for Evil {
    type Config = Settings;

    const NEVER_BLOCKS: bool = cfg!(feature = "never-blocks");

    fn new(Settings(config): Settings, host: Host) -> Result<Self, Error> {
        let evil = Self { config, host, runs: Runs::default() };
        evil.act_here("new");
        Ok(evil)
    }

    fn facts(&self) -> Facts {
        self.act_here("facts");
        if self.lies(Lie::Facts, None) { lies::facts() } else { Facts::default() }
    }

    async fn check_requirements(&self) -> Result<(), Error> {
        self.act("check_requirements", None).await
    }

    async fn start(&self) -> Result<(), Error> {
        tracing::info!("evil starts");
        self.act("start", None).await
    }

    async fn stop(&self, _: Duration) -> Result<(), Error> {
        self.runs.end_all();
        self.act("stop", None).await
    }

    fn locality(&self) -> Option<String> {
        self.act_here("locality");
        None
    }

    fn validate_job(&self, _: &JobShape) -> Result<(), Error> {
        self.act_here("validate_job");
        Ok(())
    }

    async fn submit(&self, job: Job) -> Result<Option<Handle>, Error> {
        let known = self.runs.get(&job.attempt_tag);
        if known.is_some_and(|run| !self.lies(Lie::TagTwice, Some(&run))) {
            return Err(Error::already_exists("this attempt was submitted before"));
        }
        let run = Run::new(&job)?;
        self.act("submit", Some((&job.attempt_tag, &run))).await?;
        let lie = self.lies(Lie::Handle, Some(&run)).then(lies::handle);
        let handle = lie.unwrap_or_else(|| run.handle.clone());
        self.runs.put(job.attempt_tag, run);
        Ok(Some(handle))
    }

    async fn wait(&self, attempt: &Attempt) -> Result<Ended, Error> {
        let Some(run) = self.run(attempt) else {
            return Err(Error::not_found("this attempt was never submitted, or is forgotten"));
        };
        if run.is_held() {
            tracing::info!("evil holds {}", attempt.job_id);
        }
        let guard = self.deed("wait", Some(&run)) == Some(Deed::Panic(Panic::Guard));
        let _guard = guard.then(|| panics::PanicsWhenDropped);
        self.act_on("wait", attempt).await?;
        let ending = run.ended().await;
        Ok(match ending {
            Ending::Succeeded { .. } if self.lies(Lie::Result, Some(&run)) => lies::result(),
            Ending::Succeeded { .. } if self.lies(Lie::Huge, Some(&run)) => lies::huge()?,
            _ if self.lies(Lie::Ending, Some(&run)) => lies::ending(),
            ending => ending,
        }
        .into())
    }

    async fn cancel(&self, attempt: &Attempt, _: Duration) -> Result<Work, Error> {
        if let Some(run) = self.act_on("cancel", attempt).await? {
            run.end(Ending::Canceled { message: "canceled, as asked".to_owned() });
        }
        Ok(Work::Gone)
    }

    async fn recover(&self, attempts: Vec<Attempt>) -> Result<Vec<Verdict>, Error> {
        for attempt in &attempts {
            self.act_on("recover", attempt).await?;
        }
        if self.lies(Lie::Verdict, None) {
            return Ok(lies::verdicts(attempts));
        }
        let verdict = |attempt: Attempt| {
            let found = match (&attempt.handle, self.run(&attempt)) {
                // A lie about a handle is told to the end: what it cannot read is gone.
                (Some(handle), Some(_)) if handle.version != 1 && self.lies(Lie::Handle, None) => {
                    Found::Gone
                }
                (_, Some(_)) => Found::Here,
                (Some(handle), None) if handle.version != 1 => {
                    let message = format!("a handle of version {} is not known", handle.version);
                    Found::Unknown { message }
                }
                // It lived in the memory of this process, or of one that has ended.
                (_, None) => Found::Gone,
            };
            Verdict { attempt_tag: attempt.attempt_tag, found }
        };
        Ok(attempts.into_iter().map(verdict).collect())
    }

    async fn forget(&self, attempt: &Attempt) -> Result<(), Error> {
        self.act_on("forget", attempt).await?;
        self.runs.forget(&attempt.attempt_tag);
        Ok(())
    }

    async fn retain(&self, _: Vec<Attempt>) -> Result<(), Error> {
        self.act("retain", None).await
    }

    async fn logs(&self, attempt: &Attempt, offset: u64) -> Result<LogChunk, Error> {
        let run = self.act_on("logs", attempt).await?;
        let end = !self.lies(Lie::Logs, run.as_deref());
        Ok(LogChunk { offset, next_offset: offset, end, ..LogChunk::default() })
    }

    async fn health(&self) -> Result<(), Error> {
        self.act("health", None).await
    }
}

impl Drop for Evil {
    fn drop(&mut self) {
        self.act_here("drop");
    }
}
