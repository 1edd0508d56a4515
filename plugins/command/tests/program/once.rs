//! A process for each call.

use longshore_plugin_api::{ErrorKind, wire::Verb};
use serde_json::{Value, json};

use crate::stage::{Stage, is_alive, until};

#[test]
fn a_job_is_handed_over_by_arguments_a_file_and_the_payload() {
    let stage = Stage::new(
        "once",
        r#"cat >"$HERE/payload"; ls -l "$LONGSHORE_PARAMS" | cut -c1-10 >"$HERE/mode"
        tr -d '\n' <"$LONGSHORE_PARAMS" >"$HERE/params"; printf '%s|' "$@" "$LONGSHORE_JOB_ID" \
            "$LONGSHORE_ATTEMPT_TAG" "$LONGSHORE_ATTEMPT" "$LONGSHORE_EXECUTOR" >"$HERE/said"
        echo '{"ok":{"version":1,"data":"d"}}'"#,
    );
    assert_eq!(stage.call(Verb::Submit).unwrap(), json!({ "version": 1, "data": "d" }));
    let read = |name| std::fs::read_to_string(stage.directory.path().join(name)).unwrap();
    assert_eq!(read("said"), "submit|x|y z|j|a|1|own|");
    assert_eq!((&*read("params"), &*read("mode")), (r#"{"p":1}"#, "-rw-------\n"));
    let payload = read("payload");
    assert_eq!(payload.lines().count(), 1, "a payload is a line");
    assert_eq!(serde_json::from_str::<Value>(&payload).unwrap()["params"], json!({ "p": 1 }));
    assert_eq!(files_of_calls(&stage), 0, "the call is over");
}

/// Of all the lives at this stage; their locks are none.
fn files_of_calls(stage: &Stage) -> usize {
    let lives = std::fs::read_dir(stage.directory.path().join("state/calls")).unwrap().flatten();
    let files = lives.filter_map(|life| std::fs::read_dir(life.path()).ok()).flatten().flatten();
    files.filter(|file| file.file_name() != "lock").count()
}

#[test]
fn two_versions_of_the_plugin_hand_over_files_of_their_own() {
    let script = r#"[ "$1" = submit ] || exit 64
        echo "$LONGSHORE_PARAMS" >>"$HERE/paths"
        until [ -e "$HERE/gate" ]; do sleep 0.01; done
        printf '{"ok":{"version":1,"data":'; tr -d '\n' <"$LONGSHORE_PARAMS"; echo '}}'"#;
    let old = Stage::new("once", script);
    let first = old.begin(Verb::Submit);
    until("the old one is in the middle of it", || old.file("paths"));
    let new = old.again();
    new.call(Verb::Start).unwrap();
    let second = new.begin(Verb::Submit);
    let paths =
        until("so is the new one", || old.file("paths").filter(|paths| paths.lines().count() == 2));
    let (one, other) = paths.split_once('\n').unwrap();
    assert_ne!(one, other);
    std::fs::write(old.directory.path().join("gate"), "").unwrap();
    for answer in [first, second] {
        assert_eq!(answer.recv().unwrap().unwrap()["data"], json!({ "p": 1 }));
    }
    assert_eq!(files_of_calls(&old), 0, "both calls are over");
}

#[test]
fn a_verb_that_the_program_does_not_know_is_asked_once_and_has_its_default() {
    let stage = Stage::new("once", r#"echo $1 >>"$HERE/asked"; exit 64"#);
    assert_eq!(stage.facts()["reattach"], false);
    for _ in 0..2 {
        for verb in [Verb::CheckRequirements, Verb::Forget, Verb::Health, Verb::ValidateJob] {
            assert_eq!(stage.call(verb).unwrap(), Value::Null, "{verb:?}");
        }
        assert_eq!(stage.refusal(Verb::Logs).kind, ErrorKind::Unsupported);
    }
    let asked = "facts\ncheck_requirements\nforget\nhealth\nvalidate_job\nlogs";
    assert_eq!(stage.file("asked").unwrap(), asked);
    for verb in [Verb::Submit, Verb::Wait, Verb::Cancel, Verb::Recover] {
        assert_eq!(stage.refusal(verb).kind, ErrorKind::Unsupported, "{verb:?}");
    }
}

#[test]
fn an_error_keeps_its_kind_and_its_place() {
    let stage = Stage::new(
        "once",
        r#"echo '{"error":{"kind":"invalid_job","message":"no","pointer":"/run"}}'; exit 1"#,
    );
    let error = stage.refusal(Verb::ValidateJob);
    assert_eq!((error.kind, &*error.message), (ErrorKind::InvalidJob, "no"));
    assert_eq!(error.pointer.as_deref(), Some("/run"));
}

#[test]
fn nonsense_silence_and_a_failure_after_the_answer_are_internal_and_shown() {
    for (script, shown) in [
        ("echo Hello world", "\"Hello world\\n\""),
        ("exit 0", "without an answer"),
        ("echo the disk is full >&2; exit 3", "exit status: 3; its last words: the disk is full"),
        ("echo '{\"ok\":null}'; exit 3", "exit status: 3, after the answer"),
        ("echo '{\"ok\":3}'", "no answer to `cancel`"),
        ("echo '{\"again_in\":1}'", "`again_in` answers `wait`"),
        ("kill -9 $$", "signal: 9"),
        ("head -c 40000000 /dev/zero", "more than 32 MiB"),
    ] {
        let error = Stage::new("once", script).refusal(Verb::Cancel);
        assert_eq!(error.kind, ErrorKind::Internal, "{script}: {error}");
        assert!(error.message.contains(shown), "{script}: {error}");
    }
}

#[test]
fn a_program_that_hangs_is_killed_with_its_group_at_the_deadline() {
    let script = r#"sleep 600 & echo $! >"$HERE/child"; wait"#;
    let stage = Stage::with("once", script, &json!({ "recover": 0.5 }));
    let error = stage.refusal(Verb::Recover);
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(error.message.contains("program.sh` did not answer `recover` within 500ms"), "{error}");
    let child = stage.file("child").unwrap();
    until("the child is dead", || (!is_alive(&child)).then_some(()));
}

#[test]
fn what_a_call_leaves_in_its_group_ends_with_it() {
    let script = r#"sleep 600 & echo $! >"$HERE/child"; echo '{"ok":"gone"}'"#;
    let stage = Stage::new("once", script);
    assert_eq!(stage.call(Verb::Cancel).unwrap(), "gone");
    let child = stage.file("child").unwrap();
    until("the child is dead", || (!is_alive(&child)).then_some(()));
}

#[test]
fn what_left_the_group_may_hold_the_pipes_and_keeps_nobody() {
    let script = r#"setsid sh -c 'echo $$ >"$HERE/child"; exec sleep 600' &
        until [ -s "$HERE/child" ]; do sleep 0.01; done; echo '{"ok":"gone"}'"#;
    let stage = Stage::new("once", script);
    assert_eq!(stage.call(Verb::Cancel).unwrap(), "gone");
    let child = stage.file("child").unwrap();
    assert!(is_alive(&child), "a job's own session is not the call's to end");
    let killed = std::process::Command::new("kill").args(["-9", &child]).status().unwrap();
    assert!(killed.success());
}

#[test]
fn a_flood_of_stderr_delays_nothing_and_is_bounded_in_the_log() {
    let script = r#"yes "a line of no interest" | head -200000 >&2; echo '{"ok":"gone"}'"#;
    let stage = Stage::new("once", script);
    assert_eq!(stage.call(Verb::Cancel).unwrap(), "gone");
    let lines = stage.notes().iter().filter(|line| line.contains("no interest")).count();
    // A hundred at once, and what a slow machine's seconds add.
    assert!((100..5000).contains(&lines), "{lines} lines");
}

#[test]
fn a_wait_is_asked_again_until_it_has_an_answer() {
    let script = r#"echo . >>"$HERE/asked"
        [ $(wc -l <"$HERE/asked") -ge 3 ] || { echo '{"again_in":0.01}'; exit; }
        echo '{"ok":{"ending":{"succeeded":{"result":[1, 2]}}}}'"#;
    let stage = Stage::new("once", script);
    let ended = stage.call(Verb::Wait).unwrap();
    assert_eq!(ended["ending"]["succeeded"]["result"], json!([1, 2]));
    assert_eq!(stage.file("asked").unwrap(), ".\n.\n.");
}

#[test]
fn a_program_that_cannot_be_run_is_named_with_the_way_out() {
    for (program, shown) in [
        ("./nowhere", "hint: `program` is looked up on PATH"),
        ("surely-not-on-path", "hint: `program` is looked up on PATH"),
        ("./plain", "hint: make it executable"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("plain"), "#!/bin/sh\n").unwrap();
        let stage = Stage::configured(directory, json!({ "program": [program] }));
        assert_eq!(stage.facts()["reattach"], false);
        let error = stage.refusal(Verb::CheckRequirements);
        assert_eq!(error.kind, ErrorKind::Unavailable);
        let name = program.trim_start_matches("./");
        assert!(error.message.contains(name) && error.message.contains(shown), "{error}");
    }
}
