//! One content of one file that could be a plugin, as far as can be told without running it.

use std::path::{Path, PathBuf};

use super::{
    copies::Copies,
    file,
    pins::Pins,
    preflight::{self, Note},
    problem::PluginProblem,
};
use crate::clock;

/// A checked file, and the private copy of it that is loaded.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The file, as the operator installed it.
    pub(super) file: PathBuf,
    pub(super) copy: PathBuf,
    /// SHA-256, in hexadecimal.
    pub(super) digest: String,
    pub(super) note: Note,
    /// When it was found; milliseconds UTC.
    pub(super) since: i64,
}

impl Candidate {
    /// Reads and checks a file. Blocks; runs none of its code.
    pub(super) fn examine(
        file: &Path,
        copies: &Copies,
        pins: &Pins,
    ) -> Result<Self, PluginProblem> {
        let content = file::read(file)?;
        let note = preflight::check(&content.bytes).map_err(|problem| problem.file(file))?;
        let named = |problem: PluginProblem| problem.file(file).plugin(&note.name);
        pins.check(&note.name, &content.digest).map_err(named)?;
        let copy = copies.keep(&note.name, &content).map_err(named)?;
        let file = file.to_owned();
        Ok(Self { file, copy, digest: content.digest, note, since: clock::wall_ms() })
    }
}
