//! What was looked at, how it is, and how to mend it.

use serde::Serialize;

use crate::cli::style::{Style, Tone};

/// How something is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    Ok,
    Warn,
    Fail,
}

/// One line of `longshore doctor`.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    subject: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    way_out: Option<String>,
}

pub(super) fn ok(subject: &'static str, message: impl Into<String>) -> Finding {
    Finding { level: Level::Ok, subject, message: message.into(), way_out: None }
}

pub(super) fn warn(
    subject: &'static str,
    message: impl Into<String>,
    way_out: impl Into<String>,
) -> Finding {
    Finding { level: Level::Warn, subject, message: message.into(), way_out: Some(way_out.into()) }
}

pub(super) fn fail(
    subject: &'static str,
    message: impl Into<String>,
    way_out: impl Into<String>,
) -> Finding {
    Finding { level: Level::Fail, subject, message: message.into(), way_out: Some(way_out.into()) }
}

/// A failure that says its own way out.
pub(super) fn failed(subject: &'static str, message: impl Into<String>) -> Finding {
    Finding { level: Level::Fail, subject, message: message.into(), way_out: None }
}

impl Finding {
    pub(super) fn line(&self, style: Style) -> String {
        let (tone, word) = match self.level {
            Level::Ok => (Tone::Good, "ok"),
            Level::Warn => (Tone::Doubtful, "warn"),
            Level::Fail => (Tone::Bad, "fail"),
        };
        let word = style.paint(tone, format_args!("{word:<4}"));
        let below = "\n                       ";
        let message = self.message.trim_end().replace('\n', below);
        let mut line = format!("{word}  {:<15}  {message}", self.subject);
        if let Some(way_out) = &self.way_out {
            line += below;
            line += &style.paint(Tone::Quiet, format_args!("(hint: {way_out})"));
        }
        line
    }
}
