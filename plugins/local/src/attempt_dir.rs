//! The directory of one attempt: made, looked at, removed.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::{fd::OwnedFd, unix::fs::FileExt as _},
    path::{Path, PathBuf},
};

use longshore_keeper::record::{self, Evidence, Record};
use longshore_plugin_api::Error;
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open, openat},
    io::Errno,
};

use crate::{job_file, processes::Mark, removal, spares::Spares};

/// The current boot's id, on the first line of every `exit` file.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Where the directory of an attempt is, whether it exists or not.
#[derive(Clone, Debug)]
pub(crate) struct AttemptDir {
    path: PathBuf,
}

/// The open directory and its locked `exit` file: what a keeper gets.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) directory: OwnedFd,
    pub(crate) exit_file: OwnedFd,
}

/// What a directory says about its attempt.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// There is none.
    Missing,
    /// The lock is held: something of it may run.
    Locked,
    /// All is over, and here is how.
    Ended(Record),
    /// The lock is free and nobody wrote a record: either the keeper never got its order, or it and
    /// its nursery were killed.
    Abandoned,
    /// It is from before the machine was last started.
    OtherBoot,
}

impl AttemptDir {
    /// # Errors
    ///
    /// `InvalidJob`: the tag cannot be a file's name.
    pub(crate) fn new(attempts: &Path, tag: &str) -> Result<Self, Error> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if tag.is_empty() || tag.len() > 128 || !tag.chars().all(is_plain) {
            return Err(Error::invalid_job(format!("`{tag}` is no attempt tag")));
        }
        Ok(Self { path: attempts.join(tag) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory and all that a job finds in it. Nothing is synced: what it holds is of use
    /// only as long as this machine runs.
    ///
    /// # Errors
    ///
    /// What exists already is `AlreadyExists`, and left alone. Of what was begun, nothing is left.
    pub(crate) fn create(
        &self,
        spares: &Spares,
        boot_id: &str,
        job: &[u8],
        params: &str,
    ) -> io::Result<Opened> {
        spares.make(&self.path)?;
        self.fill(boot_id, job, params).inspect_err(|_| {
            let _ = fs::remove_dir_all(&self.path);
        })
    }

    fn fill(&self, boot_id: &str, job: &[u8], params: &str) -> io::Result<Opened> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(&self.path, flags, Mode::empty())?;
        let create = |name: &str, content: &[u8]| -> io::Result<OwnedFd> {
            // To read as well: the nursery looks whether there is a record before it writes one.
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = File::from(openat(&directory, name, flags, Mode::RUSR | Mode::WUSR)?);
            (&file).write_all(content)?;
            Ok(file.into())
        };
        create("job.json", job)?;
        create("params.json", params.as_bytes())?;
        let exit_file = create("exit", record::blank(boot_id).as_bytes())?;
        flock(&exit_file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Opened { directory, exit_file })
    }

    /// Looks at the lock and the record.
    pub(crate) fn state(&self, boot_id: &str) -> io::Result<State> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let exit_file = match open(self.path.join("exit"), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            // The `exit` file is made last, and the order is given after that.
            Err(Errno::NOENT) if self.path.exists() => return Ok(State::Abandoned),
            Err(Errno::NOENT) => return Ok(State::Missing),
            Err(error) => return Err(error.into()),
        };
        let Some(evidence) = read_evidence(&exit_file)? else { return Ok(State::Abandoned) };
        if evidence.boot_id != boot_id {
            return Ok(State::OtherBoot);
        }
        // The lock before the record: whoever writes the one is not done before it lets go of the other,
        // and a job can write into its own `exit` file while it runs.
        match flock(&exit_file, FlockOperation::NonBlockingLockShared) {
            Err(Errno::WOULDBLOCK) => Ok(State::Locked),
            Err(error) => Err(error.into()),
            // Again: it may have been written, and the lock released, since we read.
            Ok(()) => Ok(match read_evidence(&exit_file)?.and_then(|evidence| evidence.record) {
                Some(record) => State::Ended(record),
                None => State::Abandoned,
            }),
        }
    }

    /// What processes of the attempt are known by, when its keeper is dead.
    pub(crate) fn mark(&self, tag: &str) -> Mark {
        let exit_file = job_file::open_regular(&self.path.join("exit"));
        let evidence = exit_file.ok().and_then(|(file, _)| read_evidence(&file).ok()?);
        let pipe = evidence.and_then(|evidence| evidence.pipe);
        Mark { tag: tag.to_owned(), pipe, directory: self.path.clone() }
    }

    /// Removes the directory with all that the job left in it. One that is not there is removed.
    pub(crate) fn remove(&self) -> io::Result<()> {
        removal::remove(&self.path)
    }
}

/// The content of an `exit` file; `None` if it is none.
fn read_evidence(exit_file: &File) -> io::Result<Option<Evidence>> {
    let mut content = [0; record::FILE_BYTES];
    let count = exit_file.read_at(&mut content, 0)?;
    Ok(std::str::from_utf8(&content[..count]).ok().and_then(Evidence::parse))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use longshore_keeper::record::{Cause, RECORD_OFFSET, Status};

    use super::*;

    const BOOT: &str = "11111111-2222-3333-4444-555555555555";
    const OTHER: &str = "00000000-2222-3333-4444-555555555555";

    fn fresh() -> (tempfile::TempDir, AttemptDir) {
        let root = tempfile::tempdir().unwrap();
        let directory = AttemptDir::new(root.path(), "a1").unwrap();
        (root, directory)
    }

    fn create(directory: &AttemptDir, job: &str) -> io::Result<Opened> {
        let spares = Spares::new(directory.path().parent().unwrap().to_owned()).unwrap();
        directory.create(&spares, BOOT, job.as_bytes(), job)
    }

    #[test]
    fn a_tag_never_leaves_the_directory_of_attempts() {
        for tag in ["", ".", "..", "a/b", "a\0b", "ü", &"x".repeat(129)] {
            assert!(AttemptDir::new(Path::new("/tmp"), tag).is_err(), "{tag:?}");
        }
    }

    #[test]
    fn an_attempt_is_nobody_elses_business() {
        let (_root, directory) = fresh();
        create(&directory, "{}").unwrap();
        let mode = |name: &str| {
            fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777
        };
        for name in ["", "work"] {
            assert_eq!(mode(name), 0o700, "{name}");
        }
        for name in ["job.json", "params.json", "exit"] {
            assert_eq!(mode(name), 0o600, "{name}");
        }
    }

    #[test]
    fn an_attempt_is_made_once() {
        let (_root, directory) = fresh();
        let _opened = create(&directory, "{}").unwrap();
        let again = create(&directory, "[]").unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(directory.path().join("job.json")).unwrap(), "{}");
    }

    #[test]
    fn the_state_is_what_lock_and_record_say() {
        let (_root, directory) = fresh();
        assert_eq!(directory.state(BOOT).unwrap(), State::Missing);
        let opened = create(&directory, "{}").unwrap();
        assert_eq!(directory.state(BOOT).unwrap(), State::Locked);
        assert_eq!(directory.state(OTHER).unwrap(), State::OtherBoot);

        let (cause, status) = (Cause::Ended, Status::Code(0));
        let record = Record { cause, status, started: 1, ended: 2, output: 3, lost: 0 };
        rustix::io::pwrite(&opened.exit_file, record.line().as_bytes(), RECORD_OFFSET).unwrap();
        // Half-finished, or written by the job itself.
        assert_eq!(directory.state(BOOT).unwrap(), State::Locked);
        drop(opened);
        assert_eq!(directory.state(BOOT).unwrap(), State::Ended(record));
    }

    #[test]
    fn a_free_lock_without_a_record_is_an_abandoned_attempt() {
        let (_root, directory) = fresh();
        drop(create(&directory, "{}").unwrap());
        assert_eq!(directory.state(BOOT).unwrap(), State::Abandoned);
        fs::remove_file(directory.path().join("exit")).unwrap();
        assert_eq!(directory.state(BOOT).unwrap(), State::Abandoned);
    }
}
