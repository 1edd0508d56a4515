//! The directory that a runner has for itself.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// Removed when this is dropped, which blocks.
pub(super) struct Place(PathBuf);

impl Place {
    /// A directory that nothing is in, of whatever an earlier runner left.
    pub(super) fn make(dir: &Path) -> io::Result<Self> {
        remove(dir)?;
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        Ok(Self(dir.to_owned()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::debug!(%error, "the directory of a runner stays");
        }
    }
}

fn remove(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
