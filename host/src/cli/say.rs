//! Standard error: what is told to a person beside the answer.

use std::io::{self, Write as _};

use super::{
    error::CliError,
    exit::Exit,
    job::Job,
    style::{Style, Tone},
};
use crate::report::Chain;

/// What went wrong, and why.
pub(super) fn error(error: &CliError) {
    error_line(format_args!("{:#}", Chain(error)));
}

/// What went wrong.
pub(super) fn error_line(text: impl std::fmt::Display) {
    line(Tone::Bad, "error:", &text.to_string());
}

/// How to paint what goes there.
pub(super) fn style() -> Style {
    Style::of(&io::stderr())
}

/// Something that works and should not stay so.
pub(super) fn warning(text: impl std::fmt::Display) {
    line(Tone::Doubtful, "warning:", &text.to_string());
}

/// Something worth knowing.
pub(super) fn note(text: impl std::fmt::Display) {
    let mut stderr = io::stderr();
    let text = Style::of(&stderr).paint(Tone::Quiet, text);
    // With nobody to tell there is nothing to do about it.
    let _ = writeln!(stderr, "{text}");
}

/// What helps when a job has not succeeded.
pub(super) fn where_to_look(job: &Job) {
    if job.exit() != Exit::Success && job.attempt > 0 {
        note(format_args!("see what it has written: `longshore jobs logs {}`", job.job_id));
    }
}

fn line(tone: Tone, word: &str, text: &str) {
    let mut stderr = io::stderr();
    let word = Style::of(&stderr).paint(tone, word);
    let _ = writeln!(stderr, "{word} {text}");
}
