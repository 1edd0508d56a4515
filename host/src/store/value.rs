//! What goes into a statement and what comes out: five types are enough for every database, and
//! nothing above this file is generic over one.

use std::time::Duration;

use uuid::Uuid;

use super::{StoreError, statement::Statement};

/// A value on its way in or out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    Uuid(Uuid),
}

/// A duration as every statement takes it; what is too long for the column is its maximum.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Uuid> for Value {
    fn from(value: Uuid) -> Self {
        Self::Uuid(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of an answer, read from left to right.
#[derive(Debug)]
pub(super) struct Row {
    statement: &'static Statement,
    values: std::vec::IntoIter<Value>,
    column: usize,
}

impl Row {
    pub(super) fn new(statement: &'static Statement, values: Vec<Value>) -> Self {
        Self { statement, values: values.into_iter(), column: 0 }
    }

    /// The next column.
    pub(super) fn next<T: Column>(&mut self) -> Result<T, StoreError> {
        let column = self.column;
        self.column += 1;
        let value = self.values.next().unwrap_or(Value::Null);
        T::read(value).map_err(|value| StoreError::BadRow {
            statement: self.statement.name,
            column,
            found: format!("{value:?}"),
        })
    }

    /// The first column, without reading past it.
    pub(super) fn first<T: Column>(&self) -> Result<T, StoreError> {
        let value = self.values.as_slice().first().cloned().unwrap_or(Value::Null);
        T::read(value).map_err(|value| StoreError::BadRow {
            statement: self.statement.name,
            column: 0,
            found: format!("{value:?}"),
        })
    }

    /// The next column, as a word that `parse` knows.
    pub(super) fn word<T>(&mut self, parse: impl Fn(&str) -> Option<T>) -> Result<T, StoreError> {
        let column = self.column;
        let word: String = self.next()?;
        parse(&word).ok_or_else(|| StoreError::BadRow {
            statement: self.statement.name,
            column,
            found: word.clone(),
        })
    }
}

/// Reads a row of many: one that makes no sense is left out and logged, and harms no other.
pub(super) fn readable<T>(
    read: impl Fn(&mut Row) -> Result<T, StoreError>,
) -> impl Fn(Row) -> Option<T> {
    move |mut row| {
        let id: Option<Uuid> = row.first().ok();
        read(&mut row)
            .inspect_err(
                |error| tracing::error!(?id, %error, "a row that cannot be read is left out"),
            )
            .ok()
    }
}

/// A type that a column can hold. A value of another type is handed back.
pub(super) trait Column: Sized {
    fn read(value: Value) -> Result<Self, Value>;
}

impl Column for i64 {
    fn read(value: Value) -> Result<Self, Value> {
        if let Value::Int(value) = value { Ok(value) } else { Err(value) }
    }
}

impl Column for u32 {
    fn read(value: Value) -> Result<Self, Value> {
        let number = i64::read(value)?;
        Self::try_from(number).map_err(|_| Value::Int(number))
    }
}

impl Column for bool {
    fn read(value: Value) -> Result<Self, Value> {
        i64::read(value).map(|value| value != 0)
    }
}

impl Column for String {
    fn read(value: Value) -> Result<Self, Value> {
        if let Value::Text(value) = value { Ok(value) } else { Err(value) }
    }
}

impl Column for Vec<u8> {
    fn read(value: Value) -> Result<Self, Value> {
        if let Value::Bytes(value) = value { Ok(value) } else { Err(value) }
    }
}

impl Column for Uuid {
    fn read(value: Value) -> Result<Self, Value> {
        let bytes = Vec::read(value)?;
        Self::from_slice(&bytes).map_err(|_| Value::Bytes(bytes))
    }
}

impl<T: Column> Column for Option<T> {
    fn read(value: Value) -> Result<Self, Value> {
        if value == Value::Null { Ok(None) } else { T::read(value).map(Some) }
    }
}
