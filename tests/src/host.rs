//! A host as a real process, in a directory of its own.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use toml::{Table, Value as Toml};

use crate::{
    built::{built, install},
    client::Client,
    history::History,
    leftovers,
    wait::{PATIENCE, wait_until},
};

/// What every host of a test starts from: `local` with its files in the test's directory, and times
/// that fit a test.
const BASE: &str = r#"
[plugins]
dir = "plugins"

[executors.local.config]
cache_dir = "local"
pythonpath = ["."]

[python]
path = ["."]

[recovery]
interval = "300ms"

[shutdown]
grace = "5s"
"#;

/// What a failed test shows of the host.
const LOG: &str = "info,longshore::worker=debug,longshore::recovery=debug,longshore_local=debug";

/// A host that is still to be started.
#[derive(Debug)]
pub struct Setup {
    directory: TempDir,
    config: Table,
    plugins: Vec<PathBuf>,
    wrapper: Vec<OsString>,
    arguments: Vec<String>,
    log: String,
}

/// A host in its directory: running, or killed and not yet started again.
///
/// When it is dropped, everything that it has started is killed; [`TestHost::finish`] is what checks
/// that there was nothing to kill.
#[derive(Debug)]
pub struct TestHost {
    setup: Setup,
    child: Option<Child>,
    run: u64,
    url: String,
}

/// Begins a host whose configuration has these tables beside the usual ones; where both say something
/// these win.
///
/// # Panics
///
/// It is no TOML.
#[must_use]
pub fn setup(config: &str) -> Setup {
    let directory = tempfile::Builder::new().prefix("longshore-test-").tempdir();
    let setup = Setup {
        directory: directory.expect("the temporary directory is writable"),
        config: BASE.parse().expect("the base is TOML"),
        plugins: vec![built().plugin("local")],
        wrapper: Vec::new(),
        arguments: ["serve", "--listen", "127.0.0.1:0"].map(str::to_owned).to_vec(),
        log: LOG.to_owned(),
    };
    fs::create_dir(setup.path("tmp")).expect("the test's directory is writable");
    setup.config(config)
}

impl Setup {
    /// Adds tables to the configuration. `{dir}` in them is the test's directory.
    ///
    /// # Panics
    ///
    /// They are no TOML.
    #[must_use]
    pub fn config(mut self, config: &str) -> Self {
        let here = self.directory.path().display().to_string();
        let added: Table = config.replace("{dir}", &here).parse().unwrap_or_else(|error| {
            panic!("the test's configuration is no TOML: {error}\n{config}")
        });
        merge(&mut self.config, added);
        self
    }

    /// Installs another plugin that the repository builds.
    #[must_use]
    pub fn plugin(mut self, name: &str) -> Self {
        self.plugins.push(built().plugin(name));
        self
    }

    /// Installs this file as a plugin, in place of one of the same file name.
    #[must_use]
    pub fn plugin_file(mut self, file: PathBuf) -> Self {
        self.plugins.push(file);
        self
    }

    /// Starts without the plugin `local`, and without the executor of that name.
    #[must_use]
    pub fn without_local(mut self) -> Self {
        self.plugins.clear();
        let executors = self.config.get_mut("executors").and_then(Toml::as_table_mut);
        executors.expect("the base has executors").remove("local");
        self
    }

    /// Writes a file into the test's directory.
    ///
    /// # Panics
    ///
    /// It cannot be written.
    #[must_use]
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        let parent = path.parent().expect("it is in the test's directory");
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, content));
        written.unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        self
    }

    /// Starts the host as an argument of this command, which must become it (`exec`).
    #[must_use]
    pub fn wrapped(mut self, command: impl IntoIterator<Item = OsString>) -> Self {
        self.wrapper = command.into_iter().collect();
        self
    }

    /// Has the host log this, too: `longshore::store=trace`.
    #[must_use]
    pub fn logging(mut self, directive: &str) -> Self {
        self.log = format!("{},{directive}", self.log);
        self
    }

    /// A path in the test's directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts the host and waits until it is ready.
    ///
    /// # Panics
    ///
    /// It does not start.
    #[must_use]
    pub fn start(self) -> TestHost {
        let mut host = self.stopped();
        host.start();
        host
    }

    /// The host in its directory, ready to be started.
    #[must_use]
    pub fn stopped(self) -> TestHost {
        for plugin in &self.plugins {
            install(plugin, &self.path("plugins"));
        }
        TestHost { setup: self, child: None, run: 0, url: String::new() }
    }
}

impl TestHost {
    /// A path in the test's directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.setup.path(name)
    }

    /// What the jobs write down, where a job's `$HISTORY` is.
    #[must_use]
    pub fn history(&self) -> History {
        History::new(self.setup.directory.path())
    }

    /// Starts the host and waits until it is ready.
    ///
    /// # Panics
    ///
    /// It does not start, or already runs.
    pub fn start(&mut self) {
        let stdout = self.spawn();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = tell.send(line);
        });
        let line = told.recv_timeout(PATIENCE).unwrap_or_default();
        let url = line.trim_end().strip_prefix("longshore listens on ");
        url.unwrap_or_else(|| panic!("the host did not start: {line:?}")).clone_into(&mut self.url);
    }

    /// Starts the host and does not wait. Returns its standard output.
    ///
    /// # Panics
    ///
    /// It cannot be started, or already runs.
    pub fn spawn(&mut self) -> std::process::ChildStdout {
        assert!(self.child.is_none(), "the host runs");
        self.run += 1;
        self.write_config();
        let mut command = self.command();
        command.args(&self.setup.arguments);
        let log = OpenOptions::new().create(true).append(true).open(self.path("host.log"));
        command.stdout(Stdio::piped()).stderr(log.expect("the log is writable"));
        let mut child = command.spawn().expect("the host's binary can be run");
        let stdout = child.stdout.take().expect("piped");
        self.child = Some(child);
        stdout
    }

    /// The configuration, which tells jobs where the history is and which run of the host this is.
    fn write_config(&self) {
        let mut config = self.setup.config.clone();
        if let Some(local) = config.get_mut("executors").and_then(|all| all.get_mut("local")) {
            let history = self.history().path().display().to_string();
            let table = Table::from_iter([
                ("HISTORY".to_owned(), Toml::from(history)),
                ("HOST_RUN".to_owned(), Toml::from(self.run.to_string())),
            ]);
            let set = Table::from_iter([("set_env".to_owned(), table.into())]);
            let local = local.as_table_mut().expect("an executor is a table");
            merge(local, Table::from_iter([("config".to_owned(), set.into())]));
        }
        fs::write(self.path("longshore.toml"), config.to_string())
            .expect("the test's directory is writable");
    }

    fn command(&self) -> Command {
        let mut words = self.setup.wrapper.clone();
        words.push(built().host().into());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .current_dir(self.setup.directory.path())
            .stdin(Stdio::null())
            .env("TMPDIR", self.path("tmp"))
            .env("NO_COLOR", "1");
        // What the developer has set for a host of their own.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LONGSHORE_") {
                command.env_remove(name);
            }
        }
        command.env("LONGSHORE_LOG", &self.setup.log);
        command
    }

    /// `longshore` as a person types it in the host's directory.
    #[must_use]
    pub fn longshore(&self, arguments: &[&str]) -> Command {
        if !self.path("longshore.toml").exists() {
            self.write_config();
        }
        let mut command = Command::new(built().host());
        command
            .args(arguments)
            .current_dir(self.setup.directory.path())
            .stdin(Stdio::null())
            .env("NO_COLOR", "1")
            .env_remove("LONGSHORE_TOKEN")
            .env_remove("LONGSHORE_CONFIG");
        if !self.url.is_empty() {
            command.env("LONGSHORE_URL", &self.url);
        }
        command
    }

    /// Runs `longshore` to its end and returns what it said.
    ///
    /// # Panics
    ///
    /// It cannot be run, or does not end.
    #[track_caller]
    #[must_use]
    pub fn says(&self, arguments: &[&str]) -> Output {
        let mut command = self.longshore(arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.expect("the binary can be run");
        let pid = Pid::from_child(&child);
        let (tell, told) = mpsc::channel();
        // Reads both while it waits: a full pipe would stop the child.
        let waiting = thread::spawn(move || drop(tell.send(child.wait_with_output())));
        let Ok(output) = told.recv_timeout(PATIENCE) else {
            let _ = kill_process(pid, Signal::KILL);
            waiting.join().expect("waiting does not panic");
            let output = told.recv().expect("it has been waited for").expect("it has ended");
            let (out, err) = (lossy(&output.stdout), lossy(&output.stderr));
            panic!("longshore {arguments:?} does not end: {out}{err}");
        };
        output.expect("a child can be waited for")
    }

    /// Runs `longshore`, which succeeds, and returns its standard output.
    ///
    /// # Panics
    ///
    /// It fails.
    #[track_caller]
    #[must_use]
    pub fn prints(&self, arguments: &[&str]) -> String {
        let output = self.says(arguments);
        let (out, err) = (lossy(&output.stdout), lossy(&output.stderr));
        assert!(
            output.status.success(),
            "longshore {arguments:?} ended {}: {err}{out}",
            output.status
        );
        out
    }

    /// Runs `longshore`, which succeeds, and returns its answer in JSON.
    ///
    /// # Panics
    ///
    /// It fails, or prints none.
    #[track_caller]
    #[must_use]
    pub fn prints_json(&self, arguments: &[&str]) -> Value {
        let text = self.prints(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}"))
    }

    /// A client of this run with the admin token that the host has written.
    ///
    /// # Panics
    ///
    /// There is no such token.
    #[must_use]
    pub fn client(&self) -> Client {
        let token = fs::read_to_string(self.path("state/admin-token"));
        Client::new(&self.url, token.expect("the host writes its admin token").trim())
    }

    /// The host's process.
    ///
    /// # Panics
    ///
    /// It does not run.
    #[must_use]
    pub fn pid(&self) -> Pid {
        let child = self.child.as_ref().expect("the host runs");
        Pid::from_child(child)
    }

    /// Everything that all runs of the host have said about themselves.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.path("host.log")).map(|log| lossy(&log)).unwrap_or_default()
    }

    /// `kill -9`, the host only, and writes so into the history.
    ///
    /// # Panics
    ///
    /// The host does not run.
    pub fn kill_9(&mut self) {
        let mut child = self.child.take().expect("the host runs");
        child.kill().expect("a child can be killed");
        let status = child.wait().expect("a child can be waited for");
        assert_eq!(status.signal(), Some(9), "the host ended by itself: {status}");
        self.history().killed(self.run);
    }

    /// Sends the host a signal.
    ///
    /// # Panics
    ///
    /// It does not run.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a child can be sent a signal");
    }

    /// Waits for the host's own end.
    ///
    /// # Panics
    ///
    /// It does not end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("the host runs");
        let status = wait_until("the host has ended", PATIENCE, || {
            child.try_wait().expect("a child can be waited for")
        });
        self.child = None;
        status
    }

    /// SIGTERM, and patience.
    ///
    /// # Panics
    ///
    /// It does not end.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Ends the host as an operator does, and checks that nothing is left of it or of its jobs, all of
    /// which have ended by now.
    ///
    /// # Panics
    ///
    /// Something is left.
    #[track_caller]
    pub fn finish(mut self) {
        self.end();
        assert_eq!(
            leftovers::attempts(&self.cache_dir()),
            Vec::<PathBuf>::new(),
            "attempts are left"
        );
    }

    #[track_caller]
    fn end(&mut self) {
        if self.child.is_some() {
            let status = self.terminate();
            assert!(status.success(), "the host ended with {status}");
            let runners = leftovers::runners(&self.path("state"));
            assert_eq!(runners, Vec::<PathBuf>::new(), "directories of runners are left");
        }
        let here = self.setup.directory.path();
        // At once: a host that has ended has nobody left to wait for.
        assert_eq!(leftovers::processes(here), [], "processes are left");
        assert_eq!(leftovers::drafts(here), Vec::<PathBuf>::new(), "temporary files are left");
    }

    fn cache_dir(&self) -> PathBuf {
        let executors = self.setup.config.get("executors");
        let local = executors.and_then(|all| all.get("local"));
        let directory = local.and_then(|local| local.get("config")?.get("cache_dir")?.as_str());
        self.path(directory.unwrap_or("local"))
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        leftovers::kill(self.setup.directory.path());
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            println!("--- the end of the host's log");
            lines[lines.len().saturating_sub(80)..].iter().for_each(|line| println!("{line}"));
        }
    }
}

/// Puts `added` over `base`, table by table.
fn merge(base: &mut Table, added: Table) {
    for (key, value) in added {
        match (base.get_mut(&key), value) {
            (Some(Toml::Table(base)), Toml::Table(added)) => merge(base, added),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

/// Text of bytes.
#[must_use]
pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Fills a file with that many bytes, on the disk and not as a hole.
///
/// # Panics
///
/// It cannot be written.
pub fn fill(path: &Path, bytes: usize) {
    use std::io::Write as _;
    let written = File::create(path).and_then(|mut file| file.write_all(&vec![b'x'; bytes]));
    written.unwrap_or_else(|error| panic!("cannot fill {}: {error}", path.display()));
}
