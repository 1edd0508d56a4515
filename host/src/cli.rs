//! The command line: what people and scripts say to Longshore.
//!
//! ```text
//!   arguments ─► a command (one file each) ─► Ok(exit) or CliError ─► exit code (exit.rs)
//!                  │ answers: stdout (output.rs)     │ stderr (say.rs)
//!                  ├─ here: serve, migrate, config, plugin, doctor
//!                  └─ over HTTP (client.rs, reach.rs): submit, jobs
//! ```
//!
//! What is always true: standard output carries the answer and nothing else; every failure has an
//! exit code from one table; only `main` ends the process.

mod bar;
mod client;
mod config;
mod doctor;
mod error;
mod exit;
mod job;
mod jobs;
mod logging;
mod migrate;
mod moment;
mod output;
mod params;
mod plugin;
mod reach;
mod say;
mod serve;
mod style;
mod submit;
mod table;

use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::output::Output;
pub use self::{client::ClientError, error::CliError, exit::Exit};
use crate::plugin::runner;

/// A durable job host whose executors are plugins.
#[derive(Debug, Parser)]
#[command(
    name = "longshore",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Arguments {
    /// The configuration file. By default `longshore.toml` in the current directory.
    #[arg(
        long,
        global = true,
        env = crate::config::ENVIRONMENT_VARIABLE,
        hide_env_values = true,
        value_name = "FILE"
    )]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Submit(submit::Submit),
    Jobs(jobs::Jobs),
    Plugin(plugin::Plugin),
    Config(config::ConfigCommand),
    Migrate(migrate::Migrate),
    Doctor(doctor::Doctor),
}

/// Does what the process's arguments say, and answers with its exit code.
#[must_use]
pub fn main() -> i32 {
    // Before anything else: these are not for people, and settle before there is a second thread.
    let mut words = std::env::args_os().skip(1);
    match words.next() {
        Some(word) if word == runner::COMMAND => return runner::child(),
        Some(word) if word == plugin::CHECK => plugin::check_child(words.next().as_deref()),
        _ => {}
    }
    run().code()
}

fn run() -> Exit {
    let command = Arguments::command().after_long_help(Exit::table());
    let arguments =
        command.try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(answer) => {
            // Help and version come this way, too; with nobody to read them nothing is lost.
            let _ = answer.print();
            return if answer.use_stderr() { Exit::Usage } else { Exit::Success };
        }
    };
    match arguments.run() {
        Ok(exit) => exit,
        Err(error) if error.reader_has_gone() => Exit::Success,
        Err(error) => {
            say::error(&error);
            error.exit()
        }
    }
}

impl Arguments {
    fn run(self) -> Result<Exit, CliError> {
        let config = self.config.as_deref();
        let output = &mut Output::new();
        match self.command {
            Command::Serve(command) => command.run(config),
            Command::Submit(command) => command.run(config, output),
            Command::Jobs(command) => command.run(config, output),
            Command::Plugin(command) => command.run(config, output),
            Command::Config(command) => command.run(config, output),
            Command::Migrate(command) => command.run(config, output),
            Command::Doctor(command) => command.run(config, output),
        }
    }
}

/// Runs what must wait for several things at once.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::System { step: "start the runtime".to_owned(), source })?;
    let answer = runtime.block_on(work);
    // A plugin that hangs keeps its thread, not the command.
    runtime.shutdown_background();
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_make_sense() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "`{path}` has no help");
            if command.has_subcommands() {
                command.get_subcommands().for_each(|below| check(below, &path));
            } else {
                let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(
                    after.contains(&format!("\n  ${path}")),
                    "`{path}` has no example: {after}"
                );
            }
        }
        check(&Arguments::command(), "");
    }
}
