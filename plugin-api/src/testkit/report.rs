//! What came out.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize, Serializer};

use super::Test;

/// What a test says, where it does not say that all is well.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "outcome", content = "message", rename_all = "snake_case")]
pub(super) enum Outcome {
    /// The promise is kept.
    Pass,
    /// Not broken, but look at it.
    Warn(String),
    /// The promise is broken.
    Fail(String),
    /// It cannot be told, and why.
    Skip(String),
}

/// How the body of a test ends.
pub(super) type Tried = Result<(), Outcome>;

impl From<Tried> for Outcome {
    fn from(tried: Tried) -> Self {
        tried.err().unwrap_or(Self::Pass)
    }
}

pub(super) fn fail<T>(message: impl Into<String>) -> Result<T, Outcome> {
    Err(Outcome::Fail(message.into()))
}

pub(super) fn warn<T>(message: impl Into<String>) -> Result<T, Outcome> {
    Err(Outcome::Warn(message.into()))
}

pub(super) fn skip<T>(message: impl Into<String>) -> Result<T, Outcome> {
    Err(Outcome::Skip(message.into()))
}

/// How a test ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The promise is kept.
    Pass,
    /// Not broken, but look at it.
    Warn(String),
    /// The promise is broken.
    Fail(String),
    /// It cannot be told, and why.
    Skip(String),
    /// The process ended without an answer.
    Crash(String),
    /// The process did not end in time.
    Hang(Duration),
}

impl Verdict {
    /// Whether a promise is broken.
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        matches!(self, Self::Fail(_) | Self::Crash(_) | Self::Hang(_))
    }

    /// One word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn(_) => "warn",
            Self::Fail(_) => "fail",
            Self::Skip(_) => "skip",
            Self::Crash(_) => "crash",
            Self::Hang(_) => "hang",
        }
    }

    /// What there is to say beside the word.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Pass => None,
            Self::Warn(text) | Self::Fail(text) | Self::Skip(text) | Self::Crash(text) => {
                Some(text.clone())
            }
            Self::Hang(after) => Some(format!("no answer within {after:?}")),
        }
    }
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => Self::Pass,
            Outcome::Warn(message) => Self::Warn(message),
            Outcome::Fail(message) => Self::Fail(message),
            Outcome::Skip(message) => Self::Skip(message),
        }
    }
}

/// One test and how it ended.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which test.
    pub test: &'static Test,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            test: &'a str,
            level: u8,
            promise: &'a str,
            verdict: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            message: Option<String>,
            took_ms: u128,
        }
        let Self { test, verdict, took } = self;
        let line = Line {
            test: test.name,
            level: test.level,
            promise: test.promise,
            verdict: verdict.word(),
            message: verdict.message(),
            took_ms: took.as_millis(),
        };
        line.serialize(serializer)
    }
}

/// All that was tried out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What random tests were seeded with.
    pub seed: u64,
    /// The tests, in order.
    pub tests: Vec<Row>,
}

impl Report {
    /// Whether no promise is broken.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.tests.iter().any(|row| row.verdict.is_bad())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verdict.word(), self.test.name)?;
        match self.verdict.message() {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

/// What is not as it was, for the tests of those who use the kit.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in self.tests.iter().filter(|row| row.verdict != Verdict::Pass) {
            writeln!(f, "{row}")?;
        }
        write!(f, "{} tests, seed {}", self.tests.len(), self.seed)
    }
}
