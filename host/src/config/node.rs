//! What a reader walks: values that know where they stand. Made from TOML and, for declared job
//! types, from JSON, so that both are read, and complained about, by the same code.

use std::ops::Range;

use serde::Serialize;
use toml::de::{DeInteger, DeTable, DeValue};

/// A place in a text, counted from 1; columns are characters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Option<Position>,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Flag(bool),
    Float(f64),
    Integer(i128),
    List(Vec<Node>),
    Moment(String),
    Nothing,
    Table(Vec<Entry>),
    Text(String),
}

/// A key of a table with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Option<Position>,
    pub(super) node: Node,
}

impl Node {
    /// The entries of the top-level table, or every syntax error in `text` with its position.
    pub(super) fn from_toml(text: &str) -> Result<Vec<Entry>, Vec<(Option<Position>, String)>> {
        let lines = Lines::of(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(errors
                .into_iter()
                .map(|error| {
                    (
                        error.span().map(|span| lines.position(span.start)),
                        error.message().to_owned(),
                    )
                })
                .collect());
        }
        Ok(entries(table.into_inner(), &lines))
    }

    /// A JSON value has no positions. A null in an object is a key that is not there.
    pub(super) fn from_json(json: serde_json::Value) -> Self {
        let value = match json {
            serde_json::Value::Null => Value::Nothing,
            serde_json::Value::Bool(flag) => Value::Flag(flag),
            serde_json::Value::Number(number) => match number.as_i128() {
                Some(integer) => Value::Integer(integer),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Value::Text(text),
            serde_json::Value::Array(items) => {
                Value::List(items.into_iter().map(Self::from_json).collect())
            }
            serde_json::Value::Object(map) => Value::Table(
                map.into_iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| Entry { key, at: None, node: Self::from_json(value) })
                    .collect(),
            ),
        };
        Self { at: None, value }
    }
}

impl Value {
    /// Completes "found …", short enough for one line.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Flag(flag) => format!("the boolean {flag}"),
            Self::Float(float) => format!("the float {float:?}").replace("NaN", "nan"),
            Self::Integer(integer) => format!("the integer {integer}"),
            Self::List(items) if items.is_empty() => "an empty list".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Moment(moment) => format!("the date {moment}"),
            Self::Nothing => "null".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            Self::Text(text) => quote(text),
        }
    }

    /// The word for the type alone, for values that nobody should see.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Flag(_) => "a boolean",
            Self::Float(_) => "a float",
            Self::Integer(_) => "an integer",
            Self::List(_) => "a list",
            Self::Moment(_) => "a date",
            Self::Nothing => "null",
            Self::Table(_) => "a table",
            Self::Text(_) => "a string",
        }
    }
}

/// `text` in quotes, cut after 60 characters, and without the password of a URL.
pub(super) fn quote(text: &str) -> String {
    if let Some((scheme, rest)) = text.split_once("://")
        && let Some((_, host)) = rest.rsplit_once('@')
    {
        return quote(&format!("{scheme}://…{host}"));
    }
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn entries(table: DeTable<'_>, lines: &Lines<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| {
            let at = Some(lines.position(key.span().start));
            let span = value.span();
            Entry {
                key: key.into_inner().into_owned(),
                at,
                node: node(value.into_inner(), span, lines),
            }
        })
        .collect();
    // The parser sorts by name; people read from top to bottom.
    entries.sort_by_key(|entry| entry.at);
    entries
}

fn node(value: DeValue<'_>, span: Range<usize>, lines: &Lines<'_>) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(integer) => number(&integer),
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(moment) => Value::Moment(moment.to_string()),
        DeValue::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| {
                    let span = item.span();
                    node(item.into_inner(), span, lines)
                })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(entries(table, lines)),
    };
    Node { at: Some(lines.position(span.start)), value }
}

/// TOML sets no limit to integers; one that 128 bits cannot hold is out of every range anyway, and
/// as a float it is refused with its magnitude in the message.
fn number(integer: &DeInteger<'_>) -> Value {
    match i128::from_str_radix(integer.as_str(), integer.radix()) {
        Ok(integer) => Value::Integer(integer),
        Err(_) => Value::Float(integer.as_str().parse().unwrap_or(f64::INFINITY)),
    }
}

/// Turns byte offsets into positions.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let after_newlines =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(i, _)| i + 1);
        Self { text, starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    pub(super) fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        // An offset inside a character counts as the character's own.
        let column =
            self.text[start..].char_indices().take_while(|(i, _)| start + i < offset).count();
        Position { line, column: column + 1 }
    }
}
