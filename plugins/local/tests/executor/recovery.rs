//! What a host finds that another one has left.

use std::{fs, time::Duration};

use longshore_plugin_api::{Attempt, Ending, Executor as _, Found};
use rustix::process::Pid;

use crate::stage::{
    Stage, attempt_of, command, in_time, kill, parent, processes_with, shell, until,
};

async fn found(stage: &Stage, attempt: &Attempt) -> Found {
    let verdicts = in_time(stage.local.recover(vec![attempt.clone()])).await.unwrap();
    let [verdict] = verdicts.as_slice() else { panic!("{verdicts:?}") };
    assert_eq!(verdict.attempt_tag, attempt.attempt_tag);
    verdict.found.clone()
}

#[tokio::test]
async fn an_ended_attempt_is_here() {
    let stage = Stage::new().await;
    let submitted = stage.submit(shell("echo 8 > $LONGSHORE_RESULT")).await;
    submitted.ended().await;
    let attempt = submitted.attempt;
    let stage = stage.restarted().await;
    assert_eq!(found(&stage, &attempt).await, Found::Here);
    let ended = stage.local.wait(&attempt).await.unwrap();
    assert_eq!(crate::stage::result(&ended).trim(), "8");
}

#[tokio::test]
async fn a_running_attempt_does_not_survive_its_host() {
    let stage = Stage::new().await;
    let submitted = stage
        .submit(shell(
            "trap '' TERM; setsid sleep 1000 & env -i setsid sh -c \": $LONGSHORE_ATTEMPT_TAG; sleep 1000\" &
             echo $$ > pid; while :; do sleep 1; done",
        ))
        .await;
    submitted.pid().await;
    let attempt = submitted.attempt;
    let stage = stage.restarted().await;
    assert_eq!(found(&stage, &attempt).await, Found::Here);
    assert_eq!(processes_with(&attempt.attempt_tag), []);
    let ended = stage.local.wait(&attempt).await.unwrap();
    let Ending::Interrupted { message } = &ended.ending else { panic!("{ended:?}") };
    assert_eq!(message, "the host went away");
}

#[tokio::test]
async fn work_whose_keepers_were_killed_is_found_by_its_tag() {
    let stage = Stage::new().await;
    let submitted =
        stage.submit(shell("setsid sleep 1000 & setsid sleep 1001 & echo $$ > pid; wait")).await;
    let job = submitted.pid().await;
    let keeper = submitted.keeper_of(job);
    // The nursery first, so that it cannot sweep.
    kill(parent(keeper));
    kill(keeper);
    until("the main process dies with its keeper", || {
        (processes_with(&submitted.attempt.attempt_tag).len() == 2).then_some(())
    })
    .await;
    let (attempt, directory) = (submitted.attempt, submitted.directory);
    let stage = stage.restarted().await;
    assert_eq!(found(&stage, &attempt).await, Found::Gone);
    assert_eq!(processes_with(&attempt.attempt_tag), []);
    assert!(!directory.exists());
    // Asked again, it is the same.
    assert_eq!(found(&stage, &attempt).await, Found::Gone);
}

/// A job of which one process has thrown its environment away and does what `kept` says, its pid in
/// `hidden`; it has outlived its keeper and the nursery.
async fn hidden(stage: &Stage, kept: &str) -> (Attempt, Pid) {
    let script = format!("env -i setsid sh -c '{kept}' & echo $$ > pid; wait");
    let submitted = stage.submit(shell(&script)).await;
    let hidden = Pid::from_raw(submitted.file("hidden").await.parse().unwrap()).unwrap();
    let job = submitted.pid().await;
    let keeper = submitted.keeper_of(job);
    kill(parent(keeper));
    kill(keeper);
    until("the main process dies with its keeper", || is_dead(job).then_some(())).await;
    (submitted.attempt, hidden)
}

fn is_dead(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

#[tokio::test]
async fn work_without_its_environment_is_found_by_its_output() {
    let stage = Stage::new().await;
    let (attempt, hidden) = hidden(&stage, "echo $$ > hidden; cd /; exec sleep 1000").await;
    let stage = stage.restarted().await;
    assert_eq!(found(&stage, &attempt).await, Found::Gone);
    assert!(is_dead(hidden));
}

#[tokio::test]
async fn whoever_is_in_the_directory_is_not_killed_and_nothing_is_proven_meanwhile() {
    let mut stage = Stage::new().await;
    for kept in [
        "exec >/dev/null 2>&1; echo $$ > hidden; exec sleep 1000",
        "exec >/dev/null 2>&1 3>held; echo $$ > hidden; cd /; exec sleep 1000",
    ] {
        let (attempt, hidden) = hidden(&stage, kept).await;
        stage = stage.restarted().await;
        let Found::Unknown { message } = found(&stage, &attempt).await else { panic!("{kept}") };
        assert!(message.contains(&hidden.as_raw_nonzero().to_string()), "{message}");
        assert!(!is_dead(hidden), "it may be a person's shell");
        kill(hidden);
        until("it is dead", || is_dead(hidden).then_some(())).await;
        assert_eq!(found(&stage, &attempt).await, Found::Gone);
    }
}

#[tokio::test]
async fn whoever_waits_for_an_abandoned_attempt_hears_of_it() {
    let stage = Stage::new().await;
    let submitted =
        stage.submit(shell("echo so far; setsid sleep 1000 & echo $$ > pid; wait")).await;
    let keeper = submitted.keeper_of(submitted.pid().await);
    submitted.output("so far\n").await;
    kill(parent(keeper));
    kill(keeper);
    for _ in 0..2 {
        let ended = submitted.ended().await;
        assert!(matches!(ended.ending, Ending::Interrupted { .. }), "{ended:?}");
        assert_eq!(ended.log_tail, "so far\n");
        assert_eq!(submitted.processes(), []);
    }
}

#[tokio::test]
async fn what_never_was_is_gone() {
    let stage = Stage::new().await;
    assert_eq!(found(&stage, &attempt_of(&command(&["true"]))).await, Found::Gone);
}

#[tokio::test]
async fn a_submission_that_broke_off_is_gone() {
    let stage = Stage::new().await;
    let attempt = attempt_of(&command(&["true"]));
    let directory = stage.cache.path().join("attempts").join(&attempt.attempt_tag);
    fs::create_dir_all(directory.join("work")).unwrap();
    assert_eq!(found(&stage, &attempt).await, Found::Gone);
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_held_lock_is_no_proof_of_anything() {
    let stage = Stage::new().await;
    let submitted = stage.submit(command(&["true"])).await;
    submitted.ended().await;
    // As a keeper that is stuck in the kernel would look.
    let exit = submitted.directory.join("exit");
    let text = fs::read_to_string(&exit).unwrap();
    let boot = text.lines().next().unwrap().strip_prefix("boot=").unwrap();
    fs::write(&exit, longshore_keeper::record::blank(boot)).unwrap();
    let held = fs::File::open(&exit).unwrap();
    held.lock().unwrap();
    let attempt = submitted.attempt;
    let stage = stage.restarted().await;
    assert!(matches!(found(&stage, &attempt).await, Found::Unknown { .. }));
    held.unlock().unwrap();
    assert_eq!(found(&stage, &attempt).await, Found::Gone);
}

#[tokio::test]
async fn evidence_from_before_a_restart_of_the_machine_is_not_believed() {
    let stage = Stage::new().await;
    let submitted = stage.submit(shell("echo 9 > $LONGSHORE_RESULT")).await;
    submitted.ended().await;
    let exit = submitted.directory.join("exit");
    let text = fs::read_to_string(&exit).unwrap();
    let (_, record) = text.split_once('\n').unwrap();
    fs::write(&exit, format!("boot=00000000-0000-0000-0000-000000000000\n{record}")).unwrap();
    let attempt = submitted.attempt;
    let stage = stage.restarted().await;
    assert_eq!(found(&stage, &attempt).await, Found::Gone);
}

#[tokio::test]
async fn attempts_are_found_where_their_handle_says() {
    let stage = Stage::new().await;
    let submitted = stage.submit(shell("echo 3 > $LONGSHORE_RESULT")).await;
    submitted.ended().await;
    let attempt = submitted.attempt;
    let elsewhere = Stage::new().await;
    assert_eq!(found(&elsewhere, &attempt).await, Found::Here);
    let without_handle = Attempt { handle: None, ..attempt };
    assert_eq!(found(&elsewhere, &without_handle).await, Found::Gone);
}

async fn retain(stage: &Stage, attempts: &[&Attempt]) {
    let attempts = attempts.iter().map(|&attempt| attempt.clone()).collect();
    in_time(stage.local.retain(attempts)).await.unwrap();
}

#[tokio::test]
async fn evidence_that_counts_no_more_is_removed_and_nothing_else() {
    let stage = Stage::new().await;
    let mut ended = Vec::new();
    for _ in 0..3 {
        let submitted = stage.submit(shell("mkdir -p work/a; chmod 0 work/a; echo 1")).await;
        submitted.ended().await;
        ended.push((submitted.attempt, submitted.directory));
    }
    let [(wanted, kept), (settled, left), (_, anothers)] = ended.as_slice() else { panic!() };
    let description = anothers.join("job.json");
    let text = fs::read_to_string(&description).unwrap();
    let owner = fs::read_to_string(stage.cache.path().join("owner")).unwrap();
    fs::write(&description, text.replace(owner.trim(), "another host")).unwrap();
    let foreign = stage.cache.path().join("attempts/notes.txt");
    fs::write(&foreign, "not an attempt").unwrap();

    let stage = stage.restarted().await;
    let running = stage.submit(command(&["sleep", "1000"])).await;
    let new = stage.submit(command(&["true"])).await;
    new.ended().await;
    for _ in 0..2 {
        retain(&stage, &[wanted]).await;
        assert!(!left.exists(), "{} is settled", settled.attempt_tag);
        for path in [kept, anothers, &foreign, &running.directory, &new.directory] {
            assert!(path.exists(), "{} was removed", path.display());
        }
    }
    assert_eq!(found(&stage, wanted).await, Found::Here);
    new.ended().await;
    running.cancel(Duration::ZERO).await;
}

#[tokio::test]
async fn what_may_still_run_is_kept_whether_it_counts_or_not() {
    let stage = Stage::new().await;
    let [locked, abandoned] =
        [stage.submit(command(&["true"])).await, stage.submit(command(&["true"])).await];
    let mut locks = Vec::new();
    for submitted in [&locked, &abandoned] {
        submitted.ended().await;
        let exit = submitted.directory.join("exit");
        let text = fs::read_to_string(&exit).unwrap();
        let boot = text.lines().next().unwrap().strip_prefix("boot=").unwrap();
        fs::write(&exit, longshore_keeper::record::blank(boot)).unwrap();
        locks.push(fs::File::open(&exit).unwrap());
    }
    locks[0].lock().unwrap();
    let directories = [locked.directory, abandoned.directory];
    let stage = stage.restarted().await;
    retain(&stage, &[]).await;
    assert!(directories.iter().all(|directory| directory.exists()));
}

#[tokio::test]
async fn every_attempt_gets_a_verdict() {
    let stage = Stage::new().await;
    let running = stage.submit(command(&["sleep", "1000"])).await;
    let ended = stage.submit(command(&["true"])).await;
    ended.ended().await;
    let never = attempt_of(&command(&["true"]));
    let strange = Attempt { attempt_tag: "../x".to_owned(), ..never.clone() };
    let asked = vec![running.attempt.clone(), ended.attempt.clone(), never, strange];
    let verdicts = stage.local.recover(asked.clone()).await.unwrap();
    for (attempt, expected) in asked.iter().zip(["here", "here", "gone", "unknown"]) {
        let verdict = verdicts.iter().find(|v| v.attempt_tag == attempt.attempt_tag).unwrap();
        let word = match &verdict.found {
            Found::Here => "here",
            Found::Gone => "gone",
            Found::Failed { .. } => "failed",
            Found::Unknown { .. } => "unknown",
        };
        assert_eq!(word, expected, "{attempt:?}");
    }
    running.cancel(Duration::ZERO).await;
}
