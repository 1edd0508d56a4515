//! What can go wrong between the host and its database.

use std::path::PathBuf;

/// A statement or a step that failed, and which one.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused a statement.
    #[error("the database could not run `{statement}`: {hint}")]
    Statement {
        /// Which one.
        statement: &'static str,
        /// What that usually means and what to do.
        hint: &'static str,
        /// What it said.
        #[source]
        source: sqlx::Error,
    },
    /// A transaction could not begin or commit.
    #[error("the database could not {step} a transaction: {hint}")]
    Transaction {
        /// `begin` or `commit`.
        step: &'static str,
        /// What that usually means and what to do.
        hint: &'static str,
        /// What it said.
        #[source]
        source: sqlx::Error,
    },
    /// The database cannot be opened.
    #[error("cannot open the database `{path}`: {hint}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What that usually means and what to do.
        hint: &'static str,
        /// What it said.
        #[source]
        source: sqlx::Error,
    },
    /// Another host has the file.
    #[error(
        "another longshore process{} has the database `{path}`; SQLite serves one host, stop it or give this one its own `state_dir`",
        holder.as_ref().map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// Its process id, if it wrote it down.
        holder: Option<String>,
    },
    /// The lock file beside the database cannot be made.
    #[error("cannot lock `{path}`; the directory must exist and be writable for this user")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A newer host has migrated this database.
    #[error(
        "the database has schema version {found}, this host knows {known}; run the host that migrated it, or a newer one"
    )]
    NewerSchema {
        /// The database's.
        found: i64,
        /// This host's.
        known: i64,
    },
    /// The database has not been migrated and this command does not do it.
    #[error(
        "the database has schema version {found}, this host needs {known}; run `longshore migrate`"
    )]
    OlderSchema {
        /// The database's.
        found: i64,
        /// This host's.
        known: i64,
    },
    /// A value in a row makes no sense.
    #[error("bad value in {statement}.{column}: {found}")]
    BadRow {
        /// The statement that read it.
        statement: &'static str,
        /// The column's place in the answer.
        column: usize,
        /// What stands there.
        found: String,
    },
    /// An idempotency key was used before for something else.
    #[error("idempotency key `{key}` belongs to job {job}, which was submitted differently")]
    KeyReused {
        /// The key.
        key: String,
        /// The job that has it.
        job: crate::job::JobId,
    },
    /// The store was closed.
    #[error("the store is closed; the host is shutting down")]
    Closed,
}

impl StoreError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Statement { source, .. }
            | Self::Transaction { source, .. }
            | Self::Open { source, .. } => !matches!(kind(source), Kind::Other),
            Self::InUse { .. } | Self::Lock { .. } | Self::Closed => true,
            Self::NewerSchema { .. }
            | Self::OlderSchema { .. }
            | Self::BadRow { .. }
            | Self::KeyReused { .. } => false,
        }
    }

    /// Whether the database has no room left.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Statement { source, .. } | Self::Transaction { source, .. } => {
                matches!(kind(source), Kind::Full)
            }
            _ => false,
        }
    }
}

enum Kind {
    Busy,
    Full,
    Gone,
    Other,
}

/// SQLite's primary result codes, from <https://www.sqlite.org/rescode.html>.
fn kind(error: &sqlx::Error) -> Kind {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<u32>().ok());
    match code.map(|code| code & 0xff) {
        Some(5 | 6) => Kind::Busy,
        Some(13) => Kind::Full,
        // I/O errors and "unable to open": a disk that is full or gone says it in either way.
        Some(10 | 14) => Kind::Gone,
        _ => match error {
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Kind::Gone,
            _ => Kind::Other,
        },
    }
}

/// What an error usually means, for the person who reads it.
pub(super) fn hint(error: &sqlx::Error) -> &'static str {
    match kind(error) {
        Kind::Busy => {
            "another process holds the database's write lock; close it (a shell, a backup) and try again"
        }
        Kind::Full => "its disk is full; make room, nothing was lost",
        Kind::Gone => "its disk does not answer; look at the file system it is on",
        Kind::Other => "see the cause",
    }
}
