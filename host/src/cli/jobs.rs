//! `longshore jobs`: what became of what was submitted.

mod cancel;
mod list;
mod logs;
mod show;
pub(super) mod watch;

use std::path::Path;

use clap::{Args, Subcommand};

use super::{error::CliError, exit::Exit, output::Output, reach::Reach};
use crate::job::JobId;

/// Lists, shows, watches and cancels jobs, and reads their output
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(super) struct Jobs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Show(show::Show),
    Watch(watch::Watch),
    Cancel(cancel::Cancel),
    Logs(logs::Logs),
}

/// One job, and the host that has it.
#[derive(Args, Debug)]
struct One {
    /// The job's id.
    #[arg(value_name = "ID", value_parser = id)]
    id: JobId,
    #[command(flatten)]
    reach: Reach,
}

impl Jobs {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        match self.command {
            Command::List(command) => command.run(config, output),
            Command::Show(command) => command.run(config, output),
            Command::Watch(command) => command.run(config, output),
            Command::Cancel(command) => command.run(config, output),
            Command::Logs(command) => command.run(config, output),
        }
    }
}

/// Reads a job's id as a person gives it.
fn id(text: &str) -> Result<JobId, String> {
    text.parse().map_err(|_| {
        "expected a job's id, such as 01957a3c-7f7e-7bd0-a4f3-6c62b0f0e0aa; `longshore jobs list` has them"
            .to_owned()
    })
}
