//! Where one test works: the plugin, what it was given, and what must be cleaned up after.

use std::{
    cell::{OnceCell, RefCell},
    fs,
    future::Future,
    io,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use abi_stable::std_types::RString;
use serde_json::{Value, value::to_raw_value};
use tokio::runtime::{Builder, Runtime};

use super::{
    JobSpec, Sample,
    chance::Chance,
    executor::{Exec, Trouble},
    heard::{Heard, Panics},
    question::JudgeSchema,
    report::{Outcome, Tried, fail, skip},
};
use crate::{
    Attempt, Context, Error, Job, Seconds,
    abi::PluginRootRef,
    load::{self, Loaded, Refused},
    wire::Open,
};

/// The plugin under test.
pub(super) enum Subject {
    Linked(PluginRootRef),
    Library { file: PathBuf, schema: JudgeSchema },
}

/// How long a job that should run is watched before it is believed.
const WATCHED: Duration = Duration::from_millis(150);
/// How long jobs that were left running may take to stop, after everything has been judged.
const CLEANING: Duration = Duration::from_secs(3);
/// How long a quick job may take. Under the deadline of a whole test, so that it is named.
pub(super) const QUICK: Duration = Duration::from_secs(20);
/// How long a stopped job may take before force.
pub(super) const GRACE: Duration = Duration::from_secs(1);

pub(super) struct Bench {
    pub(super) sample: Sample,
    pub(super) note: Option<Value>,
    pub(super) panics: Panics,
    chance: RefCell<Chance>,
    subject: Subject,
    loaded: OnceCell<Result<Loaded, Refused>>,
    config_dir: Option<PathBuf>,
    directory: PathBuf,
    runtime: Runtime,
    opened: RefCell<Vec<Rc<Exec>>>,
    running: RefCell<Vec<Attempt>>,
}

impl Bench {
    pub(super) fn new(
        subject: Subject,
        note: Option<Value>,
        sample: Sample,
        config_dir: Option<PathBuf>,
        directory: &Path,
        seed: u64,
    ) -> io::Result<Self> {
        Ok(Self {
            sample,
            note,
            panics: Panics::default(),
            chance: RefCell::new(Chance::new(seed)),
            subject,
            loaded: OnceCell::new(),
            config_dir,
            directory: directory.to_owned(),
            // As the host's: it drives the plugin's futures, which run on threads of the plugin's own.
            runtime: Builder::new_current_thread().enable_time().build()?,
            opened: RefCell::default(),
            running: RefCell::default(),
        })
    }

    /// Runs the body of a test that waits.
    pub(super) fn run(&self, body: impl Future<Output = Tried>) -> Tried {
        self.runtime.block_on(body)
    }

    pub(super) fn chance<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut self.chance.borrow_mut())
    }

    /// The plugin's code.
    pub(super) fn code(&self) -> &Result<Loaded, Refused> {
        self.loaded.get_or_init(|| match &self.subject {
            Subject::Library { file, .. } => load::load(file),
            Subject::Linked(root) => {
                let description = serde_json::from_str(&root.describe()())
                    .map_err(|error| Refused::Describe(error.to_string()))?;
                Ok(Loaded { root: *root, description })
            }
        })
    }

    /// How a host judges schemas, where there is a host.
    pub(super) fn judge_of_schemas(&self) -> Option<JudgeSchema> {
        match self.subject {
            Subject::Linked(_) => None,
            Subject::Library { schema, .. } => Some(schema),
        }
    }

    pub(super) fn loaded(&self) -> Result<&Loaded, Outcome> {
        self.code().as_ref().or_else(|why| fail(why.to_string()))
    }

    /// An executor of this configuration, as the plugin answers.
    pub(super) fn open_with(
        &self,
        name: &str,
        config: &Value,
    ) -> Result<Result<Rc<Exec>, Error>, Outcome> {
        let root = self.loaded()?.root;
        let state_dir = self.directory.join("state").join(name);
        let made = fs::create_dir_all(&state_dir).and_then(|()| Ok(to_raw_value(config)?));
        let config = made.or_else(|error| skip(format!("the test cannot begin: {error}")))?;
        let request = Open {
            executor: name.to_owned(),
            config,
            log_level: "debug".to_owned(),
            state_dir: Some(state_dir),
            config_dir: self.config_dir.clone(),
            soft_limits: None,
        };
        let request = serde_json::to_string(&request)
            .or_else(|error| skip(format!("the test cannot begin: {error}")))?;
        let heard = Heard::new(self.panics.clone());
        let opened = root.open()(heard.clone().into_ffi(), RString::from(request));
        Ok(match opened.into_result() {
            Ok(executor) => {
                let exec = Rc::new(Exec::new(executor, heard));
                self.opened.borrow_mut().push(Rc::clone(&exec));
                Ok(exec)
            }
            Err(error) => Err(error.into()),
        })
    }

    /// An executor of the sample's configuration.
    pub(super) fn open(&self, name: &str) -> Result<Rc<Exec>, Outcome> {
        self.open_with(name, &self.sample.config)?
            .or_else(|error| fail(format!("it does not open with the sample's config: {error}")))
    }

    /// One that is ready for jobs. Where it cannot be, one test says so and the others cannot tell.
    pub(super) async fn started(&self, name: &str) -> Result<Rc<Exec>, Outcome> {
        let exec = self.open(name)?;
        match self.start(&exec).await {
            Ok(()) => Ok(exec),
            Err(Trouble::Broken(outcome)) => Err(outcome),
            Err(Trouble::Said { error, .. }) => {
                skip(format!("it does not start here ({error}); test `starts` is about that"))
            }
        }
    }

    pub(super) async fn start(&self, exec: &Exec) -> Result<(), Trouble> {
        exec.check_requirements().await?;
        exec.start().await
    }

    /// A new attempt of a new job.
    pub(super) fn job(&self, spec: &JobSpec) -> Result<Job, Outcome> {
        let (job_id, attempt_tag) = self.chance(|chance| (chance.tag(), chance.tag()));
        let params =
            to_raw_value(&spec.params).or_else(|error| skip(format!("no such job: {error}")))?;
        Ok(Job {
            job_id: [&job_id[..8], &job_id[8..12], "7000", "8000", &job_id[20..]].join("-"),
            attempt_tag,
            attempt: 1,
            job_type: "conformance".to_owned(),
            workspace: "default".to_owned(),
            run: spec.run(),
            params,
            timeout: Seconds(600.0),
            stop_grace: GRACE.into(),
            python: None,
            resources: None,
            transient_errors: Vec::new(),
            context: Context::default(),
            options: spec.options.clone(),
        })
    }

    /// Submits a job; it will be stopped when the test is over.
    pub(super) async fn submit(&self, exec: &Exec, job: &Job) -> Result<Attempt, Trouble> {
        let mut attempt = attempt_of(job);
        // Before the answer: a `submit` that fails may have started something.
        self.running.borrow_mut().push(attempt.clone());
        attempt.handle = exec.submit(job).await?;
        if let Some(kept) = self.running.borrow_mut().last_mut() {
            kept.handle.clone_from(&attempt.handle);
        }
        Ok(attempt)
    }

    /// The sample's quick job, submitted.
    pub(super) async fn quick(&self, exec: &Exec) -> Result<Attempt, Outcome> {
        Ok(self.submit(exec, &self.job(&self.sample.quick)?).await?)
    }

    /// The sample's long job, running. An executor whose jobs all end at once has none.
    pub(super) async fn long(&self, exec: &Exec) -> Result<Attempt, Outcome> {
        let attempt = self.submit(exec, &self.job(&self.sample.long)?).await?;
        match exec.ended_within(&attempt, WATCHED).await? {
            None => Ok(attempt),
            Some(_) => {
                skip("the sample's long job ended at once; name one that does not as `long`")
            }
        }
    }

    /// Stops what still runs, so that no test leaves a process behind. Whatever comes of it is not this
    /// test's concern.
    pub(super) fn clean_up(&self) {
        let running = self.running.take();
        let opened = self.opened.take();
        let clean = async {
            for exec in opened.iter().filter(|exec| exec.is_open()) {
                for attempt in &running {
                    let _ = exec.cancel(attempt, Duration::ZERO).await;
                }
                let _ = exec.stop(Duration::ZERO).await;
            }
        };
        let _ = self.runtime.block_on(async { tokio::time::timeout(CLEANING, clean).await });
        opened.iter().for_each(|exec| exec.close());
    }
}

pub(super) fn attempt_of(job: &Job) -> Attempt {
    let (job_id, attempt_tag) = (job.job_id.clone(), job.attempt_tag.clone());
    Attempt { job_id, attempt_tag, handle: None }
}
