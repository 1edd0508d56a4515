//! Asking Python what its modules declare.

use std::{fs, time::Duration};

use longshore::config::{DescribeError, Python, describe};

use super::*;

/// A directory in which `longshore.describe` is `script`.
fn stand_in(script: &str) -> (tempfile::TempDir, Python) {
    let sdk = tempfile::tempdir().unwrap();
    fs::create_dir(sdk.path().join("longshore")).unwrap();
    fs::write(sdk.path().join("longshore/describe.py"), script).unwrap();
    (sdk, python(&["scorers.jobs"], Path::new("/srv/jobs")))
}

fn python(modules: &[&str], path: &Path) -> Python {
    Python {
        interpreter: "python3".to_owned(),
        path: vec![path.to_owned()],
        modules: modules.iter().map(|module| (*module).to_owned()).collect(),
    }
}

#[tokio::test]
async fn without_modules_nothing_runs() {
    let (sdk, mut python) = stand_in("raise SystemExit(1)");
    python.modules.clear();
    let declared = describe(&python, sdk.path()).await.unwrap();
    assert_eq!(declared.names().count(), 0);
}

#[tokio::test]
async fn python_is_asked_for_the_modules_on_their_path() {
    let script = "import json, sys\n\
                  name = '/'.join(sys.argv[1:]).replace('--', '')\n\
                  print(json.dumps({'errors': [], 'jobs': [{'name': name, 'function': 'm:f'}]}))\n";
    let (sdk, python) = stand_in(script);
    let declared = describe(&python, sdk.path()).await.unwrap();
    assert_eq!(declared.names().collect::<Vec<_>>(), ["path//srv/jobs/scorers.jobs"]);
}

#[tokio::test]
async fn much_noise_on_both_pipes_does_not_stand_in_the_way() {
    let script = "import sys\n\
                  print(' ' * 1000000, 'x' * 1000000, file=sys.stderr)\n\
                  print(' ' * 1000000, '{\"jobs\": []}')\n";
    let (sdk, python) = stand_in(script);
    assert!(describe(&python, sdk.path()).await.is_ok());
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let (sdk, python) = stand_in("while True: print('x' * 100000)");
    let error = describe(&python, sdk.path()).await.unwrap_err();
    assert!(matches!(error, DescribeError::Read { .. }), "{error}");
}

#[tokio::test]
async fn a_python_that_fails_is_quoted() {
    let (sdk, python) = stand_in("raise SystemExit('no such thing')");
    let error = describe(&python, sdk.path()).await.unwrap_err();
    let said = error.to_string();
    let command = "`python3 -m longshore.describe --path /srv/jobs scorers.jobs`";
    assert!(said.contains(command), "{said}");
    assert!(said.contains("exit status: 1") && said.contains("no such thing"), "{said}");
}

#[tokio::test]
async fn a_python_that_is_not_there_is_named() {
    let (sdk, mut python) = stand_in("");
    python.interpreter = "/nonexistent/python".to_owned();
    let said = describe(&python, sdk.path()).await.unwrap_err().to_string();
    assert!(said.contains("`/nonexistent/python -m"), "{said}");
    assert!(said.contains("`python.interpreter`"), "{said}");
}

#[tokio::test]
async fn a_real_decorated_function_becomes_a_job_type() {
    let dir = tempfile::tempdir().unwrap();
    let module = "from longshore import job\n\
                  print('a module may print')\n\
                  @job(name='score', max_workers=2, timeout=90, exclusive=['experiment_id'])\n\
                  def score(experiment_id, limit=10):\n    \
                      'Scores traces.'\n";
    fs::write(dir.path().join("real_scorers.py"), module).unwrap();
    fs::write(dir.path().join("broken_scorers.py"), "import no_such_module\n").unwrap();
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/python");

    let declared = describe(&python(&["real_scorers"], dir.path()), &sdk).await.unwrap();
    let config = read("[executors.local]\n").with_declared(declared).unwrap();
    let job = &config.job_types["score"];
    assert_eq!((job.max_workers, job.timeout), (2, Duration::from_secs(90)));
    assert_eq!(job.required_params, ["experiment_id"]);
    assert_eq!(job.description.as_deref(), Some("Scores traces."));

    let both = python(&["real_scorers", "broken_scorers"], dir.path());
    let said = describe(&both, &sdk).await.unwrap_err().to_string();
    assert!(said.starts_with("module broken_scorers: cannot be imported: "), "{said}");
    assert!(said.contains("no_such_module"), "{said}");
}
