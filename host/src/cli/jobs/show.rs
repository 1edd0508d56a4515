//! `longshore jobs show`.

use std::path::Path;

use clap::Args;

use crate::{
    cli::{error::CliError, exit::Exit, job, output::Output, reach::Reach},
    job::JobId,
};

/// Shows everything about a job
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore jobs show 01957a3c-7f7e-7bd0-a4f3-6c62b0f0e0aa")]
pub(super) struct Show {
    /// The job's id.
    #[arg(value_name = "ID", value_parser = super::id)]
    id: JobId,
    /// Print the job as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Show {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        let client = self.reach.client(config)?;
        let (job, value) = job::get(&client, self.id)?;
        if self.json {
            output.json(&value)?;
        } else {
            output.text(job.sheet(output.style))?;
        }
        Ok(Exit::Success)
    }
}
