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

use crate::removal;

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
                let _ = removal::remove(&entry.path());
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

    /// Puts an attempt's directory out of sight, and says where it is now; `None` if it is not there.
    /// The one moment at which an attempt is forgotten: what is removed or emptied after it, and cut
    /// off in that, is finished by the next process. Of two who try, one gets it.
    pub(crate) fn set_apart(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            // Beside it: it may be of an earlier `cache_dir`.
            let apart = path.with_file_name(format!("{PREFIX}{}.{number}", std::process::id()));
            match fs::rename(path, &apart) {
                Ok(()) => return Ok(Some(apart)),
                Err(error) => match error.kind() {
                    io::ErrorKind::NotFound => return Ok(None),
                    // Of a host in another container, whose process has the same id.
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {}
                    _ => return Err(error),
                },
            }
        }
    }

    /// Empties a directory that was set apart and in which the job has left nothing of its own, keeps
    /// it, and says whether it was so. Quick enough to be done at once; otherwise the directory has to
    /// be removed.
    pub(crate) fn keep(&self, apart: &Path) -> bool {
        if apart.parent() != Some(&self.attempts) || !empty(apart).unwrap_or(false) {
            return false;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = !kept.closed && kept.paths.len() < LIMIT;
        if room {
            kept.paths.push(apart.to_owned());
        }
        room
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

    fn take_back(spares: &Spares, path: &Path) -> bool {
        let apart = spares.set_apart(path).unwrap().unwrap();
        let kept = spares.keep(&apart);
        if !kept {
            fs::remove_dir_all(&apart).unwrap();
        }
        kept
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
        assert!(take_back(&spares, &one));
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
            assert!(!take_back(&spares, &path));
        }
        fs::create_dir_all(root.path().join("elsewhere")).unwrap();
        fs::create_dir(&path).unwrap();
        std::os::unix::fs::symlink(root.path().join("elsewhere"), path.join("work")).unwrap();
        assert!(!take_back(&spares, &path));
    }

    #[test]
    fn no_attempt_is_made_over_another() {
        let (root, spares) = fresh();
        let [one, other] = ["one", "other"].map(|name| root.path().join(name));
        spares.make(&one).unwrap();
        spares.make(&other).unwrap();
        assert!(take_back(&spares, &other));
        assert_eq!(spares.make(&one).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(spares.make(&one).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_spare_that_somebody_took_is_not_missed() {
        let (root, spares) = fresh();
        let path = root.path().join("one");
        spares.make(&path).unwrap();
        assert!(take_back(&spares, &path));
        // As another host does when it starts.
        drop(Spares::new(root.path().to_owned()).unwrap());
        spares.make(&path).unwrap();
        assert!(path.join("work").is_dir());
    }

    #[test]
    fn what_was_cut_off_while_it_was_removed_is_finished_by_the_next_process() {
        let (root, spares) = fresh();
        let path = root.path().join("one");
        spares.make(&path).unwrap();
        fs::create_dir(path.join("work/closed")).unwrap();
        fs::set_permissions(path.join("work/closed"), fs::Permissions::from_mode(0o0)).unwrap();
        assert!(spares.set_apart(&path).unwrap().is_some());
        assert!(spares.set_apart(&path).unwrap().is_none(), "of two who try, one gets it");
        drop(Spares::new(root.path().to_owned()).unwrap());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_name_that_another_host_has_taken_is_left_to_it() {
        let (root, spares) = fresh();
        let [path, other] = ["one", &format!("{PREFIX}{}.0", std::process::id())]
            .map(|name| root.path().join(name));
        fs::create_dir_all(other.join("work")).unwrap();
        spares.make(&path).unwrap();
        assert!(take_back(&spares, &path));
        assert!(other.join("work").is_dir());
    }

    #[test]
    fn no_spare_outlives_its_executor() {
        let (root, spares) = fresh();
        let path = root.path().join("one");
        spares.make(&path).unwrap();
        assert!(take_back(&spares, &path));
        drop(spares);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
