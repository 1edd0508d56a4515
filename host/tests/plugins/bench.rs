//! The workbench of these tests: built plugins, a directory to put them in, jobs to give them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, OnceLock},
};

use longshore::{
    config::{ExecutorConfig, PluginIsolation, Plugins},
    plugin::{Events, HostedExecutor, Pins, Places, PluginProblem, Program, Registry, Wanted},
};
use longshore_plugin_api::{Attempt, Context, Job, Progress, Run, Seconds};
use serde_json::{Value, value::RawValue};
use tempfile::TempDir;
use tokio::sync::Notify;

/// The test plugin, built by cargo once per run.
pub(crate) fn noop() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| build("longshore-noop"))
}

/// The plugin of the documentation.
pub(crate) fn smallest() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| build("longshore-smallest"))
}

fn build(package: &str) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--message-format=json", "--package", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let library = String::from_utf8(output.stdout)
        .expect("cargo writes UTF-8")
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == package.replace('-', "_"))
        .filter_map(|message| message["filenames"][0].as_str().map(PathBuf::from))
        .find(|file| file.extension().is_some_and(|extension| extension == "so"));
    fs::read(library.expect("cargo names the library")).expect("it is readable")
}

/// The bytes of a plugin with one text replaced by another of the same length.
pub(crate) fn patched(library: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = library.windows(from.len()).position(|window| window == from.as_bytes());
    let at = at.expect("the text is there");
    let mut patched = library.to_vec();
    patched[at..at + to.len()].copy_from_slice(to.as_bytes());
    patched
}

/// A plugin directory and a state directory.
pub(crate) struct Place {
    pub(crate) temp: TempDir,
}

impl Place {
    pub(crate) fn with(files: &[(&str, &[u8])]) -> Self {
        let place = Self { temp: TempDir::new().expect("a directory for the test") };
        fs::create_dir(place.dir()).expect("it is new");
        for (name, bytes) in files {
            fs::write(place.file(name), bytes).expect("it is writable");
        }
        place
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.temp.path().join("plugins")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.temp.path().join("state")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub(crate) fn pins(&self, required: bool) -> Pins {
        Pins::read(&self.temp.path().join("plugins.lock"), required)
    }

    pub(crate) fn settings(&self, require_pins: bool) -> Plugins {
        let lock = self.temp.path().join("plugins.lock");
        Plugins { lock, require_pins, ..Plugins::of(self.dir()) }
    }

    pub(crate) fn discover(&self) -> Registry {
        Registry::discover(self.settings(false), Places::below(self.state()), program())
    }

    /// What became of the files: name or file name, code, message without the directory.
    pub(crate) fn verdicts(&self) -> Vec<String> {
        let entries = self.discover().list();
        let line = |entry: &longshore::plugin::Entry| match &entry.problem {
            None => format!("ok {}", entry.name.as_deref().unwrap_or("?")),
            Some(problem) => {
                let text = problem.to_string().replace(&*format!("{}/", self.dir().display()), "");
                format!("{} {text}", problem.code)
            }
        };
        entries.iter().map(line).collect()
    }
}

/// What must hold wherever a plugin runs.
pub(crate) const BOTH: [PluginIsolation; 2] = [PluginIsolation::None, PluginIsolation::Process];

/// What runs the plugins that do not run in the test.
pub(crate) fn program() -> Program {
    Program::at(env!("CARGO_BIN_EXE_longshore"))
}

pub(crate) async fn open(
    place: &Place,
    isolation: PluginIsolation,
    plugin: &str,
    config: Value,
) -> Result<Arc<dyn HostedExecutor>, PluginProblem> {
    let config = ExecutorConfig::of(plugin, isolation, config);
    open_with(&place.discover(), plugin, config, Arc::new(())).await
}

pub(crate) async fn open_with(
    registry: &Registry,
    executor: &str,
    config: ExecutorConfig,
    events: Arc<dyn Events>,
) -> Result<Arc<dyn HostedExecutor>, PluginProblem> {
    let wanted = Wanted { executor: executor.to_owned(), config };
    let (hosted, settled) = registry.open(wanted, events).await;
    settled.map(|()| hosted)
}

pub(crate) fn job(tag: &str, params: &str) -> Job {
    Job {
        job_id: "0190a2b4-0000-7000-8000-000000000000".to_owned(),
        attempt_tag: tag.to_owned(),
        attempt: 1,
        job_type: "test".to_owned(),
        workspace: "default".to_owned(),
        run: Run::Command(vec!["true".to_owned()]),
        params: RawValue::from_string(params.to_owned()).expect("parameters are JSON"),
        timeout: Seconds(60.0),
        stop_grace: Seconds(5.0),
        python: None,
        resources: None,
        transient_errors: Vec::new(),
        context: Context::default(),
        options: None,
    }
}

pub(crate) fn attempt(tag: &str) -> Attempt {
    let Job { job_id, attempt_tag, .. } = job(tag, "{}");
    Attempt { job_id, attempt_tag, handle: None }
}

/// Remembers what plugins say.
#[derive(Default)]
pub(crate) struct Heard {
    told: Mutex<Vec<(String, String, Progress)>>,
    more: Notify,
}

impl Heard {
    /// The tags and the counts that an executor told of.
    pub(crate) fn of(&self, executor: &str) -> Vec<(String, Option<u64>)> {
        let told = self.told.lock().expect("no test panics while it listens");
        let of_it = told.iter().filter(|(of, ..)| of == executor);
        let count = |progress: &Progress| progress.progress.clone().flatten()?.completed.flatten();
        of_it.map(|(_, tag, progress)| (tag.clone(), count(progress))).collect()
    }

    /// Waits until the last that an executor told is this.
    pub(crate) async fn until(&self, executor: &str, tag: &str, completed: u64) {
        let last = (tag.to_owned(), Some(completed));
        let heard = async {
            while self.of(executor).last() != Some(&last) {
                self.more.notified().await;
            }
        };
        let heard = tokio::time::timeout(std::time::Duration::from_secs(60), heard).await;
        heard.unwrap_or_else(|_| panic!("{executor} told {:?}", self.of(executor)));
    }
}

impl Events for Heard {
    fn progress(&self, executor: &str, attempt_tag: &str, progress: Progress) {
        let heard = (executor.to_owned(), attempt_tag.to_owned(), progress);
        self.told.lock().expect("no test panics while it listens").push(heard);
        // One listens, so one permit is enough.
        self.more.notify_one();
    }
}

pub(crate) fn copies(place: &Place) -> Vec<PathBuf> {
    let below = |dir: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
        paths.sort();
        paths
    };
    below(&place.state().join("plugins")).iter().flat_map(|dir| below(dir)).collect()
}
