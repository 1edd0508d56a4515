//! A fresh store and jobs in any state, brought there the way production does.

use std::{sync::Arc, time::Duration};

use longshore::{
    job::{
        AttemptTag, CancelReason, ClaimToken, Claimed, Fenced, JobId, NewJob, Outcome, ReplicaId,
    },
    lifecycle::{State, Work},
    store::{Begun, Ended, Schema, Store, Synchronous, Want},
};
use tempfile::TempDir;
use uuid::Uuid;

/// A store of its own.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) owner: ReplicaId,
    pub(crate) directory: Arc<TempDir>,
}

/// A job and the claim that it is or was under; a random one where it never was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) id: JobId,
    pub(crate) token: ClaimToken,
    pub(crate) tag: AttemptTag,
}

pub(crate) const LEASE: Duration = Duration::from_secs(60);

pub(crate) fn new_job() -> NewJob {
    NewJob {
        id: JobId::new(),
        job_type: "score".to_owned(),
        workspace: "default".to_owned(),
        creator: "ann".to_owned(),
        executor: "local".to_owned(),
        priority: 2,
        due_at: None,
        timeout: Duration::from_secs(3600),
        params: r#"{"a":1}"#.to_owned(),
        lock_key: None,
        idempotency_key: None,
    }
}

pub(crate) fn want(slots: u32) -> Want {
    Want { executor: "local".to_owned(), job_type: "score".to_owned(), slots, max_running: None }
}

pub(crate) fn canceled_by_ann() -> CancelReason {
    CancelReason::Requested { by: "ann".to_owned() }
}

pub(crate) fn ended(state: State, work: Work) -> Ended {
    let error = "why".to_owned();
    let outcome = match state {
        State::Succeeded => Outcome::Succeeded { result: "42".to_owned() },
        State::Failed => Outcome::Failed { error },
        State::Timeout => Outcome::Timeout { error },
        State::Canceled => Outcome::Canceled { reason: canceled_by_ann() },
        other => panic!("{other} is no end"),
    };
    Ended { outcome, work }
}

impl World {
    pub(crate) async fn new() -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let path = directory.path().join("longshore.db");
        let (store, _) = Store::open(&path, Synchronous::Full, Schema::Migrate).await.unwrap();
        Self { store, owner: ReplicaId(Uuid::now_v7()), directory }
    }

    pub(crate) async fn submit(&self, job: NewJob) -> JobId {
        self.store.job_submit(vec![job]).await.unwrap()[0].id()
    }

    pub(crate) async fn claim(&self, slots: u32) -> Vec<Claimed> {
        self.store.job_claim(vec![want(slots)], self.owner, LEASE).await.unwrap().jobs
    }

    pub(crate) async fn claim_one(&self) -> Placed {
        let job = self.claim(1).await.pop().expect("something to claim");
        Placed { id: job.id, token: job.token, tag: job.tag }
    }

    /// A claimed job whose work may exist.
    pub(crate) async fn begun(&self, job: NewJob) -> Placed {
        self.submit(job).await;
        let placed = self.claim_one().await;
        let begun = self.store.job_begin(placed.id, placed.token, "here", None).await.unwrap();
        assert_eq!(begun, Begun::Held);
        placed
    }

    /// A job in that state. Ends other than CANCELED have their work gone; a canceled one was begun.
    pub(crate) async fn in_state(&self, state: State) -> Placed {
        if state == State::Pending {
            let id = self.submit(new_job()).await;
            return Placed { id, token: ClaimToken::draw(), tag: AttemptTag(Uuid::new_v4()) };
        }
        let placed = self.begun(new_job()).await;
        let held = match state {
            State::Running => Fenced::Held,
            State::NeedsRecovery => {
                self.store.job_mark(placed.id, placed.token, Duration::ZERO, false).await.unwrap()
            }
            State::Canceled => self.store.job_cancel(placed.id, &canceled_by_ann()).await.unwrap(),
            end => {
                let ended = ended(end, Work::Gone);
                self.store.job_settle(placed.id, placed.token, None, &ended).await.unwrap()
            }
        };
        assert_eq!(held, Fenced::Held);
        assert_eq!(self.state(placed.id).await, state);
        placed
    }

    pub(crate) async fn state(&self, id: JobId) -> State {
        self.store.job_get(id).await.unwrap().expect("the job has a row").state
    }
}
