//! Executors that are programs: the two examples, through a host.

use std::fs;

use longshore_tests::{
    TestHost, built::repository, host::lossy, leftovers, setup, wait::PATIENCE, wait_until,
};
use serde_json::json;

const JOBS: &str = r#"
[executors.own]
plugin = "command"

[jobs.good]
executor = "own"
command = ["sh", "-c", 'echo "say \"hello\""; cp "$LONGSHORE_PARAMS" "$LONGSHORE_RESULT"']

[jobs.bad]
executor = "own"
command = ["sh", "-c", "echo because >&2; exit 3"]
retry = { max_retries = 0 }

[jobs.long]
executor = "own"
command = ["sh", "-c", 'echo begun >> {dir}/begun; until [ -e {dir}/gate ]; do sleep 0.02; done; echo ended >> {dir}/ended']
stop_grace = "200ms"

[jobs.stubborn]
executor = "own"
command = ["sh", "-c", 'trap "" TERM; echo begun >> {dir}/begun; sleep 600 & wait; sleep 600']
stop_grace = "200ms"
"#;

const POOL: (&str, &str) =
    ("pool.py", "[executors.own.config]\nprogram = [\"python3\", \"pool.py\"]\nmode = \"serve\"");
const AT: (&str, &str) = ("at.sh", "[executors.own.config]\nprogram = [\"sh\", \"./at.sh\"]");

fn host((file, config): (&str, &str)) -> TestHost {
    let program = fs::read(repository().join("examples/command").join(file)).unwrap();
    setup(JOBS).config(config).plugin("command").file(file, program).start()
}

fn until_begun(host: &TestHost) {
    wait_until("the job has begun", PATIENCE, || host.path("begun").exists().then_some(()));
}

fn jobs_end_as_they_do(host: TestHost) {
    let client = host.client();
    let id = client.submit("good", json!({ "a": [1, "two\n"] }));
    assert_eq!(client.result(&id), json!({ "a": [1, "two\n"] }));
    assert_eq!(client.get(&format!("/api/3.0/jobs/{id}/logs")).text, "say \"hello\"\n");
    assert_eq!(client.job(&id)["executor_backend"], "own");

    let job = client.until(&client.submit("bad", json!({})), "FAILED");
    assert_eq!(job["error_message"], "the command ended with exit code 3");

    let id = client.submit("stubborn", json!({}));
    until_begun(&host);
    client.cancel(&id);
    let job = client.ended(&id);
    assert_eq!((&job["status"], &job["work"]), (&json!("CANCELED"), &json!("gone")));
    let sleeping = |process: &leftovers::Process| process.command.contains("sleep 600");
    assert!(!leftovers::processes(&host.path("")).iter().any(sleeping), "it was not killed");
    forgotten(&host);
    host.finish();
}

/// Nothing is left of any attempt.
fn forgotten(host: &TestHost) {
    let attempts = host.path("state/executors/own");
    wait_until("every attempt is forgotten", PATIENCE, || {
        leftovers::attempts(&attempts).is_empty().then_some(())
    });
}

fn a_killed_hosts_job_ends_once(mut host: TestHost) {
    let id = host.client().submit("long", json!({}));
    until_begun(&host);
    host.kill_9();
    host.start();
    let client = host.client();
    let job = wait_until("it is found again", PATIENCE, || {
        let job = client.job(&id);
        (job["status"] == "RUNNING").then_some(job)
    });
    assert_eq!(job["attempt"], 1, "it still runs, and so was not run again");
    fs::write(host.path("gate"), "").unwrap();
    let job = client.until(&id, "SUCCEEDED");
    assert_eq!((&job["attempt"], &job["retry_count"]), (&json!(1), &json!(0)));
    assert_eq!(fs::read_to_string(host.path("begun")).unwrap(), "begun\n");
    assert_eq!(fs::read_to_string(host.path("ended")).unwrap(), "ended\n");
    forgotten(&host);
    host.finish();
}

#[test]
fn a_pool_in_python_runs_fails_and_cancels_jobs() {
    jobs_end_as_they_do(host(POOL));
}

#[test]
fn a_shell_script_runs_fails_and_cancels_jobs() {
    jobs_end_as_they_do(host(AT));
}

#[test]
fn a_job_of_the_pool_outlives_a_killed_host_and_ends_once() {
    a_killed_hosts_job_ends_once(host(POOL));
}

#[test]
fn a_job_of_the_shell_script_outlives_a_killed_host_and_ends_once() {
    a_killed_hosts_job_ends_once(host(AT));
}

#[test]
fn a_pool_that_is_killed_is_started_again_and_its_job_ends_once() {
    let host = host(POOL);
    let client = host.client();
    let id = client.submit("long", json!({}));
    until_begun(&host);
    // The pool answers in the order of the questions, so that it has answered `submit` before this.
    let _ = client.get(&format!("/api/3.0/jobs/{id}/logs"));
    let pool = leftovers::processes(&host.path(""))
        .into_iter()
        .find(|process| process.command.trim_end().ends_with(" pool.py"))
        .unwrap();
    let pid = rustix::process::Pid::from_raw(pool.pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    wait_until("the host has noticed", PATIENCE, || {
        host.log().contains("waiting failed").then_some(())
    });
    fs::write(host.path("gate"), "").unwrap();
    let job = client.until(&id, "SUCCEEDED");
    assert_eq!(job["attempt"], 1);
    assert_eq!(fs::read_to_string(host.path("ended")).unwrap(), "ended\n");
    forgotten(&host);
    host.finish();
}

/// `at.sh`, whose first `submit` is slow: a child of the program does the work, when it is let.
const SLOW: &str = r#"
[ "$1" = submit ] && mkdir ./first 2>/dev/null || exec sh ./at.sh "$@"
sh -c 'echo $$ >>slow; until [ -e late ]; do sleep 0.02; done; echo went on >>slow; exec sh ./at.sh "$@"' sh "$@" &
echo $$ >>slow
wait
"#;

/// The first `submit` has not begun its attempt when its plugin dies; the attempt is proven gone and runs
/// again. Then the first `submit` could go on.
fn an_interrupted_submit_starts_nothing(die: fn(&mut TestHost)) {
    let own = "restart = { base_delay = \"50ms\" }\nconfig = { program = [\"sh\", \"./slow.sh\"] }";
    let program = fs::read(repository().join("examples/command/at.sh")).unwrap();
    let setup = setup(JOBS).config(&format!("[executors.own]\n{own}"));
    let mut host = setup.plugin("command").file("at.sh", program).file("slow.sh", SLOW).start();
    let id = host.client().submit("long", json!({}));
    let read = |host: &TestHost| fs::read_to_string(host.path("slow")).unwrap_or_default();
    let pids = wait_until("it is in the middle of submit", PATIENCE, || {
        Some(read(&host)).filter(|text| text.lines().count() == 2)
    });
    die(&mut host);
    until_begun(&host);
    fs::write(host.path("late"), "").unwrap();
    wait_until("the first submit is over", PATIENCE, || {
        let there = |pid: &str| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        (!pids.lines().any(there)).then_some(())
    });
    assert_eq!(read(&host), pids, "it went on");
    fs::write(host.path("gate"), "").unwrap();
    let job = host.client().until(&id, "SUCCEEDED");
    assert_eq!(job["attempt"], 2);
    assert_eq!(fs::read_to_string(host.path("begun")).unwrap(), "begun\n");
    assert_eq!(fs::read_to_string(host.path("ended")).unwrap(), "ended\n");
    forgotten(&host);
    let lives = fs::read_dir(host.path("state/executors/own/calls")).unwrap().flatten();
    assert_eq!(lives.filter(|life| life.path().is_dir()).count(), 1, "a dead life is left");
    host.finish();
}

#[test]
fn a_submit_whose_plugin_is_killed_starts_nothing_later() {
    an_interrupted_submit_starts_nothing(|host| {
        let runner = leftovers::processes(&host.path(""))
            .into_iter()
            .find(|process| process.command.starts_with("longshore-runner[own]"))
            .unwrap();
        let pid = rustix::process::Pid::from_raw(runner.pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    });
}

#[test]
fn a_submit_whose_host_is_killed_starts_nothing_later() {
    an_interrupted_submit_starts_nothing(|host| {
        host.kill_9();
        host.start();
    });
}

/// A host whose pool does `instead` at its start of that number, and then begins well.
fn host_of_a_late_pool(number: u32, instead: &str) -> TestHost {
    let config = "[executors.own.config]\nprogram = [\"sh\", \"start.sh\"]\nmode = \"serve\"\ntimeout = { facts = 2 }";
    let pool = fs::read(repository().join("examples/command/pool.py")).unwrap();
    let setup = setup(JOBS).config(config).plugin("command").file("pool.py", pool);
    let here = setup.path("").display().to_string();
    let start = format!(
        "cd {here}; echo >> starts; [ $(wc -l < starts) -ne {number} ] || {instead}\nexec python3 pool.py\n"
    );
    setup.file("start.sh", start).start()
}

fn runs_a_job_after_starts(host: &TestHost, least: usize) {
    let client = host.client();
    let job = client.submit("good", json!({ "n": least }));
    assert_eq!(client.result(&job), json!({ "n": least }));
    let starts = fs::read_to_string(host.path("starts")).unwrap();
    assert!(starts.lines().count() >= least, "the start that fails was not reached");
}

#[test]
fn an_executor_that_was_up_is_tried_again_though_its_program_does_not_start_at_once() {
    let host = host_of_a_late_pool(2, "exit 3");
    runs_a_job_after_starts(&host, 1);
    let runner = leftovers::processes(&host.path(""))
        .into_iter()
        .find(|process| process.command.starts_with("longshore-runner[own]"))
        .unwrap();
    let pid = rustix::process::Pid::from_raw(runner.pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    runs_a_job_after_starts(&host, 3);
    forgotten(&host);
    host.finish();
}

#[test]
fn an_executor_whose_program_is_slow_to_start_is_tried_again() {
    let host = host_of_a_late_pool(1, "exec sleep 600");
    runs_a_job_after_starts(&host, 2);
    forgotten(&host);
    host.finish();
}

#[test]
fn a_program_that_is_not_there_is_named_with_the_way_out() {
    let config = "[executors.own]\nplugin = \"command\"\n[executors.own.config]\nprogram = [\"./nowhere.py\"]";
    let host = setup(config).plugin("command").start();
    let said = host.says(&["plugin", "list", "--json"]);
    let log = host.log() + &lossy(&said.stdout);
    for part in ["nowhere.py", "cannot run the program", "hint: `program` is looked up on PATH"] {
        assert!(log.contains(part), "nobody says {part}:\n{log}");
    }
    host.finish();
}
