//! Everything that a command can fail with, and the exit code of each.

use std::{io, path::PathBuf};

use super::{client::ClientError, exit::Exit};
use crate::{
    config::{DescribeError, Mistakes},
    host::StartError,
    plugin::PluginProblem,
    store::StoreError,
};

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration has mistakes.
    #[error(transparent)]
    Configuration(#[from] Mistakes),
    /// There is no configuration, and something of it is needed.
    #[error(
        "there is no `longshore.toml` here; name the configuration with --config, or {otherwise}"
    )]
    NoConfiguration {
        /// What would do without it.
        otherwise: &'static str,
    },
    /// The conversation with the host failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The host does not start or could not go on.
    #[error(transparent)]
    Host(#[from] StartError),
    /// The database.
    #[error("cannot migrate the database")]
    Migrate(#[source] StoreError),
    /// A file is no plugin.
    #[error(transparent)]
    Plugin(#[from] PluginProblem),
    /// An input makes no sense.
    #[error("{what}: {message}")]
    Input {
        /// Which input.
        what: String,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// A file that the command line names cannot be read.
    #[error("cannot read {what} `{path}`")]
    Unreadable {
        /// What it should be.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Some of several things failed; each was said when it happened.
    #[error("{failed} of {all} failed")]
    Some {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
        /// The code of the first.
        exit: Exit,
    },
    /// The system refuses something that every command needs.
    #[error("cannot {step}")]
    System {
        /// What was tried.
        step: String,
        /// Why not.
        source: io::Error,
    },
    /// The answer cannot be written.
    #[error("cannot write the answer to standard output")]
    Output(#[source] io::Error),
}

impl CliError {
    /// What a script is told.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Configuration(_) | Self::NoConfiguration { .. } => Exit::Configuration,
            Self::Client(error) => error.exit(),
            Self::Host(error) => match error {
                StartError::Describe(DescribeError::Mistakes(_)) | StartError::Declared(_) => {
                    Exit::Configuration
                }
                StartError::Describe(
                    DescribeError::Exit { .. }
                    | DescribeError::Read { .. }
                    | DescribeError::Start { .. }
                    | DescribeError::TimedOut { .. },
                )
                | StartError::Executor { .. }
                | StartError::Identity(_)
                | StartError::Listen { .. }
                | StartError::Sdk(_)
                | StartError::Serve(_)
                | StartError::Signals(_)
                | StartError::Store(_)
                | StartError::Tokens(_) => Exit::Failure,
            },
            Self::Input { .. } | Self::Unreadable { .. } => Exit::Usage,
            Self::Some { exit, .. } => *exit,
            Self::Migrate(_) | Self::Plugin(_) | Self::System { .. } | Self::Output(_) => {
                Exit::Failure
            }
        }
    }

    /// Whether the reader of the answer has gone, as `head` does when it has seen enough. That is no
    /// failure of ours.
    #[must_use]
    pub fn reader_has_gone(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
