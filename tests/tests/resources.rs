//! What a host needs of its machine, and what it does when there is none of it.

use std::{fs, path::Path, time::Duration};

use longshore_tests::{
    disk,
    host::fill,
    setup,
    wait::{PATIENCE, now},
    wait_until,
};
use serde_json::json;

/// Runs until the file of the test is there; its result is larger than what a full disk has left.
const LATE: &str = r#"
echo $$ > "$0.pid"
until [ -e "$0.go" ]; do sleep 0.02; done
echo "these words find no room"
yes 1 | head -c 1000000 > "$LONGSHORE_RESULT" || exit 9
"#;

#[test]
fn a_full_disk_under_the_attempts_keeps_jobs_waiting_and_loses_none() {
    let config = r#"
[executors.local.config]
cache_dir = "{dir}/disk/local"

[jobs.quick]
command = ["sh", "-c", "echo 1 > $LONGSHORE_RESULT"]

[jobs.late]
command = ["sh", "{dir}/late.sh"]
retry = { max_retries = 0 }
"#;
    let host = disk::small(setup(config).file("late.sh", LATE), "24m").start();
    let client = host.client();
    assert_eq!(client.result(&client.submit("quick", json!({}))), 1);
    let late = client.submit("late", json!({}));
    wait_until("it is at work", PATIENCE, || host.path("late.sh.pid").exists().then_some(()));

    let disk = disk::seen_by(&host);
    let ballast = disk.join("ballast");
    fill(&ballast, disk::room(&disk));
    // What is at work says what it ran into, and its end is recorded all the same.
    fs::write(host.path("late.sh.go"), "").unwrap();
    let job = client.until(&late, "FAILED");
    assert!(job["error_message"].as_str().unwrap().contains("exited with code 9"), "{job:#}");
    let log = client.get(&format!("/api/3.0/jobs/{late}/logs")).text;
    assert!(log.contains("bytes of output could not be stored"), "{log}");

    let ids: Vec<_> = (0..5).map(|_| client.submit("quick", json!({}))).collect();
    let trouble = wait_until("the executor says what it needs", PATIENCE, || {
        let answer = client.get("/api/3.0/executors").json;
        answer["executors"][0]["trouble"].as_str().map(str::to_owned)
    });
    assert!(trouble.contains("make room there or name another `cache_dir`"), "{trouble}");
    for id in &ids {
        assert_ne!(client.job(id)["status"], "FAILED");
    }

    fs::remove_file(ballast).unwrap();
    for id in &ids {
        let job = client.until(id, "SUCCEEDED");
        assert_eq!((&job["result"], &job["retry_count"]), (&json!(1), &json!(0)), "{job:#}");
    }
    let left = fs::read_dir(disk.join("local/attempts")).unwrap().flatten();
    // Spares are empty and used again.
    let left: Vec<_> = left
        .map(|entry| entry.file_name())
        .filter(|name| !name.to_string_lossy().starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    host.finish();
}

/// The processes below this one, and itself.
fn family(pid: &str) -> Vec<String> {
    let mut family = vec![pid.to_owned()];
    let mut at = 0;
    while at < family.len() {
        let tasks = fs::read_dir(format!("/proc/{}/task", family[at])).into_iter().flatten();
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            family.extend(children.split_whitespace().map(str::to_owned));
        }
        at += 1;
    }
    family
}

#[test]
fn a_thousand_jobs_leave_the_host_no_process_and_no_descriptor_more() {
    let host = setup("[jobs.quick]\ncommand = [\"true\"]\nmax_workers = 8").start();
    let client = host.client();
    let pid = host.pid().as_raw_nonzero().to_string();
    let after = |count: usize| {
        let submission = json!({ "job_name": "quick", "params": {} });
        let _ = client.submit_all(&vec![submission; count]);
        client.until_idle(PATIENCE);
        let family = family(&pid);
        let open = |process: &String| {
            fs::read_dir(Path::new("/proc").join(process).join("fd")).map_or(0, Iterator::count)
        };
        (family.len(), family.iter().map(open).sum::<usize>())
    };
    // What there is of keepers that wait for their next order, connections and threads is there now.
    let (processes, open) = after(200);
    let (processes_then, open_then) = after(1000);
    // One keeper more is a process and ten descriptors; a leak is a thousand.
    assert!(processes_then <= processes + 8, "{processes} became {processes_then}");
    assert!(open_then <= open + 200, "{open} became {open_then}");
    host.finish();
}

const HELD: &str = r#"
[leases]
job = "1500ms"

[recovery]
interval = "10m"

[jobs.held]
command = ["sh", "-c", "until [ -e {dir}/go ]; do sleep 0.1; done"]
max_workers = 12
"#;

#[test]
fn one_statement_renews_the_leases_of_all_jobs() {
    let host = setup(HELD).logging("longshore::store=trace").start();
    let client = host.client();
    let ids = client.submit_all(&vec![json!({ "job_name": "held", "params": {} }); 12]);
    for id in &ids {
        client.until(id, "RUNNING");
    }
    // How many leases each statement renewed.
    let renewals = || -> Vec<u64> {
        let log = host.log();
        let lines = log.lines().filter(|line| line.contains("statement=\"job_renew\""));
        lines.map(|line| line.rsplit_once("rows=").unwrap().1.trim().parse().unwrap()).collect()
    };
    let (begin, before) = (now(), renewals().len());
    // Four leases long: without renewals none of them would be held by then.
    wait_until("they were renewed again and again", PATIENCE, || {
        (renewals().len() >= before + 12).then_some(())
    });
    let (took, all) = (now() - begin, renewals());
    assert!(all[before..].iter().all(|leases| *leases == 12), "{all:?}");
    assert!(took >= Duration::from_secs(4), "more than one in a third of a lease: {took:?}");
    fs::write(host.path("go"), "").unwrap();
    for id in &ids {
        assert_eq!(client.until(id, "SUCCEEDED")["attempt"], 1);
    }
    host.finish();
}

#[test]
fn what_a_type_may_use_is_enforced_by_nobody_and_the_host_says_so_once() {
    let limited = r#"
[jobs.limited]
command = ["true"]
resources = { limits = { memory = "1Mi" } }
"#;
    let host = setup(limited).start();
    let client = host.client();
    for _ in 0..3 {
        client.result(&client.submit("limited", json!({})));
    }
    assert_eq!(host.log().matches("`resources` are not enforced here").count(), 1);
    host.finish();
}
