//! SQLite: one host per file, one connection that writes, a few that read.
//!
//! The calls of SQLite block. What writes has a thread of its own ([`super::writer`]), so that a
//! transaction of many statements is one trip there and back; what reads borrows one of the
//! runtime's threads for blocking work.

mod lock;
mod readers;

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{
    CachedStatement, Connection, OpenFlags, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use self::readers::Readers;
use super::{
    StoreError,
    error::Cause,
    statement::Statement,
    value::{Row, Value},
};

/// The step of a transaction in which nothing of it has happened yet.
pub(super) const BEGIN: &str = "begin";

/// How hard a commit tries to reach the disk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Synchronous {
    /// Every commit is on the disk before it is answered. The default.
    #[default]
    Full,
    /// The last commits may be lost when the machine loses power (not when the host dies): jobs that
    /// were accepted may vanish, and jobs that have ended may run again.
    Normal,
}

/// An open database file.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    synchronous: Synchronous,
    readers: Readers,
    /// Holds the lock for as long as the database is open.
    _lock: Option<File>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
}

impl Database {
    /// Opens the file, made if it is not there. `exclusive` takes the host's lock beside it.
    pub(super) fn open(
        path: &Path,
        synchronous: Synchronous,
        exclusive: bool,
    ) -> Result<Self, StoreError> {
        let lock = if exclusive { Some(lock::take(path)?) } else { None };
        Ok(Self { path: path.to_owned(), synchronous, readers: Readers::new(path), _lock: lock })
    }

    /// A connection that writes.
    pub(super) fn session(&self) -> Result<Session, StoreError> {
        let session = Session::open(&self.path, OpenFlags::SQLITE_OPEN_CREATE)?;
        let synchronous = match self.synchronous {
            Synchronous::Full => "FULL",
            Synchronous::Normal => "NORMAL",
        };
        session
            .connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 4000;"
            ))
            .map_err(|source| StoreError::Open { path: self.path.clone(), cause: source.into() })?;
        Ok(session)
    }

    /// Runs a statement that reads.
    pub(super) async fn fetch(
        &self,
        statement: &'static Statement,
        arguments: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        self.readers
            .read(move |session| session.query(statement, statement.sqlite, &arguments))
            .await
    }

    /// Runs a listing, the only SQL that is put together at run time: `text` holds only what the
    /// store itself wrote, every value stands in `arguments`.
    pub(super) async fn list(
        &self,
        statement: &'static Statement,
        text: String,
        arguments: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        self.readers.scan(move |session| session.query(statement, &text, &arguments)).await
    }

    /// Closes every connection that reads.
    pub(super) fn close(&self) {
        self.readers.close();
    }
}

impl Session {
    fn open(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let open = || {
            // Each connection is used by one thread at a time: SQLite's own mutexes would be idle work.
            let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.set_prepared_statement_cache_capacity(128);
            connection.execute_batch(
                "PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;",
            )?;
            Ok(Self { connection })
        };
        open().map_err(|source: rusqlite::Error| StoreError::Open {
            path: path.to_owned(),
            cause: source.into(),
        })
    }

    /// Runs a statement and reads all of its answer.
    #[expect(clippy::unused_async, reason = "other databases answer later")]
    pub(super) async fn fetch(
        &mut self,
        statement: &'static Statement,
        arguments: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let rows = self.query(statement, statement.sqlite, &arguments)?;
        tracing::trace!(statement = statement.name, rows = rows.len());
        Ok(rows)
    }

    /// Runs a statement once for each of these argument lists and says how many rows each changed.
    #[expect(clippy::unused_async, reason = "other databases answer later")]
    pub(super) async fn each<'a>(
        &mut self,
        statement: &'static Statement,
        rows: impl IntoIterator<Item = &'a [Value]>,
    ) -> Result<Vec<usize>, StoreError> {
        let mut rows = rows.into_iter().peekable();
        // Most batches free no lock and find no damaged row: nothing is prepared for nothing.
        if rows.peek().is_none() {
            return Ok(Vec::new());
        }
        let run = || {
            let mut prepared = self.connection.prepare_cached(statement.sqlite)?;
            rows.map(|row| {
                bind(&mut prepared, row)?;
                prepared.raw_execute()
            })
            .collect::<Result<Vec<_>, _>>()
        };
        let changed = run().map_err(|source| failed(statement, source))?;
        tracing::trace!(statement = statement.name, rows = changed.iter().sum::<usize>());
        Ok(changed)
    }

    fn query(
        &self,
        statement: &'static Statement,
        text: &str,
        arguments: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        let run = || {
            let mut prepared = self.connection.prepare_cached(text)?;
            let columns = prepared.column_count();
            bind(&mut prepared, arguments)?;
            let mut found = prepared.raw_query();
            let mut rows = Vec::new();
            while let Some(row) = found.next()? {
                let values = (0..columns).map(|at| row.get_ref(at).map(value));
                rows.push(Row::new(statement, values.collect::<Result<_, _>>()?));
            }
            Ok(rows)
        };
        run().map_err(|source| failed(statement, source))
    }

    /// Checks that the database understands a statement.
    #[cfg(test)]
    pub(super) fn prepare(&self, statement: &'static Statement) -> Result<(), rusqlite::Error> {
        self.connection.prepare_cached(statement.sqlite).map(|_| ())
    }

    /// How the database would go about a statement.
    #[cfg(test)]
    pub(super) fn plan(&self, statement: &Statement) -> Result<Vec<String>, rusqlite::Error> {
        let text = format!("EXPLAIN QUERY PLAN {}", statement.sqlite);
        let mut explain = self.connection.prepare_cached(&text)?;
        let mut rows = explain.raw_query();
        let mut plan = Vec::new();
        while let Some(step) = rows.next()? {
            plan.push(step.get(3)?);
        }
        Ok(plan)
    }

    /// Begins a transaction that may write. Immediate: one that begins as a reader and then writes
    /// is refused at once when another has written meanwhile, whatever the busy timeout.
    #[expect(clippy::unused_async, reason = "other databases answer later")]
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.plain("BEGIN IMMEDIATE").map_err(|source| transaction(BEGIN, source))
    }

    /// Commits it.
    #[expect(clippy::unused_async, reason = "other databases answer later")]
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        self.plain("COMMIT").map_err(|source| transaction("commit", source))
    }

    /// Undoes it. An error here says that SQLite has undone it already.
    #[expect(clippy::unused_async, reason = "other databases answer later")]
    pub(super) async fn rollback(&mut self) {
        let _ = self.plain("ROLLBACK");
    }

    /// Runs the statements of a migration.
    pub(super) fn script(&mut self, text: &'static str) -> Result<(), rusqlite::Error> {
        self.connection.execute_batch(text)
    }

    fn plain(&self, text: &'static str) -> Result<(), rusqlite::Error> {
        self.connection.prepare_cached(text)?.raw_execute().map(|_| ())
    }
}

fn failed(statement: &'static Statement, source: rusqlite::Error) -> StoreError {
    StoreError::Statement { statement: statement.name, cause: Cause::from(source) }
}

fn transaction(step: &'static str, source: rusqlite::Error) -> StoreError {
    StoreError::Transaction { step, cause: Cause::from(source) }
}

fn bind(prepared: &mut CachedStatement<'_>, arguments: &[Value]) -> Result<(), rusqlite::Error> {
    for (argument, at) in arguments.iter().zip(1..) {
        prepared.raw_bind_parameter(at, argument)?;
    }
    Ok(())
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
            Self::Uuid(value) => ValueRef::Blob(value.as_bytes()),
        }))
    }
}

fn value(found: ValueRef<'_>) -> Value {
    match found {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        // No column of ours holds one: whoever reads it says so, with the number.
        ValueRef::Real(value) => Value::Text(value.to_string()),
        ValueRef::Text(value) => Value::Text(String::from_utf8_lossy(value).into_owned()),
        ValueRef::Blob(value) => Value::Bytes(value.to_vec()),
    }
}
