//! The table itself.

use std::{collections::BTreeSet, fs, path::Path};

use longshore_tests::built::repository;

/// A row of `docs/plugin-failures.md`: its number, and what stands in its last column.
fn rows() -> Vec<(u32, String)> {
    let table = fs::read_to_string(repository().join("docs/plugin-failures.md")).unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim);
        Some((cells.next()?.parse().ok()?, cells.next_back()?.to_owned()))
    };
    table.lines().filter_map(row).collect()
}

/// Every `fn` with `#[test]`, or one like it, above it.
fn tests(below: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(below).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            tests(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut of_a_test = false;
            for line in text.lines().map(str::trim) {
                let line = line.strip_prefix("async ").unwrap_or(line);
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    of_a_test = true;
                } else if let Some(name) = line.strip_prefix("fn ")
                    && std::mem::take(&mut of_a_test)
                {
                    found.extend(name.split('(').next().map(str::to_owned));
                }
            }
        }
    }
}

#[test]
fn every_row_has_a_test_or_a_reason() {
    let mut known = BTreeSet::new();
    for crate_ in ["host", "plugin-api", "tests"] {
        for part in ["src", "tests"] {
            tests(&repository().join(crate_).join(part), &mut known);
        }
    }
    let rows = rows();
    let numbers: Vec<u32> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=93).collect::<Vec<_>>());
    let mut reasons = 0;
    for (number, last) in &rows {
        if last.starts_with("no test: ") {
            reasons += 1;
            continue;
        }
        let named: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "row {number} names no test and no reason: {last}");
        for name in named {
            assert!(known.contains(name), "row {number}: there is no test `{name}`");
        }
    }
    assert!(reasons <= 8, "{reasons} rows without a test");
}
