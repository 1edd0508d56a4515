//! Python functions, through the package's entry point.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use longshore_local::Config;
use longshore_plugin_api::{Ending, Work};

use crate::stage::{Stage, failure, function, json, needing, result, until};

const MODULE: &str = "
import os, pathlib
def add(a, b):
    print('adding', a, b)
    return {'sum': a + b}
class Busy(Exception):
    pass
def fail(kind):
    raise {'busy': Busy, 'value': ValueError}[kind]('no luck')
def where():
    import longshore
    return [os.getcwd(), os.environ['TMPDIR'], longshore.__file__]
def wait():
    pathlib.Path('pid').write_text(f'{os.getpid()}\\n')
    import time
    time.sleep(1000)
";

async fn stage() -> Stage {
    let stage = Stage::new().await;
    stage.module("jobs.py", MODULE);
    stage
}

#[tokio::test]
async fn a_function_gets_its_parameters_and_returns_its_result() {
    let stage = stage().await;
    let mut job = function("jobs:add");
    job.params = json("{\"a\": 2, \"b\": 40}");
    let ended = stage.run(job).await;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(result(&ended)).unwrap(),
        serde_json::json!({"sum": 42})
    );
    assert_eq!(ended.log_tail, "adding 2 40\n");
}

#[tokio::test]
async fn an_exception_is_a_failure_and_a_listed_one_is_transient() {
    let stage = stage().await;
    for (kind, message, transient) in
        [("busy", "jobs.Busy: no luck", true), ("value", "ValueError: no luck", false)]
    {
        let mut job = function("jobs:fail");
        job.params = json(&format!("{{\"kind\": \"{kind}\"}}"));
        job.transient_errors = vec!["jobs.Busy".to_owned()];
        let ended = stage.run(job).await;
        assert_eq!(failure(&ended), (message, transient));
        assert!(ended.log_tail.starts_with("Traceback"), "{}", ended.log_tail);
    }
}

#[tokio::test]
async fn a_function_runs_in_its_own_directory_with_our_package() {
    let stage = stage().await;
    let submitted = stage.submit(function("jobs:where")).await;
    let ended = submitted.ended().await;
    let [cwd, tmp, package]: [String; 3] = serde_json::from_str(result(&ended)).unwrap();
    let work = submitted.directory.join("work").display().to_string();
    assert_eq!((cwd.as_str(), tmp.as_str()), (work.as_str(), work.as_str()));
    let bundle = stage.cache.path().join("bundle").display().to_string();
    assert!(package.starts_with(&bundle), "{package}");
}

#[tokio::test]
async fn a_canceled_function_is_gone() {
    let stage = stage().await;
    let submitted = stage.submit(function("jobs:wait")).await;
    submitted.pid().await;
    assert_eq!(submitted.cancel(Duration::from_secs(30)).await, Work::Gone);
    let ended = submitted.ended().await;
    assert!(
        matches!(&ended.ending, Ending::Canceled { message } if message == "canceled while it ran")
    );
    assert_eq!(submitted.processes(), []);
}

/// An interpreter whose `-m venv` never ends, as a slow index would make it.
fn slow_to_set_up(stage_dir: &std::path::Path) -> std::path::PathBuf {
    let python = stage_dir.join("python-that-hangs");
    fs::write(
        &python,
        "#!/bin/sh
case \"$*\" in *venv\\ *) trap '' TERM; echo begun > venv; while :; do sleep 1; done;; esac
exec python3 \"$@\"
",
    )
    .unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o700)).unwrap();
    python
}

/// The entry point runs `sys.executable -m venv`; a site hook makes that our script.
const HOOK: &str = "import sys, os
sys.executable = os.environ['SLOW_PYTHON']
";

async fn slow_stage() -> (tempfile::TempDir, Stage) {
    let directory = tempfile::tempdir().unwrap();
    let python = slow_to_set_up(directory.path());
    let set_env = [("SLOW_PYTHON".to_owned(), python.display().to_string())].into();
    let stage = Stage::with(Config { set_env, ..Config::default() }).await;
    stage.module("sitecustomize.py", HOOK);
    stage.module("jobs.py", MODULE);
    (directory, stage)
}

#[tokio::test]
async fn set_up_is_part_of_the_job_and_can_be_canceled() {
    let (_directory, stage) = slow_stage().await;
    let mut job = function("jobs:wait");
    job.python = needing(&["left-pad"]);
    let submitted = stage.submit(job).await;
    let begun = stage.cache.path().join("environments/venv");
    until("the set-up has begun", || begun.exists().then_some(())).await;
    assert_eq!(submitted.cancel(Duration::from_millis(100)).await, Work::Gone);
    let ended = submitted.ended().await;
    let expected = "canceled while its Python environment was set up";
    assert!(
        matches!(&ended.ending, Ending::Canceled { message } if message == expected),
        "{ended:?}"
    );
    assert_eq!(submitted.processes(), []);
}

#[tokio::test]
async fn set_up_counts_against_the_deadline() {
    let (_directory, stage) = slow_stage().await;
    let mut job = function("jobs:wait");
    job.python = needing(&["left-pad"]);
    job.timeout = longshore_plugin_api::Seconds(3.0);
    let submitted = stage.submit(job).await;
    let ended = submitted.ended().await;
    let Ending::Timeout { message } = &ended.ending else { panic!("{ended:?}") };
    assert!(
        message.ends_with("its timeout of 3 s while its Python environment was set up"),
        "{message}"
    );
    assert_eq!(submitted.processes(), []);
}
