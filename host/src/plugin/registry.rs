//! Which plugins are here, and what became of each.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::sync::mpsc;

use super::{
    Events, HostedExecutor, Program, Standing,
    candidate::Candidate,
    copies::Copies,
    hosted::{Hosted, Snapshot},
    opening::{Opening, Trouble, Until, Wanted, Workshop},
    preflight::Note,
    problem::{Code, PluginProblem},
    runner, schema,
    supervisor::Running,
    verdicts::Verdicts,
};
use crate::{
    clock,
    config::{ExecutorConfig, Plugins, suggest::closest},
};

mod directory;
mod entry;

use self::directory::{Directory, Known};
pub use self::entry::{Entry, ExecutorEntry, State};

/// The plugins of one directory, and the executors that are made of them.
#[derive(Debug)]
pub struct Registry {
    settings: Plugins,
    copies: Copies,
    workshop: Arc<Workshop>,
    /// Held for as long as a look takes, which may be long.
    directory: Mutex<Directory>,
    known: Mutex<Known>,
    executors: Mutex<BTreeMap<String, Arc<Hosted>>>,
}

/// How long what was replaced or let go is waited for when everything ends.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// Where a registry keeps things.
#[derive(Clone, Debug)]
pub struct Places {
    /// Private copies of the plugins go below this.
    pub copies: PathBuf,
    /// Executors have their directories below this.
    pub state: PathBuf,
    /// What relative paths in an executor's settings are relative to.
    pub config: Option<PathBuf>,
}

impl Places {
    /// Everything in one directory.
    #[must_use]
    pub fn below(state: impl Into<PathBuf>) -> Self {
        let state = state.into();
        Self { copies: state.clone(), state, config: None }
    }
}

impl Registry {
    /// Looks at every `*.so` in the directory, in the order of their names, and keeps a private copy of
    /// each that this host can load. Runs none of their code. Never fails: what is wrong is a row of
    /// [`list`](Self::list). Reads files, so it blocks. `program` is what runs plugins that do not run
    /// in this process.
    #[must_use]
    pub fn discover(settings: Plugins, places: Places, program: Program) -> Self {
        let copies = Copies::below(&places.copies);
        let directory = Directory::stock(&settings, &copies);
        let workshop = Workshop {
            program,
            verdicts: Verdicts::below(&places.copies),
            state_dir: places.state,
            config_dir: places.config,
            running: Running::default(),
        };
        let this = Self {
            settings,
            copies,
            workshop: Arc::new(workshop),
            known: Mutex::new(directory.known()),
            directory: Mutex::new(directory),
            executors: Mutex::default(),
        };
        this.prune();
        this
    }

    /// Ends and removes what runners of an earlier process left. Only for whoever owns the state
    /// directory. Blocks.
    pub fn sweep(&self) {
        runner::sweep(&self.workshop.state_dir.join("runners"));
    }

    /// Looks at the directory again, and hands what is new to the executors that want it. What is gone
    /// takes no new jobs. A file counts once two looks have seen it unchanged. Blocks. Says how many
    /// plugins are others now.
    pub fn scan(&self) -> usize {
        let changes = {
            let mut directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
            let changes = directory.look(&self.settings, &self.copies);
            *self.known() = directory.known();
            changes
        };
        for change in &changes {
            let wanting: Vec<_> = {
                let executors = self.executors();
                let wanting = executors
                    .values()
                    .filter(|hosted| hosted.wanted.config.plugin == change.plugin);
                wanting.cloned().collect()
            };
            match &change.now {
                Ok(candidate) => {
                    let (plugin, version) = (&*change.plugin, &candidate.note.version);
                    tracing::info!(plugin, %version, digest = &candidate.digest[..12], "found plugin");
                    wanting.iter().for_each(|hosted| hosted.replace(candidate));
                }
                Err(problem) => {
                    tracing::warn!(code = %problem.code, "{problem}");
                    wanting.iter().for_each(|hosted| hosted.retire(problem.clone()));
                }
            }
        }
        if !changes.is_empty() {
            self.prune();
        }
        changes.len()
    }

    /// Makes an executor: loads its plugin, checks the settings, opens it, asks for what it needs, and
    /// starts it. It stays, whatever becomes of that: it is started again when its process dies, and
    /// when another file takes its plugin's place. A plugin that hangs costs its deadline, no more.
    ///
    /// # Errors
    ///
    /// Why it does not take jobs yet; [`list`](Self::list) remembers it.
    pub async fn open(
        &self,
        wanted: Wanted,
        events: Arc<dyn Events>,
    ) -> (Arc<dyn HostedExecutor>, Result<(), PluginProblem>) {
        let first = self.candidate(&wanted.config.plugin);
        let name = wanted.executor.clone();
        let hosted = Hosted::start(wanted, first, Arc::clone(&self.workshop), events);
        self.executors().insert(name, Arc::clone(&hosted));
        let settled = hosted.settled().await;
        (hosted, settled)
    }

    /// As [`open`](Self::open), up to what it needs: the executor is asked, not started, and gone
    /// again.
    ///
    /// # Errors
    ///
    /// One for each step.
    pub async fn check(&self, wanted: Wanted) -> Result<(), PluginProblem> {
        let candidate = self.candidate(&wanted.config.plugin)?;
        let (asks, _nobody_asks) = mpsc::unbounded_channel();
        let opening = Opening {
            workshop: Arc::clone(&self.workshop),
            wanted: Arc::new(wanted),
            candidate,
            events: Arc::new(()),
            asks: asks.downgrade(),
            secrets: OnceLock::new(),
            suspect: false,
        };
        match opening.run(Until::Checked).await {
            Ok(up) => {
                if let Some(live) = up.live {
                    live.end(Duration::ZERO).await;
                }
                Ok(())
            }
            Err(
                Trouble::Refused { problem, .. }
                | Trouble::Died(problem)
                | Trouble::DiedLoading(problem),
            ) => Err(problem),
        }
    }

    /// Ends every executor, and waits until nothing of them is left.
    pub async fn stop(&self, grace: Duration) {
        let executors: Vec<_> = self.executors().values().cloned().collect();
        let stopping = executors.iter().map(async |hosted| {
            // Told by whoever supervises it.
            let _ = hosted.stop(grace).await;
        });
        join_all(stopping).await;
        self.workshop.running.none(LAST_WAIT).await;
    }

    /// Lets an executor of that name, or every executor of a plugin of that name, try again that was
    /// left alone. Answers with their names.
    pub fn release(&self, name: &str) -> Vec<String> {
        let executors = self.executors();
        let named = executors
            .values()
            .filter(|hosted| hosted.wanted.executor == name || hosted.wanted.config.plugin == name);
        named.inspect(|hosted| hosted.release()).map(|one| one.wanted.executor.clone()).collect()
    }

    fn candidate(&self, plugin: &str) -> Result<Arc<Candidate>, PluginProblem> {
        let known = self.known();
        known.get(plugin).cloned().ok_or_else(|| self.unknown(plugin, &known))
    }

    fn unknown(&self, name: &str, directory: &Known) -> PluginProblem {
        if let Some(problem) = directory.refusal_of(name) {
            return problem;
        }
        let known: Vec<_> = directory.usable().map(|one| &*one.note.name).collect();
        let mut refused = directory.refused().map(|(problem, _)| problem);
        let hint = if let Some(meant) = closest(name, known.iter().copied()) {
            format!("did you mean `{meant}`?")
        } else if let Some(problem) = refused.find(|p| p.code == Code::Directory) {
            problem.message.clone()
        } else {
            // The file may be here and refused before it could say its name.
            let refused =
                directory.refused().map(|(p, _)| format!("; refused: {p}")).collect::<String>();
            format!("known are {}{refused}", schema::listed(&known))
        };
        let dir = self.settings.dir.display();
        PluginProblem::new(Code::Unknown, format!("no plugin of that name in `{dir}`: {hint}"))
            .plugin(name)
    }

    /// Every plugin with its executors, by name; then every file that is refused.
    #[must_use]
    pub fn list(&self) -> Vec<Entry> {
        let directory = self.known();
        let executors = self.executors();
        let mut of: BTreeMap<&str, Vec<&Arc<Hosted>>> = BTreeMap::new();
        for hosted in executors.values() {
            of.entry(&hosted.wanted.config.plugin).or_default().push(hosted);
        }
        let used = directory.usable().map(|candidate| {
            let hosted = of.remove(&*candidate.note.name).unwrap_or_default();
            let rows: Vec<_> = hosted.into_iter().flat_map(rows).collect();
            let state = if rows.is_empty() { State::Found } else { State::Used };
            Entry { executors: rows, ..found(candidate, state) }
        });
        let mut entries: Vec<_> = used.collect();
        for (plugin, hosted) in of {
            entries.push(self.absent(plugin, &hosted));
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        entries.extend(directory.refused().map(|(problem, since)| Entry {
            name: problem.plugin.clone(),
            version: None,
            vendor: None,
            api: None,
            digest: None,
            path: problem.file.clone().unwrap_or_else(|| self.settings.dir.clone()),
            state: State::Refused,
            since: *since,
            problem: Some(problem.clone()),
            executors: Vec::new(),
        }));
        entries
    }

    /// A plugin that executors want and that is not there. What still runs of it is listed.
    fn absent(&self, plugin: &str, hosted: &[&Arc<Hosted>]) -> Entry {
        let absent = hosted.iter().find_map(|hosted| hosted.absence());
        let (problem, since) = absent.unzip();
        let file = problem.as_ref().and_then(|problem| problem.file.clone());
        Entry {
            name: Some(plugin.to_owned()),
            version: None,
            vendor: None,
            api: None,
            digest: None,
            path: file.unwrap_or_else(|| self.settings.dir.clone()),
            state: State::Absent,
            since: since.unwrap_or_else(clock::wall_ms),
            problem,
            executors: hosted.iter().flat_map(|hosted| rows(hosted)).collect(),
        }
    }

    /// Removes private copies that nothing is made of any more.
    fn prune(&self) {
        let mut digests: Vec<_> = self.known().usable().map(|one| one.digest.clone()).collect();
        digests.extend(self.executors().values().flat_map(|hosted| hosted.digests()));
        let digests: Vec<_> = digests.iter().map(String::as_str).collect();
        self.copies.prune(&digests);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn executors(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Hosted>>> {
        self.executors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn found(candidate: &Candidate, state: State) -> Entry {
    let Note { name, version, vendor, api, .. } = &candidate.note;
    Entry {
        name: Some(name.to_string()),
        version: Some(version.to_string()),
        vendor: Some(vendor.to_string()),
        api: Some(api.to_string()),
        digest: Some(candidate.digest.clone()),
        path: candidate.file.clone(),
        state,
        since: candidate.since,
        problem: None,
        executors: Vec::new(),
    }
}

/// One for each version of it; one that says so where there is none.
fn rows(hosted: &Arc<Hosted>) -> Vec<ExecutorEntry> {
    let name = &hosted.wanted.executor;
    let ExecutorConfig { isolation, .. } = hosted.wanted.config;
    let mut rows: Vec<_> = hosted
        .snapshot()
        .into_iter()
        .map(|Snapshot { candidate, status, jobs }| ExecutorEntry {
            name: name.clone(),
            version: Some(candidate.note.version.to_string()),
            digest: Some(candidate.digest.clone()),
            isolation,
            standing: status.standing,
            pid: status.pid,
            since: status.since,
            jobs,
            deaths: status.deaths,
            problem: status.problem,
        })
        .collect();
    if let Some((problem, since)) = hosted.absence() {
        rows.push(ExecutorEntry {
            name: name.clone(),
            version: None,
            digest: None,
            isolation,
            standing: Standing::Absent,
            pid: None,
            since,
            jobs: 0,
            deaths: 0,
            problem: Some(problem),
        });
    }
    rows
}
