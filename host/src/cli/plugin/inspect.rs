//! `longshore plugin inspect`.

use std::{fmt::Write as _, path::PathBuf};

use clap::Args;

use crate::{
    cli::{
        error::CliError,
        exit::Exit,
        output::Output,
        style::{Style, Tone},
    },
    plugin::{self, Inspection},
};

/// Tells what a plugin's file says of itself
///
/// None of its code is run. Ends with 1 if this host would not load it.
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
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, CliError> {
        let found = plugin::inspect(&self.file)?;
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
    ];
    let mut sheet = String::new();
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        let name = style.paint(Tone::Quiet, format_args!("{name:<12}"));
        let _ = writeln!(sheet, "{name}{value}");
    }
    sheet
}
