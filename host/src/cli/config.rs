//! `longshore config`: what the configuration file says, and what becomes of it.

mod check;
mod show;

use std::path::Path;

use clap::{Args, Subcommand};

use super::{block_on, error::CliError, exit::Exit, output::Output};
use crate::{config::Config, host};

/// Checks the configuration, and shows what is in effect
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Check),
    Show(show::Show),
}

impl ConfigCommand {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        match self.command {
            Command::Check(command) => command.run(config, output),
            Command::Show(command) => command.run(config, output),
        }
    }
}

/// The configuration with what decorators declare.
pub(super) fn whole(config: Config) -> Result<Config, CliError> {
    Ok(block_on(host::with_declared(config))??)
}
