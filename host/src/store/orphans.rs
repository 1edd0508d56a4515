//! What recovery reads and marks: attempts that nobody watches.

use std::time::Duration;

use uuid::Uuid;

use super::{
    Store, StoreError,
    statement::{
        Statement, job_alive_attempts, job_mark_expired, job_mark_own, job_orphan, job_routes,
        job_unanswered, job_unresolved,
    },
    value::{Row, Value, micros, readable},
};
use crate::{
    job::{AttemptTag, ClaimToken, JobId, ReplicaId},
    lifecycle::{State, Work},
};

/// A row that recovery must ask about.
#[derive(Clone, Debug)]
pub struct Unresolved {
    /// Its id.
    pub id: JobId,
    /// The configured name of what runs.
    pub job_type: String,
    /// Where it ran.
    pub executor: String,
    /// `NEEDS_RECOVERY`, or a terminal state whose work nobody has seen end.
    pub state: State,
    /// Whether work may exist.
    pub work: Work,
    /// The token that a verdict must still find.
    pub token: ClaimToken,
    /// The attempt.
    pub tag: AttemptTag,
    /// Where the work is, if it was begun.
    pub locality: Option<String>,
    /// What the executor finds it by: JSON as text.
    pub handle: Option<String>,
    /// What the job itself reported: JSON as text.
    pub report: Option<String>,
    /// How many times it was running when its host or runner crashed.
    pub recovery_count: u32,
    /// How many of these happened while it ran alone.
    pub solo_count: u32,
    /// At how many crashes of its runner this attempt was at work; in neither count yet.
    pub crashes: u32,
    /// How many retries it had.
    pub retry_count: u32,
    /// Whether its deadline and every grace are over.
    pub overdue: bool,
    /// For how long nobody has watched it.
    pub unwatched: Duration,
}

/// Whom there is no use in asking now.
#[derive(Clone, Debug, Default)]
pub struct Silent {
    /// The executors that cannot answer. What they have waits as it is.
    pub executors: Vec<String>,
    /// After how long it waits no longer, because it is failed without an answer.
    pub give_up_after: Duration,
}

impl Silent {
    fn arguments(&self) -> [Value; 2] {
        let executors = serde_json::Value::from(self.executors.as_slice()).to_string();
        [executors.into(), micros(self.give_up_after).into()]
    }
}

impl Store {
    /// Marks what has lost its watcher by the database's clock; says how many.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_mark_expired(&self, overdue_grace: Duration) -> Result<usize, StoreError> {
        self.count(&job_mark_expired, vec![micros(overdue_grace).into()]).await
    }

    /// Marks what this replica's former self watched; says how many.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_mark_own(&self, owner: ReplicaId) -> Result<usize, StoreError> {
        self.count(&job_mark_own, vec![owner.0.into()]).await
    }

    /// Which executors and types have jobs waiting.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_routes(&self) -> Result<Vec<(String, String)>, StoreError> {
        let rows = self.database.fetch(&job_routes, vec![]).await?;
        rows.into_iter().map(|mut row| Ok((row.next()?, row.next()?))).collect()
    }

    /// Fails what has waited on this route, which nobody offers, for longer than `after`; at most
    /// 1000 rows. Says how many.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_orphan(
        &self,
        executor: &str,
        job_type: &str,
        after: Duration,
        error: &str,
    ) -> Result<usize, StoreError> {
        let arguments = vec![executor.into(), job_type.into(), micros(after).into(), error.into()];
        self.count(&job_orphan, arguments).await
    }

    /// What recovery has to ask about now and somebody can answer for, at most 1000 rows, longest waiting
    /// first. A row that cannot be read is left out and logged.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_unresolved(
        &self,
        overdue_grace: Duration,
        silent: &Silent,
    ) -> Result<Vec<Unresolved>, StoreError> {
        let [executors, give_up_after] = silent.arguments();
        let arguments = vec![micros(overdue_grace).into(), executors, give_up_after];
        let rows = self.database.fetch(&job_unresolved, arguments).await?;
        Ok(rows.into_iter().filter_map(readable(unresolved)).collect())
    }

    /// How many rows wait for executors that cannot answer now, by executor.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_unanswered(
        &self,
        silent: &Silent,
    ) -> Result<Vec<(String, usize)>, StoreError> {
        let rows = self.database.fetch(&job_unanswered, silent.arguments().into()).await?;
        rows.into_iter()
            .map(|mut row| {
                let (executor, count): (_, u32) = (row.next()?, row.next()?);
                Ok((executor, usize::try_from(count).unwrap_or(usize::MAX)))
            })
            .collect()
    }

    /// The attempts of an executor whose evidence still counts: id, tag, and handle as JSON.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_alive_attempts(
        &self,
        executor: &str,
    ) -> Result<Vec<(JobId, AttemptTag, Option<String>)>, StoreError> {
        let rows = self.database.fetch(&job_alive_attempts, vec![executor.into()]).await?;
        rows.into_iter()
            .map(|mut row| Ok((JobId(row.next()?), AttemptTag(row.next()?), row.next()?)))
            .collect()
    }

    async fn count(
        &self,
        statement: &'static Statement,
        arguments: Vec<Value>,
    ) -> Result<usize, StoreError> {
        let marked = self
            .writer
            .task(move |session| {
                let arguments = arguments.clone();
                Box::pin(async move { Ok(session.fetch(statement, arguments).await?.len()) })
            })
            .await?;
        Ok(marked)
    }
}

fn unresolved(row: &mut Row) -> Result<Unresolved, StoreError> {
    Ok(Unresolved {
        id: JobId(row.next()?),
        job_type: row.next()?,
        executor: row.next()?,
        state: row.word(State::from_word)?,
        work: row.word(Work::from_word)?,
        token: ClaimToken(row.next::<Uuid>()?),
        tag: AttemptTag(row.next::<Uuid>()?),
        locality: row.next()?,
        handle: row.next()?,
        report: row.next()?,
        recovery_count: row.next()?,
        solo_count: row.next()?,
        crashes: row.next()?,
        retry_count: row.next()?,
        overdue: row.next::<Option<bool>>()?.unwrap_or(false),
        unwatched: Duration::from_micros(
            row.next::<Option<i64>>()?.unwrap_or(0).max(0).unsigned_abs(),
        ),
    })
}
