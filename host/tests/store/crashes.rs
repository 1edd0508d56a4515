//! What is written when what ran a job has died, and whom recovery then asks.

use std::{path::Path, time::Duration};

use longshore::{
    job::{Crashes, Fenced, JobId},
    lifecycle::{State, Work},
    store::{Schema, Silent, Store, StoreError, Synchronous, Unresolved},
};

use crate::{
    trouble::sqlite,
    world::{LEASE, Placed, World, canceled_by_ann, new_job},
};

const HOUR: Duration = Duration::from_secs(3600);

impl World {
    async fn marked(&self, on: Placed, crashed: bool) {
        let marked = self.store.job_mark(on.id, on.token, Duration::ZERO, crashed).await;
        assert_eq!(marked.unwrap(), Fenced::Held);
    }

    async fn reattached(&self, on: Placed) -> Placed {
        let token = self.store.job_reattach(on.id, on.token, self.owner, LEASE).await;
        Placed { token: token.unwrap().expect("the token counts"), ..on }
    }

    async fn unresolved(&self, silent: &Silent) -> Vec<Unresolved> {
        self.store.job_unresolved(Duration::from_secs(25), silent).await.unwrap()
    }

    async fn unanswered(&self, silent: &Silent) -> Vec<(String, usize)> {
        self.store.job_unanswered(silent).await.unwrap()
    }

    async fn only_unresolved(&self) -> Unresolved {
        let mut rows = self.unresolved(&Silent::default()).await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }

    fn shell(&self, sql: &str) -> String {
        sqlite(&self.directory.path().join("longshore.db"), sql)
    }

    fn crashes(&self, id: JobId) -> String {
        let id = id.0.simple();
        self.shell(&format!(
            "SELECT crashes, recovery_count, solo_count FROM jobs WHERE id = x'{id}'"
        ))
    }
}

#[tokio::test]
async fn a_crash_is_counted_by_the_mark_that_saw_it_and_kept_over_a_reattach() {
    let world = World::new().await;
    let mut placed = world.begun(new_job()).await;
    for (crashed, crashes) in [(true, 1), (false, 1), (true, 2)] {
        world.marked(placed, crashed).await;
        let row = world.only_unresolved().await;
        assert_eq!((row.crashes, row.recovery_count, row.solo_count), (crashes, 0, 0));
        placed = world.reattached(placed).await;
    }
}

#[tokio::test]
async fn a_mark_that_comes_too_late_counts_nothing() {
    let world = World::new().await;
    let placed = world.begun(new_job()).await;
    world.marked(placed, true).await;
    let again = world.store.job_mark(placed.id, placed.token, Duration::ZERO, true).await;
    assert_eq!(again.unwrap(), Fenced::Lost);
    assert_eq!(world.crashes(placed.id), "1|0|0");
}

#[tokio::test]
async fn a_requeue_adds_what_it_is_told_and_the_next_attempt_begins_at_none() {
    let world = World::new().await;
    let placed = world.begun(new_job()).await;
    world.marked(placed, true).await;
    let crashes = Crashes { all: 5, alone: 3 };
    let requeued = world.store.job_requeue(placed.id, placed.token, None, Duration::ZERO, crashes);
    assert_eq!(requeued.await.unwrap(), Fenced::Held);
    assert_eq!(world.crashes(placed.id), "0|5|3");
}

#[tokio::test]
async fn every_way_back_into_the_queue_keeps_what_the_attempt_crashed() {
    for way in ["release", "retry", "requeue"] {
        for (before, crashes, kept) in
            [((0, 0), 3, "0|3|1"), ((1, 0), 2, "0|3|1"), ((3, 1), 1, "0|4|2"), ((0, 0), 1, "0|1|0")]
        {
            let world = World::new().await;
            let mut placed = world.begun(new_job()).await;
            let (all, alone) = before;
            world.shell(&format!("UPDATE jobs SET recovery_count = {all}, solo_count = {alone}"));
            for _ in 0..crashes {
                world.marked(placed, true).await;
                placed = world.reattached(placed).await;
            }
            let Placed { id, token, .. } = placed;
            let store = &world.store;
            let fenced = match way {
                "release" => store.job_release(id, token, None, Duration::ZERO, true).await,
                "retry" => store.job_retry(id, token, None, Duration::ZERO, 3).await,
                _ => {
                    let marked = store.job_mark(id, token, Duration::ZERO, false).await.unwrap();
                    assert_eq!(marked, Fenced::Held);
                    let counted = Crashes::of(all, crashes);
                    store.job_requeue(id, token, None, Duration::ZERO, counted).await
                }
            };
            assert_eq!(fenced.unwrap(), Fenced::Held, "{way}");
            assert_eq!(world.state(id).await, State::Pending, "{way}");
            assert_eq!(world.crashes(id), kept, "{way} with {before:?} and {crashes}");
        }
    }
}

#[tokio::test]
async fn nobody_is_asked_about_what_an_executor_has_that_cannot_answer() {
    let world = World::new().await;
    let lost = world.begun(new_job()).await;
    world.marked(lost, true).await;
    let canceled = world.in_state(State::Canceled).await;
    let before = format!("{:?}", world.store.job_get(lost.id).await.unwrap());
    let silent = |executor: &str| Silent {
        executors: vec!["docker".to_owned(), executor.to_owned()],
        give_up_after: HOUR,
    };
    assert!(world.unresolved(&silent("local")).await.is_empty());
    assert_eq!(world.unanswered(&silent("local")).await, [("local".to_owned(), 2)]);
    let after = format!("{:?}", world.store.job_get(lost.id).await.unwrap());
    assert_eq!(before, after, "it is as it was, and due as it was");

    let rows = world.unresolved(&silent("another")).await;
    let mut asked: Vec<_> = rows.iter().map(|row| row.id).collect();
    asked.sort();
    assert_eq!(asked, [lost.id, canceled.id]);
    assert_eq!(world.unanswered(&silent("another")).await, []);
}

#[tokio::test]
async fn what_needs_no_answer_does_not_wait_for_one() {
    let world = World::new().await;
    let silent = Silent { executors: vec!["local".to_owned()], give_up_after: HOUR };
    let untouched = {
        world.submit(new_job()).await;
        world.claim_one().await
    };
    world.marked(untouched, false).await;
    let gone = world.begun(new_job()).await;
    let _ = world.store.job_work_gone(gone.id, gone.token, None).await.unwrap();
    world.marked(gone, false).await;
    let rows = world.unresolved(&silent).await;
    let works: Vec<_> = rows.iter().map(|row| (row.id, row.work)).collect();
    assert_eq!(works, [(untouched.id, Work::None), (gone.id, Work::Gone)]);
    assert_eq!(world.unanswered(&silent).await, []);
}

#[tokio::test]
async fn what_has_waited_for_an_answer_for_too_long_is_given_up_without_one() {
    let world = World::new().await;
    let lost = world.begun(new_job()).await;
    world.marked(lost, true).await;
    let ended = world.begun(new_job()).await;
    let held = world.store.job_cancel(ended.id, &canceled_by_ann()).await.unwrap();
    assert_eq!(held, Fenced::Held);
    let silent = Silent { executors: vec!["local".to_owned()], give_up_after: Duration::ZERO };
    let rows = world.unresolved(&silent).await;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    assert_eq!(ids, [lost.id], "one that has ended is swept until its work is gone");
    let waiting = world.unanswered(&silent).await;
    assert_eq!(waiting, [("local".to_owned(), 1)]);
}

#[tokio::test]
async fn the_jobs_of_a_silent_executor_take_nobodys_place() {
    let world = World::new().await;
    for _ in 0..2 {
        world.store.job_submit((0..1000).map(|_| new_job()).collect()).await.unwrap();
    }
    assert_eq!(world.claim(2000).await.len(), 2000);
    // All older than the one that somebody can answer for.
    world.shell(
        "UPDATE jobs SET state = 'NEEDS_RECOVERY', work = 'maybe', locality = 'here', \
         lease_expires_at = NULL, needs_recovery_at = 1, ask_again_at = 1",
    );
    let last = world.begun(new_job()).await;
    world.marked(last, false).await;
    world.shell(&format!(
        "UPDATE jobs SET executor = 'docker' WHERE id = x'{}'",
        last.id.0.simple()
    ));
    let patient = Duration::from_secs(1 << 40);
    let silent = Silent { executors: vec!["local".to_owned()], give_up_after: patient };
    let rows = world.unresolved(&silent).await;
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [last.id]);
    let waiting = world.unanswered(&silent).await;
    assert_eq!(waiting, [("local".to_owned(), 2000)]);
}

#[tokio::test]
async fn a_database_of_the_first_schema_keeps_its_jobs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("longshore.db");
    let first = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/sqlite/0001_jobs.sql");
    // A statement that begins with a dash is an option to the shell.
    sqlite(&path, &format!("\n{}", std::fs::read_to_string(first).unwrap()));
    let id = JobId::new();
    sqlite(
        &path,
        &format!(
            "INSERT INTO jobs (id, job_type, workspace, creator, executor, priority, due_at, timeout_us, state, created_at, updated_at, \
             started_at, needs_recovery_at, attempt, recovery_count, solo_count, work, locality, claim_token, attempt_tag) \
             VALUES (x'{id}', 'score', 'default', 'ann', 'local', 2, 0, 1, 'NEEDS_RECOVERY', 0, 0, 1, 1, 4, 3, 1, 'maybe', 'here', x'{id}', x'{id}'); \
             INSERT INTO job_params VALUES (x'{id}', '{{}}')",
            id = id.0.simple()
        ),
    );
    let opened = Store::open(&path, Synchronous::Full, Schema::Verify).await;
    assert!(matches!(opened, Err(StoreError::OlderSchema { found: 1, known: 2 })), "{opened:?}");
    let (store, migrated) = Store::open(&path, Synchronous::Full, Schema::Migrate).await.unwrap();
    assert_eq!((migrated.from, migrated.to), (1, 2));
    let rows = store.job_unresolved(Duration::ZERO, &Silent::default()).await.unwrap();
    let counts: Vec<_> =
        rows.iter().map(|row| (row.id, row.recovery_count, row.solo_count, row.crashes)).collect();
    assert_eq!(counts, [(id, 3, 1, 0)]);
}
