//! `longshore migrate`: the database's schema, brought up to date.

use std::path::Path;

use clap::Args;
use serde_json::json;

use super::{block_on, error::CliError, exit::Exit, output::Output, reach};
use crate::{
    config::{DatabaseUrl, Synchronous},
    host::StartError,
    identity,
    store::{self, Schema, Store},
};

/// Brings the database's schema up to date
///
/// `longshore serve` does this by itself; here it can be done before. No host may run on the
/// database. A schema of a newer version is refused untouched.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore migrate --config /etc/longshore/longshore.toml")]
pub(super) struct Migrate {
    /// Print JSON: `{"from": 0, "to": 1}`.
    #[arg(long)]
    json: bool,
}

impl Migrate {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        let config = reach::load(config)?;
        let DatabaseUrl::Sqlite { path } = &config.database.url;
        let synchronous = match config.database.synchronous {
            Synchronous::Full => store::Synchronous::Full,
            Synchronous::Normal => store::Synchronous::Normal,
        };
        // As the host does: what is made here as another user would not be the host's to write.
        identity::prepare(&config.state_dir).map_err(StartError::Identity)?;
        let migrated = block_on(async {
            let (store, migrated) = Store::open(path, synchronous, Schema::Migrate).await?;
            store.close().await;
            Ok(migrated)
        })?
        .map_err(CliError::Migrate)?;
        let (from, to) = (migrated.from, migrated.to);
        if self.json {
            output.json(&json!({ "from": from, "to": to }))?;
        } else if from == 0 {
            output.line(format_args!("made {} with schema version {to}", path.display()))?;
        } else if from == to {
            output.line(format_args!("{} has schema version {to} already", path.display()))?;
        } else {
            output
                .line(format_args!("{} went from schema version {from} to {to}", path.display()))?;
        }
        Ok(Exit::Success)
    }
}
