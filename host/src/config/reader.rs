//! Reads a tree of values into typed settings.
//!
//! A section's reader declares each of its keys once: name, kind, meaning, default. From that one
//! declaration come the value, the message if it is wrong, the known names for "did you mean", the
//! line in `config show` and the row in the reference (`docs/configuration.md`). A mistake is put
//! down in the [`Ledger`] and the reader goes on with the default, so that one run finds them all;
//! a configuration with a mistake in it is never handed out.

mod key;
mod ledger;
mod spot;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

pub(super) use self::{
    key::Key,
    ledger::{Ledger, Record},
    spot::Spot,
};
use super::{
    kind::{Kind, form},
    mistake::Problem,
    node::{Entry, Node, Position, Value, quote},
    reference::{self, Row},
    suggest,
};

/// A table being read.
pub(super) struct Table<'a> {
    ledger: &'a Ledger,
    path: String,
    at: Option<Position>,
    entries: &'a [Entry],
    known: RefCell<Vec<&'a str>>,
    later: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Table<'a> {
    fn new(ledger: &'a Ledger, path: String, at: Option<Position>, entries: &'a [Entry]) -> Self {
        Self { ledger, path, at, entries, known: RefCell::default(), later: RefCell::default() }
    }

    /// Declares a key.
    pub(super) fn key<K: Kind>(&self, name: &'static str, kind: K) -> Key<'_, 'a, K> {
        self.known.borrow_mut().push(name);
        Key { table: self, name, kind, meaning: "" }
    }

    /// Declares a table and reads it; an absent one is read as if it were empty.
    pub(super) fn section<T>(
        &self,
        name: &'static str,
        meaning: &'static str,
        read: impl FnOnce(&Self) -> T,
    ) -> T {
        self.declare_table(name, "", meaning);
        let path = self.path_of(name);
        let (at, entries) = match self.find(name) {
            Some(Entry { at, node: Node { value: Value::Table(entries), .. }, .. }) => {
                (*at, entries.as_slice())
            }
            Some(Entry { node, .. }) => {
                Spot::new(self.ledger, path.clone(), node.at).wrong("a table", &node.value);
                (None, [].as_slice())
            }
            None => (None, [].as_slice()),
        };
        self.note(&path, at);
        self.ledger.entries(path, at, entries, read)
    }

    /// Declares a table that is read only where it is written.
    pub(super) fn optional_section<T>(
        &self,
        name: &'static str,
        meaning: &'static str,
        read: impl FnOnce(&Self) -> T,
    ) -> Option<T> {
        self.known.borrow_mut().push(name);
        match self.find(name).map(|entry| &entry.node) {
            // Not read as an empty one: what it requires would be missed as well.
            Some(Node { value, at }) if !matches!(value, Value::Table(_)) => {
                Spot::new(self.ledger, self.path_of(name), *at).wrong("a table", value);
                None
            }
            None if !self.ledger.rehearsal => None,
            _ => Some(self.section(name, meaning, read)),
        }
    }

    /// Declares a table of tables whose names are the operator's; `placeholder` stands for such a
    /// name in the reference.
    pub(super) fn named<T>(
        &self,
        name: &'static str,
        placeholder: &'static str,
        meaning: &'static str,
        mut read: impl FnMut(&Self, &str) -> Option<T>,
    ) -> BTreeMap<String, T> {
        self.declare_table(name, &format!(".{placeholder}"), meaning);
        let path = self.path_of(name);
        if self.ledger.rehearsal {
            let path = format!("{path}.{placeholder}");
            self.ledger.entries(path, None, &[], |table| read(table, placeholder));
        }
        let Some(entry) = self.find(name) else {
            return BTreeMap::new();
        };
        self.note(&path, entry.at);
        let Value::Table(entries) = &entry.node.value else {
            let spot = Spot::new(self.ledger, path, entry.node.at);
            spot.wrong(&format!("a table of tables (`[{name}.{placeholder}]`)"), &entry.node.value);
            return BTreeMap::new();
        };
        let mut settings = BTreeMap::new();
        for Entry { key, at, node } in entries {
            let path = join(&path, key);
            self.note(&path, *at);
            if !form::is_name(key) {
                let spot = Spot::new(self.ledger, path.clone(), *at).called("the name");
                spot.refuse(form::NAME.expected, quote(key), None, None);
            }
            // A header's own place is better than that of its first key.
            let value = match &node.value {
                Value::Table(entries) => {
                    self.ledger.entries(path, *at, entries, |table| read(table, key))
                }
                other => {
                    Spot::new(self.ledger, path, node.at).wrong("a table", other);
                    None
                }
            };
            if let Some(value) = value {
                settings.insert(key.clone(), value);
            }
        }
        settings
    }

    /// Declares a list of tables (`[[name]]`).
    pub(super) fn each<T>(
        &self,
        name: &'static str,
        meaning: &'static str,
        mut read: impl FnMut(&Self, usize) -> Option<T>,
    ) -> Vec<T> {
        self.known.borrow_mut().push(name);
        self.row(Row::list_of_tables(&self.path_of(name), meaning));
        let path = self.path_of(name);
        if self.ledger.rehearsal {
            self.ledger.entries(path.clone(), None, &[], |table| read(table, 0));
        }
        let Some(entry) = self.find(name) else {
            return Vec::new();
        };
        self.note(&path, entry.at);
        let expected = format!("a list of tables (`[[{name}]]`)");
        let Value::List(items) = &entry.node.value else {
            Spot::new(self.ledger, path, entry.node.at).wrong(&expected, &entry.node.value);
            return Vec::new();
        };
        let tables = items.iter().enumerate().filter_map(|(index, item)| {
            let path = format!("{path}[{index}]");
            self.note(&path, item.at);
            self.ledger.table(path, item, |table| read(table, index)).flatten()
        });
        tables.collect()
    }

    /// Declares a key of a feature that is still to come, so that nobody takes its silence for
    /// consent.
    pub(super) fn later(&self, names: &[&'static str]) {
        self.later.borrow_mut().extend(names);
    }

    /// Whether the key is written, right or wrong.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The names written in the table `name`, in the order of the file, whatever they hold.
    pub(super) fn names(&self, name: &str) -> Vec<&'a str> {
        match self.find(name).map(|entry| &entry.node.value) {
            Some(Value::Table(entries)) => entries.iter().map(|entry| entry.key.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// What relative paths start from.
    pub(super) fn base(&self) -> &'a Path {
        &self.ledger.base
    }

    /// Puts down that this table does not make sense as a whole, or at one of its keys.
    pub(super) fn conflict(&self, name: Option<&str>, message: impl Into<String>) {
        let at = name.and_then(|name| self.find(name)).map_or(self.at, |entry| entry.at);
        let path = name.map_or_else(|| self.path.clone(), |name| self.path_of(name));
        self.ledger.mistake(at, &path, Problem::Conflict { message: message.into() }, None);
    }

    fn close(&self) {
        for entry in self.entries {
            if self.known.borrow().contains(&entry.key.as_str()) {
                continue;
            }
            let path = self.path_of(&entry.key);
            if self.later.borrow().contains(entry.key.as_str()) {
                self.ledger.mistake(
                    entry.at,
                    &path,
                    Problem::Later { what: format!("`{path}`") },
                    None,
                );
                continue;
            }
            let place = match self.path.as_str() {
                "" => "at the top level".to_owned(),
                path => format!("in [{path}]"),
            };
            let known = self.known.borrow();
            let suggestion = suggest::closest(&entry.key, known.iter().copied()).map(str::to_owned);
            // A key below the wrong header is TOML's commonest trap.
            let hint = if suggestion.is_none() { reference::home_of(&entry.key) } else { None };
            let problem = Problem::UnknownKey { name: entry.key.clone(), place, suggestion };
            self.ledger.mistake(entry.at, &path, problem, hint);
        }
    }

    fn declare_table(&self, name: &'static str, below: &str, meaning: &'static str) {
        self.known.borrow_mut().push(name);
        self.row(Row::table(&format!("{}{below}", self.path_of(name)), meaning));
    }

    fn find(&self, name: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == name)
    }

    fn path_of(&self, name: &str) -> String {
        join(&self.path, name)
    }

    fn note(&self, path: &str, at: Option<Position>) {
        if let Some(at) = at {
            self.ledger.record.borrow_mut().positions.insert(path.to_owned(), at);
        }
    }

    fn row(&self, row: Row) {
        self.ledger.record.borrow_mut().rows.push(row);
    }
}

/// `name` below `path`, quoted where TOML would want it quoted.
pub(super) fn join(path: &str, name: &str) -> String {
    let bare =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let name = if bare { name.to_owned() } else { format!("{name:?}") };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}
