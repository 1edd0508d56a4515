//! `longshore jobs show`.

use std::path::Path;

use clap::Args;

use super::One;
use crate::cli::{error::CliError, exit::Exit, job, output::Output};

/// Shows everything about a job
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore jobs show 01957a3c-7f7e-7bd0-a4f3-6c62b0f0e0aa")]
pub(super) struct Show {
    /// Print the job as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    one: One,
}

impl Show {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        let Self { json, one: One { id, reach } } = self;
        let (job, value) = job::get(&reach.client(config)?, id)?;
        if json {
            output.json(&value)?;
        } else {
            output.text(job.sheet(output.style))?;
        }
        Ok(Exit::Success)
    }
}
