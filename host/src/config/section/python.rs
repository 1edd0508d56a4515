//! `[python]`: where decorated functions are found.

use std::path::PathBuf;

use crate::config::{
    kind::{
        List,
        form::MODULE,
        path::{FilePath, Program},
    },
    reader::Table,
};

/// `[python]`.
#[derive(Clone, Debug)]
pub struct Python {
    /// The interpreter, by name or path. Defaults to `python3`.
    pub interpreter: String,
    /// Directories to import modules from.
    pub path: Vec<PathBuf>,
    /// Modules whose decorated functions become job types.
    pub modules: Vec<String>,
}

impl Python {
    pub(in crate::config) fn read(table: &Table<'_>) -> Self {
        Self {
            interpreter: table
                .key("interpreter", Program)
                .means(
                    "The interpreter that reads `modules`: a name to look up in `PATH`, or a path.",
                )
                .or("python3".to_owned()),
            path: table
                .key("path", List::of(FilePath))
                .means("Directories to import modules from.")
                .or(Vec::new()),
            modules: table
                .key("modules", List::of(MODULE))
                .means(
                    "Modules whose `@job` functions become job types. A `[jobs.NAME]` table of the \
                     same name changes the keys that it names.",
                )
                .or(Vec::new()),
        }
    }
}
