//! One holder per key, whatever happens.

use std::time::Duration;

use longshore::{
    job::{Crashes, Fenced, JobId, NewJob},
    lifecycle::{State, Work},
    store::{Begun, LockWanted},
};

use crate::world::{Placed, World, canceled_by_ann, ended, new_job};

const KEY: [u8; 32] = [7; 32];

fn exclusive() -> NewJob {
    NewJob { lock_key: Some(KEY), ..new_job() }
}

async fn begin(world: &World, placed: Placed) -> Begun {
    let lock = LockWanted { key: KEY.to_vec(), tag: placed.tag };
    world.store.job_begin(placed.id, placed.token, "here", Some(lock)).await.unwrap()
}

async fn holder(world: &World) -> Placed {
    world.submit(exclusive()).await;
    let placed = world.claim_one().await;
    assert_eq!(begin(world, placed).await, Begun::Held);
    placed
}

async fn rival(world: &World) -> Placed {
    world.submit(exclusive()).await;
    world.claim_one().await
}

fn busy(holder: JobId) -> Begun {
    Begun::Busy { holder: Some(holder) }
}

#[tokio::test]
async fn a_rival_is_told_who_holds_the_lock() {
    let world = World::new().await;
    let first = holder(&world).await;
    let second = rival(&world).await;
    assert_eq!(begin(&world, second).await, busy(first.id));
    assert_eq!(world.store.job_get(second.id).await.unwrap().unwrap().work, Work::None);
}

#[tokio::test]
async fn a_lock_ends_with_its_holders_work_and_not_before() {
    let world = World::new().await;
    let first = holder(&world).await;
    let second = rival(&world).await;
    let held = world.store.job_cancel(first.id, &canceled_by_ann()).await.unwrap();
    assert_eq!(held, Fenced::Held);
    assert_eq!(begin(&world, second).await, busy(first.id), "canceled is not stopped");
    let gone = world.store.job_work_gone(first.id, first.token, Some(first.tag)).await.unwrap();
    assert_eq!(gone, Fenced::Held);
    assert_eq!(begin(&world, second).await, Begun::Held);
}

#[tokio::test]
async fn an_end_without_proof_keeps_the_lock() {
    let world = World::new().await;
    let first = holder(&world).await;
    let second = rival(&world).await;
    let unproven = ended(State::Timeout, Work::Maybe);
    let held =
        world.store.job_settle(first.id, first.token, Some(first.tag), &unproven).await.unwrap();
    assert_eq!(held, Fenced::Held);
    assert_eq!(begin(&world, second).await, busy(first.id));
}

#[tokio::test]
async fn waiting_for_recovery_keeps_the_lock() {
    let world = World::new().await;
    let first = holder(&world).await;
    let second = rival(&world).await;
    assert_eq!(
        world.store.job_mark(first.id, first.token, Duration::ZERO, false).await.unwrap(),
        Fenced::Held
    );
    assert_eq!(begin(&world, second).await, busy(first.id));
    let requeued = world
        .store
        .job_requeue(
            first.id,
            first.token,
            Some(first.tag),
            Duration::from_secs(60),
            Crashes::of(0, 1),
        )
        .await
        .unwrap();
    assert_eq!(requeued, Fenced::Held);
    assert_eq!(begin(&world, second).await, Begun::Held);
}

#[tokio::test]
async fn ones_own_lock_is_acquired_again() {
    let world = World::new().await;
    let first = holder(&world).await;
    assert_eq!(begin(&world, first).await, Begun::Held);
}

#[tokio::test]
async fn a_late_release_does_not_free_the_next_holders_lock() {
    let world = World::new().await;
    let first = holder(&world).await;
    let done = ended(State::Succeeded, Work::Gone);
    let held = world.store.job_settle(first.id, first.token, Some(first.tag), &done).await.unwrap();
    assert_eq!(held, Fenced::Held);
    let second = holder(&world).await;
    let late = world.store.job_work_gone(first.id, first.token, Some(first.tag)).await.unwrap();
    assert_eq!(late, Fenced::Lost);
    let third = rival(&world).await;
    assert_eq!(begin(&world, third).await, busy(second.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_twenty_contenders_for_a_stale_lock_one_wins() {
    let world = World::new().await;
    // A lock whose holder ended without releasing it.
    let first = holder(&world).await;
    let held = world
        .store
        .job_settle(first.id, first.token, None, &ended(State::Failed, Work::Gone))
        .await;
    assert_eq!(held.unwrap(), Fenced::Held);
    world.store.job_submit((0..20).map(|_| exclusive()).collect()).await.unwrap();
    let claimed = world.claim(20).await;
    let contenders: Vec<_> = claimed
        .into_iter()
        .map(|job| {
            let world = world.clone();
            let placed = Placed { id: job.id, token: job.token, tag: job.tag };
            tokio::spawn(async move { begin(&world, placed).await })
        })
        .collect();
    let mut winners = 0;
    for contender in contenders {
        winners += usize::from(contender.await.unwrap() == Begun::Held);
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn a_job_canceled_before_it_began_takes_no_lock_and_starts_nothing() {
    let world = World::new().await;
    world.submit(exclusive()).await;
    let canceled = world.claim_one().await;
    let held = world.store.job_cancel(canceled.id, &canceled_by_ann()).await.unwrap();
    assert_eq!(held, Fenced::Held);
    assert_eq!(begin(&world, canceled).await, Begun::Lost);
    let next = rival(&world).await;
    assert_eq!(begin(&world, next).await, Begun::Held);
}
