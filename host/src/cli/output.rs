//! Standard output: answers and nothing else.

use std::io::{self, Stdout, Write};

use serde::Serialize;

use super::{error::CliError, style::Style};

/// Where answers go. Every write may fail (a full disk, a pipe that nobody reads any more), which
/// `println!` would make a panic of.
#[derive(Debug)]
pub(super) struct Output {
    stdout: Stdout,
    /// How to paint what goes there.
    pub(super) style: Style,
}

impl Output {
    pub(super) fn new() -> Self {
        let stdout = io::stdout();
        let style = Style::of(&stdout);
        Self { stdout, style }
    }

    /// A line.
    pub(super) fn line(&mut self, text: impl std::fmt::Display) -> Result<(), CliError> {
        writeln!(self.stdout, "{text}").map_err(CliError::Output)
    }

    /// Text as it is.
    pub(super) fn text(&mut self, text: impl std::fmt::Display) -> Result<(), CliError> {
        write!(self.stdout, "{text}").and_then(|()| self.stdout.flush()).map_err(CliError::Output)
    }

    /// What somebody else wrote, as it is.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        let written = self.stdout.write_all(bytes).and_then(|()| self.stdout.flush());
        written.map_err(CliError::Output)
    }

    /// One JSON document for a script, readable by people.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value).map_err(|e| CliError::Output(e.into()))?;
        self.line(text)
    }

    /// One JSON document on one line, of several.
    pub(super) fn json_line(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string(value).map_err(|e| CliError::Output(e.into()))?;
        self.line(text)
    }
}
