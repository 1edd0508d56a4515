//! `longshore plugin release`.

use std::path::Path;

use axum::http::Method;
use clap::Args;
use serde_json::json;

use crate::cli::{error::CliError, exit::Exit, output::Output, reach::Reach};

/// Lets an executor try again that the host has left alone
///
/// One whose process died too often, whose library ended the process that loaded it, or that waits for
/// its next try. Nothing happens to one that is well.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore plugin release cluster")]
pub(super) struct Release {
    /// The executor, or the plugin: then all its executors.
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    reach: Reach,
}

impl Release {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        let client = self.reach.client(config)?;
        let body = json!({ "name": self.name });
        let answer = client.send_json(Method::POST, "/api/3.0/plugins/release", &body)?;
        for name in answer["released"].as_array().into_iter().flatten() {
            output.line(format_args!("released {}", name.as_str().unwrap_or_default()))?;
        }
        Ok(Exit::Success)
    }
}
