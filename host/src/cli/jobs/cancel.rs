//! `longshore jobs cancel`.

use std::path::Path;

use axum::http::Method;
use clap::Args;
use serde_json::{Value, json};

use crate::{
    cli::{error::CliError, exit::Exit, output::Output, reach::Reach, say},
    job::JobId,
};

/// Cancels jobs
///
/// A job is CANCELED at once; its process is stopped right after. A job that has ended already stays
/// as it is, and that is a failure.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore jobs cancel 01957a3c-7f7e-7bd0-a4f3-6c62b0f0e0aa")]
pub(super) struct Cancel {
    /// The jobs' ids.
    #[arg(value_name = "ID", required = true, value_parser = super::id)]
    ids: Vec<JobId>,
    /// Print JSON: a list of the canceled jobs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Cancel {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        let client = self.reach.client(config)?;
        let (mut canceled, mut refused) = (Vec::<Value>::new(), Vec::new());
        for id in &self.ids {
            match client.send_json(Method::PATCH, &format!("/api/3.0/jobs/cancel/{id}"), &json!({}))
            {
                Ok(job) => {
                    if !self.json {
                        output.line(format_args!("canceled {id}"))?;
                    }
                    canceled.push(job);
                }
                // One that cannot be canceled does not spare the others.
                Err(error) => refused.push(CliError::from(error)),
            }
        }
        if self.json {
            output.json(&canceled)?;
        }
        match refused.len() {
            0 => Ok(Exit::Success),
            1 if self.ids.len() == 1 => Err(refused.remove(0)),
            failed => {
                let exit = refused[0].exit();
                refused.iter().for_each(say::error);
                Err(CliError::Some { failed, all: self.ids.len(), exit })
            }
        }
    }
}
