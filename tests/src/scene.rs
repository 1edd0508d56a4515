//! A host in which one plugin does something wrong while a neighbour's job runs: what must not happen to
//! the neighbour is the promise of every test that begins with a scene.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    client::Client,
    host::{Setup, TestHost, setup},
    wait::{PATIENCE, wait_until},
};

/// The neighbour's job type, the plugin that is up to no good, and times that fit a test.
const BASE: &str = r#"
[executors.local]

[jobs.neighbour]
executor = "local"
command = ["sh", "-c", "until [ -e {dir}/go ]; do sleep 0.02; done"]
"#;

/// A host and the job that its neighbour runs until the scene ends.
#[derive(Debug)]
pub struct Scene {
    /// The host.
    pub host: TestHost,
    /// Who talks to it.
    pub client: Client,
    held: String,
}

/// Begins a scene with these tables in its configuration. The plugin `evil` is installed; nothing is made
/// of it unless the tables say so ([`evil`] writes them).
#[must_use]
pub fn scene(config: &str) -> Setup {
    setup(BASE).plugin("evil").config(config)
}

/// An executor `evil` and a job type `evil` that runs on it. `executor` is what else its table says:
/// `config = { mode = "abort" }`. It is started again at once when it dies.
#[must_use]
pub fn evil(executor: &str) -> String {
    evil_as("evil", executor)
}

/// As [`evil`], under another name.
#[must_use]
pub fn evil_as(name: &str, executor: &str) -> String {
    format!(
        r#"
[executors.{name}]
plugin = "evil"
restart = {{ base_delay = "50ms", max_delay = "200ms" }}
{executor}

[jobs.{name}]
executor = "{name}"
command = ["evil"]
retry = {{ max_retries = 0 }}
"#
    )
}

impl Scene {
    /// Starts the host and the neighbour's job.
    ///
    /// # Panics
    ///
    /// They do not start.
    #[must_use]
    pub fn of(setup: Setup) -> Self {
        let host = setup.start();
        let client = host.client();
        let held = client.submit("neighbour", json!({}));
        client.until(&held, "RUNNING");
        Self { host, client, held }
    }

    /// What `GET /plugins` says of an executor of that name; else of the plugin or the file of that name.
    ///
    /// # Panics
    ///
    /// The host does not answer, or knows neither.
    #[track_caller]
    #[must_use]
    pub fn row(&self, name: &str) -> Value {
        self.try_row(name).unwrap_or_else(|| panic!("no row of `{name}`: {:#}", self.rows()))
    }

    fn try_row(&self, name: &str) -> Option<Value> {
        let rows = self.rows();
        let files = || rows["plugins"].as_array().expect("a list of plugins").iter();
        let executors = files().flat_map(|file| file["executors"].as_array()).flatten();
        let named = |row: &&Value| row["name"] == name;
        let is_file = |row: &&Value| {
            let path = row["path"].as_str().map(Path::new);
            path.and_then(Path::file_name).is_some_and(|file| file == name)
        };
        executors
            .rev()
            .find(named)
            .or_else(|| files().find(named))
            // What is refused stands last: a file that was overwritten is also the plugin that it was.
            .or_else(|| files().rev().find(is_file))
            .cloned()
    }

    #[track_caller]
    fn rows(&self) -> Value {
        let answer = self.client.get("/api/3.0/plugins");
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json
    }

    /// Waits until a row shows that code, and answers with its problem's text.
    ///
    /// # Panics
    ///
    /// It does not.
    #[track_caller]
    pub fn says(&self, name: &str, code: &str) -> String {
        wait_until(&format!("`{name}` says {code}"), PATIENCE, || {
            let problem = self.try_row(name)?["problem"].take();
            (problem["code"] == code).then(|| text(&problem["message"]))
        })
    }

    /// Waits until an executor stands so, and answers with its row.
    ///
    /// # Panics
    ///
    /// It does not.
    #[track_caller]
    pub fn stands(&self, executor: &str, standing: &str) -> Value {
        wait_until(&format!("`{executor}` is {standing}"), PATIENCE, || {
            let row = self.try_row(executor)?;
            (row["standing"] == standing).then_some(row)
        })
    }

    /// Waits until the host's log has this text, and answers with the line.
    ///
    /// # Panics
    ///
    /// It does not.
    #[track_caller]
    pub fn logs(&self, text: &str) -> String {
        wait_until(&format!("the host logs `{text}`"), PATIENCE, || {
            self.host.log().lines().find(|line| line.contains(text)).map(str::to_owned)
        })
    }

    /// Submits a job of the executor `evil` that does this wrong.
    ///
    /// # Panics
    ///
    /// It is refused.
    #[track_caller]
    #[must_use]
    pub fn does(&self, mode: &str) -> String {
        self.client.submit("evil", json!({ "evil": mode }))
    }

    /// Ends the neighbour's job, and checks that it has noticed nothing: that it succeeded at its first
    /// attempt, that another one does, and that the host ends in order and leaves nothing.
    ///
    /// # Panics
    ///
    /// Something has happened to it.
    #[track_caller]
    pub fn finish(self) {
        let Self { host, client, held } = self;
        fs::write(host.path("go"), "").expect("the test's directory is writable");
        let fresh = client.submit("neighbour", json!({}));
        for id in [&held, &fresh] {
            let job = client.until(id, "SUCCEEDED");
            assert_eq!(job["attempt"], 1, "it was disturbed: {job:#}");
        }
        let alive = client.get("/api/3.0/health/live");
        assert_eq!(alive.status, 200, "{}", alive.text);
        host.finish();
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
