//! `longshore config show`.

use std::path::Path;

use clap::Args;

use super::whole;
use crate::cli::{error::CliError, exit::Exit, logging, output::Output, reach};

/// Shows every setting in effect, with its origin
///
/// Job types that decorators in `python.modules` declare are among them. Secrets are not shown.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore config show --json")]
pub(super) struct Show {
    /// Print JSON: a list of `{key, value, origin}`.
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        logging::quiet();
        let effective = whole(reach::load(config)?)?.effective();
        if self.json {
            output.json(&effective)?;
        } else {
            output.text(effective)?;
        }
        Ok(Exit::Success)
    }
}
