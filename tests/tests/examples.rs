//! The examples of the repository, through a host.

use std::{fs, process::Command};

use longshore_tests::{
    built::{repository, target},
    setup,
    wait::PATIENCE,
    wait_until,
};
use serde_json::{Value, json};

#[test]
fn the_shipped_traces_are_scored_and_a_broken_one_is_its_own_failure_only() {
    let example = repository().join("examples/scoring");
    let config = fs::read_to_string(example.join("longshore.toml")).unwrap();
    let mut host = setup(&config);
    for entry in fs::read_dir(example.join("scorers")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "py") {
            let name = format!("scorers/{}", path.file_name().unwrap().to_str().unwrap());
            host = host.file(&name, fs::read(&path).unwrap());
        }
    }
    let host = host.start();
    let client = host.client();
    let traces = repository().join("examples/traces/traces.jsonl");
    let batches = (0..240).step_by(60).map(|offset| {
        json!({
            "job_name": "score_traces",
            "params": { "traces_path": traces, "offset": offset, "limit": 60 },
        })
    });
    let ids = client.submit_all(&batches.collect::<Vec<_>>());
    let words = client.submit("word_count", json!({ "text": "a few words" }));
    let mut broken = Vec::new();
    let (mut scored, mut failed) = (0, 0);
    for id in &ids {
        let result = client.result(id);
        scored += result["summary"]["scored"].as_u64().unwrap();
        failed += result["summary"]["failed"].as_u64().unwrap();
        for trace in result["traces"].as_array().unwrap() {
            if trace.get("error").is_some() {
                broken.push(trace["line"].as_u64().unwrap());
            } else {
                assert_eq!(trace["scores"].as_object().unwrap().len(), 3, "{trace}");
            }
        }
    }
    assert_eq!((scored, failed), (228, 12));
    assert_eq!(broken, broken_lines());
    assert_eq!(client.result(&words), 3);
    host.finish();
}

/// The lines that the data set's own README says were broken.
fn broken_lines() -> Vec<u64> {
    let readme = fs::read_to_string(repository().join("examples/traces/README.md")).unwrap();
    let table = readme.split("## Broken on purpose").nth(1).unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    cells.filter_map(|cell| cell.parse().ok()).collect()
}

/// The environment is kept between runs: it has 900 MB and takes two minutes.
#[test]
fn a_job_function_of_mlflows_own_runs_by_its_full_name() {
    let cache = target().join("mlflow-of-tests");
    let cache = cache.display();
    let config = format!(
        r#"
[executors.local.config]
cache_dir = "{cache}"

[executors.local.config.set_env]
MLFLOW_TRACKING_URI = "sqlite:///{{dir}}/store/mlflow.db"
MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS = "true"
MLFLOW_DISABLE_TELEMETRY = "true"

[jobs.which]
function = "shutil:which"
python = {{ requirements = ["mlflow==3.17.2"] }}
timeout = "15m"

[jobs.invoke_scorer]
function = "mlflow.genai.scorers.job:invoke_scorer_job"
python = {{ requirements = ["mlflow==3.17.2"] }}
timeout = "15m"
"#
    );
    let host = setup(&config).start();
    let client = host.client();
    // The first job builds the environment and says where its interpreter is.
    let which = client.submit("which", json!({ "cmd": "python" }));
    let job = wait_until("MLflow is installed", 6 * PATIENCE, || {
        let job = client.job(&which);
        job["finished_at"].is_i64().then_some(job)
    });
    assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
    let python = |script: &str, arguments: &[&str]| {
        let script = repository().join("examples/mlflow").join(script);
        let output = Command::new(job["result"].as_str().unwrap())
            .arg(script)
            .args(arguments)
            .current_dir(host.path(""))
            .env("MLFLOW_DISABLE_TELEMETRY", "true")
            .env("TMPDIR", host.path("tmp"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let store = host.path("store");
    let prepared: Value =
        serde_json::from_slice(&python("prepare.py", &[store.to_str().unwrap()])).unwrap();
    let uri = prepared["tracking_uri"].as_str().unwrap();
    let traces: Vec<&str> =
        prepared["trace_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();

    let scored = client.submit("invoke_scorer", prepared["params"].clone());
    let result = client.result(&scored);
    let result = result.as_object().unwrap();
    assert_eq!(result.len(), traces.len());
    for trace in &traces {
        assert_eq!(result[*trace]["failures"], json!([]), "{trace}");
    }
    // What it wrote into the store is there, and right.
    python("check.py", &[&[uri], &traces[..]].concat());
    host.finish();
}
