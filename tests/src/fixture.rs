//! Libraries that are wrong in one way: in C where a compiler of Rust would not make them, and built
//! ones with a text replaced.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::built::repository;

/// Compiles `tests/fixtures/NAME.c` into this directory, a plugin as far as its note says.
///
/// # Panics
///
/// There is no C compiler, or it refuses.
#[must_use]
pub fn compiled(name: &str, directory: &Path) -> PathBuf {
    let library = directory.join(format!("{name}.so"));
    let mut cc = compiler(&library);
    cc.arg(repository().join("tests/fixtures").join(format!("{name}.c")));
    match name {
        "needs_missing" => {
            let missing = sibling("liblongshore_nowhere.so.7", directory);
            run(cc.args(["-Wl,--no-as-needed"]).arg(&missing));
            fs::remove_file(&missing).expect("it was made just now");
        }
        "origin" => {
            let beside = sibling("liblongshore_sibling.so", directory);
            run(cc.args(["-Wl,--no-as-needed", "-Wl,-rpath,$ORIGIN"]).arg(beside));
        }
        "rwx" => run(cc.arg("-Wl,--no-warn-rwx-segments")),
        _ => run(&mut cc),
    }
    library
}

/// A library of nothing.
fn sibling(name: &str, directory: &Path) -> PathBuf {
    let library = directory.join(name);
    let mut cc = compiler(&library);
    run(cc.arg(format!("-Wl,-soname,{name}")).args(["-x", "c", "/dev/null", "-x", "none"]));
    library
}

fn compiler(library: &Path) -> Command {
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(library);
    cc
}

fn run(cc: &mut Command) {
    let output = cc.output().expect("a C compiler; Rust's linker is one");
    assert!(output.status.success(), "{cc:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The library with a text replaced by another of the same length, where it first stands.
///
/// # Panics
///
/// The text is not in it.
#[must_use]
pub fn replaced(mut library: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "`{from}` and `{to}` differ in length");
    let at = library.windows(from.len()).position(|window| window == from.as_bytes());
    let at = at.unwrap_or_else(|| panic!("there is no `{from}` in the library"));
    library[at..at + to.len()].copy_from_slice(to.as_bytes());
    library
}

/// A copy of a library in this directory, with a text replaced by another of the same length.
///
/// # Panics
///
/// The text is not in it, or the copy cannot be made.
#[must_use]
pub fn patched(library: &Path, from: &str, to: &str, directory: &Path) -> PathBuf {
    let bytes = replaced(fs::read(library).expect("the library is readable"), from, to);
    let copy = directory.join(library.file_name().expect("a file has a name"));
    fs::write(&copy, bytes).expect("the copy can be made");
    copy
}

/// The evil plugin that does this while it is loaded, or while it describes itself.
#[must_use]
pub fn evil_at_load(evil: &Path, what: &str, directory: &Path) -> PathBuf {
    let (from, to) = at_load(what);
    patched(evil, &from, &to, directory)
}

/// What to replace in the evil plugin, and by what, for [`evil_at_load`].
#[must_use]
pub fn at_load(what: &str) -> (String, String) {
    (format!("EVIL_LOAD={:-<10}", "none"), format!("EVIL_LOAD={what:-<10}"))
}
