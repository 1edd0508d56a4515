//! How a host stops: short jobs end, long ones are given back.

use std::fs;

use longshore_tests::{TestHost, leftovers, setup, wait::PATIENCE, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// Each type runs until its own file is there.
const TYPES: &str = r#"
[jobs.short]
command = ["sh", "{dir}/until.sh", "{dir}/short"]

[jobs.long]
command = ["sh", "{dir}/until.sh", "{dir}/long"]
stop_grace = "200ms"
"#;

const UNTIL: &str = r#"
note() { echo "$1 $LONGSHORE_JOB_ID $LONGSHORE_ATTEMPT $HOST_RUN" >> "$HISTORY"; }
note start
until [ -e "$1" ]; do sleep 0.02; done
note end
"#;

fn host(grace: &str) -> TestHost {
    let grace = format!("[shutdown]\ngrace = \"{grace}\"");
    setup(TYPES).config(&grace).file("until.sh", UNTIL).start()
}

fn at_work(host: &TestHost, count: usize) {
    wait_until("they are at work", PATIENCE, || {
        let history = fs::read_to_string(host.history().path()).unwrap_or_default();
        (history.lines().filter(|line| line.starts_with("start")).count() == count).then_some(())
    });
}

#[test]
fn a_terminated_host_lets_short_jobs_end_and_gives_long_ones_back() {
    let mut host = host("2s");
    let client = host.client();
    let short = client.submit("short", json!({}));
    let long = client.submit("long", json!({}));
    at_work(&host, 2);
    host.signal(Signal::TERM);
    wait_until("it drains", PATIENCE, || {
        let ready = client.try_get("/api/3.0/health/ready").ok()?;
        (ready.status != 200).then_some(())
    });
    // While it drains it answers, and starts nothing new.
    fs::write(host.path("short"), "").unwrap();
    client.until(&short, "SUCCEEDED");
    let late =
        client.try_send("POST", "/api/3.0/jobs/", &json!({ "job_name": "short", "params": {} }));
    let status = host.wait();
    assert!(status.success(), "{status}");
    assert_eq!(leftovers::processes(&host.path("")), []);
    host.history().killed(1);

    host.start();
    let client = host.client();
    fs::write(host.path("long"), "").unwrap();
    let job = client.until(&long, "SUCCEEDED");
    assert_eq!(
        (&job["attempt"], &job["retry_count"]),
        (&json!(2), &json!(0)),
        "given back, not failed"
    );
    assert_eq!(client.job(&short)["attempt"], 1);
    if let Ok(answer) = late
        && answer.status == 200
    {
        let job = client.until(answer.json["job_id"].as_str().unwrap(), "SUCCEEDED");
        assert_eq!(job["attempt"], 1, "not started by a host that drains");
    }
    assert_eq!(host.history().faults(), Vec::<String>::new());
    host.finish();
}

/// A field of a process, as `/proc` says it.
fn status(pid: &str, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

#[test]
fn a_job_that_ends_while_it_is_handed_over_has_ended() {
    const GATED: &str = r#"
echo $$ > "$0.pid"
until [ -e "$0.go" ]; do :; done
echo '"mine"' > "$LONGSHORE_RESULT"
"#;
    let mut host = setup(
        "[shutdown]\ngrace = \"100ms\"\n[jobs.gated]\ncommand = [\"sh\", \"{dir}/gated.sh\"]",
    )
    .file("gated.sh", GATED)
    .start();
    let id = host.client().submit("gated", json!({}));
    let pid = wait_until("it is at work", PATIENCE, || {
        let pid = fs::read_to_string(host.path("gated.sh.pid")).ok()?;
        pid.ends_with('\n').then(|| pid.trim().to_owned())
    });
    // Its keeper hears of the end and of the stop at once, as chance would have it one time in many.
    let keeper = Pid::from_raw(status(&pid, "PPid").parse().unwrap()).unwrap();
    kill_process(keeper, Signal::STOP).unwrap();
    host.signal(Signal::TERM);
    wait_until("it is handed over", PATIENCE, || host.log().contains("handing over").then_some(()));
    fs::write(host.path("gated.sh.go"), "").unwrap();
    wait_until("it has ended", PATIENCE, || status(&pid, "State").starts_with('Z').then_some(()));
    kill_process(keeper, Signal::CONT).unwrap();
    let ended = host.wait();
    assert!(ended.success(), "{ended}");

    host.start();
    let job = host.client().until(&id, "SUCCEEDED");
    assert_eq!((&job["result"], &job["attempt"]), (&json!("mine"), &json!(1)), "{job:#}");
    host.finish();
}

#[test]
fn a_second_signal_ends_the_host_at_once_and_loses_nothing() {
    let mut host = host("10m");
    let client = host.client();
    let long = client.submit("long", json!({}));
    at_work(&host, 1);
    host.signal(Signal::TERM);
    wait_until("it drains", PATIENCE, || {
        host.log().contains("a second signal ends at once").then_some(())
    });
    host.signal(Signal::INT);
    let status = host.wait();
    assert_eq!(status.code(), Some(130), "{status}");
    host.history().killed(1);
    wait_until("its jobs are gone, too", PATIENCE, || {
        leftovers::processes(&host.path("")).is_empty().then_some(())
    });
    host.start();
    fs::write(host.path("long"), "").unwrap();
    let job = host.client().until(&long, "SUCCEEDED");
    assert_eq!(job["attempt"], 2);
    assert_eq!(host.history().faults(), Vec::<String>::new());
    host.finish();
}

#[test]
fn an_idle_host_ends_quickly_on_either_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut host = host("10m");
        host.signal(signal);
        let status = host.wait();
        assert!(status.success(), "{signal:?}: {status}");
        host.finish();
    }
}
