//! Exclusivity: one job at a time for the same parameters.

use std::fs;

use longshore_tests::{TestHost, setup, wait::PATIENCE, wait_until};
use serde_json::json;

/// Runs until the file `gate` is there; says who runs.
const SINGLE: &str = r#"
[jobs.single]
command = ["sh", "-c", "echo start $LONGSHORE_JOB_ID >> {dir}/who; until [ -e {dir}/gate ]; do sleep 0.02; done; echo end $LONGSHORE_JOB_ID >> {dir}/who"]
exclusive = ["key"]
stop_grace = "200ms"
"#;

const REQUEUE: &str = "[jobs.single]\non_conflict = \"requeue\"\nconflict_delay = \"300ms\"";

fn open(host: &TestHost) {
    fs::write(host.path("gate"), "").unwrap();
}

#[test]
fn a_second_job_for_the_same_key_is_canceled_and_told_who_holds_it() {
    let host = setup(SINGLE).start();
    let client = host.client();
    let first = client.submit("single", json!({ "key": 1 }));
    wait_until("it is at work", PATIENCE, || host.path("who").exists().then_some(()));
    let other = client.submit("single", json!({ "key": 2 }));
    client.until(&other, "RUNNING");
    let second = client.submit("single", json!({ "key": 1, "more": true }));
    let job = client.until(&second, "CANCELED");
    assert_eq!(job["cancel_reason"], json!({ "code": "exclusive_conflict", "holder": first }));
    assert_eq!(job["work"], "none");
    open(&host);
    client.until(&first, "SUCCEEDED");
    client.until(&other, "SUCCEEDED");
    // The lock is free after the end.
    client.until(&client.submit("single", json!({ "key": 1 })), "SUCCEEDED");
    host.finish();
}

#[test]
fn a_type_that_requeues_runs_its_jobs_one_after_the_other() {
    let host = setup(SINGLE).config(REQUEUE).start();
    let client = host.client();
    let submission = json!({ "job_name": "single", "params": { "key": 1 } });
    let ids = client.submit_all(&[submission.clone(), submission.clone(), submission]);
    // Sent back is due later than it came: nobody named a time.
    wait_until("two were sent back", PATIENCE, || {
        let sent_back = |id| {
            let job = client.job(id);
            job["status"] == "PENDING" && job["due_at"].as_i64() > job["creation_time"].as_i64()
        };
        (ids.iter().filter(|id| sent_back(id)).count() == 2).then_some(())
    });
    open(&host);
    for id in &ids {
        let job = client.until(id, "SUCCEEDED");
        assert_eq!(job["retry_count"], 0, "waiting for the lock is no failure");
    }
    let who = fs::read_to_string(host.path("who")).unwrap();
    let lines: Vec<&str> = who.lines().collect();
    assert_eq!(lines.len(), 6, "{who}");
    for pair in lines.chunks(2) {
        assert_eq!(pair[0].strip_prefix("start"), pair[1].strip_prefix("end"), "{who}");
    }
    host.finish();
}

#[test]
fn the_lock_is_free_after_a_cancel_and_not_before_the_work_is_gone() {
    let host = setup(SINGLE).config(REQUEUE).start();
    let client = host.client();
    let first = client.submit("single", json!({ "key": 1 }));
    wait_until("it is at work", PATIENCE, || host.path("who").exists().then_some(()));
    client.cancel(&first);
    let second = client.submit("single", json!({ "key": 1 }));
    // A claimed job is RUNNING before it has asked for the lock: what it does tells that it has it.
    let starts = || fs::read_to_string(host.path("who")).unwrap().matches("start").count();
    wait_until("the second is at work", PATIENCE, || (starts() == 2).then_some(()));
    assert_eq!(client.job(&first)["work"], "gone");
    open(&host);
    client.until(&second, "SUCCEEDED");
    host.finish();
}

#[test]
fn the_lock_of_a_killed_host_is_free_for_its_own_job_only() {
    let mut host = setup(SINGLE).config(REQUEUE).start();
    let client = host.client();
    let first = client.submit("single", json!({ "key": 1 }));
    wait_until("it is at work", PATIENCE, || host.path("who").exists().then_some(()));
    let second = client.submit("single", json!({ "key": 1 }));
    host.kill_9();
    host.start();
    open(&host);
    let client = host.client();
    for id in [&first, &second] {
        client.until(id, "SUCCEEDED");
    }
    // The first attempt of the first job was cut, and has no end; nothing else overlapped.
    let who = fs::read_to_string(host.path("who")).unwrap();
    let lines: Vec<&str> = who.lines().skip(1).collect();
    assert_eq!(lines.len(), 4, "{who}");
    for pair in lines.chunks(2) {
        assert_eq!(pair[0].strip_prefix("start"), pair[1].strip_prefix("end"), "{who}");
    }
    host.finish();
}

#[test]
fn a_submission_without_a_parameter_of_the_key_is_refused() {
    let host = setup(SINGLE).start();
    let answer =
        host.client().post("/api/3.0/jobs/", &json!({ "job_name": "single", "params": {} }));
    assert_eq!((answer.status, answer.code()), (400, "missing_param"));
    assert_eq!(answer.json["error"]["field"], "params.key");
    host.finish();
}
