//! `longshore plugin lock`.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::list;
use crate::{
    cli::{error::CliError, exit::Exit, output::Output, reach, say},
    config::Config,
    plugin::{Entry, Pins},
};

/// Pins the plugins that are in the directory now
///
/// Writes `plugins.lock` beside the configuration: from then on another content of one of these
/// plugins is refused (`E_PIN`). Files that are refused for another reason are named and not pinned.
/// Ends with 1 if there is one, or if `--check` finds a difference.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  $ longshore plugin lock
  $ longshore plugin lock --keep    # before an upgrade: the old and the new content
  $ longshore plugin lock --check   # in a deployment's tests")]
pub(super) struct Lock {
    /// Keep the contents that were pinned before beside the new ones.
    #[arg(long)]
    keep: bool,
    /// Write nothing; end with 1 if something would be written.
    #[arg(long)]
    check: bool,
    /// Print JSON: what changed, by plugin.
    #[arg(long)]
    json: bool,
}

/// What becomes of one plugin's pins.
#[derive(Debug, Serialize)]
struct Change {
    name: String,
    version: String,
    before: Vec<String>,
    after: Vec<String>,
}

impl Lock {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        let config = reach::load(config)?;
        crate::cli::logging::quiet();
        let before = Pins::read(&config.plugins.lock, false);
        if let Some(why) = before.broken() {
            let step = format!("read `{}`", config.plugins.lock.display());
            return Err(CliError::System { step, source: std::io::Error::other(why.to_owned()) });
        }
        let (usable, refused): (Vec<Entry>, Vec<Entry>) =
            list::unpinned(&config)?.into_iter().partition(|entry| entry.problem.is_none());
        let mut after = before.clone();
        for plugin in &usable {
            if let (Some(name), Some(version), Some(digest)) =
                (&plugin.name, &plugin.version, &plugin.digest)
            {
                after.lock(name, version, digest, self.keep);
            }
        }
        let changes = changes(&before, &after);
        if !changes.is_empty() && !self.check {
            after.write().map_err(|source| {
                let step = format!("write `{}`", config.plugins.lock.display());
                CliError::System { step, source }
            })?;
        }
        self.show(&changes, &config, output)?;
        for problem in refused.iter().filter_map(|entry| entry.problem.as_ref()) {
            say::warning(format_args!("not pinned: {}: {problem}", problem.code));
        }
        let clean = refused.is_empty() && (changes.is_empty() || !self.check);
        Ok(if clean { Exit::Success } else { Exit::Failure })
    }

    fn show(
        &self,
        changes: &[Change],
        config: &Config,
        output: &mut Output,
    ) -> Result<(), CliError> {
        if self.json {
            return output.json(&changes);
        }
        let lock = config.plugins.lock.display();
        if changes.is_empty() {
            return output.line(format_args!("{lock} is as the plugins are"));
        }
        let verb = if self.check { "would pin" } else { "pinned" };
        for Change { name, version, after, .. } in changes {
            let newest = after.first().map_or("", String::as_str);
            output.line(format_args!("{verb} {name} {version} as {newest}"))?;
        }
        Ok(())
    }
}

fn changes(before: &Pins, after: &Pins) -> Vec<Change> {
    let changed = after.plugins().values().filter_map(|pin| {
        let old = before.plugins().get(&pin.name);
        (old != Some(pin)).then(|| Change {
            name: pin.name.clone(),
            version: pin.version.clone(),
            before: old.map(|pin| pin.sha256.clone()).unwrap_or_default(),
            after: pin.sha256.clone(),
        })
    });
    changed.collect()
}
