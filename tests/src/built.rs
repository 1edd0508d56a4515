//! The binaries under test, built by the cargo that runs the tests.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// What is built: the host, and the plugins that the tests load.
const PACKAGES: [&str; 6] = [
    "longshore",
    "longshore-command",
    "longshore-evil",
    "longshore-local",
    "longshore-noop",
    "longshore-smallest",
];

/// Where the binaries are.
#[derive(Debug)]
pub struct Built {
    directory: PathBuf,
}

/// The binaries, of the sources as they are now. Built once per test process; cargo's own lock sees to
/// the rest.
///
/// # Panics
///
/// They cannot be built; cargo has said why.
pub fn built() -> &'static Built {
    static BUILT: OnceLock<Option<Built>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let mut cargo = cargo(repository());
        cargo.args(["build", "--quiet"]);
        for package in PACKAGES {
            cargo.args(["--package", package]);
        }
        let status = cargo.status().expect("cargo runs the tests, so it can be run");
        status.success().then(|| Built { directory: target().join("debug") })
    });
    built.as_ref().expect("what the tests run can be built, see above")
}

/// The evil plugin as somebody built it whose panics abort.
///
/// # Panics
///
/// It cannot be built; cargo has said why.
pub fn evil_that_aborts() -> PathBuf {
    static BUILT: OnceLock<bool> = OnceLock::new();
    let built = BUILT.get_or_init(|| build_evil(&["--profile", "evil-abort"]));
    assert!(built, "it cannot be built, see above");
    target().join("evil-abort/liblongshore_evil.so")
}

/// The evil plugin with a header that hides how its memory is laid out.
///
/// # Panics
///
/// It cannot be built; cargo has said why.
pub fn evil_that_hides() -> PathBuf {
    static BUILT: OnceLock<bool> = OnceLock::new();
    // Beside the one that other tests load meanwhile: cargo has one name for both.
    let here = target().join("evil-unchecked");
    let directory = here.to_str().expect("cargo wants text");
    let built =
        BUILT.get_or_init(|| build_evil(&["--features", "unchecked", "--target-dir", directory]));
    assert!(built, "it cannot be built, see above");
    here.join("debug/liblongshore_evil.so")
}

fn build_evil(how: &[&str]) -> bool {
    let mut cargo = cargo(repository());
    cargo.args(["build", "--quiet", "--package", "longshore-evil"]).args(how);
    cargo.status().expect("cargo runs the tests, so it can be run").success()
}

/// The cargo that runs the tests, in this directory.
#[must_use]
pub fn cargo(directory: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(directory);
    as_a_person_has_it(&mut cargo);
    cargo
}

/// Without what the outer cargo tells the tests about themselves. Build scripts that look at it would
/// run again, and half of the dependencies be built twice at each turn.
pub fn as_a_person_has_it(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"];
        if told.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
}

impl Built {
    /// The binary `longshore`.
    #[must_use]
    pub fn host(&self) -> PathBuf {
        self.directory.join("longshore")
    }

    /// The shared library of a plugin.
    #[must_use]
    pub fn plugin(&self, name: &str) -> PathBuf {
        self.directory.join(format!("liblongshore_{name}.so"))
    }
}

/// The repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is in the repository")
}

/// Where cargo builds.
#[must_use]
pub fn target() -> PathBuf {
    let given = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    repository().join(given.unwrap_or_else(|| "target".into()))
}

/// Puts a file into a directory as an operator should: copied under another name, then renamed.
///
/// # Panics
///
/// It cannot be copied.
pub fn install(file: &Path, directory: &Path) {
    let name = file.file_name().expect("a file has a name").to_string_lossy();
    let draft = directory.join(format!(".{name}"));
    let installed = fs::create_dir_all(directory)
        .and_then(|()| fs::copy(file, &draft))
        .and_then(|_| fs::rename(&draft, directory.join(&*name)));
    installed.unwrap_or_else(|error| panic!("cannot install {}: {error}", file.display()));
}
