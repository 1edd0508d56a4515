//! Stopping work: canceled at every stage, and out of time.

use std::fs;

use longshore_tests::{TestHost, leftovers, setup, wait::PATIENCE, wait_until};
use rustix::fs::FlockOperation;
use serde_json::json;

use crate::WITNESS_PY;

/// A process, its child and its grandchild in a session of its own; none of them listens to TERM, all
/// hold the output.
const STUBBORN: &str = r#"
trap "" TERM
setsid sh -c 'trap "" TERM HUP; sleep 600 & echo "the grandchild is here" >&2; wait; sleep 600' &
while :; do sleep 600; done
"#;

fn stubborn(settings: &str) -> TestHost {
    let config = format!(
        "[jobs.stubborn]\ncommand = [\"sh\", \"{{dir}}/stubborn.sh\"]\nstop_grace = \"200ms\"\nretry = {{ max_retries = 3, base_delay = \"10ms\" }}\n{settings}"
    );
    setup(&config).file("stubborn.sh", STUBBORN).start()
}

fn until_here(host: &TestHost, id: &str) {
    let client = host.client();
    wait_until("the grandchild is here", PATIENCE, || {
        let logs = client.get(&format!("/api/3.0/jobs/{id}/logs"));
        logs.text.contains("the grandchild is here").then_some(())
    });
}

/// Nothing but the host and its nursery: no keeper, nothing that a job has started.
fn assert_alone(host: &TestHost) {
    let here = host.path("");
    let others: Vec<_> = leftovers::processes(&here)
        .into_iter()
        .filter(|process| process.command.contains("sleep") || process.command.contains("stubborn"))
        .collect();
    assert_eq!(others, [], "the job has ended, its processes have not");
}

#[test]
fn a_timeout_ends_the_whole_tree_and_is_not_retried() {
    let host = stubborn("timeout = \"1s\"");
    let client = host.client();
    let id = client.submit("stubborn", json!({}));
    let job = client.until(&id, "TIMEOUT");
    assert_alone(&host);
    assert_eq!((&job["attempt"], &job["retry_count"]), (&json!(1), &json!(0)));
    let message = job["error_message"].as_str().unwrap();
    assert!(message.contains(&id) && message.contains("stubborn"), "{message}");
    assert!(
        client.get(&format!("/api/3.0/jobs/{id}/logs")).text.contains("the grandchild is here")
    );
    host.finish();
}

#[test]
fn a_submissions_own_timeout_is_the_one_that_counts() {
    let host = stubborn("timeout = \"1h\"");
    let client = host.client();
    let id = client.submit_as(json!({ "job_name": "stubborn", "params": {}, "timeout": 0.5 }));
    let job = client.until(&id, "TIMEOUT");
    assert_eq!(job["timeout"], 0.5);
    assert_alone(&host);
    host.finish();
}

#[test]
fn a_running_job_is_canceled_to_the_last_grandchild() {
    let host = stubborn("");
    let client = host.client();
    let id = client.submit("stubborn", json!({}));
    until_here(&host, &id);
    let answer = client.cancel(&id);
    assert_eq!((answer.status, &answer.json["status"]), (200, &json!("CANCELED")), "at once");
    let job = client.ended(&id);
    assert_eq!(job["status"], "CANCELED");
    assert_eq!(job["work"], "gone");
    assert_eq!(job["cancel_reason"]["code"], "requested", "{job:#}");
    assert_alone(&host);
    host.finish();
}

#[test]
fn a_canceled_job_that_waits_never_starts() {
    let host = setup("[jobs.touch]\ncommand = [\"touch\", \"{dir}/started\"]").start();
    let client = host.client();
    // Far enough that only a cancel keeps it from running within the test.
    let later = json!({ "job_name": "touch", "params": {}, "run_at": i64::MAX / 2000 });
    let id = client.submit_as(later);
    assert_eq!(client.cancel(&id).json["status"], "CANCELED");
    let job = client.ended(&id);
    assert_eq!((&job["attempt"], &job["work"]), (&json!(0), &json!("none")));
    let again = client.cancel(&id);
    assert!(again.status < 500, "{}", again.text);
    assert_eq!(client.job(&id)["status"], "CANCELED");
    assert!(!host.path("started").exists());
    host.finish();
}

#[test]
fn a_cancel_or_a_timeout_during_the_set_up_of_an_environment_starts_nothing() {
    let host = setup(SIX).file("witness.py", WITNESS_PY).start();
    let client = host.client();
    // The first job builds the environment; the lock that it leaves names it.
    assert_eq!(client.until(&client.submit("six", json!({})), "SUCCEEDED")["attempt"], 1);
    let environments = host.path("local/environments");
    let lock = fs::read_dir(&environments)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "lock"))
        .unwrap();
    // As if it had never been finished, and somebody else were just building it.
    fs::remove_file(lock.with_extension("").join("complete")).unwrap();
    let held = fs::OpenOptions::new().write(true).open(&lock).unwrap();
    rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();

    let id = client.submit("six", json!({}));
    wait_until("the job waits for the environment", PATIENCE, || {
        let job = client.job(&id);
        job["status_message"].as_str()?.contains("waiting").then_some(())
    });
    client.cancel(&id);
    let job = client.ended(&id);
    assert_eq!((&job["status"], &job["work"]), (&json!("CANCELED"), &json!("gone")));

    // Set-up counts against the timeout, too.
    let id = client.submit_as(json!({ "job_name": "six", "params": {}, "timeout": 1.0 }));
    let job = client.until(&id, "TIMEOUT");
    assert_eq!((&job["attempt"], &job["work"]), (&json!(1), &json!("gone")));

    // Whoever comes after them builds the environment anew.
    drop(held);
    let version = client.result(&client.submit("six", json!({})));
    assert!(version.as_str().unwrap().starts_with("1.17.0 "), "{version}");
    host.finish();
}

const SIX: &str = r#"
[jobs.six]
function = "witness:six_version"
python = { requirements = ["six==1.17.0"] }
max_workers = 4
timeout = "2m"
"#;

#[test]
fn requirements_are_installed_once_for_two_jobs_that_come_at_once() {
    let host = setup(SIX).file("witness.py", WITNESS_PY).start();
    let client = host.client();
    let submission = json!({ "job_name": "six", "params": {} });
    let ids = client.submit_all(&[submission.clone(), submission]);
    // One of them tells that it installs, the other that it waits for it.
    let mut told = Vec::new();
    wait_until("both have ended", PATIENCE, || {
        let jobs: Vec<_> = ids.iter().map(|id| client.job(id)).collect();
        told.extend(
            jobs.iter().filter_map(|job| job["status_message"].as_str().map(str::to_owned)),
        );
        jobs.iter().all(|job| job["status"] == "SUCCEEDED").then_some(())
    });
    assert!(told.iter().any(|message| message.contains("installing six")), "{told:?}");
    assert!(told.iter().any(|message| message.contains("waiting for another job")), "{told:?}");
    let versions: Vec<_> = ids.iter().map(|id| client.result(id)).collect();
    assert_eq!(versions[0], versions[1], "from one environment");
    let at = format!("1.17.0 {}", host.path("local/environments").display());
    assert!(versions[0].as_str().unwrap().starts_with(&at), "{versions:?}");
    let built = fs::read_dir(host.path("local/environments")).unwrap();
    assert_eq!(built.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count(), 1);
    host.finish();
}

#[test]
fn requirements_that_do_not_exist_fail_for_good_and_are_named() {
    let host = setup("[jobs.none]\nfunction = \"witness:six_version\"\npython = { requirements = [\"six==0.0.0.1\"] }\nretry = { max_retries = 3, base_delay = \"10ms\" }")
        .file("witness.py", WITNESS_PY)
        .start();
    let client = host.client();
    let job = client.until(&client.submit("none", json!({})), "FAILED");
    assert_eq!(job["attempt"], 1);
    let message = job["error_message"].as_str().unwrap();
    assert!(message.contains("six==0.0.0.1") && message.contains("python"), "{message}");
    host.finish();
}

#[test]
fn a_cancel_during_an_installation_ends_the_installer() {
    // An index that never answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let index = format!("http://{}/simple", listener.local_addr().unwrap());
    let config = SIX.replace("requirements", &format!("index_url = \"{index}\", requirements"));
    let host = setup(&config).file("witness.py", WITNESS_PY).start();
    let client = host.client();
    let id = client.submit("six", json!({}));
    wait_until("the job installs", PATIENCE, || {
        let job = client.job(&id);
        job["status_message"].as_str()?.contains("installing").then_some(())
    });
    client.cancel(&id);
    assert_eq!(client.ended(&id)["status"], "CANCELED");
    let left = leftovers::processes(&host.path(""));
    let builders = left.iter().filter(|process| process.command.contains("environments"));
    assert_eq!(builders.count(), 0, "{left:?}");
    host.finish();
}
