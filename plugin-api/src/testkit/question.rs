//! What the parent asks of the process of one test, and how that answers.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Body, Sample,
    bench::{Bench, Subject},
    report::Outcome,
    tests,
};
use crate::abi::PluginRootRef;

pub(super) const QUESTION: &str = "question.json";
const ANSWER: &str = "answer.json";

/// One test of one plugin.
#[derive(Debug, Deserialize, Serialize)]
pub struct Question {
    pub(super) test: String,
    /// The library to load, where the executor is not linked.
    pub(super) file: Option<PathBuf>,
    /// What that says of itself.
    pub(super) note: Option<Value>,
    pub(super) sample: Sample,
    /// What relative paths of the configuration are relative to.
    pub(super) config_dir: Option<PathBuf>,
    pub(super) seed: u64,
}

/// Runs the test that `directory` asks for, and leaves the answer there. `linked` is the plugin, unless
/// it is to be loaded from a file. To be called in a process that was started for this.
///
/// # Errors
///
/// The question cannot be read, or the answer not written.
pub fn answer(directory: &Path, linked: Option<PluginRootRef>) -> io::Result<()> {
    let question: Question = serde_json::from_slice(&fs::read(directory.join(QUESTION))?)?;
    // Made before any of the plugin's code runs: that may change what a new file may be used for.
    let draft = directory.join("answer.part");
    let mut file = File::create(&draft)?;
    let outcome = try_out(question, directory, linked);
    // By rename: half an answer is none.
    file.write_all(&serde_json::to_vec(&outcome)?)?;
    fs::rename(draft, directory.join(ANSWER))
}

/// What was answered, if anything was.
pub(super) fn read_answer(directory: &Path) -> Option<Outcome> {
    serde_json::from_slice(&fs::read(directory.join(ANSWER)).ok()?).ok()
}

fn try_out(question: Question, directory: &Path, linked: Option<PluginRootRef>) -> Outcome {
    let Some(test) = tests().find(|test| test.name == question.test) else {
        return Outcome::Skip("this build of the kit does not know the test".to_owned());
    };
    let Body::Code(body) = test.body else {
        return Outcome::Skip("it is about a file, not about its code".to_owned());
    };
    let subject = match (linked, question.file) {
        (Some(root), _) => Subject::Linked(root),
        (None, Some(file)) => Subject::File(file),
        (None, None) => return Outcome::Skip("there is no plugin to test".to_owned()),
    };
    let bench = match Bench::new(
        subject,
        question.note,
        question.sample,
        question.config_dir,
        directory,
        question.seed,
    ) {
        Ok(bench) => bench,
        Err(error) => return Outcome::Skip(format!("the test itself cannot begin: {error}")),
    };
    let outcome = Outcome::from(body(&bench));
    bench.clean_up();
    // Whatever the test was about: a panic that was caught is still a mistake.
    match (outcome, bench.panics.first()) {
        (Outcome::Pass | Outcome::Warn(_), Some(panic)) => Outcome::Fail(panic),
        (outcome, _) => outcome,
    }
}
