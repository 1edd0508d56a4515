//! What the parent asks of the process of one test, and how that answers.

use std::{
    fmt,
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

/// What is wrong with a JSON Schema of settings, if anything is.
pub type JudgeSchema = fn(&Value) -> Option<String>;

/// Which plugin is asked about.
#[derive(Clone, Copy)]
pub enum Asked {
    /// One that is linked.
    Linked(PluginRootRef),
    /// The library that the question names. As with its file there is one truth about what a host takes
    /// for a schema, and it is the host's.
    Library {
        /// The host's judgement.
        schema: JudgeSchema,
    },
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linked(_) => "Linked",
            Self::Library { .. } => "Library",
        })
    }
}

/// Runs the test that `directory` asks for, and leaves the answer there. To be called in a process that
/// was started for this.
///
/// # Errors
///
/// The question cannot be read, or the answer not written.
pub fn answer(directory: &Path, asked: Asked) -> io::Result<()> {
    let question: Question = serde_json::from_slice(&fs::read(directory.join(QUESTION))?)?;
    // Made before any of the plugin's code runs: that may change what a new file may be used for.
    let draft = directory.join("answer.part");
    let mut file = File::create(&draft)?;
    let outcome = try_out(question, directory, asked);
    // By rename: half an answer is none.
    file.write_all(&serde_json::to_vec(&outcome)?)?;
    fs::rename(draft, directory.join(ANSWER))
}

/// What was answered, if anything was.
pub(super) fn read_answer(directory: &Path) -> Option<Outcome> {
    serde_json::from_slice(&fs::read(directory.join(ANSWER)).ok()?).ok()
}

fn try_out(question: Question, directory: &Path, asked: Asked) -> Outcome {
    let Some(test) = tests().find(|test| test.name == question.test) else {
        return Outcome::Skip("this build of the kit does not know the test".to_owned());
    };
    let Body::Code(body) = test.body else {
        return Outcome::Skip("it is about a file, not about its code".to_owned());
    };
    let subject = match (asked, question.file) {
        (Asked::Linked(root), _) => Subject::Linked(root),
        (Asked::Library { schema }, Some(file)) => Subject::Library { file, schema },
        (Asked::Library { .. }, None) => {
            return Outcome::Skip("there is no plugin to test".to_owned());
        }
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
