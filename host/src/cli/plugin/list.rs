//! `longshore plugin list`.

use std::{collections::BTreeMap, path::Path};

use clap::Args;

use crate::{
    cli::{
        error::CliError, exit::Exit, logging, output::Output, reach, say, style::Tone, table::Table,
    },
    config::{Config, Plugins},
    plugin::{Entry, Places, PluginProblem, Program, Registry},
};

/// Lists the files of the plugin directory, and why some are not used
///
/// None of their code is run. Ends with 1 if a file is refused.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore plugin list --config /etc/longshore/longshore.toml")]
pub(super) struct List {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        let config = reach::load(config)?;
        logging::quiet();
        let entries = discover(&config)?;
        let refused: Vec<_> = entries.iter().filter_map(|entry| entry.problem.as_ref()).collect();
        if self.json {
            output.json(&entries)?;
        } else if entries.is_empty() {
            say::note(format_args!("there is no plugin in {}", config.plugins.dir.display()));
        } else {
            output.text(table(&entries, &executors(&config), output))?;
        }
        if refused.is_empty() {
            return Ok(Exit::Success);
        }
        refused.iter().for_each(|problem| explain(problem));
        Ok(Exit::Failure)
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

/// The executors of each plugin.
fn executors(config: &Config) -> BTreeMap<&str, Vec<&str>> {
    let mut of = BTreeMap::<&str, Vec<&str>>::new();
    for (name, executor) in &config.executors {
        of.entry(&executor.plugin).or_default().push(name);
    }
    of
}

fn table(entries: &[Entry], executors: &BTreeMap<&str, Vec<&str>>, output: &Output) -> Table {
    let mut table =
        Table::new(["PLUGIN", "VERSION", "VENDOR", "API", "STATE", "EXECUTORS", "FILE"]);
    for entry in entries {
        let state = match &entry.problem {
            None => output.style.paint(Tone::Good, "usable"),
            Some(problem) => output.style.paint(Tone::Bad, problem.code),
        };
        let name = entry.name.as_deref().unwrap_or("?");
        let executors = executors.get(name).filter(|_| entry.problem.is_none());
        table.row([
            name.to_owned(),
            entry.version.clone().unwrap_or_default(),
            entry.vendor.clone().unwrap_or_default(),
            entry.api.clone().unwrap_or_default(),
            state,
            executors.map(|names| names.join(", ")).unwrap_or_default(),
            entry.path.display().to_string(),
        ]);
    }
    table
}

fn explain(problem: &PluginProblem) {
    say::warning(format_args!("{}: {problem}", problem.code));
}
