//! The only place with SQL.
//!
//! ```text
//!   methods ──► statements (files in `sql/`) ──► writer (one thread, group commit) ► the file
//!        └────► readers (a small pool) ────────────────────────────────────────────►
//! ```
//!
//! Every method that moves a job is one guarded statement, judged by the rows that it matched:
//! [`Lost`](crate::job::Fenced::Lost) means that somebody else was first, and is never an error. A method has
//! committed when it answers.

mod claims;
mod error;
mod jobs;
mod listing;
mod locks;
mod migrate;
mod orphans;
mod replicas;
mod sqlite;
mod statement;
mod submission;
mod value;
mod writer;

use std::{path::Path, sync::Arc};

use tokio::sync::Notify;

pub use self::{
    claims::{Claims, Reattached, Want},
    error::StoreError,
    jobs::Ended,
    listing::{Filter, Page},
    locks::{Begun, LockWanted},
    migrate::Migrated,
    orphans::{Silent, Unresolved},
    replicas::Replica,
    sqlite::Synchronous,
    submission::Submitted,
};

/// The jobs and everything around them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    database: Arc<sqlite::Database>,
    writer: writer::Writer,
    arrived: Arc<Notify>,
}

/// What to do about the schema when a store is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Schema {
    /// Bring it up to date.
    Migrate,
    /// Refuse any but this host's.
    Verify,
}

impl Store {
    /// Opens the database file; only one process can.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another host has it, [`StoreError::NewerSchema`] if a newer host has
    /// migrated it, and whatever the database says.
    pub async fn open(
        path: &Path,
        synchronous: Synchronous,
        schema: Schema,
    ) -> Result<(Self, Migrated), StoreError> {
        let database = Arc::new(sqlite::Database::open(path, synchronous, true)?);
        let mut session = database.session()?;
        let migrated = match schema {
            Schema::Migrate => migrate::migrate(&mut session).await?,
            Schema::Verify => {
                migrate::verify(&mut session).await.map(|()| Migrated { from: 0, to: 0 })?
            }
        };
        let writer = writer::Writer::start(session)?;
        Ok((Self { database, writer, arrived: Arc::new(Notify::new()) }, migrated))
    }

    /// Wakes the worker: there may be something to claim.
    pub fn wake(&self) {
        self.arrived.notify_one();
    }

    /// Waits until something was submitted or given back since the last call.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// The database's clock, in microseconds UTC.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn clock_read(&self) -> Result<i64, StoreError> {
        self.database.fetch(&statement::clock_read, vec![]).await?.remove(0).next()
    }

    /// Whether anybody writes. Without, the host is of no use and should be started again.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.writer.is_alive()
    }

    /// Closes every connection, after the writes that are under way.
    pub async fn close(&self) {
        self.database.close();
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_statement_prepares() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("longshore.db");
        let (store, migrated) =
            Store::open(&path, Synchronous::Full, Schema::Migrate).await.unwrap();
        assert_eq!(migrated.from, 0);
        let session = store.database.session().unwrap();
        for statement in statement::ALL {
            session
                .prepare(statement)
                .unwrap_or_else(|error| panic!("{}: {error:?}", statement.name));
        }
    }

    /// Without statistics SQLite guesses, and a wrong guess reads the whole history at every claim.
    #[tokio::test]
    async fn no_statement_of_the_hosts_loops_reads_the_history() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("longshore.db");
        let (store, _) = Store::open(&path, Synchronous::Full, Schema::Migrate).await.unwrap();
        let session = store.database.session().unwrap();
        for statement in statement::ALL {
            let plan = session.plan(statement).unwrap();
            let through = plan.iter().filter(|step| step.contains("SCAN jobs"));
            for step in through {
                let partial = ["job_claimable", "job_alone", "job_alive"];
                assert!(
                    partial.iter().any(|index| step.contains(index)),
                    "{} reads every row: {plan:?}",
                    statement.name
                );
            }
        }
    }
}
