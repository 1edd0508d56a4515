//! What goes wrong outside: plugins that are none, hosts that get in each other's way, a full disk.

use std::{fs, path::Path, process::Command};

use longshore_tests::{
    built::{built, install},
    disk,
    host::{Setup, fill, lossy},
    setup,
    wait::PATIENCE,
    wait_until,
};
use serde_json::{Value, json};

const HELLO: &str = "[jobs.hello]\ncommand = [\"echo\", \"hello\"]\n";

/// A kind of file that is no plugin, how it is made, and what the host calls it.
type Bad = (&'static str, fn(&Path), &'static str);

const BAD: [Bad; 5] = [
    ("missing", |_| {}, "E_UNKNOWN_PLUGIN"),
    ("text", |path| fs::write(path, "#!/bin/sh\necho I am a plugin\n").unwrap(), "E_NOT_ELF"),
    ("truncated", truncated, "E_TRUNCATED"),
    ("foreign", foreign, "E_WRONG_ARCH"),
    ("stranger", stranger, "E_NOT_A_PLUGIN"),
];

fn truncated(path: &Path) {
    let whole = fs::read(built().plugin("noop")).unwrap();
    fs::write(path, &whole[..whole.len() / 2]).unwrap();
}

/// For a processor that this machine does not have: the two bytes of `e_machine` say Alpha.
fn foreign(path: &Path) {
    let mut whole = fs::read(built().plugin("noop")).unwrap();
    whole[18..20].copy_from_slice(&0x9026_u16.to_le_bytes());
    fs::write(path, whole).unwrap();
}

/// A proper shared library that has nothing to do with us.
fn stranger(path: &Path) {
    let source = path.with_extension("c");
    fs::write(&source, "int answer(void) { return 42; }\n").unwrap();
    let status =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(path).arg(&source).status();
    assert!(status.unwrap().success(), "a C compiler is needed");
    fs::remove_file(source).unwrap();
}

fn with_bad(setup: Setup, make: fn(&Path)) -> Setup {
    let (draft, plugins) = (setup.path("libother.so"), setup.path("plugins"));
    make(&draft);
    if draft.exists() {
        install(&draft, &plugins);
        fs::remove_file(draft).unwrap();
    }
    setup
}

#[test]
fn a_file_that_is_no_plugin_harms_nobody_but_its_own_executor() {
    for (what, make, code) in BAD {
        let other = "[executors.other]\nplugin = \"noop\"\n[routing]\ndefault_executor = \"local\"\n[jobs.waits]\ncommand = [\"true\"]\nexecutor = \"other\"";
        let host = with_bad(setup(HELLO).config(other), make).start();
        let client = host.client();
        client.until(&client.submit("hello", json!({})), "SUCCEEDED");
        let waits = client.submit("waits", json!({}));
        let answer = client.get("/api/3.0/executors").json;
        let other = &answer["executors"][1];
        assert_eq!((&other["name"], &other["ready"]), (&json!("other"), &json!(false)), "{what}");
        assert!(!other["trouble"].as_str().unwrap().is_empty(), "{what}");
        let output = host.says(&["plugin", "list", "--json"]);
        let said = lossy(&output.stdout) + &lossy(&output.stderr) + &host.log();
        assert!(said.contains(code), "{what}: nobody says {code}: {said}");
        assert_eq!(client.job(&waits)["status"], "PENDING", "{what}: its jobs wait");
        client.cancel(&waits);
        host.finish();
    }
}

#[test]
fn a_host_without_its_default_executor_does_not_start_and_says_why() {
    for (what, make, _) in BAD {
        let config =
            "[executors.other]\nplugin = \"noop\"\n[routing]\ndefault_executor = \"other\"\n";
        let host = with_bad(setup(HELLO).config(config), make).stopped();
        let output = host.says(&["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(output.status.code(), Some(1), "{what}");
        assert_eq!(lossy(&output.stdout), "", "{what}: it is not ready");
        let said = lossy(&output.stderr);
        let last = said.lines().rev().take(6).collect::<Vec<_>>().join("\n");
        for part in ["executor `other` is required and cannot start", "noop"] {
            assert!(last.contains(part), "{what}: it does not say {part}:\n{said}");
        }
        host.finish();
    }
}

#[test]
fn a_second_host_on_the_same_state_or_the_same_database_is_refused() {
    let host = setup(HELLO).start();
    let output = host.says(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    let said = lossy(&output.stderr);
    assert!(said.contains("another longshore host uses the state directory"), "{said}");

    let database =
        format!("[database]\nurl = \"sqlite:{}\"", host.path("state/longshore.db").display());
    let second = setup(HELLO).config(&database).stopped();
    let output = second.says(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    let said = lossy(&output.stderr);
    assert!(said.contains("longshore.db") && said.contains("another"), "{said}");
    second.finish();

    // The first has not noticed.
    let client = host.client();
    client.until(&client.submit("hello", json!({})), "SUCCEEDED");
    host.finish();
}

#[test]
fn a_bad_submission_is_refused_with_its_field_and_leaves_no_row() {
    let host = setup(HELLO).start();
    let client = host.client();
    let cases: [(Value, u16, &str, &str); 6] = [
        (
            json!({ "job_name": "helo", "params": {} }),
            400,
            "unknown_job_type",
            "did you mean `hello`?",
        ),
        (json!({ "job_name": "hello", "params": [] }), 400, "invalid_params", "object"),
        (
            json!({ "job_name": "hello", "params": {}, "timeout": 0 }),
            400,
            "invalid_timeout",
            "positive",
        ),
        (
            json!({ "job_name": "hello", "params": {}, "timeout": -1.5 }),
            400,
            "invalid_timeout",
            "positive",
        ),
        (json!({ "job_name": "hello", "params": {}, "priority": 9 }), 400, "invalid_priority", "4"),
        (
            json!({ "job_name": "hello", "params": {}, "priorty": 1 }),
            400,
            "invalid_field",
            "priorty",
        ),
    ];
    for (submission, status, code, message) in cases {
        let answer = client.post("/api/3.0/jobs/", &submission);
        assert_eq!((answer.status, answer.code()), (status, code), "{submission}: {}", answer.text);
        assert!(answer.message().contains(message), "{submission}: {}", answer.text);
    }
    let good = json!({ "job_name": "hello", "params": {} });
    let bulk = json!({ "jobs": [good.clone(), good, { "job_name": "helo", "params": {} }] });
    let answer = client.post("/api/3.0/jobs/bulk", &bulk);
    assert_eq!((answer.status, &answer.json["error"]["field"]), (400, &json!("jobs[2].job_name")));
    assert_eq!(client.search(json!({})).len(), 0);
    let output = host.says(&["submit", "helo"]);
    assert_eq!(output.status.code(), Some(6));
    assert!(lossy(&output.stderr).contains("did you mean `hello`?"));
    host.finish();
}

#[test]
fn a_full_disk_refuses_submissions_and_loses_none() {
    let config = format!(
        "{HELLO}\n[database]\nurl = \"sqlite:{{dir}}/disk/jobs.db\"\n[log]\nlevel = \"info\""
    );
    let host = disk::small(setup(&config), "24m").start();
    let client = host.client();
    let disk = disk::seen_by(&host);
    let ballast = disk.join("ballast");
    fill(&ballast, 16 << 20);

    let submission = json!({ "job_name": "hello", "params": { "text": "x".repeat(200_000) } });
    let mut accepted = Vec::new();
    let refused = loop {
        let answer = client.post("/api/3.0/jobs/", &submission);
        if answer.status != 200 {
            break answer;
        }
        accepted.push(answer.json["job_id"].as_str().unwrap().to_owned());
        assert!(accepted.len() < 1000, "the disk does not fill up");
    };
    assert_eq!((refused.status, refused.code()), (507, "storage_full"), "{}", refused.text);
    // It goes on answering, and refusing.
    assert_eq!(client.search(json!({})).len(), accepted.len());
    assert_eq!(client.get("/api/3.0/health/live").status, 200);

    fs::remove_file(ballast).unwrap();
    wait_until("there is room again", PATIENCE, || {
        let answer = client.post("/api/3.0/jobs/", &submission);
        (answer.status == 200)
            .then(|| accepted.push(answer.json["job_id"].as_str().unwrap().to_owned()))
    });
    for id in &accepted {
        client.until(id, "SUCCEEDED");
    }
    assert_eq!(
        client.search(json!({})).len(),
        accepted.len(),
        "no more rows than were acknowledged"
    );
    host.finish();
}
