//! What a run of the readers puts down.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{Spot, Table};
use crate::config::{
    effective::{Origin, Setting},
    mistake::{Mistake, Problem, Source},
    node::{Entry, Node, Position, Value},
    reference::Row,
};

/// Collects while readers run.
pub(in crate::config) struct Ledger {
    /// What relative paths start from.
    pub(super) base: PathBuf,
    /// In a rehearsal there is no document: every reader runs once, to be heard declaring its keys.
    pub(super) rehearsal: bool,
    mistakes: RefCell<Vec<Mistake>>,
    pub(super) record: RefCell<Record>,
}

/// What a run of the readers leaves behind, beside the settings themselves.
#[derive(Clone, Debug)]
pub(in crate::config) struct Record {
    pub(in crate::config) source: Source,
    /// Where each key that was written stands.
    pub(in crate::config) positions: BTreeMap<String, Position>,
    /// Every key that was read, with its effective value, in the order of declaration.
    pub(in crate::config) settings: Vec<Setting>,
    /// Every key that was declared.
    pub(in crate::config) rows: Vec<Row>,
}

impl Ledger {
    pub(in crate::config) fn new(source: Source, base: &Path) -> Self {
        Self {
            base: base.to_owned(),
            rehearsal: false,
            mistakes: RefCell::default(),
            record: RefCell::new(Record::new(source)),
        }
    }

    pub(in crate::config) fn rehearsal() -> Self {
        Self { rehearsal: true, ..Self::new(Source::File(PathBuf::new()), Path::new("")) }
    }

    /// Reads a document.
    pub(in crate::config) fn document<'a, T>(
        &'a self,
        entries: &'a [Entry],
        read: impl FnOnce(&Table<'a>) -> T,
    ) -> T {
        self.entries(String::new(), None, entries, read)
    }

    /// Reads `node`, which stands at `path`.
    pub(in crate::config) fn table<'a, T>(
        &'a self,
        path: String,
        node: &'a Node,
        read: impl FnOnce(&Table<'a>) -> T,
    ) -> Option<T> {
        if let Value::Table(entries) = &node.value {
            return Some(self.entries(path, node.at, entries, read));
        }
        Spot::new(self, path, node.at).wrong("a table", &node.value);
        None
    }

    pub(in crate::config) fn into_parts(self) -> (Vec<Mistake>, Record) {
        (self.mistakes.into_inner(), self.record.into_inner())
    }

    pub(super) fn entries<'a, T>(
        &'a self,
        path: String,
        at: Option<Position>,
        entries: &'a [Entry],
        read: impl FnOnce(&Table<'a>) -> T,
    ) -> T {
        let table = Table::new(self, path, at, entries);
        let settings = read(&table);
        table.close();
        settings
    }

    pub(super) fn mistake(
        &self,
        at: Option<Position>,
        key: &str,
        problem: Problem,
        hint: Option<String>,
    ) {
        let source = self.record.borrow().source.clone();
        let mistake = Mistake { source, at, key: key.to_owned(), problem, hint };
        self.mistakes.borrow_mut().push(mistake);
    }
}

impl Record {
    pub(in crate::config) fn new(source: Source) -> Self {
        Self { source, positions: BTreeMap::new(), settings: Vec::new(), rows: Vec::new() }
    }

    /// A mistake that shows only when several keys are looked at together. It is placed at `key`,
    /// or at the nearest table around it that was written.
    pub(in crate::config) fn mistake(&self, key: &str, problem: Problem) -> Mistake {
        let mut nearest = key;
        let at = loop {
            if let Some(at) = self.positions.get(nearest) {
                break Some(*at);
            }
            match nearest.rfind(['.', '[']) {
                Some(end) => nearest = &nearest[..end],
                None => break None,
            }
        };
        Mistake { source: self.source.clone(), at, key: key.to_owned(), problem, hint: None }
    }

    pub(in crate::config) fn conflict(&self, key: &str, message: impl Into<String>) -> Mistake {
        self.mistake(key, Problem::Conflict { message: message.into() })
    }

    /// Whether the key is written, right or wrong.
    pub(in crate::config) fn has(&self, key: &str) -> bool {
        self.positions.contains_key(key)
    }

    /// Where the key's value comes from, if it was written.
    pub(in crate::config) fn origin_of(&self, key: &str) -> Option<Origin> {
        let setting = self.settings.iter().find(|setting| setting.key == key)?;
        (setting.origin != Origin::Default).then(|| setting.origin.clone())
    }

    /// ` (line 3)`, if the key is written.
    pub(in crate::config) fn line_of(&self, key: &str) -> String {
        self.positions.get(key).map(|at| format!(" (line {})", at.line)).unwrap_or_default()
    }
}
