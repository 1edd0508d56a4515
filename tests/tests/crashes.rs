//! `kill -9` of the host: nothing is lost, nothing runs twice at once, nothing fails because of it.

use std::{collections::BTreeMap, time::Duration};

use longshore_tests::{
    Chance, Outcomes, TestHost, setup,
    wait::{PATIENCE, pause},
    wait_until,
};
use serde_json::{Value, json};

use crate::{WITNESS_PY, WITNESS_SH};

const STRAGGLER_SH: &str = include_str!("../jobs/straggler.sh");

const TYPES: &str = r#"
[leases]
job = "5s"

[jobs.quick]
command = ["sh", "{dir}/witness.sh", "0.01"]
max_workers = 4

[jobs.slow]
command = ["sh", "{dir}/witness.sh", "0.05"]
max_workers = 4

[jobs.straggler]
command = ["sh", "{dir}/straggler.sh"]
max_workers = 2

[jobs.python]
function = "witness:witnessed"
max_workers = 2
"#;

#[test]
fn an_executor_that_never_answers_recovery_keeps_only_its_own_jobs_waiting() {
    let config = r#"
[recovery]
interval = "1s"

[executors.stuck]
plugin = "noop"
config = { hang = "recover" }

[executors.local]

[jobs.stuck]
executor = "stuck"
command = ["noop"]

[jobs.held]
executor = "local"
command = ["sh", "-c", "until [ -e {dir}/go ]; do sleep 0.02; done"]
"#;
    let mut host = setup(config).plugin("noop").start();
    let client = host.client();
    let stuck = client.submit("stuck", json!({ "hang": true }));
    let held = client.submit("held", json!({}));
    client.until(&stuck, "RUNNING");
    client.until(&held, "RUNNING");
    host.kill_9();
    host.start();
    let client = host.client();
    std::fs::write(host.path("go"), "").unwrap();
    // Its keeper has ended it with the host; it runs again, and new ones run beside it.
    client.until(&held, "SUCCEEDED");
    let new = client.submit("held", json!({}));
    client.until(&new, "SUCCEEDED");
    assert_eq!(client.job(&stuck)["status"], "NEEDS_RECOVERY", "nobody has said what became of it");
    let trouble = || {
        client.get("/api/3.0/recovery").json["last_pass"]["trouble"]["stuck"]
            .as_str()
            .map(str::to_owned)
    };
    let said = wait_until("recovery says who keeps it waiting", PATIENCE, trouble);
    assert_eq!(said, "takes long to answer");
    client.cancel(&stuck);
    client.until(&stuck, "CANCELED");
    host.terminate();
}

#[test]
fn ten_kills_in_five_hundred_jobs_lose_nothing_and_overlap_nothing() {
    let mut chance = Chance::new();
    let mut host = setup(TYPES)
        .file("witness.py", WITNESS_PY)
        .file("witness.sh", WITNESS_SH)
        .file("straggler.sh", STRAGGLER_SH)
        .start();
    let ids = host.client().submit_all(&submissions(500));
    let mut seen = Outcomes::default();
    // Ten different parts of the run, each cut at a moment of its own.
    for part in 0..10 {
        let ends = usize::try_from(part * 45 + chance.below(40)).unwrap();
        wait_until("the run has got that far", PATIENCE, || {
            (host.history().ends() >= ends).then_some(())
        });
        pause(Duration::from_millis(chance.below(100)));
        host.kill_9();
        if chance.below(3) == 0 {
            // Again, in the middle of the start and its recovery.
            let _stdout = host.spawn();
            pause(Duration::from_millis(chance.below(400)));
            host.kill_9();
        }
        host.start();
        // What has ended has ended: no later run of the host touches it.
        seen.look(&host.client());
    }
    let client = host.client();
    client.until_idle(2 * PATIENCE);
    seen.look(&client);

    assert_eq!(host.history().faults(), Vec::<String>::new());
    let jobs = client.search(json!({}));
    assert_eq!(jobs.len(), ids.len());
    let jobs: BTreeMap<&str, &Value> =
        jobs.iter().map(|job| (job["job_id"].as_str().unwrap(), job)).collect();
    let ended = host.history().ended();
    for id in &ids {
        let job = jobs[id.as_str()];
        assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
        assert_eq!(job["work"], "gone", "{job:#}");
        if job["job_name"] != "straggler" {
            assert_eq!(job["result"], id.as_str());
        }
        // The attempt that counts is the last that ran to its end; nothing ran after it.
        assert_eq!(ended[id].last(), job["attempt"].as_u64().as_ref(), "{job:#}");
    }
    let again = jobs.values().filter(|job| job["attempt"].as_u64() > Some(1)).count();
    println!("{again} jobs needed more than one attempt");
    assert!(again > 0, "no kill hit a running job: this showed nothing");
    // Also of what was killed between the commit of an outcome and the forgetting of its evidence.
    host.finish();
}

fn submissions(count: usize) -> Vec<Value> {
    let submission = |n: usize| {
        let (job_name, params) = match n % 10 {
            0 => ("python", json!({ "seconds": 0.05 })),
            1 | 2 => ("straggler", json!({})),
            3..6 => ("slow", json!({})),
            _ => ("quick", json!({})),
        };
        json!({ "job_name": job_name, "params": params })
    };
    (0..count).map(submission).collect()
}

#[test]
fn a_killed_host_takes_its_jobs_with_it_to_the_last_descendant() {
    let mut host = setup(
        "[jobs.straggler]\ncommand = [\"sh\", \"{dir}/straggler.sh\"]\nretry = { max_retries = 0 }",
    )
    .file("straggler.sh", STRAGGLER_SH.replace("sleep 0.08", "sleep 600"))
    .start();
    let client = host.client();
    let id = client.submit("straggler", json!({}));
    beats(&host);
    host.kill_9();
    let here = host.path("");
    wait_until("nothing of the job is left", PATIENCE, || {
        longshore_tests::leftovers::processes(&here).is_empty().then_some(())
    });
    host.start();
    // It runs again, as no failure of its own.
    let client = host.client();
    let job = wait_until("it runs again", PATIENCE, || {
        let job = client.job(&id);
        (job["status"] == "RUNNING" && job["attempt"] == 2).then_some(job)
    });
    assert_eq!(job["retry_count"], 0);
    client.cancel(&id);
    client.ended(&id);
    host.finish();
}

fn beats(host: &TestHost) {
    wait_until("the descendant is at work", PATIENCE, || {
        let text = std::fs::read_to_string(host.history().path()).unwrap_or_default();
        text.contains("beat ").then_some(())
    });
}

#[test]
fn a_transient_failure_is_not_claimed_before_its_due_time_by_a_fresh_host() {
    let mut host = setup("[jobs.fail]\nfunction = \"witness:fail\"\ntransient_errors = [\"witness.Flaky\"]\nretry = { max_retries = 1, base_delay = \"6s\", max_delay = \"6s\" }")
        .file("witness.py", WITNESS_PY)
        .start();
    let client = host.client();
    let id = client.submit("fail", json!({ "kind": "transient", "succeed_at": 2 }));
    let due = wait_until("the retry is stored", PATIENCE, || {
        let job = client.job(&id);
        (job["retry_count"] == 1 && job["status"] == "PENDING")
            .then(|| job["due_at"].as_i64().unwrap())
    });
    host.kill_9();
    host.start();
    let client = host.client();
    assert_eq!(client.job(&id)["due_at"], due, "the restart moved the due time");
    let job = client.until(&id, "SUCCEEDED");
    assert_eq!(job["result"], 2);
    let started = job["started_at"].as_i64().unwrap();
    assert!(started >= due, "started {} ms before its time", due - started);
    // Killed after the retry was stored, perhaps before the first attempt was forgotten.
    host.finish();
}

#[test]
fn what_was_left_between_an_outcome_and_its_forgetting_is_gone_before_anything_is_started() {
    // A job keeps a copy of its own directory: it looks as if it had been left, once it has a record.
    let keep = r#"
[jobs.copied]
command = ["sh", "-c", "mkdir ../../$0 && cp ../job.json ../params.json ../../$0", "left"]

[jobs.look]
command = ["sh", "-c", "test ! -e ../../left && test -e ../../anothers && echo true > $LONGSHORE_RESULT"]
"#;
    let mut host = setup(keep).start();
    let client = host.client();
    client.result(&client.submit("copied", json!({})));
    assert!(host.terminate().success());
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let record = "cause=ended code=0 started=1 ended=2 output=0 lost=0";
    let [left, anothers] = ["left", "anothers"].map(|tag| host.path("local/attempts").join(tag));
    std::fs::create_dir(&anothers).unwrap();
    for attempt in [&left, &anothers] {
        std::fs::write(attempt.join("exit"), format!("boot={boot}{record}\n")).unwrap();
    }
    std::fs::write(anothers.join("job.json"), "{}").unwrap();
    host.start();
    let client = host.client();
    assert_eq!(client.result(&client.submit("look", json!({}))), true);
    std::fs::remove_dir_all(anothers).unwrap();
    host.finish();
}
