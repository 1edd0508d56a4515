//! `longshore plugin list`.

use std::path::Path;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    cli::{
        client::ClientError,
        error::CliError,
        exit::Exit,
        logging, moment,
        output::Output,
        reach::{self, Reach},
        say,
        style::Tone,
        table::Table,
    },
    config::{Config, Plugins},
    plugin::{Entry, Places, Program, Registry},
};

/// Lists plugins, the executors that are made of them, and why some are not used
///
/// Asks the host; without one it looks at the plugin directory itself, and runs no code of what is
/// there. Ends with 1 if a file is refused or an executor takes no jobs.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore plugin list --config /etc/longshore/longshore.toml")]
pub(super) struct List {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

impl List {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        logging::quiet();
        let (listed, running) = match self.ask(config)? {
            Some(listed) => (listed, true),
            None => {
                let config = reach::load(config)?;
                say::note(format_args!(
                    "no host answers; this is what is in {}",
                    config.plugins.dir.display()
                ));
                (serde_json::to_value(discover(&config)?).unwrap_or_default(), false)
            }
        };
        let entries = Vec::<Plugin>::deserialize(&listed).map_err(|_| foreign())?;
        if self.json {
            output.json(&listed)?;
        } else if entries.is_empty() {
            say::note("there is no plugin");
        } else {
            output.text(table(&entries, running, output))?;
        }
        let bad = entries.iter().map(|entry| entry.explain(running)).filter(|bad| *bad).count();
        Ok(if bad == 0 { Exit::Success } else { Exit::Failure })
    }

    /// What the host says, if one answers. A host that was named must.
    fn ask(&self, config: Option<&Path>) -> Result<Option<Value>, CliError> {
        let nobody = |error: &ClientError| {
            matches!(error, ClientError::NoAdminToken { .. } | ClientError::Unreachable { .. })
                && !self.reach.is_named()
        };
        let client = match self.reach.client(config) {
            Ok(client) => client,
            Err(CliError::Client(error)) if nobody(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        match client.get("/api/3.0/plugins") {
            Ok(mut answer) => Ok(Some(answer["plugins"].take())),
            Err(error) if nobody(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is in the directory. The copies that the registry makes go into a directory that ends with
/// the command: the state directory's belong to the host that may be running.
pub(in crate::cli) fn discover(config: &Config) -> Result<Vec<Entry>, CliError> {
    look(config.plugins.clone())
}

/// What would be in the directory if nothing were pinned.
pub(super) fn unpinned(config: &Config) -> Result<Vec<Entry>, CliError> {
    look(Plugins { dir_named: config.plugins.dir_named, ..Plugins::of(&config.plugins.dir) })
}

fn look(plugins: Plugins) -> Result<Vec<Entry>, CliError> {
    let scratch = tempfile::tempdir().map_err(|source| CliError::System {
        step: "make a directory for copies of the plugins".to_owned(),
        source,
    })?;
    Ok(Registry::discover(plugins, Places::below(scratch.path()), Program::own()).list())
}

fn foreign() -> CliError {
    let message = "its list of plugins cannot be read; bring both up to date".to_owned();
    ClientError::Foreign { url: "the host".to_owned(), message }.into()
}

/// As far as it is shown.
#[derive(Deserialize, Serialize)]
struct Plugin {
    name: Option<String>,
    version: Option<String>,
    api: Option<String>,
    digest: Option<String>,
    path: String,
    state: String,
    since: i64,
    problem: Option<Problem>,
    executors: Vec<Executor>,
}

#[derive(Deserialize, Serialize)]
struct Executor {
    name: String,
    version: Option<String>,
    digest: Option<String>,
    isolation: String,
    standing: String,
    pid: Option<u32>,
    since: i64,
    jobs: usize,
    problem: Option<Problem>,
}

#[derive(Deserialize, Serialize)]
struct Problem {
    code: String,
    message: String,
    file: Option<String>,
}

impl Plugin {
    /// Says what is wrong with it, and whether something is. `running`: the executors are a host's.
    fn explain(&self, running: bool) -> bool {
        let mut bad = false;
        // One that is absent is told of by its executors.
        if let Some(problem) = self.problem.as_ref().filter(|_| self.state == "refused") {
            let of = problem.file.as_deref().map_or_else(String::new, |file| format!("{file}: "));
            say::warning(format_args!("{}: {of}{}", problem.code, problem.message));
            bad = true;
        }
        for executor in &self.executors {
            let well = matches!(&*executor.standing, "ready" | "draining");
            bad |= running && !well;
            let Some(Problem { code, message, .. }) = &executor.problem else { continue };
            if well {
                say::note(format_args!("{} had {code}: {message}", executor.name));
            } else {
                say::warning(format_args!("{code}: {message}"));
            }
        }
        bad
    }
}

fn table(entries: &[Plugin], running: bool, output: &Output) -> Table {
    let mut table = Table::new([
        "PLUGIN",
        "VERSION",
        "API",
        "DIGEST",
        "EXECUTOR",
        "ISOLATION",
        "STATE",
        "SINCE",
        "PID",
        "JOBS",
        "FILE",
    ]);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let short =
        |digest: &Option<String>| digest.as_deref().unwrap_or_default().chars().take(12).collect();
    for entry in entries {
        let name = entry.name.as_deref().unwrap_or("?");
        for Executor {
            name: executor,
            version,
            digest,
            isolation,
            standing,
            pid,
            since,
            jobs,
            ..
        } in &entry.executors
        {
            let tone = match &**standing {
                "ready" => Tone::Good,
                "draining" | "starting" | "restarting" => Tone::Doubtful,
                _ => Tone::Bad,
            };
            table.row([
                name.to_owned(),
                text(version),
                text(&entry.api),
                short(digest),
                executor.clone(),
                isolation.clone(),
                output.style.paint(tone, standing),
                moment::relative(*since),
                pid.map(|pid| pid.to_string()).unwrap_or_default(),
                jobs.to_string(),
                entry.path.clone(),
            ]);
        }
        if entry.executors.is_empty() {
            let state = match &entry.problem {
                None => output.style.paint(Tone::Good, "usable"),
                Some(problem) => output.style.paint(Tone::Bad, &problem.code),
            };
            table.row([
                name.to_owned(),
                text(&entry.version),
                text(&entry.api),
                short(&entry.digest),
                String::new(),
                String::new(),
                state,
                // Of a look that is just over it says nothing.
                if running { moment::relative(entry.since) } else { String::new() },
                String::new(),
                String::new(),
                entry.path.clone(),
            ]);
        }
    }
    table
}
