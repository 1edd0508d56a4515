//! `longshore jobs logs`: what a job has written, however it ends.

use std::{fs, process::Stdio};

use longshore_tests::{TestHost, host::lossy, setup, wait::PATIENCE, wait_until};
use serde_json::json;

/// Says something, says more when it is asked to stop, and would go on for ever. (Its shell would also
/// say what became of `sleep`.)
const TALKER: &str = r#"
[jobs.talk]
command = ["sh", "-c", "trap 'echo stopped; exit 1' TERM; echo begun; echo aside >&2; exec 2>/dev/null; while :; do sleep 0.05; done"]
"#;

/// Fails until its third attempt, and says each time which one it is.
const FAILER: &str = r#"
[jobs.again]
command = ["sh", "-c", 'echo attempt $LONGSHORE_ATTEMPT; while [ ! -e "{dir}/go-$LONGSHORE_ATTEMPT" ]; do sleep 0.02; done; [ $LONGSHORE_ATTEMPT = 3 ] || exit 75']
retry = { max_retries = 3, base_delay = "10ms" }
"#;

fn logs(host: &TestHost, id: &str) -> String {
    host.prints(&["jobs", "logs", id])
}

/// Waits until a job that runs has written so much.
fn written(host: &TestHost, id: &str, text: &str) {
    wait_until(&format!("the job has written {text:?}"), PATIENCE, || {
        (logs(host, id) == text).then_some(())
    });
}

#[test]
fn a_canceled_job_keeps_its_output_and_its_last_words() {
    let host = setup(TALKER).start();
    let client = host.client();
    let id = client.submit("talk", json!({}));
    written(&host, &id, "begun\naside\n");
    let follow =
        host.longshore(&["jobs", "logs", "--follow", &id]).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(host.prints(&["jobs", "cancel", &id]), format!("canceled {id}\n"));
    // Its row has ended, its work perhaps not yet: nothing that it has written is missing meanwhile.
    assert!(logs(&host, &id).starts_with("begun\naside\n"));
    let followed = follow.wait_with_output().unwrap();
    assert!(followed.status.success());
    assert_eq!(lossy(&followed.stdout), "begun\naside\nstopped\n");
    client.ended(&id);
    assert_eq!(logs(&host, &id), "begun\naside\nstopped\n");
    host.finish();
}

#[test]
fn a_job_whose_time_is_over_keeps_its_output() {
    let host = setup(TALKER).start();
    let client = host.client();
    let id = client.submit_as(json!({ "job_name": "talk", "params": {}, "timeout": 1.0 }));
    client.until(&id, "TIMEOUT");
    assert_eq!(logs(&host, &id), "begun\naside\nstopped\n");
    assert_eq!(host.prints(&["jobs", "logs", "--follow", &id]), "begun\naside\nstopped\n");
    host.finish();
}

#[test]
fn of_a_job_that_was_retried_the_last_attempt_is_shown_and_named() {
    let host = setup(FAILER).start();
    let client = host.client();
    let id = client.submit("again", json!({}));
    let shows = |attempt: u32, note: &str| {
        written(&host, &id, &format!("attempt {attempt}\n"));
        assert_eq!(lossy(&host.says(&["jobs", "logs", &id]).stderr), note);
        fs::write(host.path(&format!("go-{attempt}")), "").unwrap();
    };
    shows(1, "");
    let follow =
        host.longshore(&["jobs", "logs", "--follow", &id]).stdout(Stdio::piped()).spawn().unwrap();
    shows(2, "attempt 2; what earlier ones wrote is not kept\n");
    shows(3, "attempt 3; what earlier ones wrote is not kept\n");
    client.until(&id, "SUCCEEDED");
    assert_eq!(logs(&host, &id), "attempt 3\n", "and so it stays");
    let followed = lossy(&follow.wait_with_output().unwrap().stdout);
    assert!(followed.ends_with("attempt 3\n"), "{followed}");
    let shown = host.prints(&["jobs", "show", &id]);
    assert!(shown.contains("3 (2 retries)"), "{shown}");
    host.finish();
}
