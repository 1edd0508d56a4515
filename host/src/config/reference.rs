//! `docs/configuration.md`, written from what the readers declare.

use std::fmt::Write as _;

use super::{Config, reader::Ledger};

/// A complete example; a test reads it.
const EXAMPLE: &str = include_str!("reference/example.toml");

const INTRODUCTION: &str = "\
<!-- Generated from host/src/config; `cargo xtask docs` writes it again. -->

# Configuration

One TOML file, by default `longshore.toml` in the current directory; `--config` or the environment
variable `LONGSHORE_CONFIG` names another. Every key has a default unless it says *required*.

- `longshore config check` reports every mistake at once, each with its line.
- `longshore config show` prints every setting that is in effect and where it comes from.

**Durations** are numbers with units, largest first: `500ms`, `30s`, `1h30m`, `2d`. **Sizes** are a
number with a unit: `512KiB`, `16MiB`, `1GB`. **Paths** that are relative start at the directory of
the file. **Secrets** are never written into the file: it names the file or the environment variable
that holds them. Keys that this version does not know are refused.

A complete example:
";

/// A declared table or key.
#[derive(Clone, Debug)]
pub(super) enum Row {
    Table { path: String, heading: String, meaning: &'static str },
    Key { path: String, kind: String, default: String, meaning: &'static str },
}

impl Row {
    pub(super) fn table(path: &str, meaning: &'static str) -> Self {
        Self::Table { path: path.to_owned(), heading: format!("[{path}]"), meaning }
    }

    pub(super) fn list_of_tables(path: &str, meaning: &'static str) -> Self {
        Self::Table { path: path.to_owned(), heading: format!("[[{path}]]"), meaning }
    }

    pub(super) fn key(path: &str, kind: String, default: &str, meaning: &'static str) -> Self {
        Self::Key { path: path.to_owned(), kind, default: default.to_owned(), meaning }
    }
}

/// The reference, as Markdown.
pub fn reference() -> String {
    let rows = declared();
    let mut text = format!("{INTRODUCTION}\n```toml\n{EXAMPLE}```\n");
    let mut section = |path: &str, heading: &str, meaning: &str| {
        let keys: Vec<&Row> = rows
            .iter()
            .filter(|row| matches!(row, Row::Key { path: key, .. } if parent(key) == path))
            .collect();
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## {heading}\n");
        if !meaning.is_empty() {
            let _ = write!(text, "\n{meaning}\n");
        }
        if keys.is_empty() {
            return;
        }
        text.push_str("\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
        for key in keys {
            if let Row::Key { path, kind, default, meaning } = key {
                let name = path.rsplit('.').next().unwrap_or(path);
                let cells =
                    [format!("`{name}`"), kind.clone(), default.clone(), (*meaning).to_owned()];
                let _ = writeln!(
                    text,
                    "| {} |",
                    cells.map(|cell| cell.replace('|', "\\|")).join(" | ")
                );
            }
        }
    };
    section("", "Top level", "");
    for row in &rows {
        if let Row::Table { path, heading, meaning } = row {
            section(path, &format!("`{heading}`"), meaning);
        }
    }
    text
}

/// Where a key that stands in the wrong table belongs.
pub(super) fn home_of(name: &str) -> Option<String> {
    let rows = declared();
    let homes: Vec<String> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Key { path, .. } if path.rsplit('.').next() == Some(name) => {
                Some(match parent(path) {
                    "" => "at the top of the file, above the first [table]".to_owned(),
                    table => format!("in [{table}]"),
                })
            }
            _ => None,
        })
        .collect();
    (!homes.is_empty()).then(|| format!("`{name}` belongs {}", homes.join(" or ")))
}

fn declared() -> Vec<Row> {
    let ledger = Ledger::rehearsal();
    ledger.document(&[], Config::read);
    ledger.into_parts().1.rows
}

fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}
