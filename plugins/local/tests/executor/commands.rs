//! Commands: what they get, and what becomes of what they leave.

use std::{
    collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration,
};

use longshore_local::{Config, Local};
use longshore_plugin_api::{ErrorKind, Executor as _, Host, JobShape, PythonEnvironment, Run};

use crate::stage::{Stage, attempt_of, command, failure, json, parent, result, shell, until};

#[tokio::test]
async fn a_command_that_exits_with_zero_has_succeeded() {
    let stage = Stage::new().await;
    let ended = stage.run(command(&["true"])).await;
    assert_eq!((result(&ended), ended.log_tail.as_str()), ("null", ""));
}

#[tokio::test]
async fn its_result_is_what_it_wrote() {
    let stage = Stage::new().await;
    let ended = stage.run(shell("echo '{\"n\": [1, 2]}' > $LONGSHORE_RESULT; echo done")).await;
    assert_eq!(result(&ended).trim(), "{\"n\": [1, 2]}");
    assert_eq!(ended.log_tail, "done\n");
}

#[tokio::test]
async fn ten_mebibytes_of_parameters_arrive() {
    let stage = Stage::new().await;
    let mut job =
        shell("wc -c < $LONGSHORE_PARAMS; tail -c 4 $LONGSHORE_PARAMS > $LONGSHORE_RESULT");
    job.params = json(&format!("{{\"blob\": \"{}\", \"end\":   77}}", "x".repeat(10 << 20)));
    let length = job.params.get().len();
    let mut ended = job;
    ended.job_type = "big".to_owned();
    let submitted = stage.submit(ended).await;
    let ended = submitted.ended().await;
    assert_eq!(ended.log_tail.trim(), length.to_string());
    let (message, _) = failure(&ended);
    assert!(message.contains("result.json: it is not JSON"), "{message}");
}

#[tokio::test]
async fn parameters_are_in_no_argument_and_no_variable() {
    let stage = Stage::new().await;
    let mut job = shell(
        "tr '\\0' '\\n' < /proc/$$/cmdline; env; stat -c %a $LONGSHORE_PARAMS $LONGSHORE_JOB . ..",
    );
    job.params = json("{\"secret\": \"s3cr3t-value\"}");
    let ended = stage.run(job).await;
    assert!(!ended.log_tail.contains("s3cr3t-value"), "{}", ended.log_tail);
    assert!(ended.log_tail.ends_with("600\n600\n700\n700\n"), "{}", ended.log_tail);
}

#[tokio::test]
async fn the_environment_is_exactly_what_is_allowed_and_set() {
    let set_env = BTreeMap::from([("MODEL".to_owned(), "small".to_owned())]);
    let env = Some(vec!["HOME".to_owned()]);
    let stage = Stage::with(Config { env, set_env, ..Config::default() }).await;
    let mut job = command(&["env"]);
    job.context.tracking_uri = Some("http://127.0.0.1:5000".to_owned());
    let submitted = stage.submit(job).await;
    let ended = submitted.ended().await;
    let mut names: Vec<_> =
        ended.log_tail.lines().map(|line| line.split('=').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "HOME",
            "LONGSHORE_ATTEMPT",
            "LONGSHORE_ATTEMPT_TAG",
            "LONGSHORE_JOB",
            "LONGSHORE_JOB_ID",
            "LONGSHORE_PARAMS",
            "LONGSHORE_PROGRESS",
            "LONGSHORE_REPORT",
            "LONGSHORE_RESULT",
            "MLFLOW_TRACKING_URI",
            "MODEL",
            "PATH",
            "PYTHONPATH",
            "PYTHONUNBUFFERED",
            "TMPDIR",
        ]
    );
    let work = submitted.directory.join("work");
    assert!(ended.log_tail.contains(&format!("TMPDIR={}\n", work.display())));
}

#[tokio::test]
async fn a_program_with_a_slash_is_relative_to_the_base() {
    let base = tempfile::tempdir().unwrap();
    let program = base.path().join("score");
    fs::write(&program, "#!/bin/sh\necho \"scored $1 in $PWD\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let base_dir = Some(base.path().to_owned());
    let stage = Stage::with(Config { base_dir, ..Config::default() }).await;
    let submitted = stage.submit(command(&["./score", "--fast"])).await;
    let work = submitted.directory.join("work");
    assert_eq!(submitted.ended().await.log_tail, format!("scored --fast in {}\n", work.display()));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let stage = Stage::new().await;
    let error = stage.local.submit(command(&["no-such-program"])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidJob);
    assert!(error.message.starts_with("there is no program `no-such-program` on PATH (/"));

    let ended = stage.run(command(&["/no/such/program"])).await;
    let expected = "job type `score` cannot execute `/no/such/program`: No such file or directory \
                    (os error 2)";
    assert_eq!(failure(&ended), (expected, false));
}

#[tokio::test]
async fn a_refused_submission_leaves_nothing() {
    let stage = Stage::new().await;
    for bad in [command(&["no-such-program"]), command(&["true", "a\0b"]), command(&[])] {
        let error = stage.local.submit(bad).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidJob);
    }
    let long = "x".repeat(200_000);
    let error = stage.local.submit(command(&["true", &long])).await.unwrap_err();
    assert!(error.message.contains("pass data as parameters"), "{}", error.message);
    assert_eq!(fs::read_dir(stage.cache.path().join("attempts")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_attempt_is_submitted_once() {
    let stage = Stage::new().await;
    let job = shell("echo ran >> ../runs");
    let submitted = stage.submit(job.clone()).await;
    let again = stage.local.submit(job.clone()).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::AlreadyExists);
    submitted.ended().await;
    let after = stage.local.submit(job.clone()).await.unwrap_err();
    assert_eq!(after.kind, ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(submitted.directory.join("runs")).unwrap(), "ran\n");
    drop(submitted);

    // Nor by a later host that finds it.
    let stage = stage.restarted().await;
    let later = stage.local.submit(job).await.unwrap_err();
    assert_eq!(later.kind, ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn a_forgotten_attempt_leaves_nothing() {
    let stage = Stage::new().await;
    let submitted = stage.submit(shell("mkdir a; echo x > a/b; chmod 0 a")).await;
    submitted.ended().await;
    submitted.forget().await;
    submitted.forget().await;
    assert!(!submitted.directory.exists());
    let gone = stage.local.wait(&submitted.attempt).await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_running_attempt_is_not_forgotten() {
    let stage = Stage::new().await;
    let submitted = stage.submit(command(&["sleep", "1000"])).await;
    let error = stage.local.forget(&submitted.attempt).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    submitted.cancel(Duration::ZERO).await;
    submitted.forget().await;
}

#[tokio::test]
async fn output_is_followed_to_its_end() {
    let stage = Stage::new().await;
    let submitted = stage
        .submit(shell("echo first; until [ -e go ]; do sleep 0.01; done; echo second >&2"))
        .await;
    let (mut text, mut offset) = (String::new(), 0);
    loop {
        let chunk = stage.local.logs(&submitted.attempt, offset).await.unwrap();
        assert_eq!(chunk.offset, offset);
        (text, offset) = (text + &chunk.text, chunk.next_offset);
        if chunk.end {
            break;
        }
        if text == "first\n" {
            fs::write(submitted.directory.join("work/go"), "").unwrap();
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(text, "first\nsecond\n");
}

#[tokio::test]
async fn a_hundred_megabytes_of_errors_are_bounded() {
    let stage = Stage::new().await;
    let submitted = stage
        .submit(shell("yes 0123456789abcde | head -c 104857600 >&2; echo; echo the end"))
        .await;
    let ended = submitted.ended().await;
    assert_eq!(result(&ended), "null");
    assert!(ended.log_tail.ends_with("\nthe end\n") && ended.log_tail.len() <= 64 * 1024);
    let kept: u64 = fs::read_dir(&submitted.directory)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(kept < 1024 * 1024, "{kept} bytes are kept");
}

#[tokio::test]
async fn a_thousand_attempts_leave_no_file_no_descriptor_and_no_process() {
    let stage = Stage::new().await;
    let held = stage.submit(shell("echo $$ > pid; exec sleep 1000")).await;
    let nursery = parent(held.keeper_of(held.pid().await)).as_raw_nonzero().to_string();
    let open = |of: &str| fs::read_dir(format!("/proc/{of}/fd")).unwrap().count();
    let ours = open("self");
    for _ in 0..20 {
        let mut batch = Vec::new();
        for _ in 0..50 {
            batch.push(stage.submit(command(&["true"])).await);
        }
        for submitted in batch {
            assert_eq!(result(&submitted.ended().await), "null");
            submitted.forget().await;
        }
    }
    // Other tests of this process open and close theirs meanwhile; a leak would be a thousand.
    assert!(open("self") < ours + 500, "{} descriptors, {ours} before", open("self"));
    until("all keepers but sixteen are dismissed, and the nursery has parted with them", || {
        let children = fs::read_to_string(format!("/proc/{nursery}/task/{nursery}/children"));
        let keepers = children.unwrap().split_whitespace().count();
        (keepers <= 1 + 16 && open(&nursery) <= 5 + 3 * keepers).then_some(())
    })
    .await;
    held.cancel(Duration::ZERO).await;
    held.forget().await;
    stage.local.stop(Duration::ZERO).await.unwrap();
    assert!(!Path::new(&format!("/proc/{nursery}")).exists());
    let attempts = stage.cache.path().join("attempts");
    drop(held);
    drop(stage.local);
    assert_eq!(fs::read_dir(attempts).unwrap().count(), 0);
}

#[tokio::test]
async fn nothing_runs_before_the_start() {
    let cache = tempfile::tempdir().unwrap();
    let cache_dir = Some(cache.path().to_owned());
    let local = Local::new(Config { cache_dir, ..Config::default() }, Host::nowhere()).unwrap();
    let job = command(&["true"]);
    let attempt = attempt_of(&job);
    assert_eq!(local.submit(job).await.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(local.wait(&attempt).await.unwrap_err().kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn what_can_never_run_is_refused_early() {
    let cache = tempfile::tempdir().unwrap();
    let cache_dir = Some(cache.path().to_owned());
    let local = Local::new(Config { cache_dir, ..Config::default() }, Host::nowhere()).unwrap();
    let shape = |run, python| JobShape {
        job_type: "score".to_owned(),
        run,
        python,
        resources: None,
        options: None,
        params_bytes: 2,
    };
    let run = |list: &[&str]| Run::Command(list.iter().map(|&s| s.to_owned()).collect());
    let python = || Some(PythonEnvironment::default());
    for (run, python, pointer) in [
        (run(&[]), None, "/run/command"),
        (run(&[""]), None, "/run/command"),
        (run(&["a", "b\0"]), None, "/run/command"),
        (run(&["true"]), python(), "/python"),
    ] {
        let error = local.validate_job(&shape(run, python)).unwrap_err();
        assert_eq!((error.kind, error.pointer.as_deref()), (ErrorKind::InvalidJob, Some(pointer)));
    }
    local.validate_job(&shape(run(&["true"]), None)).unwrap();
    local.validate_job(&shape(Run::Function("a:b".to_owned()), python())).unwrap();
}

#[tokio::test]
async fn requirements_say_how_to_mend_them() {
    let cache = tempfile::tempdir().unwrap();
    let old = cache.path().join("old-python");
    fs::write(&old, "#!/bin/sh\necho 3.8\n").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o700)).unwrap();
    for (python, message) in [
        ("no-such-python", "there is no program `no-such-python` on PATH"),
        ("/no/such/python", "the interpreter `/no/such/python` cannot be started"),
        ("true", "does not say its version; is it Python?"),
        ("false", "does not work (exit status: 1): no message"),
        (old.to_str().unwrap(), "is Python 3.8; 3.9 or newer is needed (hint: name another"),
    ] {
        let cache_dir = Some(cache.path().to_owned());
        let python = Some(python.into());
        let local =
            Local::new(Config { cache_dir, python, ..Config::default() }, Host::nowhere()).unwrap();
        let error = local.check_requirements().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains(message), "{}", error.message);
        assert!(error.message.contains("(hint: "), "{}", error.message);
    }

    let file = cache.path().join("file");
    fs::write(&file, "").unwrap();
    let cache_dir = Some(file.join("cache"));
    let local = Local::new(Config { cache_dir, ..Config::default() }, Host::nowhere()).unwrap();
    let error = local.check_requirements().await.unwrap_err();
    assert!(error.message.starts_with("cannot make the directory `"), "{}", error.message);
}
