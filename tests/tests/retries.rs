//! What is retried, when, and what is not.

use longshore_tests::setup;
use serde_json::json;

use crate::WITNESS_PY;

const FAIL: &str = r#"
[jobs.fail]
function = "witness:fail"
transient_errors = ["witness.Flaky"]
retry = { max_retries = 2, base_delay = "500ms", max_delay = "2s" }
"#;

#[test]
fn a_transient_failure_is_tried_again_after_a_growing_delay() {
    let host = setup(FAIL).file("witness.py", WITNESS_PY).start();
    let client = host.client();
    let id = client.submit("fail", json!({ "kind": "transient", "succeed_at": 3 }));
    let job = client.until(&id, "SUCCEEDED");
    assert_eq!(job["result"], 3);
    assert_eq!((&job["attempt"], &job["retry_count"]), (&json!(3), &json!(2)));
    // Half a second, then a second, at least half of each left by the jitter.
    let took = job["finished_at"].as_i64().unwrap() - job["creation_time"].as_i64().unwrap();
    assert!(took >= 750, "three attempts in {took} ms");
    assert_eq!(host.history().ended()[&id], [1, 2, 3]);
    assert_eq!(host.history().faults(), Vec::<String>::new());
    host.finish();
}

#[test]
fn two_retries_are_three_attempts_and_the_last_error_is_kept() {
    let host = setup(FAIL).file("witness.py", WITNESS_PY).start();
    let client = host.client();
    let id = client.submit("fail", json!({ "kind": "transient" }));
    let job = client.until(&id, "FAILED");
    assert_eq!((&job["attempt"], &job["retry_count"]), (&json!(3), &json!(2)));
    assert!(job["error_message"].as_str().unwrap().contains("attempt 3"), "{job:#}");
    assert!(client.get(&format!("/api/3.0/jobs/{id}/logs")).text.contains("Flaky"));
    host.finish();
}

#[test]
fn other_failures_are_final_also_those_derived_from_a_transient_one() {
    let host = setup(FAIL).file("witness.py", WITNESS_PY).start();
    let client = host.client();
    for kind in ["permanent", "derived"] {
        let id = client.submit("fail", json!({ "kind": kind }));
        let job = client.until(&id, "FAILED");
        assert_eq!((&job["attempt"], &job["retry_count"]), (&json!(1), &json!(0)), "{kind}");
        assert_eq!(host.history().ended()[&id], [1], "{kind}");
    }
    host.finish();
}

#[test]
fn a_command_asks_for_another_try_with_its_exit_code() {
    let again = r#"
[jobs.again]
command = ["sh", "-c", "[ $LONGSHORE_ATTEMPT -ge 2 ] || exit 75"]
retry = { max_retries = 1, base_delay = "10ms" }
"#;
    let host = setup(again).start();
    let client = host.client();
    let job = client.until(&client.submit("again", json!({})), "SUCCEEDED");
    assert_eq!((&job["attempt"], &job["retry_count"]), (&json!(2), &json!(1)));
    host.finish();
}
