//! Empty attempt directories that are used again.
//!
//! Making and removing the two directories of an attempt is most of what its files cost (130 of
//! 160 µs on ext4), so a directory in which a job has left nothing of its own is kept under another
//! name and renamed for the next attempt. Beside those in use: from one directory into another the
//! same call takes some 200 µs.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, RenameFlags, fstat, open, openat, renameat_with, unlinkat,
};

/// How many are kept.
const LIMIT: usize = 16;

/// What their names start with; no attempt's does.
const PREFIX: &str = ".spare.";

/// What an attempt has that left nothing of its own.
const KNOWN: [&str; 6] =
    ["job.json", "params.json", "exit", "report.json", "result.json", "progress.json"];

/// Spare directories.
#[derive(Debug)]
pub(crate) struct Spares {
    attempts: PathBuf,
    kept: Mutex<Kept>,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    paths: Vec<PathBuf>,
    closed: bool,
}

impl Spares {
    /// Starts without any, and removes those of earlier processes.
    pub(crate) fn new(attempts: PathBuf) -> io::Result<Self> {
        for entry in fs::read_dir(&attempts)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
                // Another host that shares the directory may be faster, here or in using it.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(Self { attempts, kept: Mutex::default(), next: AtomicU64::new(0) })
    }

    /// Makes an attempt's directory with `work` in it.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if there is one.
    pub(crate) fn make(&self, path: &Path) -> io::Result<()> {
        let spare = { self.kept.lock().unwrap_or_else(PoisonError::into_inner).paths.pop() };
        if let Some(spare) = spare {
            match renameat_with(CWD, &spare, CWD, path, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(()),
                // It may have been cleaned away, or the file system may not know how.
                Err(_) => drop(fs::remove_dir_all(&spare)),
            }
        }
        rustix::fs::mkdir(path, Mode::RWXU)?;
        rustix::fs::mkdir(path.join("work"), Mode::RWXU).map_err(Into::into)
    }

    /// Empties a directory in which the job has left nothing of its own, and says whether it was so.
    /// Quick enough to be done at once; otherwise the directory has to be removed.
    pub(crate) fn take_back(&self, path: &Path) -> bool {
        if !empty(path).unwrap_or(false) {
            return false;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.closed || kept.paths.len() >= LIMIT {
            return false;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let spare = self.attempts.join(format!("{PREFIX}{}.{number}", std::process::id()));
        let moved = renameat_with(CWD, path, CWD, &spare, RenameFlags::NOREPLACE).is_ok();
        if moved {
            kept.paths.push(spare);
        }
        moved
    }

    /// Removes what is kept, and keeps no more.
    pub(crate) fn clear(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for spare in kept.paths.drain(..) {
            let _ = fs::remove_dir_all(spare);
        }
        kept.closed = true;
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Removes what is known from a directory that is otherwise as it was made: nothing else in it, and
/// nobody let in. Says whether it was so.
fn empty(path: &Path) -> rustix::io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = open(path, flags, Mode::empty())?;
    let work = openat(&directory, "work", flags, Mode::empty())?;
    for directory in [&directory, &work] {
        if Mode::from_raw_mode(fstat(directory)?.st_mode) != Mode::RWXU {
            return Ok(false);
        }
    }
    let mut known = Vec::with_capacity(KNOWN.len());
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name();
        match KNOWN.iter().find(|known| known.as_bytes() == name.to_bytes()) {
            Some(name) => known.push(*name),
            None if matches!(name.to_bytes(), b"." | b".." | b"work") => {}
            None => return Ok(false),
        }
    }
    for entry in Dir::read_from(&work)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    for name in known {
        unlinkat(&directory, name, AtFlags::empty())?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    fn fresh() -> (tempfile::TempDir, Spares) {
        let root = tempfile::tempdir().unwrap();
        let spares = Spares::new(root.path().to_owned()).unwrap();
        (root, spares)
    }

    fn inode(path: &Path) -> u64 {
        fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn a_plain_directory_is_used_again() {
        let (root, spares) = fresh();
        let [one, other] = ["one", "other"].map(|name| root.path().join(name));
        spares.make(&one).unwrap();
        for name in KNOWN {
            fs::write(one.join(name), "x").unwrap();
        }
        let first = inode(&one);
        assert!(spares.take_back(&one));
        assert!(!one.exists());
        spares.make(&other).unwrap();
        assert_eq!(inode(&other), first);
        let names: Vec<_> = fs::read_dir(&other).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["work"]);
    }

    #[test]
    fn what_a_job_changed_is_not_used_again() {
        let changes: [fn(&Path); 5] = [
            |path| fs::write(path.join("output.0"), "x").unwrap(),
            |path| fs::write(path.join("work/left"), "x").unwrap(),
            |path| fs::create_dir(path.join("work/left")).unwrap(),
            |path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap(),
            |path| {
                fs::set_permissions(path.join("work"), fs::Permissions::from_mode(0o755)).unwrap();
            },
        ];
        let (root, spares) = fresh();
        let path = root.path().join("one");
        for change in changes {
            spares.make(&path).unwrap();
            change(&path);
            assert!(!spares.take_back(&path));
            fs::remove_dir_all(&path).unwrap();
        }
        fs::create_dir_all(root.path().join("elsewhere")).unwrap();
        fs::create_dir(&path).unwrap();
        std::os::unix::fs::symlink(root.path().join("elsewhere"), path.join("work")).unwrap();
        assert!(!spares.take_back(&path));
    }

    #[test]
    fn no_attempt_is_made_over_another() {
        let (root, spares) = fresh();
        let [one, other] = ["one", "other"].map(|name| root.path().join(name));
        spares.make(&one).unwrap();
        spares.make(&other).unwrap();
        assert!(spares.take_back(&other));
        assert_eq!(spares.make(&one).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(spares.make(&one).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_spare_that_somebody_took_is_not_missed() {
        let (root, spares) = fresh();
        let path = root.path().join("one");
        spares.make(&path).unwrap();
        assert!(spares.take_back(&path));
        // As another host does when it starts.
        drop(Spares::new(root.path().to_owned()).unwrap());
        spares.make(&path).unwrap();
        assert!(path.join("work").is_dir());
    }

    #[test]
    fn no_spare_outlives_its_executor() {
        let (root, spares) = fresh();
        let path = root.path().join("one");
        spares.make(&path).unwrap();
        assert!(spares.take_back(&path));
        drop(spares);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
