//! `longshore plugin`: what is in the plugin directory.

mod inspect;
pub(super) mod list;
mod lock;

use std::path::Path;

use clap::{Args, Subcommand};

use super::{error::CliError, exit::Exit, output::Output};

/// Looks at plugins without running them
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(super) struct Plugin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Inspect(inspect::Inspect),
    Lock(lock::Lock),
}

impl Plugin {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        match self.command {
            Command::List(command) => command.run(config, output),
            Command::Inspect(command) => command.run(config, output),
            Command::Lock(command) => command.run(config, output),
        }
    }
}
