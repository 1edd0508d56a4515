//! What can be wrong with a configuration, said so that it can be mended without another look at
//! the manual: where, which key, what was expected, what was found, what was probably meant.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::node::Position;

/// Every mistake of one configuration, in the order of the file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(transparent)]
pub struct Mistakes(Vec<Mistake>);

/// One mistake.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Mistake {
    /// Where the value came from.
    pub source: Source,
    /// Where in that file; absent for what a Python module declares and for the file as a whole.
    #[serde(flatten)]
    pub at: Option<Position>,
    /// The key's full path (`jobs.score.timeout`); empty if the mistake is the file as a whole.
    pub key: String,
    /// What is wrong.
    #[serde(flatten)]
    pub problem: Problem,
    /// What to do, where that is not obvious.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Where a value was written.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// In a configuration file.
    File(PathBuf),
    /// In a Python module, by a decorator.
    Module(String),
}

/// What is wrong with a key or a file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Problem {
    /// Two values, or a value and its surroundings, do not fit together.
    #[error("{message}")]
    Conflict {
        /// The whole sentence.
        message: String,
    },
    /// The key belongs to a feature that this version does not have.
    #[error("{what} is known, but not in this version")]
    Later {
        /// The key, or the key and its value.
        what: String,
    },
    /// The file cannot be read, or is not TOML.
    #[error("{message}")]
    Unreadable {
        /// The whole sentence.
        message: String,
    },
    /// No such key.
    #[error("unknown key `{name}` {place}{}", did_you_mean(.suggestion))]
    UnknownKey {
        /// The key as written.
        name: String,
        /// Where it stands: `in [server]`.
        place: String,
        /// A known key that is spelled almost like it.
        #[serde(skip_serializing_if = "Option::is_none")]
        suggestion: Option<String>,
    },
    /// A value is missing, of the wrong type or out of range.
    #[error("expected {what} to be {expected}, found {found}{}", did_you_mean(.suggestion))]
    Value {
        /// The key, or the item of its list.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
        /// A known word that is spelled almost like it.
        #[serde(skip_serializing_if = "Option::is_none")]
        suggestion: Option<String>,
    },
}

impl Mistakes {
    pub(super) fn of(mut mistakes: Vec<Mistake>) -> Self {
        // A stable sort: what stands at the same place stays in the order in which it was found.
        mistakes.sort_by(|a, b| (&a.source, a.at).cmp(&(&b.source, b.at)));
        Self(mistakes)
    }

    /// An error, if there is a mistake.
    pub(super) fn check(mistakes: Vec<Mistake>) -> Result<(), Self> {
        if mistakes.is_empty() { Ok(()) } else { Err(Self::of(mistakes)) }
    }

    /// The mistakes, in the order of the file. Never empty.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => one.fmt(f),
            many => {
                write!(f, "{} mistakes in the configuration", many.len())?;
                many.iter().try_for_each(|mistake| write!(f, "\n{mistake}"))
            }
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::File(path) => write!(f, "{}:", path.display())?,
            Source::Module(module) => write!(f, "module {module}:")?,
        }
        if let Some(Position { line, column }) = self.at {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.problem)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  (hint: {hint})"),
            None => Ok(()),
        }
    }
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|word| format!(", did you mean `{word}`?")).unwrap_or_default()
}
