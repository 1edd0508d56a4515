//! Who runs when: slots, priorities, due times.

use std::fs;

use longshore_tests::{Client, TestHost, setup, wait::PATIENCE, wait_until};
use serde_json::{Value, json};

use crate::WITNESS_SH;

/// Jobs of the type `held` run until the file `gate` is there.
const HELD: &str = r#"
[jobs.held]
command = ["sh", "-c", "until [ -e {dir}/gate ]; do sleep 0.02; done"]
max_workers = 2

[jobs.note]
command = ["sh", "{dir}/witness.sh", "0.001"]
max_workers = 1
"#;

fn host() -> TestHost {
    setup(HELD).file("witness.sh", WITNESS_SH).start()
}

fn running(client: &Client, job_name: &str) -> usize {
    client.search(json!({ "job_name": job_name, "statuses": ["RUNNING"] })).len()
}

fn fill(client: &Client, count: usize) -> Vec<String> {
    let ids = client.submit_all(&vec![json!({ "job_name": "held", "params": {} }); count]);
    wait_until("the slots are full", PATIENCE, || (running(client, "held") == 2).then_some(()));
    ids
}

/// The jobs in the order in which they started, by their own word.
fn order(host: &TestHost) -> Vec<String> {
    let history = fs::read_to_string(host.history().path()).unwrap();
    let starts = history.lines().filter_map(|line| line.strip_prefix("start "));
    starts.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn a_full_type_keeps_its_limit_and_holds_up_no_other() {
    let host = host();
    let client = host.client();
    let held = fill(&client, 5);
    // Jobs of another type come and go meanwhile, each of them a pass of the claim loop.
    for _ in 0..5 {
        let id = client.submit("note", json!({}));
        client.until(&id, "SUCCEEDED");
        assert_eq!(running(&client, "held"), 2);
    }
    fs::write(host.path("gate"), "").unwrap();
    for id in &held {
        client.until(id, "SUCCEEDED");
    }
    host.finish();
}

#[test]
fn the_more_urgent_starts_first_and_equals_in_the_order_of_their_coming() {
    let mut host = host();
    // With one slot, and nobody to take it while they are submitted, the order is the host's choice.
    let submission =
        |priority: u64| json!({ "job_name": "note", "params": {}, "priority": priority });
    let client = host.client();
    let mut submissions: Vec<Value> = [4, 2, 1, 3, 1, 2].map(submission).to_vec();
    let soon =
        client.job(&client.submit("note", json!({})))["creation_time"].as_i64().unwrap() + 1500;
    for submission in &mut submissions {
        submission["run_at"] = soon.into();
    }
    let ids = client.submit_all(&submissions);
    // They fall due while no host is there.
    host.kill_9();
    wait_until("they are due", PATIENCE, || (unix_ms() > soon).then_some(()));
    host.start();
    let client = host.client();
    client.until_idle(PATIENCE);
    let wanted: Vec<&String> = [2, 4, 1, 5, 3, 0].map(|at| &ids[at]).to_vec();
    let order = order(&host);
    let found: Vec<&String> = order.iter().filter(|id| ids.contains(id)).collect();
    assert_eq!(found, wanted);
    host.finish();
}

#[expect(
    clippy::disallowed_methods,
    reason = "due times are wall-clock times, as people give them"
)]
fn unix_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_millis()).unwrap()
}

#[test]
fn a_job_does_not_start_before_its_time() {
    let host = host();
    let client = host.client();
    let at = unix_ms() + 2000;
    let id = client.submit_as(json!({ "job_name": "note", "params": {}, "run_at": at }));
    assert_eq!(client.job(&id)["due_at"], at);
    let job = client.until(&id, "SUCCEEDED");
    let started = job["started_at"].as_i64().unwrap();
    assert!(started >= at, "{} ms early", at - started);
    assert!(started < at + 1500, "{} ms late", started - at);
    host.finish();
}

#[test]
fn a_submission_that_is_repeated_is_one_job() {
    let host = host();
    let client = host.client();
    let submission = json!({ "job_name": "note", "params": {}, "idempotency_key": "k" });
    let id = client.submit_as(submission.clone());
    assert_eq!(client.submit_as(submission), id);
    client.until(&id, "SUCCEEDED");
    let other = json!({ "job_name": "note", "params": { "a": 1 }, "idempotency_key": "k" });
    let answer = client.post("/api/3.0/jobs/", &other);
    assert_eq!((answer.status, answer.code()), (409, "idempotency_key_reused"));
    assert_eq!(client.search(json!({})).len(), 1);
    host.finish();
}
