//! The tests, for people: a line each, as they end.

use std::fmt::Write as _;

use longshore_plugin_api::testkit::{Plan, Report, Row, Verdict, tests};

use crate::cli::{
    style::{Style, Tone},
    table::count,
};

/// Lines whose names are aligned.
pub(super) struct Sheet {
    style: Style,
    width: usize,
    level: u8,
}

impl Sheet {
    pub(super) fn new(plan: &Plan, style: Style) -> Self {
        let names = tests().filter(|test| plan.wants(test)).map(|test| test.name.len());
        Self { style, width: names.max().unwrap_or_default(), level: 0 }
    }

    /// A test that has ended, below its level's title.
    pub(super) fn row(&mut self, row: &Row) -> String {
        let mut text = String::new();
        if row.test.level != self.level {
            self.level = row.test.level;
            let title = match self.level {
                1 => "level 1: the file",
                2 => "level 2: the contract",
                _ => "level 3: abuse",
            };
            let _ = writeln!(text, "{}", self.style.paint(Tone::Quiet, title));
        }
        let tone = match row.verdict {
            Verdict::Pass => Tone::Good,
            Verdict::Warn(_) => Tone::Doubtful,
            Verdict::Skip(_) => Tone::Quiet,
            Verdict::Fail(_) | Verdict::Crash(_) | Verdict::Hang(_) => Tone::Bad,
        };
        let word = self.style.paint(tone, format_args!("{:<5}", row.verdict.word()));
        let (name, width) = (row.test.name, self.width);
        let _ = writeln!(text, "  {word}  {name:<width$}  {}", row.test.promise);
        if let Some(message) = row.verdict.message() {
            let _ = writeln!(text, "         {message}");
        }
        text
    }
}

/// How many ended how.
pub(super) fn summary(report: &Report) -> String {
    let mut parts = Vec::new();
    for word in ["pass", "warn", "fail", "crash", "hang", "skip"] {
        match report.tests.iter().filter(|row| row.verdict.word() == word).count() {
            0 => {}
            number => parts.push(format!("{number} {word}")),
        }
    }
    format!("{}: {} (seed {})", count(report.tests.len(), "test"), parts.join(", "), report.seed)
}
