//! Which host processes share this database.

use uuid::Uuid;

use super::{
    Store, StoreError,
    statement::{replica_announce, replica_beat, replica_list},
};
use crate::job::{Fenced, ReplicaId};

/// A replica as it is shown.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Its seat, kept over restarts.
    pub id: ReplicaId,
    /// This run of it.
    pub incarnation: Uuid,
    /// The machine it runs on.
    pub machine_id: String,
    /// That machine's name.
    pub hostname: String,
    /// The host's version.
    pub version: String,
    /// The executors that it offers: JSON as text.
    pub executors: String,
    /// Counts up while it lives.
    pub heartbeat: i64,
    /// Microseconds UTC.
    pub started_at: i64,
    /// When it last said so; microseconds UTC.
    pub seen_at: i64,
    /// How long ago that was, in microseconds, by the database's clock.
    pub seen_ago_us: i64,
}

impl Store {
    /// Says that this replica has started.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn replica_announce(&self, replica: &Replica) -> Result<(), StoreError> {
        let replica = replica.clone();
        self.writer
            .task(move |session| {
                let arguments = vec![
                    replica.id.0.into(),
                    replica.incarnation.into(),
                    replica.machine_id.as_str().into(),
                    replica.hostname.as_str().into(),
                    replica.version.as_str().into(),
                    replica.executors.as_str().into(),
                ];
                Box::pin(
                    async move { session.fetch(&replica_announce, arguments).await.map(|_| ()) },
                )
            })
            .await
    }

    /// Says that this replica lives. `Lost` means that another incarnation has its seat.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn replica_beat(
        &self,
        id: ReplicaId,
        incarnation: Uuid,
        executors: String,
    ) -> Result<Fenced, StoreError> {
        self.writer
            .task(move |session| {
                let arguments = vec![id.0.into(), incarnation.into(), executors.as_str().into()];
                Box::pin(async move {
                    let rows = session.fetch(&replica_beat, arguments).await?;
                    Ok(if rows.is_empty() { Fenced::Lost } else { Fenced::Held })
                })
            })
            .await
    }

    /// Every replica that ever announced itself, oldest first.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn replica_list(&self) -> Result<Vec<Replica>, StoreError> {
        let rows = self.database.fetch(&replica_list, vec![]).await?;
        rows.into_iter()
            .map(|mut row| {
                let mut replica = Replica {
                    id: ReplicaId(row.next()?),
                    incarnation: row.next()?,
                    machine_id: row.next()?,
                    hostname: row.next()?,
                    version: row.next()?,
                    executors: row.next()?,
                    heartbeat: row.next()?,
                    started_at: row.next()?,
                    seen_at: row.next()?,
                    seen_ago_us: 0,
                };
                replica.seen_ago_us = row.next::<i64>()? - replica.seen_at;
                Ok(replica)
            })
            .collect()
    }
}
