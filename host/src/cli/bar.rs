//! A job's progress while somebody watches: a bar on a terminal, a line per change elsewhere.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{job::Job, say, style::Style};

/// Shows a job on standard error.
pub(super) struct Bar {
    bar: Option<ProgressBar>,
    shaped: bool,
    last: String,
}

const SPINNER: &str = "{spinner} {prefix} {elapsed} {wide_msg}";
const COUNTED: &str = "{spinner} {prefix} {elapsed} [{bar:30}] {pos}/{len} {wide_msg}";

impl Bar {
    pub(super) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(template(SPINNER));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, shaped: false, last: String::new() }
    }

    /// Shows where the job stands now.
    pub(super) fn show(&mut self, job: &Job) {
        match &self.bar {
            Some(bar) => {
                let counts = job.progress.as_ref().and_then(|p| Some((p.completed?, p.total?)));
                let total = counts.map(|(_, total)| total).filter(|total| *total > 0.0);
                if total.is_some() != self.shaped {
                    self.shaped = total.is_some();
                    bar.set_style(template(if self.shaped { COUNTED } else { SPINNER }));
                }
                bar.set_prefix(Style::of(&io::stderr()).state(&job.status));
                match (counts, total) {
                    (Some((completed, _)), Some(total)) => {
                        bar.set_length(whole(total));
                        bar.set_position(whole(completed));
                        bar.set_message(beside_the_counts(job));
                    }
                    _ => bar.set_message(job.doing()),
                }
            }
            None => {
                let line = format!("{} {}", job.status, job.doing());
                let line = line.trim_end();
                if line != self.last {
                    say::note(line);
                    line.clone_into(&mut self.last);
                }
            }
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn beside_the_counts(job: &Job) -> String {
    let progress = job.progress.clone().unwrap_or_default();
    [progress.unit, progress.phase, job.status_message.clone()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("  ")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float becomes the nearest `u64` there is, and a bar is no ledger"
)]
const fn whole(number: f64) -> u64 {
    number as u64
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text)
        .expect("the templates above are right: the tests draw them")
        .progress_chars("=> ")
        .tick_chars("|/-\\ ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_right() {
        template(SPINNER);
        template(COUNTED);
    }

    #[test]
    fn a_job_may_report_any_number() {
        assert_eq!(whole(2.9), 2);
        assert_eq!(whole(-1.0), 0);
        assert_eq!(whole(f64::NAN), 0);
        assert_eq!(whole(f64::INFINITY), u64::MAX);
    }
}
