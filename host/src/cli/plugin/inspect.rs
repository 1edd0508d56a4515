//! `longshore plugin inspect`.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::Value;

use crate::{
    cli::{
        error::CliError,
        exit::Exit,
        output::Output,
        reach,
        style::{Style, Tone},
    },
    plugin::{self, Inspection, PinState, Pins, Step},
};

/// Tells what a plugin's file says of itself
///
/// None of its code is run: the settings that it takes are known only once a host has loaded it. With
/// a configuration it is compared with what is pinned. Ends with 1 if this host would not load it.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore plugin inspect plugins/liblongshore_local.so")]
pub(super) struct Inspect {
    /// The shared library.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        let mut found = plugin::inspect(&self.file)?;
        if let Some(config) = reach::found(config)? {
            let pins = Pins::read(&config.plugins.lock, config.plugins.require_pins);
            found = found.compare(&pins).recall(&config.state_dir);
        }
        if self.json {
            output.json(&found)?;
        } else {
            output.text(sheet(&found, output.style))?;
        }
        match found.problem {
            None => Ok(Exit::Success),
            Some(problem) => Err(problem.into()),
        }
    }
}

fn sheet(found: &Inspection, style: Style) -> String {
    let note = &found.note;
    let isolation = if found.needs_process {
        "`process` only: a panic in it ends its process"
    } else {
        "`process` or `none`"
    };
    let pin = match found.pin {
        None => "",
        Some(PinState::Pinned) => "pins this content",
        Some(PinState::Unpinned) => "does not name it",
        Some(PinState::Refused) => "refuses it",
    };
    let rows = [
        ("plugin", note.name.to_string()),
        ("version", note.version.to_string()),
        ("vendor", note.vendor.to_string()),
        ("plugin API", format!("{} (needs a host of {} or newer)", note.api, note.min_host)),
        ("sha256", found.digest.clone()),
        ("size", format!("{} bytes", found.bytes)),
        (
            "glibc",
            found.glibc.clone().map(|version| format!("{version} or newer")).unwrap_or_default(),
        ),
        ("needs", found.needed.join(", ")),
        ("exports", found.exports.join(", ")),
        ("isolation", isolation.to_owned()),
        ("lock file", pin.to_owned()),
        ("way", found.way.iter().map(step).collect::<Vec<_>>().join("\n            ")),
        ("settings", found.config_schema.as_ref().map(schema).unwrap_or_default()),
    ];
    let mut sheet = String::new();
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        let name = style.paint(Tone::Quiet, format_args!("{name:<12}"));
        let _ = writeln!(sheet, "{name}{value}");
    }
    sheet
}

fn step(step: &Step) -> String {
    let Step { path, user, group, mode, trusted } = step;
    let doubt = if *trusted { "" } else { "  (others may change it)" };
    format!("{mode} {user}:{group} {}{doubt}", path.display())
}

fn schema(schema: &Value) -> String {
    format!("JSON Schema\n{schema:#}")
}
