//! `[limits]`: how much a job may carry.

use crate::config::{kind::measure::Size, reader::Table};

/// The most that the plugin API promises to carry.
const MOST: usize = 16 << 20;

/// `[limits]`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest parameters, in bytes of JSON. Defaults to 16 MiB, which is also the most.
    pub params: usize,
    /// The largest result, in bytes of JSON. Defaults to 16 MiB, which is also the most.
    pub result: usize,
}

impl Limits {
    pub(in crate::config) fn read(table: &Table<'_>) -> Self {
        let size = || Size { most: MOST };
        Self {
            params: table
                .key("params", size())
                .means("The largest parameters of a job, as JSON; larger ones are refused.")
                .or(MOST),
            result: table
                .key("result", size())
                .means("The largest result of a job, as JSON; a job with a larger one fails.")
                .or(MOST),
        }
    }
}
