//! The host: everything above put together, started, and taken apart again in order.
//!
//! ```text
//!   open:     seat ─► tokens ─► store ─► job types ─► plugins ─► executors
//!   start:    announce ─► take over own rows ─► recover once ─► claim
//!   shutdown: stop claiming ─► grace ─► hand over ─► stop executors ─► close the store
//! ```

mod serve;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use longshore_plugin_api::{ErrorKind, Progress};

pub use self::serve::serve;
use crate::{
    clock::Moment,
    config::{self, Config, DescribeError, Mistakes},
    executors::Executors,
    identity::{Identity, IdentityError},
    plugin::{self, Events, Places, PluginProblem, Program, Registry, Wanted},
    recovery::{self, Recovery},
    sdk,
    service::Service,
    store::{Replica, Schema, Store, StoreError, Submitted, Synchronous},
    submission::{self, Rejection, RejectionKind, Submission},
    tokens::{Caller, TokenError, Tokens},
    worker::{self, Watching, Worker},
};

/// One host process.
pub struct Host {
    /// What the operator decided.
    pub config: Arc<Config>,
    /// The jobs.
    pub store: Store,
    /// What runs them.
    pub worker: Arc<Worker>,
    /// What finds lost ones.
    pub recovery: Arc<Recovery>,
    /// The plugins.
    pub registry: Arc<Registry>,
    /// Who may talk to it.
    pub tokens: Tokens,
    /// Who it is.
    pub identity: Identity,
    types: BTreeMap<String, Arc<config::JobType>>,
    started: Moment,
    draining: AtomicBool,
    services: Mutex<Option<Services>>,
}

struct Services {
    worker: worker::Running,
    recovery: Service,
    heartbeat: Service,
    plugins: Service,
    standings: Service,
}

/// Why a host does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its seat.
    #[error("cannot take the state directory")]
    Identity(#[source] IdentityError),
    /// Its tokens.
    #[error("cannot read the tokens")]
    Tokens(#[source] TokenError),
    /// Its database.
    #[error("cannot open the store")]
    Store(#[source] StoreError),
    /// The Python package that travels in the binary.
    #[error("cannot unpack the Python package into the state directory")]
    Sdk(#[source] std::io::Error),
    /// What the modules declare.
    #[error("cannot find out what the Python modules declare")]
    Describe(#[source] DescribeError),
    /// What they declare does not fit the file.
    #[error("the declared job types do not fit the configuration")]
    Declared(#[source] Mistakes),
    /// An executor that the host cannot do without.
    #[error(
        "executor `{executor}` is required and cannot start; mend it, or route its jobs elsewhere and set `required = false`"
    )]
    Executor {
        /// Its name.
        executor: String,
        /// Why.
        #[source]
        source: PluginProblem,
    },
    /// Its address.
    #[error(
        "cannot listen on {address}; if a host runs there already use that one, else choose another address with `server.listen`"
    )]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its signals.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// Its web server.
    #[error("the web server ended")]
    Serve(#[source] std::io::Error),
}

/// The configuration, with what decorated functions declare.
///
/// # Errors
///
/// Python cannot be asked, or what it answers does not fit.
pub async fn with_declared(config: Config) -> Result<Config, StartError> {
    if config.python.modules.is_empty() {
        return Ok(config);
    }
    let sdk = sdk::unpack(&config.state_dir).map_err(StartError::Sdk)?;
    let declared = config::describe(&config.python, &sdk).await.map_err(StartError::Describe)?;
    config.with_declared(declared).map_err(StartError::Declared)
}

impl Host {
    /// Opens everything; no job runs yet. `program` is the `longshore` that runs the plugins that do not
    /// run in this process.
    ///
    /// # Errors
    ///
    /// The step that failed. What was opened is closed again by then.
    pub async fn open(config: Config, program: Program) -> Result<Arc<Self>, StartError> {
        let identity = Identity::take(&config.state_dir).map_err(StartError::Identity)?;
        let tokens = Tokens::load(&config).map_err(StartError::Tokens)?;
        let store = open_store(&config).await.map_err(StartError::Store)?;
        let config = Arc::new(with_declared(config).await?);
        let registry = {
            let config = Arc::clone(&config);
            let discover = move || {
                let mut places = Places::below(&config.state_dir);
                places.config = Some(config.dir.clone());
                let registry = Registry::discover(config.plugins.clone(), places, program);
                registry.sweep();
                registry
            };
            Arc::new(tokio::task::spawn_blocking(discover).await.expect("discovery does not panic"))
        };
        let watching = Watching::default();
        let open = match open_executors(&config, &registry, &watching).await {
            Ok(open) => open,
            Err(error) => {
                registry.stop(Duration::ZERO).await;
                return Err(error);
            }
        };
        let executors = Arc::new(Executors::new(identity.here(), open));
        let types = worker::shared(config.job_types.clone());
        let settings = worker::Settings {
            lease: config.leases.job,
            result_grace: Duration::from_secs(5),
            max_result: config.limits.result,
            poll: Duration::from_secs(1),
        };
        let worker =
            Worker::new(store.clone(), executors, types.clone(), identity.id, settings, watching);
        let offered = types
            .values()
            .map(|job_type| (job_type.executor.clone(), job_type.name.clone()))
            .collect();
        let recovery = Recovery::new(
            store.clone(),
            Arc::clone(&worker),
            identity.id,
            recovery_settings(&config),
            offered,
        );
        Ok(Arc::new(Self {
            config,
            store,
            worker,
            recovery,
            registry,
            tokens,
            identity,
            types,
            started: Moment::now(),
            draining: AtomicBool::new(false),
            services: Mutex::default(),
        }))
    }

    /// Starts to run jobs: what a former self left is recovered before anything new is claimed.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn start(self: &Arc<Self>) -> Result<(), StoreError> {
        self.store.replica_announce(&self.replica()).await?;
        self.worker.executors().ask().await;
        let own = self.recovery.take_over_own().await?;
        if own > 0 {
            tracing::info!(jobs = own, "taking over what this host ran before");
        }
        self.recovery.run_once().await?;
        let host = Arc::clone(self);
        let services = Services {
            worker: self.worker.start(),
            recovery: self.recovery.start(),
            heartbeat: Service::every("heartbeat", Duration::from_secs(5), move || {
                let host = Arc::clone(&host);
                async move { host.beat().await }
            }),
            plugins: self.look_for_plugins(),
            standings: self.follow_standings(),
        };
        *self.services.lock().unwrap_or_else(PoisonError::into_inner) = Some(services);
        Ok(())
    }

    /// Stops claiming, lets jobs end for at most `grace`, hands the rest over and closes everything.
    pub async fn shutdown(&self, grace: Duration) {
        self.draining.store(true, Ordering::Relaxed);
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Services { worker, recovery, heartbeat, plugins, standings }) = services {
            // Nothing new comes up in a host that goes down.
            plugins.stop().await;
            standings.stop().await;
            recovery.stop().await;
            self.recovery.abandon().await;
            worker.stop(&self.worker, grace).await;
            heartbeat.stop().await;
        }
        self.registry.stop(Duration::from_secs(5)).await;
        self.store.close().await;
    }

    /// Checks and stores submissions, all of them or none.
    ///
    /// # Errors
    ///
    /// What is wrong with the first that is refused.
    pub async fn submit(
        &self,
        caller: &Caller,
        submissions: Vec<Submission>,
    ) -> Result<Vec<Submitted>, Rejection> {
        let rules = submission::Rules { types: &self.types, limits: &self.config.limits };
        let mut jobs = Vec::with_capacity(submissions.len());
        let mut shapes: BTreeMap<String, (Arc<config::JobType>, usize, usize)> = BTreeMap::new();
        for (index, submission) in submissions.into_iter().enumerate() {
            let (job, job_type) = rules
                .admit(caller, submission)
                .map_err(|rejection| Rejection { index, ..rejection })?;
            let size = job.params.len();
            let shape = shapes.entry(job_type.name.clone()).or_insert((job_type, size, index));
            if size > shape.1 {
                (shape.1, shape.2) = (size, index);
            }
            jobs.push(job);
        }
        for (job_type, size, index) in shapes.into_values() {
            self.ask_executor(&job_type, size)
                .await
                .map_err(|rejection| Rejection { index, ..rejection })?;
        }
        self.store.job_submit(jobs).await.map_err(|error| storage(&error))
    }

    /// Whether the executor can ever run such a job. One that cannot answer now does not refuse it:
    /// the job waits.
    async fn ask_executor(&self, job_type: &config::JobType, size: usize) -> Result<(), Rejection> {
        let Some(open) = self.worker.executors().get(&job_type.executor) else { return Ok(()) };
        match open.executor.validate_job(&submission::shape(job_type, size)).await {
            Err(error)
                if matches!(
                    error.kind,
                    ErrorKind::InvalidJob | ErrorKind::Unsupported | ErrorKind::Denied
                ) =>
            {
                Err(Rejection {
                    index: 0,
                    field: "job_name".to_owned(),
                    code: "executor_refused",
                    message: format!("executor `{}` cannot run it: {}", open.name, error.message),
                    kind: RejectionKind::Invalid,
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether it has been asked to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// For how long it has run.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The loops that have ended by themselves, which none should.
    #[must_use]
    pub fn dead_services(&self) -> Vec<&'static str> {
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(services) = services.as_ref() else { return Vec::new() };
        let mut dead = services.worker.dead();
        let others =
            [&services.recovery, &services.heartbeat, &services.plugins, &services.standings];
        if !self.store.is_alive() {
            dead.push("store");
        }
        dead.extend(others.into_iter().filter(|service| !service.is_alive()).map(Service::name));
        dead
    }

    fn look_for_plugins(&self) -> Service {
        let (registry, interval) = (Arc::clone(&self.registry), self.config.plugins.scan_interval);
        Service::start("plugins", move |mut stop| async move {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                let registry = Arc::clone(&registry);
                let scan = async {
                    ticks.tick().await;
                    tokio::task::spawn_blocking(move || registry.scan()).await
                };
                // A directory that does not answer must not hold up the end of the host.
                let scanned = tokio::select! {
                    () = stop.asked() => return,
                    scanned = scan => scanned,
                };
                if let Err(error) = scanned {
                    tracing::error!(%error, "looking at the plugin directory failed");
                }
            }
        })
    }

    /// Lets jobs in, and asks about those that were left, as soon as an executor is up again.
    fn follow_standings(&self) -> Service {
        let worker = Arc::clone(&self.worker);
        Service::start("standings", move |mut stop| async move {
            let executors = worker.executors();
            let follow = executors.iter().map(async |open| {
                loop {
                    let changed = open.executor.changed();
                    if open.executor.standing().takes_jobs() && executors.ask_one(open).await {
                        worker.executor_is_up();
                    }
                    changed.await;
                }
            });
            tokio::select! {
                () = stop.asked() => {}
                _ = join_all(follow) => {}
            }
        })
    }

    async fn beat(&self) {
        let executors = self.advertised();
        match self.store.replica_beat(self.identity.id, self.identity.incarnation, executors).await
        {
            Ok(crate::job::Fenced::Held) => {}
            Ok(crate::job::Fenced::Lost) => {
                tracing::error!("another host has taken this replica's seat")
            }
            Err(error) => tracing::warn!(error = %error, "could not beat"),
        }
    }

    fn advertised(&self) -> String {
        let names: Vec<&str> = self
            .worker
            .executors()
            .iter()
            .filter(|open| open.executor.standing().is_offered())
            .map(|open| open.name.as_str())
            .collect();
        serde_json::Value::from(names).to_string()
    }

    fn replica(&self) -> Replica {
        Replica {
            id: self.identity.id,
            incarnation: self.identity.incarnation,
            machine_id: self.identity.machine_id.clone(),
            hostname: self.identity.hostname.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            executors: self.advertised(),
            heartbeat: 0,
            started_at: 0,
            seen_at: 0,
            seen_ago_us: 0,
        }
    }
}

/// Opens the store that the configuration names, and brings its schema up to date.
///
/// # Errors
///
/// Whatever the database says.
pub async fn open_store(config: &Config) -> Result<Store, StoreError> {
    let config::DatabaseUrl::Sqlite { path } = &config.database.url;
    let synchronous = match config.database.synchronous {
        config::Synchronous::Full => Synchronous::Full,
        config::Synchronous::Normal => Synchronous::Normal,
    };
    let (store, migrated) = Store::open(path, synchronous, Schema::Migrate).await?;
    if migrated.from != migrated.to {
        tracing::info!(from = migrated.from, to = migrated.to, "migrated the database");
    }
    Ok(store)
}

type OpenExecutors = Vec<(String, Arc<dyn plugin::HostedExecutor>)>;

async fn open_executors(
    config: &Config,
    registry: &Registry,
    watching: &Watching,
) -> Result<OpenExecutors, StartError> {
    struct Told(Watching);
    impl Events for Told {
        fn progress(&self, _executor: &str, attempt_tag: &str, progress: Progress) {
            self.0.progress(attempt_tag, progress);
        }
    }
    let events: Arc<dyn Events> = Arc::new(Told(watching.clone()));
    // Side by side: one that hangs costs its deadline once, whatever the number of the others.
    let opening = config.executors.iter().map(async |(name, executor)| {
        let wanted = Wanted { executor: name.clone(), config: executor.clone() };
        match registry.open(wanted, Arc::clone(&events)).await {
            (_, Err(source))
                if executor.required || config.routing.default_executor.as_ref() == Some(name) =>
            {
                Err(StartError::Executor { executor: name.clone(), source })
            }
            // Logged and listed by the registry; its jobs wait.
            (hosted, _) => Ok((name.clone(), hosted)),
        }
    });
    join_all(opening).await.into_iter().collect()
}

fn recovery_settings(config: &Config) -> recovery::Settings {
    let stop_grace =
        config.job_types.values().map(|job_type| job_type.stop_grace).max().unwrap_or_default();
    recovery::Settings {
        interval: config.recovery.interval,
        rules: recovery::Rules {
            max_recoveries: config.recovery.max_recoveries,
            give_up_after: config.recovery.give_up_after,
        },
        orphan_after: config.recovery.orphan_after,
        // Stop grace, result grace and 10 s.
        overdue_grace: stop_grace + Duration::from_secs(15),
        lease: config.leases.job,
        stop_grace,
    }
}

fn storage(error: &StoreError) -> Rejection {
    let (code, kind) = match error {
        StoreError::KeyReused { .. } => ("idempotency_key_reused", RejectionKind::Conflict),
        error if error.is_full() => ("storage_full", RejectionKind::Full),
        _ => ("storage_unavailable", RejectionKind::Unavailable),
    };
    if kind != RejectionKind::Conflict {
        tracing::error!(error = %error, cause = ?std::error::Error::source(error), "a submission was not stored");
    }
    let field = if kind == RejectionKind::Conflict { "idempotency_key" } else { "" };
    Rejection { index: 0, field: field.to_owned(), code, message: error.to_string(), kind }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("identity", &self.identity).finish_non_exhaustive()
    }
}
