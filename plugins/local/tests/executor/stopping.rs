//! Stopping: whatever a job does, nothing of it is left.

use std::time::Duration;

use longshore_plugin_api::{Ending, ErrorKind, Executor as _, Work};

use crate::stage::{Stage, attempt_of, command, in_time, shell, status, until};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(100);

/// Descendants of every sort: in the group, deaf, in sessions of their own, without environment.
const FAMILY: &str = "
sleep 1000 &
(trap '' TERM HUP INT; sleep 1001 & wait) &
setsid sh -c 'sleep 1002 & wait' &
env -i setsid sh -c \": $LONGSHORE_ATTEMPT_TAG; sleep 1003 & wait\" &
trap '' TERM
echo $$ > pid
while :; do sleep 1; done
";

#[tokio::test]
async fn a_canceled_job_leaves_no_descendant() {
    let stage = Stage::new().await;
    let submitted = stage.submit(shell(FAMILY)).await;
    submitted.pid().await;
    assert_eq!(submitted.cancel(SHORT).await, Work::Gone);
    assert_eq!(submitted.processes(), []);
    let ended = submitted.ended().await;
    assert!(matches!(ended.ending, Ending::Canceled { .. }), "{ended:?}");
}

#[tokio::test]
async fn a_late_job_leaves_no_descendant() {
    let stage = Stage::new().await;
    let mut job = shell(FAMILY);
    job.timeout = longshore_plugin_api::Seconds(1.0);
    let submitted = stage.submit(job).await;
    let ended = submitted.ended().await;
    assert!(matches!(ended.ending, Ending::Timeout { .. }), "{ended:?}");
    assert_eq!(submitted.processes(), []);
}

#[tokio::test]
async fn a_finished_job_leaves_no_descendant() {
    let stage = Stage::new().await;
    let family = FAMILY.replace("while :; do sleep 1; done", "exit 0");
    let submitted = stage.submit(shell(&family)).await;
    let ended = submitted.ended().await;
    assert!(matches!(ended.ending, Ending::Succeeded { .. }), "{ended:?}");
    assert_eq!(submitted.processes(), []);
}

#[tokio::test]
async fn a_stopped_executor_leaves_no_descendant_and_takes_no_more() {
    let stage = Stage::new().await;
    let one = stage.submit(shell(FAMILY)).await;
    let polite = stage
        .submit(shell("trap 'echo bye; exit 0' TERM; echo 1 > pid; while :; do sleep 0.01; done"))
        .await;
    one.pid().await;
    polite.pid().await;
    in_time(stage.local.stop(SHORT)).await.unwrap();
    in_time(stage.local.stop(SHORT)).await.unwrap();
    assert_eq!((one.processes(), polite.processes()), (vec![], vec![]));
    for submitted in [&one, &polite] {
        let ended = submitted.ended().await;
        let Ending::Interrupted { message } = &ended.ending else { panic!("{ended:?}") };
        assert_eq!(message, "the host was shutting down");
    }
    assert!(polite.ended().await.log_tail.ends_with("bye\n"));
    let refused = stage.local.submit(command(&["true"])).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_cancel_is_idempotent() {
    let stage = Stage::new().await;
    let submitted = stage.submit(shell(FAMILY)).await;
    submitted.pid().await;
    let (one, other) = tokio::join!(submitted.cancel(SHORT), submitted.cancel(SHORT));
    assert_eq!((one, other), (Work::Gone, Work::Gone));
    assert_eq!(submitted.cancel(SHORT).await, Work::Gone);
    submitted.forget().await;
    assert_eq!(submitted.cancel(SHORT).await, Work::Gone);
}

#[tokio::test]
async fn a_cancel_after_the_end_changes_nothing() {
    let stage = Stage::new().await;
    let submitted = stage.submit(command(&["true"])).await;
    submitted.ended().await;
    assert_eq!(submitted.cancel(LONG).await, Work::Gone);
    assert!(matches!(submitted.ended().await.ending, Ending::Succeeded { .. }));
}

#[tokio::test]
async fn a_cancel_that_overtakes_its_submission_starts_nothing() {
    let stage = Stage::new().await;
    let job = shell("echo ran > ran");
    assert_eq!(stage.local.cancel(&attempt_of(&job), LONG).await.unwrap(), Work::Gone);
    let error = stage.local.submit(job).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled);
    assert_eq!(std::fs::read_dir(stage.cache.path().join("attempts")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_cancel_beside_a_submission_is_not_lost() {
    let stage = Stage::new().await;
    for _ in 0..50 {
        let job = command(&["sleep", "1000"]);
        let attempt = attempt_of(&job);
        let (submitted, canceled) =
            tokio::join!(stage.local.submit(job), in_time(stage.local.cancel(&attempt, SHORT)));
        assert_eq!(canceled.unwrap(), Work::Gone);
        match submitted {
            Err(error) => assert_eq!(error.kind, ErrorKind::Cancelled),
            Ok(handle) => {
                let ended = stage.submitted(attempt.clone(), handle).ended().await;
                assert!(matches!(ended.ending, Ending::Canceled { .. }), "{ended:?}");
            }
        }
        assert_eq!(crate::stage::processes_with(&attempt.attempt_tag), []);
    }
}

#[tokio::test]
async fn a_killed_keeper_is_an_interruption_and_nothing_is_left() {
    let stage = Stage::new().await;
    let submitted = stage.submit(shell(&format!("echo so far; {FAMILY}"))).await;
    let job = submitted.pid().await;
    submitted.output("so far\n").await;
    crate::stage::kill(submitted.keeper_of(job));
    let ended = submitted.ended().await;
    let Ending::Interrupted { message } = &ended.ending else { panic!("{ended:?}") };
    assert_eq!(message, "its keeper was killed");
    assert_eq!(ended.log_tail, "so far\n");
    assert_eq!(submitted.processes(), []);
    assert_eq!(submitted.cancel(LONG).await, Work::Gone);
}

#[tokio::test]
async fn a_killed_nursery_is_replaced() {
    let stage = Stage::new().await;
    let first = stage.submit(shell("echo $$ > pid; exec sleep 1000")).await;
    let nursery = crate::stage::parent(first.keeper_of(first.pid().await));
    crate::stage::kill(nursery);
    until("the nursery is dead", || status(nursery, "State").starts_with('Z').then_some(())).await;
    let second = stage.submit(command(&["true"])).await;
    assert!(matches!(second.ended().await.ending, Ending::Succeeded { .. }));
    // And the attempt that it had started is none the worse for it.
    assert_eq!(first.cancel(LONG).await, Work::Gone);
    assert!(matches!(first.ended().await.ending, Ending::Canceled { .. }));
}

#[tokio::test]
async fn a_keeper_is_small() {
    let stage = Stage::new().await;
    let submitted = stage.submit(shell("echo $$ > pid; exec sleep 1000")).await;
    let keeper = submitted.keeper_of(submitted.pid().await);
    let nursery = crate::stage::parent(keeper);
    let kilobytes =
        |field: &str, pid| -> u64 { status(pid, field).trim_end_matches(" kB").parse().unwrap() };
    let (keeper, nursery) = (kilobytes("VmRSS", keeper), kilobytes("VmRSS", nursery));
    println!("keeper: {keeper} KiB, nursery: {nursery} KiB (resident)");
    assert!(keeper < 1024, "a keeper has {keeper} KiB");
    submitted.cancel(Duration::ZERO).await;
}
