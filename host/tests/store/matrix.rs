//! The full matrix: every state, every operation, the right and a wrong claim token, against answers
//! that were written by hand.

use std::time::Duration;

use longshore::{
    job::{ClaimToken, Crashes, Fenced},
    lifecycle::{State, Work},
};

use crate::world::{LEASE, Placed, World, canceled_by_ann, ended};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    Claim,
    Renew,
    Begin,
    Handle,
    Progress,
    Release,
    Retry,
    Settle(State),
    Cancel,
    Mark,
    MarkExpired,
    Reattach,
    Requeue,
    GiveUp,
    WorkGone,
    AskAgain,
    LogPut,
}

use Operation::*;

/// One letter a state, in the order of `State::ALL` (pending, running, needs recovery, succeeded,
/// failed, timeout, canceled): `x` counts, `.` changes nothing. Then the state that it leads to, if it
/// changes it.
const ANSWERS: &[(Operation, &str, Option<State>)] = &[
    (Claim, "x......", Some(State::Running)),
    (Renew, ".x.....", None),
    (Begin, ".x.....", None),
    (Handle, ".xx...x", None),
    (Progress, ".x.....", None),
    (Release, ".x.....", Some(State::Pending)),
    (Retry, ".xx....", Some(State::Pending)),
    (Settle(State::Succeeded), ".xx....", Some(State::Succeeded)),
    (Settle(State::Failed), ".xx....", Some(State::Failed)),
    (Settle(State::Timeout), ".xx....", Some(State::Timeout)),
    (Settle(State::Canceled), ".xx....", Some(State::Canceled)),
    (Cancel, "xxx....", Some(State::Canceled)),
    (Mark, ".x.....", Some(State::NeedsRecovery)),
    (MarkExpired, ".......", None),
    (Reattach, "..x....", Some(State::Running)),
    (Requeue, "..x....", Some(State::Pending)),
    (GiveUp, "..x....", Some(State::Failed)),
    (WorkGone, ".xx...x", None),
    (AskAgain, "..xxxxx", None),
    (LogPut, ".xxxxxx", None),
];

async fn perform(world: &World, operation: Operation, on: Placed) -> bool {
    let Placed { id, token, tag } = on;
    let store = &world.store;
    let unlock = Some(tag);
    let fenced = match operation {
        Claim => return world.claim(1).await.iter().any(|job| job.id == id),
        Renew => return store.job_renew(&[(id, token)], LEASE).await.unwrap().contains(&id),
        Begin => {
            let begun = store.job_begin(id, token, "there", None).await.unwrap();
            return begun == longshore::store::Begun::Held;
        }
        MarkExpired => return store.job_mark_expired(Duration::from_secs(25)).await.unwrap() > 0,
        Reattach => {
            return store.job_reattach(id, token, world.owner, LEASE).await.unwrap().is_some();
        }
        Handle => store.job_handle(id, token, r#"{"version":1,"data":7}"#).await,
        Progress => store.job_progress(id, token, Some("reading"), None).await,
        Release => store.job_release(id, token, unlock, Duration::ZERO, true).await,
        Retry => store.job_retry(id, token, unlock, Duration::ZERO, 3).await,
        Settle(state) => store.job_settle(id, token, unlock, &ended(state, Work::Gone)).await,
        Cancel => store.job_cancel(id, &canceled_by_ann()).await,
        Mark => store.job_mark(id, token, Duration::ZERO, false).await,
        Requeue => store.job_requeue(id, token, unlock, Duration::ZERO, Crashes::of(0, 1)).await,
        GiveUp => store.job_give_up(id, token, unlock, "why", Work::Gone).await,
        WorkGone => store.job_work_gone(id, token, unlock).await,
        AskAgain => store.job_ask_again(id, token, Duration::ZERO, false).await,
        LogPut => store.job_log_put(id, token, "the last words").await,
    };
    fenced.unwrap() == Fenced::Held
}

#[tokio::test]
async fn every_operation_answers_in_every_state_as_written_here() {
    for &(operation, answers, leads_to) in ANSWERS {
        for (state, answer) in State::ALL.into_iter().zip(answers.chars()) {
            let world = World::new().await;
            let placed = world.in_state(state).await;
            let counted = perform(&world, operation, placed).await;
            assert_eq!(counted, answer == 'x', "{operation:?} on {state}");
            let expected = if counted { leads_to.unwrap_or(state) } else { state };
            assert_eq!(world.state(placed.id).await, expected, "after {operation:?} on {state}");
        }
    }
}

#[tokio::test]
async fn a_wrong_claim_token_changes_nothing_in_any_state() {
    for &(operation, ..) in ANSWERS {
        if matches!(operation, Claim | Cancel | MarkExpired) {
            continue;
        }
        for state in State::ALL {
            let world = World::new().await;
            let placed = world.in_state(state).await;
            let before = format!("{:?}", world.store.job_get(placed.id).await.unwrap());
            let stranger = Placed { token: ClaimToken::draw(), ..placed };
            assert!(!perform(&world, operation, stranger).await, "{operation:?} on {state}");
            let after = format!("{:?}", world.store.job_get(placed.id).await.unwrap());
            assert_eq!(before, after, "{operation:?} on {state}");
        }
    }
}

#[tokio::test]
async fn a_terminal_outcome_never_changes_again() {
    for end in State::TERMINAL {
        let world = World::new().await;
        let placed = world.in_state(end).await;
        let before = world.store.job_get(placed.id).await.unwrap().unwrap();
        for &(operation, ..) in ANSWERS {
            perform(&world, operation, placed).await;
        }
        let after = world.store.job_get(placed.id).await.unwrap().unwrap();
        let outcome = |job: &longshore::job::Job| {
            (
                job.state,
                job.result.clone(),
                job.error_message.clone(),
                job.cancel_reason.clone(),
                job.finished_at,
            )
        };
        assert_eq!(outcome(&before), outcome(&after));
    }
}

#[tokio::test]
async fn a_retry_counts_and_runs_out() {
    let world = World::new().await;
    let id = world.submit(crate::world::new_job()).await;
    for n in 0..3 {
        let placed = world.claim_one().await;
        assert_eq!(world.store.job_get(id).await.unwrap().unwrap().retry_count, n);
        let held = world.store.job_retry(id, placed.token, None, Duration::ZERO, 3).await.unwrap();
        assert_eq!(held, Fenced::Held);
    }
    let placed = world.claim_one().await;
    let fourth = world.store.job_retry(id, placed.token, None, Duration::ZERO, 3).await.unwrap();
    assert_eq!(fourth, Fenced::Lost, "the budget is part of the statement's guard");
    assert_eq!(world.store.job_get(id).await.unwrap().unwrap().attempt, 4);
}

#[tokio::test]
async fn untouched_work_goes_back_without_the_executors_word_and_begun_work_does_not() {
    let world = World::new().await;
    let id = world.submit(crate::world::new_job()).await;
    let untouched = world.claim_one().await;
    let held =
        world.store.job_release(id, untouched.token, None, Duration::ZERO, false).await.unwrap();
    assert_eq!(held, Fenced::Held);
    let job = world.store.job_get(id).await.unwrap().unwrap();
    assert_eq!(
        (job.attempt, job.retry_count, job.recovery_count),
        (0, 0, 0),
        "it counts as nothing"
    );
    let begun = world.claim_one().await;
    world.store.job_begin(id, begun.token, "here", None).await.unwrap();
    let lost = world.store.job_release(id, begun.token, None, Duration::ZERO, false).await.unwrap();
    assert_eq!(lost, Fenced::Lost);
}

#[tokio::test]
async fn a_reattach_shuts_out_the_former_watcher_and_keeps_the_attempt() {
    let world = World::new().await;
    let placed = world.in_state(State::NeedsRecovery).await;
    let token = world
        .store
        .job_reattach(placed.id, placed.token, world.owner, LEASE)
        .await
        .unwrap()
        .unwrap();
    let late = world
        .store
        .job_settle(placed.id, placed.token, None, &ended(State::Failed, Work::Gone))
        .await;
    assert_eq!(late.unwrap(), Fenced::Lost);
    let found = world.store.job_reattached(placed.id, token).await.unwrap().unwrap();
    assert_eq!((found.claimed.tag, found.claimed.attempt), (placed.tag, 1));
    assert!(
        found.remaining_us > 3_500_000_000,
        "the deadline goes on from the claim: {}",
        found.remaining_us
    );
}

#[tokio::test]
async fn of_two_writes_for_one_job_in_one_batch_the_holders_counts() {
    let world = World::new().await;
    for _ in 0..50 {
        let placed = world.begun(crate::world::new_job()).await;
        let (done, failed) =
            (ended(State::Succeeded, Work::Gone), ended(State::Failed, Work::Gone));
        let (first, second) = tokio::join!(
            world.store.job_settle(placed.id, ClaimToken::draw(), None, &failed),
            world.store.job_settle(placed.id, placed.token, None, &done),
        );
        assert_eq!((first.unwrap(), second.unwrap()), (Fenced::Lost, Fenced::Held));
    }
}
