//! Private copies, named by digest. The dynamic linker takes equal paths for equal libraries, so each
//! content has its own path; and a file that is overwritten while it is mapped runs new code through
//! old pointers, so the operator's file is never mapped.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use super::{
    file::Content,
    problem::{Code, PluginProblem},
    whole,
};

/// Where copies are, each in a directory of its digest, with what is known of it beside it.
pub(super) fn root(state_dir: &Path) -> PathBuf {
    state_dir.join("plugins")
}

/// `<state>/plugins`.
#[derive(Clone, Debug)]
pub(super) struct Copies {
    root: PathBuf,
}

impl Copies {
    pub(super) fn below(state_dir: &Path) -> Self {
        Self { root: root(state_dir) }
    }

    /// The copy of this content, made if need be.
    pub(super) fn keep(&self, name: &str, content: &Content) -> Result<PathBuf, PluginProblem> {
        let dir = self.root.join(&content.digest);
        let path = dir.join(format!("{name}.so"));
        self.write(&dir, &path, content).map_err(|e| {
            let path = path.display();
            PluginProblem::new(Code::Copy, format!("cannot keep a private copy at `{path}`: {e}"))
        })?;
        Ok(path)
    }

    fn write(&self, dir: &Path, path: &Path, content: &Content) -> io::Result<()> {
        // Compared and not believed: it may have been damaged since.
        if fs::read(path).is_ok_and(|there| there == content.bytes) {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        whole::write(path, 0o500, &content.bytes)?;
        whole::sync(&self.root)
    }

    /// Removes the copies of other contents, and what is known of them. One that a running process has mapped stays with it
    /// until it ends.
    pub(super) fn prune(&self, keep: &[&str]) {
        let Ok(entries) = fs::read_dir(&self.root) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let is_digest = name.len() == 64
                && name.to_str().is_some_and(|n| n.bytes().all(|b| b.is_ascii_hexdigit()));
            if is_digest && !keep.iter().any(|digest| name == **digest) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}
