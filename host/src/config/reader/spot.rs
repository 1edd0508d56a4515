//! One value on its way through a kind, and the words for what is wrong with it.

use std::path::Path;

use super::Ledger;
use crate::config::{
    mistake::Problem,
    node::{Position, Value},
    suggest,
};

/// One value on its way through a [`Kind`](crate::config::kind::Kind).
pub(in crate::config) struct Spot<'a> {
    ledger: &'a Ledger,
    what: String,
    path: String,
    at: Option<Position>,
    pub(super) secret: bool,
}

impl<'a> Spot<'a> {
    pub(super) fn new(ledger: &'a Ledger, path: String, at: Option<Position>) -> Self {
        Self { ledger, what: format!("`{path}`"), path, at, secret: false }
    }

    /// What relative paths start from.
    pub(in crate::config) fn base(&self) -> &'a Path {
        &self.ledger.base
    }

    /// The same key, at another place.
    pub(in crate::config) fn at(&self, at: Option<Position>) -> Self {
        Self { what: self.what.clone(), path: self.path.clone(), at: at.or(self.at), ..*self }
    }

    /// The same key, for one part of it.
    pub(in crate::config) fn called(self, part: &str) -> Self {
        Self { what: format!("{part} of `{}`", self.path), ..self }
    }

    /// Puts down that `value` is not what was expected.
    pub(in crate::config) fn wrong(&self, expected: &str, value: &Value) {
        self.refuse(expected, self.found(value), None, None);
    }

    /// Likewise, with a way out.
    pub(in crate::config) fn wrong_with_hint(
        &self,
        expected: &str,
        value: &Value,
        hint: impl Into<String>,
    ) {
        self.refuse(expected, self.found(value), None, Some(hint.into()));
    }

    /// Likewise, with the known word that was probably meant.
    pub(in crate::config) fn unknown_word(&self, expected: &str, value: &Value, known: &[&str]) {
        let suggestion = match value {
            Value::Text(word) => suggest::closest(word, known.iter().copied()).map(str::to_owned),
            _ => None,
        };
        self.refuse(expected, self.found(value), suggestion, None);
    }

    /// Puts down that the value belongs to a feature that is still to come.
    pub(in crate::config) fn later(&self, word: &str, hint: &str) {
        let problem = Problem::Later { what: format!("`{} = \"{word}\"`", self.path) };
        self.ledger.mistake(self.at, &self.path, problem, Some(hint.to_owned()));
    }

    pub(super) fn refuse(
        &self,
        expected: &str,
        found: String,
        suggestion: Option<String>,
        hint: Option<String>,
    ) {
        let (what, expected) = (self.what.clone(), expected.to_owned());
        let problem = Problem::Value { what, expected, found, suggestion };
        self.ledger.mistake(self.at, &self.path, problem, hint);
    }

    fn found(&self, value: &Value) -> String {
        if self.secret { value.type_name().to_owned() } else { value.describe() }
    }
}
