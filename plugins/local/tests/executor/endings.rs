//! What a job leaves, and what is said of it.

use longshore_plugin_api::{Ending, Executor as _};

use crate::stage::{Stage, failure, function, in_time, job, result, shell};

/// A job that counts as a function but runs a shell script, so that it can leave any report.
///
/// The executor starts `python -m longshore.entry`; a package of that name in the job's own module
/// path would be hidden by ours, so the function itself replaces the process.
const MODULE: &str = "import os
def run(script):
    os.execvp('sh', ['sh', '-c', script])
";

async fn reporting(script: &str) -> (Stage, longshore_plugin_api::Ended) {
    let stage = Stage::new().await;
    stage.module("shell.py", MODULE);
    let mut job = function("shell:run");
    let params = serde_json::json!({ "script": script }).to_string();
    job.params = crate::stage::json(&params);
    let ended = stage.run(job).await;
    (stage, ended)
}

#[tokio::test]
async fn a_function_without_a_report_has_failed() {
    let (_stage, ended) = reporting("echo so long").await;
    assert_eq!(failure(&ended), ("job type `score` exited with code 0 without a report", false));
    assert_eq!(ended.log_tail, "so long\n");
}

#[tokio::test]
async fn a_report_that_makes_no_sense_is_a_failure_that_says_why() {
    let reports = [
        ("printf '{\"status\": \"SUCC'", "it is no report: EOF while parsing"),
        ("echo nothing", "it is no report: expected ident"),
        ("echo '{\"status\": \"SUCCEEDED\"}'", "a success has a result and no error"),
        (
            "echo '{\"status\": \"SUCCEEDED\", \"result\": 1, \"error_message\": \"x\"}'",
            "a success has a result and no error",
        ),
        ("echo '{\"status\": \"FAILED\"}'", "a failure has an error and no result"),
        ("echo '{\"status\": \"RUNNING\"}'", "`RUNNING` is no status that a job may report"),
    ];
    for (print, why) in reports {
        let (_stage, ended) = reporting(&format!("{print} > $LONGSHORE_REPORT")).await;
        let (message, transient) = failure(&ended);
        let start = "job type `score` exited with code 0 and left a report.json: ";
        assert!(message.starts_with(start) && message.contains(why), "{print}: {message}");
        assert!(!transient);
    }
}

#[tokio::test]
async fn what_is_no_regular_file_is_not_read() {
    for (make, why) in [
        ("mkfifo $LONGSHORE_REPORT", "it is no regular file"),
        ("ln -s /dev/zero $LONGSHORE_REPORT", "it is a symbolic link"),
        ("mkdir $LONGSHORE_REPORT", "it is no regular file"),
        ("truncate -s 18000000 $LONGSHORE_REPORT", "it is longer than 17825792 bytes"),
    ] {
        let (_stage, ended) = reporting(make).await;
        assert!(failure(&ended).0.ends_with(why), "{make}: {}", failure(&ended).0);
    }
}

#[tokio::test]
async fn a_success_that_exits_badly_is_a_failure() {
    let report = "echo '{\"status\": \"SUCCEEDED\", \"result\": 1}' > $LONGSHORE_REPORT";
    for (end, how) in [
        ("exit 3", "exited with code 3"),
        ("kill -9 $$", "was killed by signal 9 (SIGKILL), most likely for want of memory"),
        ("kill -11 $$", "was killed by signal 11 (SIGSEGV)"),
    ] {
        let (_stage, ended) = reporting(&format!("{report}; {end}")).await;
        let expected = format!("job type `score` {how} after it had reported a result");
        assert_eq!(failure(&ended), (expected.as_str(), false));
    }
}

#[tokio::test]
async fn null_is_a_result() {
    let report = "echo '{\"status\": \"SUCCEEDED\", \"result\": null}' > $LONGSHORE_REPORT";
    let (_stage, ended) = reporting(report).await;
    assert_eq!(result(&ended), "null");
}

#[tokio::test]
async fn a_report_of_a_failure_is_believed_whatever_the_exit_code() {
    let report = "echo '{\"status\": \"FAILED\", \"error_message\": \"no luck\", \
                  \"is_transient_error\": true}' > $LONGSHORE_REPORT";
    for end in ["exit 0", "exit 1"] {
        let (_stage, ended) = reporting(&format!("{report}; {end}")).await;
        assert_eq!(failure(&ended), ("no luck", true));
    }
}

#[tokio::test]
async fn a_command_that_fails_says_how_and_shows_its_last_words() {
    let stage = Stage::new().await;
    for (script, how, transient) in [
        ("echo oops >&2; exit 9", "exited with code 9", false),
        ("echo oops; exit 75", "exited with code 75, which asks for another try", true),
        ("echo oops; kill -6 $$", "was killed by signal 6 (SIGABRT)", false),
        (
            "echo oops; echo '{' > $LONGSHORE_RESULT",
            "exited with code 0 and left a result.json: it is not JSON: EOF while parsing an \
             object at line 2 column 0",
            false,
        ),
    ] {
        let ended = stage.run(shell(script)).await;
        assert_eq!(failure(&ended), (format!("job type `score` {how}").as_str(), transient));
        assert_eq!(ended.log_tail, "oops\n");
    }
}

#[tokio::test]
async fn an_ending_is_told_again_and_again() {
    let stage = Stage::new().await;
    let submitted = stage.submit(shell("echo 5 > $LONGSHORE_RESULT")).await;
    for _ in 0..3 {
        assert_eq!(result(&submitted.ended().await).trim(), "5");
    }
    // Also at once, by several who wait.
    let (one, other) = tokio::join!(submitted.ended(), submitted.ended());
    assert_eq!(result(&one), result(&other));
}

#[tokio::test]
async fn who_stops_waiting_stops_nothing() {
    let stage = Stage::new().await;
    let submitted = stage
        .submit(shell("until [ -e go ]; do sleep 0.01; done; echo 6 > $LONGSHORE_RESULT"))
        .await;
    tokio::select! {
        biased;
        _ = submitted.ended() => panic!("nobody said go"),
        () = tokio::task::yield_now() => {}
    }
    std::fs::write(submitted.directory.join("work/go"), "").unwrap();
    assert_eq!(result(&submitted.ended().await).trim(), "6");
}

#[tokio::test]
async fn the_deadline_names_job_type_and_seconds() {
    let stage = Stage::new().await;
    let mut late = shell("echo working; sleep 1000");
    late.timeout = longshore_plugin_api::Seconds(0.3);
    let id = late.job_id.clone();
    let ended = stage.run(late).await;
    let Ending::Timeout { message } = &ended.ending else { panic!("{ended:?}") };
    assert_eq!(
        *message,
        format!("job {id} of type `score` reached its timeout of 0.3 s while it ran")
    );
    assert_eq!(ended.log_tail, "working\n");

    let mut too_late = job(longshore_plugin_api::Run::Command(vec!["true".to_owned()]));
    too_late.timeout = longshore_plugin_api::Seconds(0.0);
    let ended = stage.run(too_late).await;
    let Ending::Timeout { message } = &ended.ending else { panic!("{ended:?}") };
    assert!(message.ends_with("reached its timeout of 0 s before it was started"), "{message}");
}

#[tokio::test]
async fn the_last_64_kib_of_output_are_kept() {
    let stage = Stage::new().await;
    let ended = stage.run(shell("seq 1 100000")).await;
    let tail = &ended.log_tail;
    assert!(tail.len() <= 64 << 10 && tail.len() > (64 << 10) - 7, "{} bytes", tail.len());
    assert!(tail.ends_with("\n99999\n100000\n"));
    let first: u32 = tail.lines().next().unwrap().parse().unwrap();
    assert_eq!(
        tail.lines().count(),
        usize::try_from(100_001 - first).unwrap(),
        "whole lines, in order"
    );
}

#[tokio::test]
async fn a_job_that_puts_a_pipe_in_the_place_of_its_output_loses_its_output_and_nothing_else() {
    let stage = Stage::new().await;
    for (script, kept) in [
        ("mkfifo ../output.0; echo gone; echo 1 > $LONGSHORE_RESULT", 0),
        ("mkfifo ../output.1; yes | head -c 300000; echo 1 > $LONGSHORE_RESULT", 256 << 10),
    ] {
        let submitted = stage.submit(shell(script)).await;
        let ended = submitted.ended().await;
        assert_eq!(result(&ended).trim(), "1");
        assert!(ended.log_tail.contains("bytes of output could not be stored"), "{script}");
        assert!(ended.log_tail.len() <= 64 << 10);
        // A reader is told, and waits for nobody.
        let read = in_time(stage.local.logs(&submitted.attempt, 0)).await;
        match kept {
            0 => assert_eq!(
                read.unwrap_err().message,
                "cannot read the output: it is no regular file"
            ),
            kept => assert_eq!(read.unwrap().text.len(), kept),
        }
        submitted.forget().await;
    }
    assert_eq!(std::fs::read_dir(stage.cache.path().join("attempts")).unwrap().count(), 0);
}
