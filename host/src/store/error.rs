//! What can go wrong between the host and its database.

use std::path::PathBuf;

/// A statement or a step that failed, and which one.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused a statement.
    #[error("the database could not run `{statement}`: {}", cause.hint())]
    Statement {
        /// Which one.
        statement: &'static str,
        /// What it said.
        #[source]
        cause: Cause,
    },
    /// A transaction could not begin or commit.
    #[error("the database could not {step} a transaction: {}", cause.hint())]
    Transaction {
        /// `begin` or `commit`.
        step: &'static str,
        /// What it said.
        #[source]
        cause: Cause,
    },
    /// The database cannot be opened.
    #[error("cannot open the database `{path}`: {}", cause.hint())]
    Open {
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        cause: Cause,
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
    /// The system gave no thread to write with.
    #[error(
        "cannot start the thread that writes the database; the limit of processes may be reached"
    )]
    Thread(#[source] std::io::Error),
    /// The store was closed.
    #[error("the store is closed; the host is shutting down")]
    Closed,
}

impl StoreError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Statement { cause, .. }
            | Self::Transaction { cause, .. }
            | Self::Open { cause, .. } => cause.kind != Kind::Other,
            Self::InUse { .. } | Self::Lock { .. } | Self::Thread(_) | Self::Closed => true,
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
            Self::Statement { cause, .. } | Self::Transaction { cause, .. } => {
                cause.kind == Kind::Full
            }
            _ => false,
        }
    }
}

/// What a database said, and what kind of trouble that is.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{said}")]
pub struct Cause {
    kind: Kind,
    said: std::sync::Arc<dyn std::error::Error + Send + Sync>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Busy,
    Full,
    Gone,
    Other,
}

impl Cause {
    /// What it usually means, for the person who reads it.
    const fn hint(&self) -> &'static str {
        match self.kind {
            Kind::Busy => {
                "another process holds the database's write lock; close it (a shell, a backup) and try again"
            }
            Kind::Full => "its disk is full; make room, nothing was lost",
            Kind::Gone => "its disk does not answer; look at the file system it is on",
            Kind::Other => "see the cause",
        }
    }
}

impl From<rusqlite::Error> for Cause {
    fn from(said: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let kind = match said.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Kind::Busy,
            Some(ErrorCode::DiskFull) => Kind::Full,
            // A disk that is full or gone says it in either way.
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Kind::Gone,
            _ => Kind::Other,
        };
        Self { kind, said: std::sync::Arc::new(said) }
    }
}
