//! `[routing]`: which executor gets a job whose type names none.

use crate::config::{kind::ExecutorName, reader::Table};

/// `[routing]`.
#[derive(Clone, Debug)]
pub struct Routing {
    /// The executor for job types that name none. Absent only if no executor is configured, or if
    /// several are and every job type names one.
    pub default_executor: Option<String>,
}

impl Routing {
    pub(in crate::config) fn read(table: &Table<'_>, executors: &[&str]) -> Self {
        table.later(&["allow_custom_code", "custom_code_executor", "requires_local"]);
        let default_executor = table
            .key("default_executor", ExecutorName(executors))
            .means("The executor for job types that name none. The host does not start without it.")
            .or_fallback(fallback(executors), "the only executor, or `local` among several");
        Self { default_executor }
    }
}

fn fallback(executors: &[&str]) -> Option<String> {
    match executors {
        [only] => Some((*only).to_owned()),
        several => several.iter().find(|name| **name == "local").map(|name| (*name).to_owned()),
    }
}
