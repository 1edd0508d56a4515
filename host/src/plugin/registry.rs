//! Which plugins are here, and what became of each.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use longshore_plugin_api::{Error, ErrorKind, wire::Open};
use serde_json::Value;
use tokio::sync::{OnceCell, oneshot};

use super::{
    Events, HostedExecutor,
    callback::Callback,
    copies::Copies,
    executor::deadline,
    file,
    in_process::InProcess,
    library::{self, Loaded},
    pins::Pins,
    preflight::{self, Note},
    problem::{Code, PluginProblem},
    schema,
    verbs::Verbs,
};
use crate::{clock, config::suggest::closest};

mod entry;

pub use entry::{Entry, ExecutorEntry, State};

/// The plugins of one directory.
#[derive(Debug)]
pub struct Registry {
    dir: PathBuf,
    state_dir: PathBuf,
    config_dir: Option<PathBuf>,
    plugins: BTreeMap<String, Plugin>,
    /// What is in the directory and not usable, in the order of the file names.
    refused: Vec<(PluginProblem, i64)>,
    executors: Mutex<Vec<ExecutorEntry>>,
}

#[derive(Debug)]
struct Plugin {
    file: PathBuf,
    copy: PathBuf,
    digest: String,
    note: Note,
    since: i64,
    loaded: OnceCell<Result<Loaded, PluginProblem>>,
}

impl Registry {
    /// Looks at every `*.so` in `dir`, in the order of their names, and keeps a private copy below
    /// `state_dir` of each that this host can load. Runs none of their code. Never fails: what is
    /// wrong is a row of [`list`](Self::list). Reads files, so it blocks.
    #[must_use]
    pub fn discover(dir: &Path, state_dir: &Path, pins: &Pins) -> Self {
        let mut this = Self {
            dir: dir.to_owned(),
            state_dir: state_dir.to_owned(),
            config_dir: None,
            plugins: BTreeMap::new(),
            refused: Vec::new(),
            executors: Mutex::default(),
        };
        let files = match files(dir) {
            Ok(files) => files,
            Err(problem) => {
                this.refuse(problem);
                return this;
            }
        };
        let copies = Copies::below(state_dir);
        for file in files {
            match examine(&file, &copies, pins) {
                Ok(plugin) => this.add(plugin),
                Err(problem) => this.refuse(problem),
            }
        }
        let in_use: Vec<_> = this.plugins.values().map(|plugin| &*plugin.digest).collect();
        copies.prune(&in_use);
        this
    }

    /// Tells executors what relative paths in their settings are relative to.
    #[must_use]
    pub fn relative_to(mut self, config_dir: &Path) -> Self {
        self.config_dir = Some(config_dir.to_owned());
        self
    }

    /// Gives executors their directories below `state_dir`, wherever the copies are.
    #[must_use]
    pub fn executors_below(mut self, state_dir: &Path) -> Self {
        state_dir.clone_into(&mut self.state_dir);
        self
    }

    fn refuse(&mut self, problem: PluginProblem) {
        tracing::warn!(code = %problem.code, "{problem}");
        self.refused.push((problem, clock::wall_ms()));
    }

    /// Of two files that say that they are the same plugin neither is used: which one was meant is
    /// the operator's to say. Two names of one content are no question.
    fn add(&mut self, plugin: Plugin) {
        let name = plugin.note.name.to_string();
        let twin =
            self.plugins.get(&name).map(|twin| (twin.file.clone(), twin.digest == plugin.digest));
        // A third file of that name finds its twins among the refused.
        let refused_twin = || {
            let same = |p: &&(PluginProblem, i64)| {
                p.0.code == Code::Duplicate && p.0.plugin.as_deref() == Some(&*name)
            };
            self.refused.iter().find(same).and_then(|(p, _)| p.file.clone())
        };
        match twin {
            Some((_, true)) => {
                tracing::debug!(file = %plugin.file.display(), "the same plugin again")
            }
            Some((other, false)) => {
                self.plugins.remove(&name);
                self.refuse(duplicate(&name, &other, &plugin.file));
                self.refuse(duplicate(&name, &plugin.file, &other));
            }
            None => match refused_twin() {
                Some(other) => self.refuse(duplicate(&name, &plugin.file, &other)),
                None => {
                    self.plugins.insert(name, plugin);
                }
            },
        }
    }

    /// Makes an executor: loads the plugin if need be, checks `config`, opens it, asks for what it
    /// needs, and starts it. A plugin that hangs costs a thread and its deadline, no more.
    ///
    /// # Errors
    ///
    /// One for each step; [`list`](Self::list) remembers it.
    pub async fn open(
        &self,
        executor: &str,
        plugin: &str,
        config: &Value,
        events: Arc<dyn Events>,
    ) -> Result<Arc<dyn HostedExecutor>, PluginProblem> {
        let opened = self.try_open(executor, plugin, config, events).await;
        let problem = opened.as_ref().err().cloned();
        if let Some(problem) = &problem {
            tracing::warn!(executor, code = %problem.code, "executor `{executor}` is not used: {problem}");
        }
        let entry = ExecutorEntry {
            name: executor.to_owned(),
            plugin: plugin.to_owned(),
            state: if problem.is_none() { State::Ready } else { State::Refused },
            since: clock::wall_ms(),
            problem,
        };
        let mut executors = self.executors();
        executors.retain(|known| known.name != executor);
        executors.push(entry);
        opened
    }

    async fn try_open(
        &self,
        executor: &str,
        name: &str,
        config: &Value,
        events: Arc<dyn Events>,
    ) -> Result<Arc<dyn HostedExecutor>, PluginProblem> {
        let plugin = self.plugins.get(name).ok_or_else(|| self.unknown(name))?;
        let hosted = self.prepare(executor, plugin, config, events).await?;
        hosted.start().await.map_err(|e| failed(executor, name, Code::Start, &e))?;
        let Note { version, api, .. } = &plugin.note;
        tracing::info!(executor, plugin = name, %version, %api, digest = &plugin.digest[..12], "executor ready");
        Ok(Arc::new(hosted))
    }

    /// As [`open`](Self::open), up to what it needs: the executor is asked, and not started.
    ///
    /// # Errors
    ///
    /// One for each step.
    pub async fn check(
        &self,
        executor: &str,
        plugin: &str,
        config: &Value,
    ) -> Result<(), PluginProblem> {
        let plugin = self.plugins.get(plugin).ok_or_else(|| self.unknown(plugin))?;
        self.prepare(executor, plugin, config, Arc::new(())).await.map(drop)
    }

    async fn prepare(
        &self,
        executor: &str,
        plugin: &Plugin,
        config: &Value,
        events: Arc<dyn Events>,
    ) -> Result<Verbs<InProcess>, PluginProblem> {
        let name = &*plugin.note.name;
        let problem = |code, message: String| problem(executor, name, code, &message);
        let loaded = plugin.loaded.get_or_init(|| plugin.load()).await.clone()?;

        let mistakes = schema::mistakes(&loaded.description.config_schema, config);
        if !mistakes.is_empty() {
            let all: Vec<_> =
                mistakes.iter().map(|m| format!("at `{}`: {}", m.pointer, m.message)).collect();
            return Err(problem(Code::Config, all.join("; ")));
        }
        let open = Open {
            executor: executor.to_owned(),
            config,
            log_level: tracing::level_filters::LevelFilter::current().to_string(),
            state_dir: Some(self.state_dir.join("executors").join(executor)),
            config_dir: self.config_dir.clone(),
            soft_limits: None,
        };
        let request =
            serde_json::to_string(&open).map_err(|e| problem(Code::Config, e.to_string()))?;
        let callback =
            Callback { plugin: name.to_owned(), executor: executor.to_owned(), events }.into_ffi();
        let root = loaded.root;
        let opening = move || InProcess::open(root, callback, request);
        let opened = on_own_thread(deadline::OPEN, opening).await;
        let opened = opened.map_err(|why| problem(Code::Hung, format!("`open` {why}")))?;
        let (transport, facts) = opened.map_err(|e| {
            let config = e.kind == ErrorKind::InvalidConfig;
            problem(if config { Code::Config } else { Code::OpenExecutor }, located(&e))
        })?;
        let hosted = Verbs {
            name: executor.to_owned(),
            plugin: name.to_owned(),
            facts,
            options_schema: loaded.description.options_schema,
            transport,
        };
        let needs = hosted.check_requirements().await;
        needs.map_err(|e| failed(executor, name, Code::Requirements, &e))?;
        Ok(hosted)
    }

    fn unknown(&self, name: &str) -> PluginProblem {
        let refused = self.refused.iter().map(|(p, _)| p);
        if let Some(problem) = refused.clone().find(|p| p.plugin.as_deref() == Some(name)) {
            return problem.clone();
        }
        let known: Vec<_> = self.plugins.keys().map(String::as_str).collect();
        let hint = if let Some(meant) = closest(name, known.iter().copied()) {
            format!("did you mean `{meant}`?")
        } else if let Some(problem) = refused.clone().find(|p| p.code == Code::Directory) {
            problem.message.clone()
        } else {
            // The file may be here and refused before it could say its name.
            let refused = refused.map(|p| format!("; refused: {p}")).collect::<String>();
            format!("known are {}{refused}", schema::listed(&known))
        };
        let dir = self.dir.display();
        PluginProblem::new(Code::Unknown, format!("no plugin of that name in `{dir}`: {hint}"))
            .plugin(name)
    }

    /// Every file that was looked at, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Entry> {
        let executors = self.executors();
        let used = self.plugins.iter().map(|(name, plugin)| {
            plugin.entry(
                executors.iter().filter(|executor| executor.plugin == *name).cloned().collect(),
            )
        });
        let refused = self.refused.iter().map(|(problem, since)| Entry {
            name: problem.plugin.clone(),
            version: None,
            vendor: None,
            api: None,
            digest: None,
            path: problem.file.clone().unwrap_or_else(|| self.dir.clone()),
            isolation: "none",
            state: State::Refused,
            since: *since,
            problem: Some(problem.clone()),
            executors: Vec::new(),
        });
        used.chain(refused).collect()
    }

    fn executors(&self) -> MutexGuard<'_, Vec<ExecutorEntry>> {
        self.executors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plugin {
    async fn load(&self) -> Result<Loaded, PluginProblem> {
        let (copy, note) = (self.copy.clone(), self.note.clone());
        let loaded = on_own_thread(deadline::LOAD, move || library::load(&copy, &note)).await;
        let hung = |why| Err(PluginProblem::new(Code::Hung, format!("loading {why}")));
        let name = &self.note.name;
        loaded.unwrap_or_else(hung).map_err(|problem| problem.plugin(name).file(&self.file))
    }

    fn entry(&self, executors: Vec<ExecutorEntry>) -> Entry {
        let Note { name, version, vendor, api, .. } = &self.note;
        let (state, problem) = match self.loaded.get() {
            None => (State::Found, None),
            Some(Ok(_)) => (State::Loaded, None),
            Some(Err(problem)) => (State::Refused, Some(problem.clone())),
        };
        Entry {
            name: Some(name.to_string()),
            version: Some(version.to_string()),
            vendor: Some(vendor.to_string()),
            api: Some(api.to_string()),
            digest: Some(self.digest.clone()),
            path: self.file.clone(),
            isolation: "none",
            state,
            since: self.since,
            problem,
            executors,
        }
    }
}

/// The `*.so` of a directory, sorted; no dot-files, no sub-directories' contents.
fn files(dir: &Path) -> Result<Vec<PathBuf>, PluginProblem> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
    };
    let mut files = read().map_err(|e| {
        let message = format!("the plugin directory cannot be read: {e}; set `plugins.dir`");
        PluginProblem::new(Code::Directory, message).file(dir)
    })?;
    files.retain(|file| {
        let hidden = file.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        file.extension() == Some(OsStr::new("so")) && !hidden
    });
    files.sort();
    Ok(files)
}

fn examine(file: &Path, copies: &Copies, pins: &Pins) -> Result<Plugin, PluginProblem> {
    let content = file::read(file)?;
    let note = preflight::check(&content.bytes).map_err(|problem| problem.file(file))?;
    let pinned = pins.check(&note.name, &content.digest);
    pinned.map_err(|problem| problem.file(file).plugin(&note.name))?;
    let copy = copies.keep(&note.name, &content);
    let copy = copy.map_err(|problem| problem.file(file).plugin(&note.name))?;
    Ok(Plugin {
        file: file.to_owned(),
        copy,
        digest: content.digest,
        note,
        since: clock::wall_ms(),
        loaded: OnceCell::new(),
    })
}

fn duplicate(name: &str, file: &Path, other: &Path) -> PluginProblem {
    let other = other.display();
    let message =
        format!("`{other}` says that it is plugin `{name}` too, so neither is used; remove one");
    PluginProblem::new(Code::Duplicate, message).file(file).plugin(name)
}

fn problem(executor: &str, plugin: &str, code: Code, message: &str) -> PluginProblem {
    PluginProblem::new(code, format!("executor `{executor}`: {message}")).plugin(plugin)
}

/// What a verb of an executor that is being opened has failed with.
fn failed(executor: &str, plugin: &str, code: Code, e: &Error) -> PluginProblem {
    let code = if e.kind == ErrorKind::Hung { Code::Hung } else { code };
    problem(executor, plugin, code, &located(e))
}

fn located(e: &Error) -> String {
    match &e.pointer {
        Some(pointer) => format!("at `{pointer}`: {e}"),
        None => e.to_string(),
    }
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
