//! `longshore plugin`: what is in the plugin directory, and what plugins are made with.

mod check;
mod inspect;
pub(super) mod list;
mod lock;
mod new;
mod release;

use std::path::Path;

use clap::{Args, Subcommand};

pub(super) use self::check::{CHILD as CHECK, child as check_child};
use super::{error::CliError, exit::Exit, output::Output};

/// Looks at plugins, makes new ones and tries them out
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
    Check(check::Check),
    Release(release::Release),
    New(new::New),
}

impl Plugin {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        match self.command {
            Command::List(command) => command.run(config, output),
            Command::Inspect(command) => command.run(config, output),
            Command::Lock(command) => command.run(config, output),
            Command::Check(command) => command.run(output),
            Command::Release(command) => command.run(config, output),
            Command::New(command) => command.run(output),
        }
    }
}
