//! The executor itself: methods to verbs, answers to types.

use std::{
    collections::HashSet,
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt as _,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use longshore_plugin_api::{
    Attempt, Ended, Error, ErrorKind, Executor, Facts, Handle, Host, Job, JobShape, LogChunk,
    Verdict, Work, wire::Verb,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::runtime;

use crate::{
    call::Call,
    config::{Config, Mode, Settings},
    launcher::Launcher,
    log::Log,
    once::Once,
    protocol::{self, Reply},
    serve::Serve,
};

/// Between two questions of one `wait`, whatever the program asks for.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3600);

/// The executor `command`.
#[derive(Debug)]
pub struct CommandExecutor {
    settings: Arc<Settings>,
    launcher: Arc<Launcher>,
    program: Program,
    /// Asked once, and before anything else can say what is wrong with the program.
    facts: OnceLock<Result<Facts, Error>>,
    locality: OnceLock<Option<String>>,
    /// What the program has said that it does not know; it is not asked again.
    unknown: Mutex<HashSet<Verb>>,
}

#[derive(Debug)]
enum Program {
    Once(Once),
    Serve(Serve),
}

impl Executor for CommandExecutor {
    type Config = Config;

    fn new(config: Config, host: Host) -> Result<Self, Error> {
        let settings = Arc::new(Settings::new(config, &host)?);
        let launcher = Arc::new(Launcher::new(Arc::clone(&settings)));
        let log = Arc::new(Log::new());
        let shared = (Arc::clone(&settings), Arc::clone(&launcher));
        let program = match settings.mode {
            Mode::Once => Program::Once(Once::new(shared.0, shared.1, log)),
            Mode::Serve => Program::Serve(Serve::new(shared.0, shared.1, host, log)),
        };
        Ok(Self {
            settings,
            launcher,
            program,
            facts: OnceLock::new(),
            locality: OnceLock::new(),
            unknown: Mutex::default(),
        })
    }

    /// The defaults where the program does not answer: [`check_requirements`](Self::check_requirements)
    /// then says so, and the executor is not used.
    fn facts(&self) -> Facts {
        let facts = self.facts.get_or_init(|| {
            self.make_state_dir()?;
            now(self.optional(Verb::Facts, self.plain(Verb::Facts)?, Facts::default()))
        });
        facts.clone().unwrap_or_default()
    }

    async fn check_requirements(&self) -> Result<(), Error> {
        if let Some(Err(error)) = self.facts.get() {
            return Err(error.clone());
        }
        self.optional(Verb::CheckRequirements, self.plain(Verb::CheckRequirements)?, ()).await
    }

    async fn start(&self) -> Result<(), Error> {
        self.make_state_dir()?;
        self.launcher.settle().await?;
        self.optional(Verb::Start, self.plain(Verb::Start)?, ()).await?;
        let locality = self.optional(Verb::Locality, self.plain(Verb::Locality)?, None).await?;
        self.locality.set(locality).map_err(|_| Error::internal("the executor was started before"))
    }

    async fn stop(&self, grace: Duration) -> Result<(), Error> {
        let call = self.limited(Call::stop(grace)?, grace);
        let stopped = self.optional(Verb::Stop, call, ()).await;
        if let Program::Serve(serve) = &self.program {
            serve.stop().await;
        }
        stopped
    }

    fn locality(&self) -> Option<String> {
        self.locality.get().cloned().flatten()
    }

    fn validate_job(&self, job: &JobShape) -> Result<(), Error> {
        let call = self.limited(Call::new(Verb::ValidateJob, job)?, Duration::ZERO);
        now(self.optional(Verb::ValidateJob, call, ()))
    }

    async fn submit(&self, job: Job) -> Result<Option<Handle>, Error> {
        self.ask(&self.limited(Call::submit(&job)?, Duration::ZERO)).await
    }

    async fn wait(&self, attempt: &Attempt) -> Result<Ended, Error> {
        let call = self.limited(Call::about(Verb::Wait, attempt)?, Duration::ZERO);
        loop {
            match self.reply(&call).await? {
                Reply::Done(answer) => return protocol::typed(Verb::Wait, &answer),
                Reply::Again(pause) => tokio::time::sleep(pause.clamp(SHORTEST, LONGEST)).await,
            }
        }
    }

    async fn cancel(&self, attempt: &Attempt, grace: Duration) -> Result<Work, Error> {
        self.ask(&self.limited(Call::cancel(attempt, grace)?, grace)).await
    }

    async fn recover(&self, attempts: Vec<Attempt>) -> Result<Vec<Verdict>, Error> {
        // Again: an older version of this plugin, with calls of its own, may have died since the start.
        self.launcher.settle().await?;
        self.ask(&self.limited(Call::new(Verb::Recover, &attempts)?, Duration::ZERO)).await
    }

    async fn forget(&self, attempt: &Attempt) -> Result<(), Error> {
        let call = self.limited(Call::about(Verb::Forget, attempt)?, Duration::ZERO);
        self.optional(Verb::Forget, call, ()).await
    }

    async fn retain(&self, attempts: Vec<Attempt>) -> Result<(), Error> {
        let call = self.limited(Call::new(Verb::Retain, &attempts)?, Duration::ZERO);
        self.optional(Verb::Retain, call, ()).await
    }

    async fn logs(&self, attempt: &Attempt, offset: u64) -> Result<LogChunk, Error> {
        let unknown = || Error::unsupported("the program keeps no logs");
        if self.knows_not(Verb::Logs) {
            return Err(unknown());
        }
        let call = self.limited(Call::logs(attempt, offset)?, Duration::ZERO);
        let chunk = self.optional(Verb::Logs, call, None).await?;
        chunk.ok_or_else(unknown)
    }

    async fn health(&self) -> Result<(), Error> {
        self.optional(Verb::Health, self.plain(Verb::Health)?, ()).await
    }
}

impl CommandExecutor {
    async fn reply(&self, call: &Call<'_>) -> Result<Reply, Error> {
        match &self.program {
            Program::Once(once) => once.call(call).await,
            Program::Serve(serve) => serve.call(call).await,
        }
    }

    async fn ask<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, Error> {
        match self.reply(call).await? {
            Reply::Done(answer) => protocol::typed(call.verb, &answer),
            Reply::Again(_) => {
                let message = format!("`again_in` answers `wait`, not `{}`", call.verb.name());
                Err(Error::internal(message))
            }
        }
    }

    /// Asks a verb that a program need not know.
    async fn optional<T: DeserializeOwned>(
        &self,
        verb: Verb,
        call: Call<'_>,
        default: T,
    ) -> Result<T, Error> {
        if self.knows_not(verb) {
            return Ok(default);
        }
        match self.ask(&call).await {
            Err(error) if error.kind == ErrorKind::Unsupported => {
                self.unknown().insert(verb);
                Ok(default)
            }
            answer => answer,
        }
    }

    fn plain(&self, verb: Verb) -> Result<Call<'static>, Error> {
        Ok(self.limited(Call::new(verb, &RawValue::NULL)?, Duration::ZERO))
    }

    fn limited<'a>(&self, mut call: Call<'a>, grace: Duration) -> Call<'a> {
        let limit = self.settings.timeout(call.verb);
        call.limit = limit.map(|limit| limit.saturating_add(grace));
        call
    }

    fn knows_not(&self, verb: Verb) -> bool {
        self.unknown().contains(&verb)
    }

    fn unknown(&self) -> std::sync::MutexGuard<'_, HashSet<Verb>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_state_dir(&self) -> Result<(), Error> {
        let path = &self.settings.state_dir;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|e: io::Error| {
            let path = path.display();
            Error::unavailable(format!("cannot make the executor's directory `{path}`: {e}"))
        })
    }
}

/// Waits on this thread, for the methods that are not `async`. Their callers expect that an author's
/// code may block.
fn now<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::task::block_in_place(|| runtime::Handle::current().block_on(future))
}
