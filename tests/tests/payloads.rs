//! Large things: parameters, results, output.

use longshore_tests::setup;
use serde_json::json;

use crate::WITNESS_PY;

const TEN_MIB: usize = 10 << 20;

#[test]
fn ten_mebibytes_of_parameters_arrive_by_file() {
    let host = setup("[jobs.measure]\nfunction = \"witness:measure\"")
        .file("witness.py", WITNESS_PY)
        .start();
    let client = host.client();
    let id = client.submit("measure", json!({ "text": "é".repeat(TEN_MIB / 2) }));
    let result = client.result(&id);
    assert_eq!(result["length"], TEN_MIB / 2);
    for where_else in ["environment", "arguments"] {
        assert!(result[where_else].as_u64().unwrap() < 16 << 10, "{result}");
    }
    let params = client.job(&id)["params"].take();
    assert_eq!(params["text"].as_str().unwrap().len(), TEN_MIB);
    host.finish();
}

#[test]
fn ten_mebibytes_of_result_come_back() {
    let host =
        setup("[jobs.large]\nfunction = \"witness:large\"").file("witness.py", WITNESS_PY).start();
    let client = host.client();
    let id = client.submit("large", json!({ "size": TEN_MIB }));
    let result = client.result(&id);
    assert_eq!(result.as_str().unwrap().len(), TEN_MIB);
    let output = host.says(&["submit", "large", &format!("size={TEN_MIB}"), "--wait"]);
    assert!(output.status.success());
    assert_eq!(output.stdout.len(), TEN_MIB + 3, "the result in quotes, and the end of the line");
    host.finish();
}

#[test]
fn what_is_too_large_is_refused_or_fails_with_the_limit() {
    let host = setup("[limits]\nparams = \"1KiB\"\nresult = \"1KiB\"\n[jobs.large]\nfunction = \"witness:large\"")
        .file("witness.py", WITNESS_PY)
        .start();
    let client = host.client();
    let params = json!({ "size": 1, "more": "x".repeat(2000) });
    let answer = client.post("/api/3.0/jobs/", &json!({ "job_name": "large", "params": params }));
    assert_eq!((answer.status, answer.code()), (413, "params_too_large"));
    assert_eq!(client.search(json!({})).len(), 0, "a refused submission leaves no row");
    let id = client.submit("large", json!({ "size": 2000 }));
    let job = client.until(&id, "FAILED");
    assert!(job["error_message"].as_str().unwrap().contains("limits.result"), "{job:#}");
    assert_eq!(job["result"], json!(null));
    host.finish();
}

#[test]
fn a_result_that_some_client_could_not_read_fails_for_good_and_costs_no_listing() {
    let types = r#"
[jobs.half]
command = ["sh", "-c", 'printf "[\"\\\\ud800\"]" > $LONGSHORE_RESULT']

[jobs.deep]
command = ["python3", "-c", "import os; open(os.environ['LONGSHORE_RESULT'], 'w').write('[' * 130 + ']' * 130)"]
"#;
    let host = setup(types).start();
    let client = host.client();
    for (job_name, why) in
        [("half", "half a character"), ("deep", "nested more than 100 levels deep")]
    {
        let id = client.submit(job_name, json!({}));
        let job = client.until(&id, "FAILED");
        assert!(job["error_message"].as_str().unwrap().contains(why), "{job:#}");
        assert_eq!((&job["attempt"], &job["result"]), (&json!(1), &json!(null)));
    }
    assert_eq!(client.search(json!({})).len(), 2);
    assert_eq!(host.prints_json(&["jobs", "list", "--json"]).as_array().unwrap().len(), 2);
    host.finish();
}

#[test]
fn a_hundred_megabytes_on_stderr_block_nobody_and_their_end_is_kept() {
    let flood = r#"[jobs.flood]
command = ["sh", "-c", "head -c 100000000 /dev/zero | tr '\\0' 'x' >&2; echo the last words >&2"]
timeout = "1m""#;
    let host = setup(flood).start();
    let client = host.client();
    let id = client.submit("flood", json!({}));
    println!("{:#}", client.until(&id, "SUCCEEDED"));
    let kept = client.get(&format!("/api/3.0/jobs/{id}/logs")).text;
    assert!(kept.len() <= 64 << 10, "{} bytes are kept", kept.len());
    assert!(kept.ends_with("xthe last words\n"), "{}", &kept[kept.len().saturating_sub(60)..]);
    host.finish();
}
