//! What the other chores run: the host and its plugins.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::run::{Done, cargo, run, target};

/// A built host and the shared libraries of its plugins.
pub(crate) struct Built {
    pub(crate) host: PathBuf,
    pub(crate) directory: PathBuf,
}

/// Builds the host and these plugins.
pub(crate) fn build(packages: &[&str], release: bool) -> Done<Built> {
    let mut command = cargo();
    command.args(["build", "--package", "longshore"]);
    for package in packages {
        command.args(["--package", package]);
    }
    if release {
        command.arg("--release");
    }
    run(&mut command)?;
    let directory = target().join(if release { "release" } else { "debug" });
    Ok(Built { host: directory.join("longshore"), directory })
}

impl Built {
    /// Installs a plugin into a directory: copied under another name, then renamed.
    pub(crate) fn install(&self, plugin: &str, into: &Path) -> Done {
        let name = format!("liblongshore_{plugin}.so");
        let draft = into.join(format!(".{name}"));
        let install = || {
            fs::create_dir_all(into)?;
            fs::copy(self.directory.join(&name), &draft)?;
            fs::rename(&draft, into.join(&name))
        };
        install()
            .map_err(|error| format!("cannot install `{name}` into {}: {error}", into.display()))
    }
}
