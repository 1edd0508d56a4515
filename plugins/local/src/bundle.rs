//! The keeper and the Python package travel in the library; this writes them where they can be used.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process,
};

mod files {
    include!(concat!(env!("OUT_DIR"), "/bundle.rs"));
}

/// Where the bundle is.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    /// The keeper's program.
    pub(crate) keeper: PathBuf,
    /// The directory that holds the package `longshore`, for `PYTHONPATH`.
    pub(crate) package: PathBuf,
}

/// Writes what is missing or differs. The directory is named by a digest of its content, so that an
/// older version that is still at work keeps its own.
pub(crate) fn install(cache_dir: &Path) -> io::Result<Installed> {
    let root = cache_dir.join("bundle").join(files::DIGEST);
    for (name, content) in files::FILES {
        let path = root.join(name);
        let directory = path.parent().unwrap_or(&root);
        private_directory(directory)?;
        // Whoever cleans caches by age may have taken some of it.
        if fs::read(&path).is_ok_and(|present| present == *content) {
            continue;
        }
        // By rename: another host may be doing the same, and a running program cannot be written to.
        let temporary = path.with_added_extension(process::id().to_string());
        let mode = if directory == root { 0o700 } else { 0o600 };
        let _ = fs::remove_file(&temporary);
        let mut file =
            fs::File::options().write(true).create_new(true).mode(mode).open(&temporary)?;
        io::Write::write_all(&mut file, content)?;
        drop(file);
        fs::rename(&temporary, &path)?;
    }
    Ok(Installed { keeper: root.join("longshore-keeper"), package: root.join("python") })
}

/// Makes a directory, and those above it, that only this user can look into.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_missing_or_spoiled_is_written_again() {
        let cache = tempfile::tempdir().unwrap();
        let installed = install(cache.path()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&installed.keeper), 0o700);
        assert_eq!(mode(installed.keeper.parent().unwrap()), 0o700);
        let entry = installed.package.join("longshore/entry.py");
        let content = fs::read(&entry).unwrap();

        fs::write(&entry, "spoiled").unwrap();
        fs::remove_file(&installed.keeper).unwrap();
        install(cache.path()).unwrap();
        assert_eq!(fs::read(&entry).unwrap(), content);
        assert!(installed.keeper.exists());
    }

    #[test]
    fn nothing_but_the_bundle_is_left() {
        let cache = tempfile::tempdir().unwrap();
        let installed = install(cache.path()).unwrap();
        let modules = fs::read_dir(installed.package.join("longshore")).unwrap();
        let strange = modules
            .map(|entry| entry.unwrap().path())
            .find(|path| path.is_file() && path.extension().is_none_or(|e| e != "py"));
        assert_eq!(strange, None);
    }
}
