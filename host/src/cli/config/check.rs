//! `longshore config check`.

use std::path::Path;

use clap::Args;
use serde_json::json;

use super::whole;
use crate::{
    cli::{error::CliError, exit::Exit, logging, output::Output, plugin, reach, table::count},
    config::Mistakes,
};

/// Checks the configuration and reports every mistake at once
///
/// Reads the file, asks Python what the modules declare, reads the tokens, and looks for the plugins
/// that executors name. Starts nothing.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore config check --config /etc/longshore/longshore.toml")]
pub(super) struct Check {
    /// Print JSON: `{"ok": true, ...}` or `{"ok": false, "mistakes": [...]}`.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        logging::quiet();
        match check(config) {
            Ok((job_types, executors)) if self.json => {
                output
                    .json(&json!({ "ok": true, "job_types": job_types, "executors": executors }))?;
                Ok(Exit::Success)
            }
            Ok((job_types, executors)) => {
                let line = format!(
                    "the configuration is right: {}, {}",
                    count(job_types, "job type"),
                    count(executors, "executor")
                );
                output.line(line)?;
                Ok(Exit::Success)
            }
            Err(error) => {
                if let (true, Some(mistakes)) = (self.json, mistakes(&error)) {
                    output.json(&json!({ "ok": false, "mistakes": mistakes }))?;
                    return Ok(error.exit());
                }
                Err(error)
            }
        }
    }
}

/// How many job types and executors there are.
fn check(path: Option<&Path>) -> Result<(usize, usize), CliError> {
    let config = whole(reach::load(path)?)?;
    config.check_secrets()?;
    let plugins = plugin::list::discover(&config)?;
    let found: Vec<&str> = plugins
        .iter()
        .filter(|entry| entry.problem.is_none())
        .filter_map(|entry| entry.name.as_deref())
        .collect();
    config.check_plugins(&found)?;
    Ok((config.job_types.len(), config.executors.len()))
}

/// The mistakes in the configuration behind an error.
fn mistakes(error: &CliError) -> Option<&Mistakes> {
    use crate::{config::DescribeError, host::StartError};
    match error {
        CliError::Configuration(mistakes)
        | CliError::Host(
            StartError::Declared(mistakes)
            | StartError::Describe(DescribeError::Mistakes(mistakes)),
        ) => Some(mistakes),
        _ => None,
    }
}
