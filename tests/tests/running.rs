//! A job from its submission to its result, over HTTP and on the command line.

use std::{fs, process::Stdio};

use longshore_tests::{Client, TestHost, host::lossy, setup, wait::PATIENCE, wait_until};
use serde_json::{Value, json};

use crate::WITNESS_PY;

fn host() -> TestHost {
    setup("[python]\nmodules = [\"witness\"]").file("witness.py", WITNESS_PY).start()
}

/// Waits until a job of `count` is at its gate, which the progress tells.
fn halfway(client: &Client, id: &str) -> Value {
    wait_until("the job shows its progress", PATIENCE, || {
        let job = client.job(id);
        (job["progress"]["completed"] == 50).then_some(job)
    })
}

#[test]
fn a_python_function_runs_and_its_progress_is_seen_meanwhile() {
    let host = host();
    let client = host.client();
    let gate = host.path("gate");
    let id = client.submit("count", json!({ "to": 100, "gate": gate }));
    let job = halfway(&client, &id);
    assert_eq!(job["status"], "RUNNING");
    assert_eq!(job["status_message"], "halfway");
    let progress = json!({ "phase": "count", "completed": 50, "total": 100, "unit": "steps" });
    assert_eq!(job["progress"], progress);
    assert_eq!(job["executor_backend"], "local");
    fs::write(gate, "").unwrap();

    let job = client.until(&id, "SUCCEEDED");
    assert_eq!(job["result"], json!({ "counted": 100 }));
    assert_eq!(job["attempt"], 1);
    assert_eq!(job["work"], "gone");
    assert_eq!(job["error_message"], Value::Null);
    assert_eq!(job["progress"], Value::Null, "what has ended makes no progress");
    assert!(job["started_at"].as_i64() <= job["finished_at"].as_i64());
    let result = client.get(&format!("/api/3.0/jobs/{id}/result"));
    assert_eq!(result.json, json!({ "counted": 100 }), "{}", result.text);
    let logs = client.get(&format!("/api/3.0/jobs/{id}/logs"));
    assert_eq!(logs.text, "counting to 100\n");
    assert_eq!(host.history().faults(), Vec::<String>::new());
    host.finish();
}

#[test]
fn a_person_submits_watches_and_reads_on_the_command_line() {
    let host = host();
    let gate = host.path("gate");
    let gate = gate.to_str().unwrap();
    let submit = host
        .longshore(&["submit", "count", "to=100", &format!("gate={gate}"), "--wait"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let client = host.client();
    let id = wait_until("the job is there", PATIENCE, || {
        let jobs = client.search(json!({}));
        Some(jobs.first()?["job_id"].as_str()?.to_owned())
    });
    halfway(&client, &id);
    let listed = host.prints_json(&["jobs", "list", "--json"]);
    let jobs = listed["jobs"].as_array().or(listed.as_array()).unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0]["job_id"], *id);
    assert_eq!(jobs[0]["status"], "RUNNING");
    let watch =
        host.longshore(&["jobs", "watch", &id, "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    fs::write(gate, "").unwrap();

    let submitted = submit.wait_with_output().unwrap();
    assert!(submitted.status.success(), "{}", lossy(&submitted.stderr));
    let result: Value = serde_json::from_slice(&submitted.stdout).unwrap();
    assert_eq!(result, json!({ "counted": 100 }));
    let watched = watch.wait_with_output().unwrap();
    assert!(watched.status.success());
    let last: Value = serde_json::from_str(lossy(&watched.stdout).lines().last().unwrap()).unwrap();
    assert_eq!(last["status"], "SUCCEEDED");
    assert_eq!(host.prints(&["jobs", "logs", &id]), "counting to 100\n");
    assert_eq!(host.prints_json(&["jobs", "show", &id, "--json"])["status"], "SUCCEEDED");
    host.finish();
}

#[test]
fn a_failed_job_ends_the_waiting_command_with_its_error() {
    let host = setup("[jobs.no]\ncommand = [\"sh\", \"-c\", \"echo because >&2; exit 3\"]").start();
    let output = host.says(&["submit", "no", "--wait"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lossy(&output.stdout), "");
    let said = lossy(&output.stderr);
    assert!(said.contains("FAILED") && said.contains('3'), "{said}");
    host.finish();
}

#[test]
fn types_declared_by_decorators_stand_beside_those_of_the_file() {
    let host =
        setup("[python]\nmodules = [\"witness\"]\n[jobs.hello]\ncommand = [\"echo\", \"hello\"]")
            .file("witness.py", WITNESS_PY)
            .start();
    let answer = host.client().get("/api/3.0/executors").json;
    assert_eq!(answer["executors"][0]["name"], "local");
    assert_eq!(answer["executors"][0]["ready"], true);
    let types = answer["job_types"].as_array().unwrap();
    let names: Vec<_> = types.iter().map(|found| found["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["count", "hello"]);
    let count = &types[0];
    assert_eq!(count["origin"], json!({ "from": "declared", "module": "witness" }));
    assert_eq!(count["settings"]["function"]["value"], "witness:count");
    assert_eq!(count["settings"]["max_workers"]["value"], 3);
    assert_eq!(count["settings"]["exclusive"]["value"], json!(["gate"]));
    assert_eq!(types[1]["origin"]["from"], "file");

    let shown = host.prints(&["config", "show"]);
    for part in ["witness:count", "\"gate\"", "hello"] {
        assert!(shown.contains(part), "`config show` does not say {part}:\n{shown}");
    }
    host.finish();
}
