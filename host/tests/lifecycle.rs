//! `docs/lifecycle.md` is made of [`TRANSITIONS`], of the statements under `host/src/store/sql` and of
//! what `host/src/lifecycle.rs` says about each word; this compares it with what is committed.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::{fmt::Write as _, fs, path::Path};

use longshore::lifecycle::{Event, State, TRANSITIONS, Transition};

#[test]
fn the_drawing_is_what_the_code_says() {
    let path = here("../docs/lifecycle.md");
    let document = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &document).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == document,
        "docs/lifecycle.md is not what the code says: `cargo xtask docs` writes it again"
    );
}

#[test]
fn every_word_of_the_document_is_explained() {
    let source = source();
    for word in
        State::ALL.map(|s| format!("{s:?}")).iter().chain(&Event::ALL.map(|e| format!("{e:?}")))
    {
        assert!(meaning(&source, word).ends_with('.'), "{word} has no sentence in lifecycle.rs");
    }
    for row in TRANSITIONS {
        assert!(
            !statements(row.event).is_empty(),
            "no statement moves a job by `{}`",
            row.event.as_str()
        );
    }
}

fn document() -> String {
    let source = source();
    let mut text = String::from(
        "<!-- Generated from host/src/lifecycle.rs and host/src/store/sql; `cargo xtask docs` writes it again. -->

# The life of a job

Every arrow is one guarded statement; no rows matched means that somebody else was first. The four
ends (SUCCEEDED, FAILED, TIMEOUT, CANCELED) never change again. Whether work may still exist is told by
the column `work` (`none`, `maybe`, `gone`), never by the state.

```mermaid
stateDiagram-v2
    direction LR
",
    );
    for (from, to, events) in arrows() {
        writeln!(text, "    {from} --> {to}: {events}").unwrap();
    }
    text += "```

## States

| state | meaning |
| --- | --- |
";
    for state in State::ALL {
        writeln!(text, "| `{state}` | {} |", meaning(&source, &format!("{state:?}"))).unwrap();
    }
    text += "
## Events

The statements are files in `host/src/store/sql`. A test compares the states in each one's guard with
this table, another prepares all of them, and the matrix of states and events is tested against
answers written by hand (`host/tests/store/matrix.rs`).

| event | from | to | condition | statement |
| --- | --- | --- | --- | --- |
";
    for row in TRANSITIONS {
        let cells = [
            row.event.as_str().replace('_', " "),
            states(row.from),
            states(row.to),
            row.condition.to_owned(),
            statements(row.event).join(", "),
        ];
        writeln!(text, "| {} |", cells.join(" | ")).unwrap();
    }
    text += "\n## What each event is\n\n";
    for Transition { event, .. } in TRANSITIONS {
        let meaning = meaning(&source, &format!("{event:?}"));
        writeln!(text, "- **{}**: {meaning}", event.as_str().replace('_', " ")).unwrap();
    }
    text
}

/// One arrow between two states carries every event that leads from one to the other.
fn arrows() -> Vec<(String, String, String)> {
    let mut arrows: Vec<(String, String, String)> = Vec::new();
    for row in TRANSITIONS {
        let name = row.event.as_str().replace('_', " ");
        let from: Vec<_> = row.from.iter().map(State::to_string).collect();
        let from = if from.is_empty() { vec!["[*]".to_owned()] } else { from };
        for from in from {
            for to in row.to.iter().map(State::to_string) {
                match arrows.iter_mut().find(|(f, t, _)| *f == from && *t == to) {
                    Some((_, _, events)) => write!(events, ", {name}").unwrap(),
                    None => arrows.push((from.clone(), to, name.clone())),
                }
            }
        }
    }
    arrows
}

fn states(states: &[State]) -> String {
    match states {
        [] => "-".to_owned(),
        _ if states == State::TERMINAL => "the four ends".to_owned(),
        _ => states.iter().map(State::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Links to the statement files whose first line says that they are this event's.
fn statements(event: Event) -> Vec<String> {
    let says = format!("-- event: {}\n", event.as_str());
    let mut names: Vec<_> = fs::read_dir(here("src/store/sql"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| fs::read_to_string(path).unwrap().starts_with(&says))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.iter().map(|name| format!("[`{name}`](../host/src/store/sql/{name}.sql)")).collect()
}

/// What the documentation of this variant says, on one line.
fn meaning(source: &str, variant: &str) -> String {
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| *line == format!("{variant},")).expect(variant);
    let said = lines[..at].iter().rev().map_while(|line| line.strip_prefix("/// "));
    said.collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join(" ")
}

fn source() -> String {
    fs::read_to_string(here("src/lifecycle.rs")).unwrap()
}

fn here(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
