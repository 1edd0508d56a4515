//! SQLite: one host per file, one connection that writes, a few that read.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::FlockOperation;
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Row as _, SqliteConnection,
    SqlitePool, TypeInfo as _, ValueRef as _,
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
    },
};

use super::{
    StoreError,
    error::hint,
    statement::Statement,
    value::{Row, Value},
};

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
    options: SqliteConnectOptions,
    path: PathBuf,
    readers: SqlitePool,
    /// Holds the lock for as long as the database is open.
    _lock: Option<File>,
}

/// The one connection that writes.
#[derive(Debug)]
pub(super) struct Session {
    connection: SqliteConnection,
}

impl Database {
    /// Opens the file, made if it is not there. `exclusive` takes the host's lock beside it.
    pub(super) async fn open(
        path: &Path,
        synchronous: Synchronous,
        exclusive: bool,
    ) -> Result<Self, StoreError> {
        let lock = if exclusive { Some(lock(path)?) } else { None };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(match synchronous {
                Synchronous::Full => SqliteSynchronous::Full,
                Synchronous::Normal => SqliteSynchronous::Normal,
            })
            .busy_timeout(Duration::from_secs(5))
            .foreign_keys(false)
            .pragma("wal_autocheckpoint", "4000")
            .pragma("temp_store", "MEMORY")
            .pragma("cache_size", "-65536")
            .statement_cache_capacity(128)
            // Rows come from a thread of their own; every full buffer is a switch there and back.
            .row_buffer_size(4096)
            .disable_statement_logging();
        let readers = SqlitePoolOptions::new()
            .max_connections(4)
            .min_connections(0)
            .acquire_timeout(Duration::from_secs(10))
            .connect_lazy_with(options.clone().pragma("query_only", "ON"));
        Ok(Self { options, path: path.to_owned(), readers, _lock: lock })
    }

    /// A connection that writes.
    pub(super) async fn session(&self) -> Result<Session, StoreError> {
        let connection = SqliteConnection::connect_with(&self.options).await.map_err(|source| {
            StoreError::Open { path: self.path.clone(), hint: hint(&source), source }
        })?;
        Ok(Session { connection })
    }

    /// Runs a statement that reads.
    pub(super) async fn fetch(
        &self,
        statement: &'static Statement,
        arguments: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let query = bound(sqlx::query_with(statement.sqlite, Default::default()), arguments);
        let rows =
            query.fetch_all(&self.readers).await.map_err(|source| failed(statement, source))?;
        Ok(rows.iter().map(|row| Row::new(statement, values(row))).collect())
    }

    /// Runs a listing, the only SQL that is put together at run time: `text` holds only what the
    /// store itself wrote, every value stands in `arguments`.
    pub(super) async fn list(
        &self,
        statement: &'static Statement,
        text: String,
        arguments: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let query = bound(sqlx::query_with(AssertSqlSafe(text), Default::default()), arguments);
        let rows =
            query.fetch_all(&self.readers).await.map_err(|source| failed(statement, source))?;
        Ok(rows.iter().map(|row| Row::new(statement, values(row))).collect())
    }

    /// Closes every connection.
    pub(super) async fn close(&self) {
        self.readers.close().await;
    }
}

impl Session {
    /// Runs a statement and reads all of its answer.
    pub(super) async fn fetch(
        &mut self,
        statement: &'static Statement,
        arguments: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let query = bound(sqlx::query_with(statement.sqlite, Default::default()), arguments);
        let rows = query
            .fetch_all(&mut self.connection)
            .await
            .map_err(|source| failed(statement, source))?;
        Ok(rows.iter().map(|row| Row::new(statement, values(row))).collect())
    }

    /// Checks that the database understands a statement.
    #[cfg(test)]
    pub(super) async fn prepare(
        &mut self,
        statement: &'static Statement,
    ) -> Result<(), sqlx::Error> {
        use sqlx::{Executor as _, SqlStr};
        self.connection.prepare(SqlStr::from_static(statement.sqlite)).await.map(|_| ())
    }

    /// Begins a transaction that may write. Immediate: one that begins as a reader and then writes
    /// is refused at once when another has written meanwhile, whatever the busy timeout.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.plain("BEGIN IMMEDIATE").await.map_err(|source| transaction("begin", source))
    }

    /// Commits it.
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        self.plain("COMMIT").await.map_err(|source| transaction("commit", source))
    }

    /// Undoes it. An error here says that SQLite has undone it already.
    pub(super) async fn rollback(&mut self) {
        let _ = self.plain("ROLLBACK").await;
    }

    /// Runs the statements of a migration.
    pub(super) async fn script(&mut self, text: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(text).execute(&mut self.connection).await.map(|_| ())
    }

    /// Closes the connection, checkpointing what is left.
    pub(super) async fn close(self) {
        let _ = self.connection.close().await;
    }

    async fn plain(&mut self, text: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(text).execute(&mut self.connection).await.map(|_| ())
    }
}

fn failed(statement: &'static Statement, source: sqlx::Error) -> StoreError {
    StoreError::Statement { statement: statement.name, hint: hint(&source), source }
}

fn transaction(step: &'static str, source: sqlx::Error) -> StoreError {
    StoreError::Transaction { step, hint: hint(&source), source }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn bound(mut query: Query<'_>, arguments: Vec<Value>) -> Query<'_> {
    for argument in arguments {
        query = match argument {
            Value::Null => query.bind(None::<i64>),
            Value::Int(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
        };
    }
    query
}

fn values(row: &SqliteRow) -> Vec<Value> {
    row.columns()
        .iter()
        .map(|column| {
            let at = column.ordinal();
            let Ok(raw) = row.try_get_raw(at) else { return Value::Null };
            if raw.is_null() {
                return Value::Null;
            }
            match raw.type_info().name() {
                "INTEGER" | "BOOLEAN" => row.try_get(at).map_or(Value::Null, Value::Int),
                "BLOB" => row.try_get(at).map_or(Value::Null, Value::Bytes),
                _ => row.try_get_unchecked(at).map_or(Value::Null, Value::Text),
            }
        })
        .collect()
}

/// SQLite serves one host: the second is refused by name, before it touches the file. The lock is the
/// kernel's, so that a host that dies in any way gives it back.
fn lock(database: &Path) -> Result<File, StoreError> {
    let path = database.with_extension("lock");
    let failed = |source| StoreError::Lock { path: path.clone(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        let holder = Some(holder.trim().to_owned()).filter(|pid| !pid.is_empty());
        return Err(StoreError::InUse { path: database.to_owned(), holder });
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}
