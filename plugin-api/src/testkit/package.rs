//! Level 1: the file, and what happens until its code is there.

use std::time::Duration;

use abi_stable::library::ROOT_MODULE_LOADER_NAME;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Body, Printing, Test,
    bench::Bench,
    report::{Tried, fail, skip, warn},
    schema,
};
use crate::note::Note;

/// What a host has read of a file. The kit does not read it again: there is one truth about what a host
/// loads, and it is the host's.
#[derive(Clone, Debug, Serialize)]
pub struct Package {
    /// Why the host would not load it.
    pub problem: Option<String>,
    /// Its note, where it has one.
    pub note: Option<Value>,
    /// The symbols that it exports.
    pub exports: Vec<String>,
}

/// How long loading should take at most.
const BRISK: Duration = Duration::from_millis(100);

pub(super) const TESTS: &[Test] = &[
    Test::new(PREFLIGHT, 1, "a host loads the file", Body::File(preflight)),
    Test::new("exports_one_symbol", 1, "nothing of it is in others' way", Body::File(exports)),
    Test::new("unwinds", 1, "a panic is an error, not the end of its process", Body::File(unwinds)),
    Test::new(CONSTRUCTOR, 1, "loading it comes to an end", Body::Code(constructor)),
    Test::new(LOADS, 1, "everything that it needs is there", Body::Code(loads)),
    Test::new("note_and_code_agree", 1, "it is what its note says", Body::Code(note_and_code)),
    Test::new("loads_within_100_ms", 1, "starting it again costs little", Body::Code(brisk)),
    Test::new("loading_prints_nothing", 1, "standard output is the host's", Body::Code(loads))
        .silent(Printing::AFailure),
    Test::new("schema_is_local", 1, "its settings are described completely", Body::Code(local)),
    Test::new(
        "schema_refuses_unknown_keys",
        1,
        "a misspelled setting is noticed",
        Body::Code(unknown_keys),
    ),
];

/// Without these there is nothing to run.
pub(super) const PREFLIGHT: &str = "preflight_passes";
pub(super) const CONSTRUCTOR: &str = "constructor_returns";
pub(super) const LOADS: &str = "loads_now";

fn preflight(package: &Package) -> Tried {
    package.problem.clone().map_or(Ok(()), fail)
}

fn exports(package: &Package) -> Tried {
    if package.exports.is_empty() {
        return skip("no symbol of it could be read");
    }
    let header = ROOT_MODULE_LOADER_NAME;
    let more: Vec<_> = package.exports.iter().filter(|name| *name != header).collect();
    if more.is_empty() {
        return Ok(());
    }
    warn(format!("beside its header it exports {}", listed(&more)))
}

fn listed(names: &[&String]) -> String {
    let mut text = names.iter().take(5).map(|name| &***name).collect::<Vec<_>>().join(", ");
    if names.len() > 5 {
        text.push_str(", ...");
    }
    text
}

fn unwinds(package: &Package) -> Tried {
    match package.note.as_ref().and_then(|note| note.get("panic")?.as_str()) {
        Some("unwind") => Ok(()),
        Some(other) => warn(format!("it is built with `panic = \"{other}\"`")),
        None => skip("no note of it could be read"),
    }
}

/// Whether it comes back at all; what it comes back with is [`loads`]' concern.
fn constructor(bench: &Bench) -> Tried {
    let _ = bench.code();
    Ok(())
}

fn loads(bench: &Bench) -> Tried {
    bench.loaded().map(drop)
}

fn note_and_code(bench: &Bench) -> Tried {
    let loaded = bench.loaded()?;
    let Some(note) = &bench.note else {
        return skip("it is linked, so there is no note: `longshore plugin check` reads it");
    };
    let note = Note::deserialize(note).or_else(|error| fail(format!("its note: {error}")))?;
    loaded.is_of(&note).or_else(|error| fail(error.to_string()))
}

fn brisk(bench: &Bench) -> Tried {
    let before = Instant::now();
    bench.loaded()?;
    let took = before.elapsed();
    if took <= BRISK {
        return Ok(());
    }
    warn(format!("loading and describing it took {took:?}"))
}

fn local(bench: &Bench) -> Tried {
    let description = &bench.loaded()?.description;
    let Some(mistake) = bench.judge_of_schemas() else {
        return skip("only a host judges that: `longshore plugin check FILE`");
    };
    let schemas = [Some(&description.config_schema), description.options_schema.as_ref()];
    schemas.into_iter().flatten().find_map(mistake).map_or(Ok(()), fail)
}

fn unknown_keys(bench: &Bench) -> Tried {
    if schema::is_closed(&bench.loaded()?.description.config_schema) {
        return Ok(());
    }
    warn("it lets unknown settings pass; `#[serde(deny_unknown_fields)]` refuses them")
}
