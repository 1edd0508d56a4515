//! What a key can hold. A kind knows how to say what it expects, how to read it and how to show it.

pub(super) mod form;
pub(super) mod json;
pub(super) mod measure;
pub(super) mod path;

use serde_json::Value as Json;

use super::{node::Value, reader::Spot};

/// The type of a key's value.
pub(super) trait Kind {
    /// What the host gets.
    type Out;

    /// A word or two for the reference.
    fn name(&self) -> String;

    /// Completes "expected `key` to be …".
    fn expected(&self) -> String;

    /// The value, or `None` after every mistake in it was put down at `spot`.
    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<Self::Out>;

    /// The value as it is written in a file.
    fn show(&self, value: &Self::Out) -> Json;

    /// Whether nobody may see the value, not even its author in a message.
    fn secret(&self) -> bool {
        false
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl Kind for Flag {
    type Out = bool;

    fn name(&self) -> String {
        "boolean".to_owned()
    }

    fn expected(&self) -> String {
        "`true` or `false`".to_owned()
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<bool> {
        if let Value::Flag(flag) = value {
            return Some(*flag);
        }
        match value {
            Value::Text(text) if text == "true" || text == "false" => {
                spot.wrong_with_hint(&self.expected(), value, "write it without quotes");
            }
            _ => spot.wrong(&self.expected(), value),
        }
        None
    }

    fn show(&self, value: &bool) -> Json {
        (*value).into()
    }
}

/// A whole number between two bounds, both included.
pub(super) struct Count {
    pub(super) least: u32,
    pub(super) most: u32,
}

impl Kind for Count {
    type Out = u32;

    fn name(&self) -> String {
        format!("integer, {} to {}", self.least, self.most)
    }

    fn expected(&self) -> String {
        format!("an integer from {} to {}", self.least, self.most)
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<u32> {
        let Value::Integer(integer) = value else {
            spot.wrong(&self.expected(), value);
            return None;
        };
        let count =
            u32::try_from(*integer).ok().filter(|count| (self.least..=self.most).contains(count));
        if count.is_none() {
            spot.wrong(&self.expected(), value);
        }
        count
    }

    fn show(&self, value: &u32) -> Json {
        (*value).into()
    }
}

/// One of a few words. `later` are the words of versions to come, each with the way out.
pub(super) struct Word<T: 'static> {
    pub(super) words: &'static [(&'static str, T)],
    pub(super) later: &'static [(&'static str, &'static str)],
}

impl<T: Copy + PartialEq> Kind for Word<T> {
    type Out = T;

    fn name(&self) -> String {
        alternatives(self.words.iter().map(|(word, _)| format!("`\"{word}\"`")))
    }

    fn expected(&self) -> String {
        alternatives(self.words.iter().map(|(word, _)| format!("\"{word}\"")))
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<T> {
        let word = if let Value::Text(word) = value { word.as_str() } else { "" };
        if let Some((_, meaning)) = self.words.iter().find(|(known, _)| *known == word) {
            return Some(*meaning);
        }
        if let Some((_, hint)) = self.later.iter().find(|(known, _)| *known == word) {
            spot.later(word, hint);
            return None;
        }
        let known: Vec<&str> = self.words.iter().map(|(known, _)| *known).collect();
        spot.unknown_word(&self.expected(), value, &known);
        None
    }

    fn show(&self, value: &T) -> Json {
        self.words
            .iter()
            .find(|(_, known)| known == value)
            .map_or(Json::Null, |(word, _)| (*word).into())
    }
}

/// The name of a configured executor.
pub(super) struct ExecutorName<'n>(pub(super) &'n [&'n str]);

impl Kind for ExecutorName<'_> {
    type Out = String;

    fn name(&self) -> String {
        "name of an executor".to_owned()
    }

    fn expected(&self) -> String {
        if self.0.is_empty() {
            return "the name of an executor, but none is configured".to_owned();
        }
        let names = alternatives(self.0.iter().map(|name| format!("\"{name}\"")));
        format!("the name of a configured executor ({names})")
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<String> {
        match value {
            Value::Text(name) if self.0.contains(&name.as_str()) => Some(name.clone()),
            _ => {
                spot.unknown_word(&self.expected(), value, self.0);
                None
            }
        }
    }

    fn show(&self, value: &String) -> Json {
        value.as_str().into()
    }
}

/// A list of one kind of value.
pub(super) struct List<K> {
    pub(super) of: K,
    /// How many items at least: none, or one where an empty list would be a riddle.
    pub(super) least: usize,
}

impl<K: Kind> List<K> {
    pub(super) fn of(of: K) -> Self {
        Self { of, least: 0 }
    }

    pub(super) fn some(of: K) -> Self {
        Self { of, least: 1 }
    }
}

impl<K: Kind> Kind for List<K> {
    type Out = Vec<K::Out>;

    fn name(&self) -> String {
        format!("list: {}", self.of.name())
    }

    fn expected(&self) -> String {
        let some = if self.least > 0 { "a list with at least one item" } else { "a list" };
        format!("{some}, each {}", self.of.expected())
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<Self::Out> {
        let items = match value {
            Value::List(items) if items.len() >= self.least => items,
            Value::Text(text) => {
                spot.wrong_with_hint(&self.expected(), value, format!("write `[{text:?}]`"));
                return None;
            }
            _ => {
                spot.wrong(&self.expected(), value);
                return None;
            }
        };
        // Every item is read before the first wrong one ends it.
        let read: Vec<Option<K::Out>> = (1..)
            .zip(items)
            .map(|(number, item)| {
                self.of.read(&item.value, &spot.at(item.at).called(&format!("item {number}")))
            })
            .collect();
        read.into_iter().collect()
    }

    fn show(&self, value: &Self::Out) -> Json {
        value.iter().map(|item| self.of.show(item)).collect()
    }
}

/// `"a", "b" or "c"`.
fn alternatives(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} or {last}", all.join(", ")),
    }
}
