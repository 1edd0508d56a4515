//! `longshore doctor` beside a real plugin and a real host.

use std::{fs, path::Path};

use longshore_tests::{TestHost, host::lossy, setup};
use serde_json::Value;

/// Its attempts are where the host says, below the state directory.
const SECOND: &str = "[executors.second]\nplugin = \"local\"\n[routing]\ndefault_executor = \"second\"\n[jobs.hello]\ncommand = [\"true\"]";

fn findings(host: &TestHost, subject: &str) -> Vec<(String, String)> {
    let output = host.says(&["doctor", "--json"]);
    let found: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", lossy(&output.stderr)));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    found
        .iter()
        .filter(|finding| finding["subject"] == subject)
        .map(|finding| (text(&finding["level"]), text(&finding["message"])))
        .collect()
}

/// Every file below, with its size.
fn everything(directory: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        all.push(format!("{} {}", entry.path().display(), metadata.len()));
        if metadata.is_dir() {
            all.extend(everything(&entry.path()));
        }
    }
    all.sort();
    all
}

#[test]
fn the_executors_own_directories_are_looked_at_and_left_as_they_are() {
    let mut host = setup(SECOND).start();
    assert!(host.terminate().success());
    let before = everything(&host.path("state"));
    let well = [
        ("ok".to_owned(), "`local` has what it needs".to_owned()),
        ("ok".to_owned(), "`second` has what it needs".to_owned()),
    ];
    assert_eq!(findings(&host, "executors"), well);
    // The database is opened, and its lock says by whom.
    let database = |name: &String| name.contains("/longshore.");
    let mut after = everything(&host.path("state"));
    after.retain(|name| !database(name));
    let mut expected = before;
    expected.retain(|name| !database(name));
    assert_eq!(after, expected);

    // What stands in the way of the host stands in the way of the doctor.
    let attempts = host.path("state/executors/second/attempts");
    fs::remove_dir_all(&attempts).unwrap();
    fs::write(&attempts, "").unwrap();
    let found = findings(&host, "executors");
    let (level, message) = &found[1];
    assert_eq!(level, "fail", "{found:?}");
    assert!(message.contains(attempts.to_str().unwrap()), "{message}");
    fs::remove_file(&attempts).unwrap();
    host.finish();
}

#[test]
fn a_host_that_runs_says_itself_how_its_executors_are() {
    let host = setup(SECOND).start();
    let well = [
        ("ok".to_owned(), "`local` takes jobs".to_owned()),
        ("ok".to_owned(), "`second` takes jobs".to_owned()),
    ];
    assert_eq!(findings(&host, "executors"), well);
    assert_eq!(findings(&host, "host health"), [("ok".to_owned(), "it takes jobs".to_owned())]);
    let client = host.client();
    client.until(&client.submit("hello", serde_json::json!({})), "SUCCEEDED");
    host.finish();
}
