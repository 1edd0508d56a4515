//! `[log]`: what the host says about itself.

use crate::config::{kind::Word, reader::Table};

/// `[log]`.
#[derive(Clone, Debug)]
pub struct Log {
    /// The least important events that are written. Defaults to `Info`.
    pub level: LogLevel,
    /// Defaults to `Text`.
    pub format: LogFormat,
}

/// How important an event is, most important first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum LogLevel {
    /// Somebody should look.
    Error,
    /// Somebody may want to look.
    Warn,
    /// What the host does.
    Info,
    /// How it does it.
    Debug,
    /// Every step.
    Trace,
}

/// How an event is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Log {
    pub(in crate::config) fn read(table: &Table<'_>) -> Self {
        let level = Word {
            words: &[
                ("error", LogLevel::Error),
                ("warn", LogLevel::Warn),
                ("info", LogLevel::Info),
                ("debug", LogLevel::Debug),
                ("trace", LogLevel::Trace),
            ],
            later: &[],
        };
        let format =
            Word { words: &[("text", LogFormat::Text), ("json", LogFormat::Json)], later: &[] };
        Self {
            level: table
                .key("level", level)
                .means("The least important events to write.")
                .or(LogLevel::Info),
            format: table
                .key("format", format)
                .means("`text` for people, `json` for one object per line.")
                .or(LogFormat::Text),
        }
    }
}
