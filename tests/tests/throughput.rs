//! Many submitters at once.

use std::thread;

use longshore_tests::{setup, wait::PATIENCE};
use serde_json::json;

const THREADS: usize = 8;
const EACH: usize = 2000;

#[test]
fn sixteen_thousand_jobs_of_eight_threads_are_each_started_exactly_once() {
    let config = r#"
[executors.noop.config]
echo = true

[routing]
default_executor = "noop"

[log]
level = "info"

[jobs.noop]
command = ["true"]
max_workers = 64
"#;
    let host = setup(config).without_local().plugin("noop").start();
    let client = host.client();
    thread::scope(|scope| {
        for submitter in 0..THREADS {
            let client = client.clone();
            scope.spawn(move || {
                // Alone and in batches, as programs do.
                for n in 0..EACH / 10 {
                    let job = |of: usize| json!({ "job_name": "noop", "params": { "of": [submitter, n, of] } });
                    let _ = client.submit_as(job(0));
                    let rest: Vec<_> = (1..10).map(job).collect();
                    assert_eq!(client.submit_all(&rest).len(), 9);
                }
            });
        }
    });
    client.until_idle(PATIENCE);
    let jobs = client.search(json!({}));
    assert_eq!(jobs.len(), THREADS * EACH);
    let mut seen = std::collections::HashSet::new();
    for job in &jobs {
        assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
        assert_eq!(job["attempt"], 1, "{job:#}");
        assert_eq!(job["result"], job["params"], "its own result");
        assert!(seen.insert(job["params"]["of"].to_string()), "twice: {job:#}");
    }
    host.finish();
}
