//! `docs/configuration.md`.

use std::fs;

use longshore::config::reference;

use super::*;

#[test]
fn the_reference_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let reference = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &reference).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == reference,
        "docs/configuration.md is not what the code says: UPDATE_DOCS=1 writes it again"
    );
}

#[test]
fn every_key_of_the_reference_has_a_meaning() {
    for line in reference().lines().filter(|line| line.starts_with("| `")) {
        assert!(!line.ends_with("|  |"), "{line}");
    }
}

#[test]
fn the_example_of_the_reference_is_right() {
    let reference = reference();
    let start = reference.find("```toml\n").unwrap() + "```toml\n".len();
    let example = &reference[start..start + reference[start..].find("```").unwrap()];
    assert_eq!(read(example).job_types.len(), 2);
}
