//! The schema: embedded, forward only, one transaction a step.

use super::{StoreError, sqlite::Session};

const STEPS: &[&str] = &[
    include_str!("../../../migrations/sqlite/0001_jobs.sql"),
    include_str!("../../../migrations/sqlite/0002_crashes.sql"),
];

/// What `migrate` found and did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Migrated {
    /// The version it found; 0 is an empty database.
    pub from: i64,
    /// The version it is now.
    pub to: i64,
}

/// Brings the schema up to this host's version; refuses a newer one untouched.
pub(super) async fn migrate(session: &mut Session) -> Result<Migrated, StoreError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let from = version(session).await?;
    if from > known {
        return Err(StoreError::NewerSchema { found: from, known });
    }
    for (step, at) in STEPS.iter().zip(1_i64..).skip(usize::try_from(from).unwrap_or(0)) {
        session.begin().await?;
        // Looked at again under the write lock: two starting processes migrate once.
        let done = match version(session).await {
            Ok(found) if found >= at => Ok(()),
            Ok(_) => apply(session, step),
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => session.commit().await?,
            Err(error) => {
                session.rollback().await;
                return Err(error);
            }
        }
    }
    Ok(Migrated { from, to: known })
}

/// Refuses any schema but this host's.
pub(super) async fn verify(session: &mut Session) -> Result<(), StoreError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    match version(session).await? {
        found if found > known => Err(StoreError::NewerSchema { found, known }),
        found if found < known => Err(StoreError::OlderSchema { found, known }),
        _ => Ok(()),
    }
}

async fn version(session: &mut Session) -> Result<i64, StoreError> {
    use super::statement::schema_version;
    session.fetch(&schema_version, vec![]).await?.remove(0).next()
}

fn apply(session: &mut Session, step: &'static str) -> Result<(), StoreError> {
    session
        .script(step)
        .map_err(|said| StoreError::Statement { statement: "migration", cause: said.into() })
}
