//! From a candidate to an executor that takes jobs: loaded, opened, asked what it needs, started.

use std::{
    borrow::Cow,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use longshore_plugin_api::{
    Error, ErrorKind, Facts,
    wire::{Description, Open},
};
use tokio::sync::{mpsc::WeakUnboundedSender, oneshot};

use super::{
    Events,
    callback::Callback,
    candidate::Candidate,
    in_process::InProcess,
    library,
    marker::Marker,
    polls::Polls,
    preflight,
    problem::{Code, PluginProblem},
    runner::{self, Death, Heard, Live, Order, Program, Why},
    schema,
    secret::Secrets,
    supervisor::{Ask, Running},
    surroundings,
    transport::Transport,
    verbs::Verbs,
    verdicts::{Verdict, Verdicts},
    watchdog::Watchdog,
};
use crate::config::{ExecutorConfig, PluginIsolation};

/// A configured executor.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What jobs are routed to.
    pub executor: String,
    /// What the operator decided.
    pub config: ExecutorConfig,
}

/// What making an executor needs besides its candidate.
#[derive(Debug)]
pub(super) struct Workshop {
    pub(super) program: Program,
    pub(super) state_dir: PathBuf,
    pub(super) config_dir: Option<PathBuf>,
    pub(super) verdicts: Verdicts,
    pub(super) running: Running,
}

/// An executor that is up.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) verbs: Arc<Verbs>,
    /// The process that it runs in, if that is not the host's.
    pub(super) live: Option<Arc<Live>>,
    /// What an earlier host has died of, perhaps.
    pub(super) suspicion: Option<PluginProblem>,
}

/// Why it is not.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It says so itself, or does not fit. `retryable`: it may pass by itself.
    Refused { problem: PluginProblem, retryable: bool },
    /// Its process has died, by itself or because it did not answer.
    Died(PluginProblem),
    /// The same, while the library was loaded.
    DiedLoading(PluginProblem),
}

/// How far it is to be brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Until {
    /// It knows whether it can work here.
    Checked,
    /// It takes jobs.
    Started,
}

/// One executor being made of one candidate.
pub(super) struct Opening {
    pub(super) workshop: Arc<Workshop>,
    pub(super) wanted: Arc<Wanted>,
    pub(super) candidate: Arc<Candidate>,
    pub(super) events: Arc<dyn Events>,
    pub(super) asks: WeakUnboundedSender<Ask>,
    /// What nobody may read, once its settings are read.
    pub(super) secrets: OnceLock<Arc<Secrets>>,
    /// Whether loading it has ended or held up a process before, and nothing has come of it since.
    pub(super) suspect: bool,
}

impl Opening {
    /// Makes it. What it leaves when it fails is no process.
    pub(super) async fn run(self, until: Until) -> Result<Up, Trouble> {
        match self.wanted.config.isolation {
            PluginIsolation::Process => self.in_runner(until).await,
            PluginIsolation::None => self.in_process(until).await,
        }
    }

    async fn in_runner(self, until: Until) -> Result<Up, Trouble> {
        let known = self.cached().await?;
        let heard = Arc::new(self.callback());
        let live = self.spawn(Arc::clone(&heard) as Arc<dyn Heard>).await?;
        let made = self.make_in(&live, &heard, known, until).await;
        match made {
            Ok(verbs) => Ok(Up { verbs, live: Some(live), suspicion: None }),
            Err(failed) => {
                live.kill(Why::Abandoned);
                let death = live.died().await;
                Err(self.trouble(failed, Some(&death)))
            }
        }
    }

    /// What becomes of it after that.
    fn trouble(&self, failed: Failed, death: Option<&Death>) -> Trouble {
        match (failed, death) {
            (Failed::Died, Some(death)) => {
                Trouble::Died(self.problem(death.code(), format!("its process {death}")))
            }
            (Failed::Hung(message), Some(_)) => Trouble::Died(self.problem(Code::Hung, message)),
            // There is no process of its own to be started again.
            (Failed::Hung(message), None) => {
                let problem = self.problem(Code::Hung, message);
                Trouble::Refused { problem, retryable: false }
            }
            (Failed::Died, None) => {
                let problem = self.problem(Code::Protocol, "it says that it has died".to_owned());
                Trouble::Refused { problem, retryable: false }
            }
            (Failed::Unlucky(problem), _) => {
                Trouble::DiedLoading(problem.file(&self.candidate.file))
            }
            (Failed::Load(problem), _) => self.refused(problem),
            (Failed::Said(problem, retryable), _) => Trouble::Refused { problem, retryable },
        }
    }

    async fn make_in(
        &self,
        live: &Arc<Live>,
        heard: &Callback,
        known: bool,
        until: Until,
    ) -> Result<Arc<Verbs>, Failed> {
        let description = self.load_in(live, known).await?;
        let request = self.request(&description, heard)?;
        let opened = tokio::time::timeout(self.wanted.config.deadlines.open, live.open(request));
        let facts = opened
            .await
            .map_err(|_| Failed::Hung(self.overran("open", self.wanted.config.deadlines.open)))?
            .map_err(|e| self.not_opened(&e))?;
        self.start(facts, description, Transport::Runner(Arc::clone(live)), until).await
    }

    /// Loads it. What that says is remembered, if it says the same tomorrow. `known`: it has loaded
    /// before.
    async fn load_in(&self, live: &Arc<Live>, known: bool) -> Result<Description, Failed> {
        let probed = live.load(&self.candidate.note, self.wanted.config.deadlines.load).await;
        let probed = probed.map_err(|problem| problem.plugin(&self.candidate.note.name));
        match &probed {
            // Once may be an accident: a busy machine, somebody's `kill`. What has loaded before, or was
            // not to blame, is tried again like everything that dies.
            Err(problem)
                if matches!(problem.code, Code::Crashed | Code::Hung)
                    && (!self.suspect || known) =>
            {
                return Err(Failed::Unlucky(problem.clone()));
            }
            Err(problem) if problem.code == Code::Runner => {
                return Err(Failed::Said(problem.clone(), true));
            }
            _ => {}
        }
        // What is known already costs the disk nothing.
        if probed.is_err() || !known {
            self.remember(&probed).await;
        }
        let probed = probed.map_err(Failed::Load)?;
        if probed.took > SLOW {
            let (plugin, took) = (&self.candidate.note.name, probed.took);
            tracing::warn!(
                "plugin `{plugin}` took {took:?} to load and to say what it is; a host that starts waits for it"
            );
        }
        schema::sound(&probed.description.config_schema).map_err(Failed::Load)?;
        Ok(probed.description)
    }

    /// What became of this content before. Reads a file, so not here.
    async fn verdict(&self) -> Option<Verdict> {
        let (workshop, digest) = (Arc::clone(&self.workshop), self.candidate.digest.clone());
        let read = tokio::task::spawn_blocking(move || workshop.verdicts.of(&digest));
        read.await.ok().flatten()
    }

    async fn remember(&self, probed: &Verdict) {
        let (workshop, digest) = (Arc::clone(&self.workshop), self.candidate.digest.clone());
        let probed = probed.clone();
        let write = move || workshop.verdicts.keep(&digest, &probed);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(write).await {
            tracing::debug!(%error, "cannot remember what became of a plugin");
        }
    }

    async fn in_process(self, until: Until) -> Result<Up, Trouble> {
        preflight::unwinds(&self.candidate.note).map_err(|problem| self.refused(problem))?;
        self.probe().await?;
        let deadlines = self.wanted.config.deadlines;
        let (copy, note) = (self.candidate.copy.clone(), self.candidate.note.clone());
        let (marker, suspicion) = self.mark(until);
        surroundings::remember();
        let loaded = on_own_thread(deadlines.load, move || library::load(&copy, &note)).await;
        let loaded = loaded
            .map_err(|why| PluginProblem::new(Code::Hung, format!("loading {why}")))
            .and_then(|loaded| loaded)
            .map_err(|problem| self.refused(problem));
        surroundings::restore(&self.candidate.note.name);
        let loaded = loaded.inspect_err(|trouble| {
            // What hangs in here still does.
            if !matches!(trouble, Trouble::Refused { problem, .. } if problem.code == Code::Hung) {
                marker.remove();
            }
        })?;
        let made = async {
            let heard = self.callback();
            let request = self.request(&loaded.description, &heard)?;
            let heard = heard.into_ffi();
            let plugin = self.candidate.note.name.to_string();
            let polls = Polls::new(move |text| tracing::warn!(plugin, "{text}"));
            let opening = move || InProcess::open(loaded.root, heard, request, polls);
            let opened = on_own_thread(deadlines.open, opening).await;
            let (plugin, facts) = opened
                .map_err(|why| Failed::Hung(format!("`open` {why}")))?
                .map_err(|e| self.not_opened(&e))?;
            let transport = Transport::InProcess(plugin, Arc::clone(&marker));
            self.start(facts, loaded.description, transport, until).await
        };
        let made = made.await;
        surroundings::restore(&self.candidate.note.name);
        // As above.
        if let Err(Failed::Said(..) | Failed::Load(_) | Failed::Unlucky(_) | Failed::Died) = &made {
            marker.remove();
        }
        match made {
            Ok(verbs) => Ok(Up { verbs, live: None, suspicion }),
            Err(failed) => Err(self.trouble(failed, None)),
        }
    }

    /// Writes down that it is about to run in this process. What is only checked has a process for
    /// itself, beside the host whose mark stands there.
    fn mark(&self, until: Until) -> (Arc<Marker>, Option<PluginProblem>) {
        if until == Until::Checked {
            return (Arc::default(), None);
        }
        let Wanted { executor, .. } = &*self.wanted;
        let (state_dir, note) = (&self.workshop.state_dir, &self.candidate.note);
        let (marker, left) = Marker::set(state_dir, executor, &note.name, &note.version);
        (Arc::new(marker), left.map(|left| self.problem(Code::Crashed, left)))
    }

    /// Lets a child load it first: what its constructors do, they do there.
    async fn probe(&self) -> Result<(), Trouble> {
        if self.cached().await? {
            return Ok(());
        }
        let live = self.spawn(Arc::new(Silent)).await?;
        let probed = self.load_in(&live, false).await;
        live.kill(Why::Abandoned);
        live.died().await;
        match probed {
            Ok(_) => Ok(()),
            Err(failed) => Err(self.trouble(failed, None)),
        }
    }

    /// Whether it is known to load. What is known to kill or to stop whoever loads it is not tried.
    async fn cached(&self) -> Result<bool, Trouble> {
        match self.verdict().await {
            None => Ok(false),
            Some(Ok(_)) => Ok(true),
            Some(Err(problem)) => Err(self.refused(problem)),
        }
    }

    async fn spawn(&self, heard: Arc<dyn Heard>) -> Result<Arc<Live>, Trouble> {
        /// No two lives share a directory.
        static LIVES: AtomicU64 = AtomicU64::new(0);
        let ExecutorConfig { pass_env, limits, .. } = &self.wanted.config;
        let life = LIVES.fetch_add(1, Ordering::Relaxed);
        // Nor do those of two hosts: one may only look whether all is well.
        let name = self.wanted.executor.replace('/', "_");
        let name = format!("{name}.{}.{life}", std::process::id());
        let order = Order {
            executor: &self.wanted.executor,
            copy: &self.candidate.copy,
            env: runner::environment(pass_env),
            limits: *limits,
            run_dir: self.workshop.state_dir.join("runners").join(name),
        };
        let live = Live::spawn(&self.workshop.program, &order, heard).await;
        live.map_err(|problem| Trouble::Refused {
            problem: problem.plugin(&self.candidate.note.name).file(&self.candidate.file),
            retryable: true,
        })
    }

    fn callback(&self) -> Callback {
        Callback {
            plugin: self.candidate.note.name.to_string(),
            executor: self.wanted.executor.clone(),
            events: Arc::clone(&self.events),
            secrets: OnceLock::new(),
        }
    }

    /// What `open` is called with, if the settings fit.
    fn request(&self, description: &Description, heard: &Callback) -> Result<String, Failed> {
        let ExecutorConfig { config, isolation, .. } = &self.wanted.config;
        // From here on nothing that is said of this executor shows them.
        let secrets = Arc::new(Secrets::of(&description.config_schema, config));
        heard.keep_secret(Arc::clone(self.secrets.get_or_init(|| secrets)));
        let mistakes = schema::mistakes(&description.config_schema, config);
        if !mistakes.is_empty() {
            let all: Vec<_> =
                mistakes.iter().map(|m| format!("at `{}`: {}", m.pointer, m.message)).collect();
            return Err(Failed::Said(self.problem(Code::Config, all.join("; ")), false));
        }
        let open = Open {
            executor: self.wanted.executor.clone(),
            config,
            log_level: tracing::level_filters::LevelFilter::current().to_string(),
            state_dir: Some(self.workshop.state_dir.join("executors").join(&self.wanted.executor)),
            config_dir: self.workshop.config_dir.clone(),
            soft_limits: (*isolation == PluginIsolation::Process).then(runner::soft_limits),
        };
        serde_json::to_string(&open)
            .map_err(|e| Failed::Said(self.problem(Code::Config, e.to_string()), false))
    }

    async fn start(
        &self,
        facts: Facts,
        description: Description,
        transport: Transport,
        until: Until,
    ) -> Result<Arc<Verbs>, Failed> {
        let verbs = Arc::new(Verbs {
            plugin: self.candidate.note.name.to_string(),
            facts,
            options_schema: description.options_schema,
            deadlines: self.wanted.config.deadlines,
            watchdog: Watchdog::new(self.asks.clone()),
            secrets: self.secrets.get().cloned().unwrap_or_default(),
            transport,
        });
        verbs.check_requirements().await.map_err(|e| self.failed(Code::Requirements, &e))?;
        if until == Until::Started {
            verbs.start().await.map_err(|e| self.failed(Code::Start, &e))?;
        }
        Ok(verbs)
    }

    fn not_opened(&self, e: &Error) -> Failed {
        let config = e.kind == ErrorKind::InvalidConfig;
        self.failed(if config { Code::Config } else { Code::OpenExecutor }, e)
    }

    /// What a verb of an executor that is being opened has failed with.
    fn failed(&self, code: Code, e: &Error) -> Failed {
        let text = match &e.pointer {
            Some(pointer) => format!("at `{pointer}`: {e}"),
            None => e.to_string(),
        };
        match e.kind {
            ErrorKind::Crashed | ErrorKind::Refused => Failed::Died,
            ErrorKind::Hung => Failed::Hung(text),
            // No job is under way: what was only slow, on a busy machine say, is asked again.
            kind => {
                let again = kind.is_retryable() || kind == ErrorKind::Timeout;
                Failed::Said(self.problem(code, text), again)
            }
        }
    }

    fn overran(&self, verb: &str, deadline: Duration) -> String {
        let plugin = &self.candidate.note.name;
        format!("plugin `{plugin}` did not answer `{verb}` within {deadline:?}")
    }

    fn refused(&self, problem: PluginProblem) -> Trouble {
        let problem = problem.plugin(&self.candidate.note.name).file(&self.candidate.file);
        Trouble::Refused { problem, retryable: false }
    }

    fn problem(&self, code: Code, message: String) -> PluginProblem {
        let message =
            self.secrets.get().map_or(Cow::Borrowed(&*message), |secrets| secrets.redact(&message));
        let message = format!("executor `{}`: {message}", self.wanted.executor);
        PluginProblem::new(code, message).plugin(&self.candidate.note.name)
    }
}

/// Nothing that a library has to do before it is asked for anything takes as long.
const SLOW: Duration = Duration::from_millis(100);

/// How far it did not get.
enum Failed {
    Load(PluginProblem),
    /// Loading has ended or held up its process, perhaps by accident.
    Unlucky(PluginProblem),
    Said(PluginProblem, bool),
    Hung(String),
    Died,
}

/// Hears nothing: the words of a probe are said again when it is loaded in earnest.
struct Silent;

impl Heard for Silent {
    fn log(&self, _: u8, _: &str, _: &str, _: &str) {}

    fn tell(&self, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }

    fn output(&self, _: &str, _: bool) {}
}

/// Runs what may never come back, on a thread that nobody else needs.
async fn on_own_thread<T: Send + 'static>(
    deadline: Duration,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (answer, answered) = oneshot::channel();
    let thread = thread::Builder::new().name("plugin-open".to_owned());
    // Nobody may be waiting any more.
    let spawned = thread.spawn(move || drop(answer.send(run())));
    spawned.map_err(|e| format!("cannot have a thread: {e}"))?;
    match tokio::time::timeout(deadline, answered).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err("panicked in the host".to_owned()),
        Err(_) => Err(format!("did not return within {deadline:?}")),
    }
}
