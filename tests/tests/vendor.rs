//! A vendor's first hour, as docs/writing-a-plugin.md tells it: its commands are run word for word, beside
//! a host that has no idea of the plugin when it starts.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use longshore_tests::{
    TestHost,
    built::{built, cargo, repository},
    host::lossy,
    setup,
    vendor::{builds, share_target},
    wait::PATIENCE,
    wait_until,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The host has its own executor beside: with `acme` alone it would not start without it.
const JOBS: &str = r#"
[jobs.hello]
executor = "acme"

[jobs.long]
executor = "acme"
command = ["sh", "-c", '''
touch {dir}/begun
until [ -e {dir}/gate ]; do sleep 0.02; done
printf '"%s"' "$LONGSHORE_PLUGIN" >"$LONGSHORE_RESULT"
''']
"#;

/// The page, and which of its blocks have been run.
struct Guide {
    blocks: Vec<(String, String)>,
    run: RefCell<BTreeSet<String>>,
}

impl Guide {
    fn new() -> Self {
        let page = fs::read_to_string(repository().join("docs/writing-a-plugin.md")).unwrap();
        let marked = page.split("<!-- run by tests/tests/vendor.rs: ").skip(1);
        let block = |text: &str| {
            let (name, rest) =
                text.split_once(" -->\n```sh\n").expect("a marked block of commands");
            let (commands, _) = rest.split_once("\n```\n").expect("it has an end");
            (name.to_owned(), commands.to_owned())
        };
        Self { blocks: marked.map(block).collect(), run: RefCell::default() }
    }

    /// Runs a block's commands in this directory; each has to succeed. Returns what they print.
    #[track_caller]
    fn run(&self, name: &str, directory: &Path, host: Option<&TestHost>) -> String {
        let (_, commands) = self.blocks.iter().find(|block| block.0 == name).expect(name);
        self.run.borrow_mut().insert(name.to_owned());
        let mut shell = Command::new("sh");
        let longshore = built().host().parent().map(Path::to_owned);
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(longshore.into_iter().chain(env::split_paths(&path))).unwrap();
        shell.args(["-euc", commands]).current_dir(directory);
        shell.env("PATH", path).env("CLONE", repository()).env("NO_COLOR", "1");
        builds(&mut shell);
        // What the developer has set for a host of their own.
        for name in ["LONGSHORE_CONFIG", "LONGSHORE_TOKEN", "LONGSHORE_URL"] {
            shell.env_remove(name);
        }
        if let Some(host) = host {
            // A reader's host listens where `longshore.toml` says; this one does not.
            let token = fs::read_to_string(host.path("state/admin-token")).unwrap();
            shell.env("LONGSHORE_URL", host.client().url()).env("LONGSHORE_TOKEN", token.trim());
        }
        let output = shell.output().unwrap();
        let (out, err) = (lossy(&output.stdout), lossy(&output.stderr));
        assert!(output.status.success(), "{name}: {}\n{out}{err}", output.status);
        out
    }
}

/// The versions of the executor: each with how it stands and its process.
fn versions(host: &TestHost) -> Vec<(String, String, Option<u64>)> {
    let answer = host.client().get("/api/3.0/plugins");
    let plugins = answer.json["plugins"].as_array().unwrap();
    let executors = plugins.iter().flat_map(|plugin| plugin["executors"].as_array().unwrap());
    let mut versions: Vec<_> = executors
        .filter(|executor| executor["name"] == "acme")
        .map(|executor| {
            let text = |field: &str| executor[field].as_str().unwrap_or_default().to_owned();
            (text("version"), text("standing"), executor["pid"].as_u64())
        })
        .collect();
    versions.sort();
    versions
}

/// Waits until the versions stand so, and returns their processes.
#[track_caller]
fn until_stand(host: &TestHost, expected: &[(&str, &str)]) -> Vec<PathBuf> {
    let what = format!("the versions of the executor are {expected:?}");
    let found = wait_until(&what, PATIENCE, || {
        let found = versions(host);
        let stand = found.iter().map(|(version, standing, _)| (&**version, &**standing));
        stand.eq(expected.iter().copied()).then_some(found)
    });
    found.into_iter().map(|(.., pid)| process(pid.expect("it has one"))).collect()
}

fn process(pid: u64) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

fn kill(process: &Path) {
    let pid = process.file_name().and_then(|pid| pid.to_str()?.parse().ok()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_vendor_needs_an_hour() {
    let guide = Guide::new();
    let desk = tempfile::tempdir().unwrap();
    let acme = desk.path().join("acme");
    guide.run("new", desk.path(), None);
    share_target(&acme);
    let inspected = guide.run("build", &acme, None);
    assert!(inspected.starts_with("plugin      acme\nversion     0.1.0\n"), "{inspected}");
    let checked = guide.run("check", &acme, None);
    let judged = |word: &str| checked.lines().filter(|line| line.trim().starts_with(word)).count();
    assert!(checked.contains("test result: ok. 1 passed") && judged("pass ") > 30, "{checked}");
    let formatted = cargo(&acme).args(["fmt", "--check"]).output().unwrap();
    assert!(formatted.status.success(), "{}", lossy(&formatted.stdout));

    // The crate's own host, except for where it is.
    let config = fs::read_to_string(acme.join("longshore.toml")).unwrap();
    let setup = setup(&config).config(JOBS);
    symlink(setup.path("plugins"), acme.join("plugins")).unwrap();
    let host = setup.start();
    let client = host.client();
    guide.run("install", &acme, None);
    let first = until_stand(&host, &[("0.1.0", "ready")]).remove(0);
    let by = |version: &str| format!("longshore-acme {version}");
    let said = guide.run("run", &acme, Some(&host));
    assert!(said.contains(&format!("hello from {}", by("0.1.0"))), "{said}");

    let long = client.submit("long", json!({}));
    wait_until("the long job runs", PATIENCE, || host.path("begun").exists().then_some(()));
    // What the page says of a plugin that crashes: it is started again, and finds its job.
    kill(&first);
    let old = wait_until("it is started again, and has the job", PATIENCE, || {
        let found = versions(&host);
        let [(_, standing, Some(pid))] = &*found else { return None };
        let runs = client.job(&long)["status"] == "RUNNING";
        (standing == "ready" && process(*pid) != first && runs).then(|| process(*pid))
    });

    guide.run("upgrade", &acme, None);
    until_stand(&host, &[("0.1.0", "draining"), ("0.2.0", "ready")]);
    let next = client.result(&client.submit("hello", json!({})));
    assert_eq!(next, Value::from(format!("hello from {}", by("0.2.0"))));
    assert_eq!(client.until(&long, "RUNNING")["attempt"], 1);
    assert!(old.exists(), "the old version still has a job");

    fs::write(host.path("gate"), "").unwrap();
    let job = client.until(&long, "SUCCEEDED");
    assert_eq!((&job["result"], &job["attempt"]), (&json!(by("0.1.0")), &json!(1)));
    until_stand(&host, &[("0.2.0", "ready")]);
    wait_until("the old version's process is gone", PATIENCE, || (!old.exists()).then_some(()));

    assert!(guide.run("pin", &acme, None).contains("pinned acme 0.2.0"));
    host.finish();
    let all: BTreeSet<_> = guide.blocks.iter().map(|block| block.0.clone()).collect();
    assert_eq!(*guide.run.borrow(), all, "the page has commands that nobody has run");
}
