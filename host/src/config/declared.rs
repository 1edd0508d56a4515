//! Job types that Python functions declare by a decorator: what `python -m longshore.describe`
//! prints, read by the same readers as the file.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::Value as Json;

use super::{
    effective::Origin,
    kind::form,
    mistake::{Mistake, Mistakes, Problem, Source},
    node::Node,
    period,
    reader::{Ledger, Record, join},
    section::jobs::JobTable,
};

/// What the listed modules declare.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    pub(super) jobs: BTreeMap<String, DeclaredJob>,
}

#[derive(Clone, Debug)]
pub(super) struct DeclaredJob {
    pub(super) table: JobTable,
    pub(super) record: Record,
    pub(super) module: String,
}

impl DeclaredJob {
    pub(super) fn origin(&self) -> Origin {
        Origin::Declared { module: self.module.clone() }
    }
}

impl Declared {
    /// Reads the JSON that `longshore.describe` prints.
    ///
    /// # Errors
    ///
    /// Every mistake in every module: those that Python found and those found here.
    pub fn parse(text: &str) -> Result<Self, Mistakes> {
        let mut declared = Self::default();
        let mut mistakes = Vec::new();
        match serde_json::from_str::<Json>(text) {
            Ok(Json::Object(mut answer)) => {
                let errors = answer.remove("errors").unwrap_or_default();
                mistakes.extend(errors.as_array().into_iter().flatten().map(refused));
                match answer.remove("jobs") {
                    Some(Json::Array(jobs)) => {
                        jobs.into_iter().for_each(|job| declared.add(job, &mut mistakes));
                    }
                    _ => mistakes.push(nonsense("there is no list of `jobs` in it")),
                }
            }
            Ok(_) => mistakes.push(nonsense("not a JSON object")),
            Err(error) => mistakes.push(nonsense(&error.to_string())),
        }
        Mistakes::check(mistakes)?;
        Ok(declared)
    }

    /// The names that are declared.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.jobs.keys().map(String::as_str)
    }

    fn add(&mut self, mut job: Json, mistakes: &mut Vec<Mistake>) {
        let function = job["function"].as_str().unwrap_or_default().to_owned();
        let module = function.split(':').next().unwrap_or_default().to_owned();
        if module.is_empty() {
            mistakes.push(nonsense("a job without a function"));
            return;
        }
        let source = Source::Module(module.clone());
        let name = job["name"].as_str().unwrap_or_default().to_owned();
        if !form::is_name(&name) {
            let expected = form::NAME.expected;
            let message =
                format!("expected the name of `{function}` to be {expected}, found {name:?}");
            mistakes.push(whole(source, Problem::Conflict { message }));
            return;
        }
        humanise(&mut job);
        let node = Node::from_json(job);
        let ledger = Ledger::new(source.clone(), Path::new(""));
        let table = ledger.table(join("jobs", &name), &node, JobTable::read_declared);
        let (found, record) = ledger.into_parts();
        mistakes.extend(found);
        if let Some(other) = self.jobs.get(&name) {
            let message =
                format!("job type `{name}` is declared twice: in {} and in {module}", other.module);
            mistakes.push(whole(source, Problem::Conflict { message }));
            return;
        }
        if let Some(table) = table {
            self.jobs.insert(name, DeclaredJob { table, record, module });
        }
    }
}

/// A decorator gives seconds, the readers want text; an empty doc is none. What is no duration stays
/// as it is, to be refused with its own value in the message.
fn humanise(job: &mut Json) {
    let seconds = job["timeout"].as_f64();
    if let Some(duration) = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        job["timeout"] = period::show(duration).into();
    }
    if job["doc"] == "" {
        job["doc"] = Json::Null;
    }
}

fn refused(error: &Json) -> Mistake {
    let text = |key: &str| error[key].as_str().unwrap_or("?").to_owned();
    whole(Source::Module(text("module")), Problem::Unreadable { message: text("error") })
}

fn nonsense(why: &str) -> Mistake {
    let message = format!("the answer cannot be read: {why}");
    let mut mistake =
        whole(Source::Module("longshore.describe".to_owned()), Problem::Unreadable { message });
    mistake.hint = Some("host and Python package must be of the same version".to_owned());
    mistake
}

fn whole(source: Source, problem: Problem) -> Mistake {
    Mistake { source, at: None, key: String::new(), problem, hint: None }
}
