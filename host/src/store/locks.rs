//! The last step before `submit`: the exclusivity lock, if the job needs one, and the commit that
//! work may exist from now on. One transaction, so that a lock is never held for a claim that is lost.

use uuid::Uuid;

use super::{
    Store, StoreError,
    sqlite::Session,
    statement::{job_begin, lock_acquire, lock_holder},
    value::Value,
    writer::{self, FencedRow},
};
use crate::job::{AttemptTag, ClaimToken, Fenced, JobId};

/// A lock to take.
#[derive(Clone, Debug)]
pub struct LockWanted {
    /// The key: a hash of workspace, type and the named parameters.
    pub key: Vec<u8>,
    /// The acquisition's name.
    pub tag: AttemptTag,
}

/// What became of a beginning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Begun {
    /// `submit` may be called.
    Held,
    /// The claim is not this attempt's any more: nothing may be started.
    Lost,
    /// Another job holds the lock.
    Busy {
        /// Which one, if its row still says.
        holder: Option<JobId>,
    },
}

impl Store {
    /// Commits that work may exist from now on, and where.
    ///
    /// # Errors
    ///
    /// Whatever the database says; nothing may be started then.
    pub async fn job_begin(
        &self,
        id: JobId,
        token: ClaimToken,
        locality: &str,
        lock: Option<LockWanted>,
    ) -> Result<Begun, StoreError> {
        let arguments = vec![id.0.into(), token.0.into(), locality.into()];
        let Some(lock) = lock else {
            let row = FencedRow { arguments, unlock: None };
            return Ok(match self.writer.fenced(&job_begin, row).await? {
                Fenced::Held => Begun::Held,
                Fenced::Lost => Begun::Lost,
            });
        };
        self.writer
            .task(move |session| {
                let (arguments, lock) = (arguments.clone(), lock.clone());
                Box::pin(begin_locked(session, id, arguments, lock))
            })
            .await
    }
}

async fn begin_locked(
    session: &mut Session,
    id: JobId,
    arguments: Vec<Value>,
    lock: LockWanted,
) -> Result<Begun, StoreError> {
    let acquire = vec![lock.key.clone().into(), id.0.into(), lock.tag.0.into()];
    if session.fetch(&lock_acquire, acquire).await?.is_empty() {
        let mut holder = session.fetch(&lock_holder, vec![lock.key.into()]).await?;
        let holder = holder.pop().map(|mut row| row.next::<Uuid>()).transpose()?.map(JobId);
        return Ok(Begun::Busy { holder });
    }
    if session.each(&job_begin, [&*arguments]).await? == [0] {
        // Canceled between the claim and here: the lock goes back with the same commit.
        writer::release(session, &[lock.tag]).await?;
        return Ok(Begun::Lost);
    }
    Ok(Begun::Held)
}
