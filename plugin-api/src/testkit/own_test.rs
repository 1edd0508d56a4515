//! The kit as a test of the plugin's own crate.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{Asked, Plan, Sample, Test, answer, run};
use crate::abi::PluginRootRef;

/// Where the question is, in the process of one test.
const DIRECTORY: &str = "LONGSHORE_TESTKIT";

/// What [`conformance!`](crate::conformance) expands to: in the process that `cargo test` started, all
/// tests of levels 1 and 2; in one of theirs, one.
///
/// # Panics
///
/// A promise is broken; the message names each.
pub fn conform(root: PluginRootRef, this_test: &str, sample: impl FnOnce() -> Sample) {
    if let Some(directory) = env::var_os(DIRECTORY) {
        let answered = answer(Path::new(&directory), Asked::Linked(root));
        return answered.unwrap_or_else(|error| panic!("the kit cannot answer: {error}"));
    }
    // As `--exact` wants it: without the crate.
    let name = this_test.split_once("::").map_or(this_test, |(_, name)| name);
    let program = env::current_exe().unwrap_or_else(|error| panic!("this runs: {error}"));
    let child = |_: &Test, directory: &Path| {
        let mut command = Command::new(&program);
        command
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory);
        command
    };
    let scratch = tempfile::tempdir().unwrap_or_else(|error| panic!("a directory: {error}"));
    let plan = Plan {
        file: None,
        package: None,
        sample: sample(),
        config_dir: env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from),
        level: 2,
        only: None,
        seed: 1,
        deadline: Duration::from_secs(30),
        hears_output: false,
        directory: scratch.path().to_owned(),
    };
    let report = run(&plan, &child, &mut |_| {});
    let report = report.unwrap_or_else(|error| panic!("the kit cannot run its tests: {error}"));
    assert!(report.is_good(), "promises are broken:\n{report}");
}
