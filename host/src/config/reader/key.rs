//! A declared key: what it means, and what its absence means.

use serde_json::Value as Json;

use super::{Spot, Table};
use crate::config::{
    effective::{Origin, Setting, toml},
    kind::Kind,
    mistake::Source,
    reference::Row,
};

/// A declared key, before it is said what its absence means.
pub(in crate::config) struct Key<'t, 'a, K> {
    pub(super) table: &'t Table<'a>,
    pub(super) name: &'static str,
    pub(super) kind: K,
    pub(super) meaning: &'static str,
}

impl<K: Kind> Key<'_, '_, K> {
    /// What the key does, for the reference.
    pub(in crate::config) fn means(self, meaning: &'static str) -> Self {
        Self { meaning, ..self }
    }

    /// Absent means `default`.
    pub(in crate::config) fn or(self, default: K::Out) -> K::Out {
        let shown = format!("`{}`", toml(&self.kind.show(&default)));
        self.or_described(default, &shown)
    }

    /// Absent means `default`, which the reference describes instead of showing.
    pub(in crate::config) fn or_described(self, default: K::Out, described: &str) -> K::Out {
        self.row(described);
        let value = self.read().unwrap_or(default);
        self.set(self.kind.show(&value));
        value
    }

    /// Absent means none.
    pub(in crate::config) fn optional(self) -> Option<K::Out> {
        self.optional_or("none")
    }

    /// Absent means what the reference says it means.
    pub(in crate::config) fn optional_or(self, absent: &str) -> Option<K::Out> {
        self.or_fallback(None, absent)
    }

    /// Absent means `fallback`, which may be nothing; the reference describes it.
    pub(in crate::config) fn or_fallback(
        self,
        fallback: Option<K::Out>,
        described: &str,
    ) -> Option<K::Out> {
        self.row(described);
        let value = self.read().or(fallback);
        self.set(value.as_ref().map_or(Json::Null, |value| self.kind.show(value)));
        value
    }

    /// Absent is a mistake.
    pub(in crate::config) fn required(self) -> Option<K::Out> {
        self.row("required");
        let table = self.table;
        if table.find(self.name).is_none() {
            let path = table.path_of(self.name);
            let spot = Spot::new(table.ledger, path, table.at);
            spot.refuse(&self.kind.expected(), "nothing".to_owned(), None, None);
        }
        let value = self.read()?;
        self.set(self.kind.show(&value));
        Some(value)
    }

    fn read(&self) -> Option<K::Out> {
        let entry = self.table.find(self.name)?;
        let path = self.table.path_of(self.name);
        self.table.note(&path, entry.at);
        let mut spot = Spot::new(self.table.ledger, path, entry.node.at.or(entry.at));
        spot.secret = self.kind.secret();
        self.kind.read(&entry.node.value, &spot)
    }

    fn row(&self, default: &str) {
        let path = self.table.path_of(self.name);
        self.table.row(Row::key(&path, self.kind.name(), default, self.meaning));
    }

    fn set(&self, value: Json) {
        let value = if self.kind.secret() && !value.is_null() { "(secret)".into() } else { value };
        let ledger = self.table.ledger;
        let origin = match (self.table.find(self.name), &ledger.record.borrow().source) {
            (None, _) => Origin::Default,
            (Some(entry), Source::File(_)) => {
                Origin::File { line: entry.at.map_or(0, |at| at.line) }
            }
            (Some(_), Source::Module(module)) => Origin::Declared { module: module.clone() },
        };
        let setting = Setting { key: self.table.path_of(self.name), value, origin };
        ledger.record.borrow_mut().settings.push(setting);
    }
}
