//! A life of the plugin: one process that has the executor open, and what its calls keep on disk.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    hash::{BuildHasher as _, RandomState},
    io::{self, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::{DirBuilderExt as _, OpenOptionsExt as _},
            process::CommandExt as _,
        },
    },
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal},
};

/// The variable by which whatever a call has started is known: the name of the life.
pub(crate) const MARK: &str = "LONGSHORE_CALL";

/// How the name of a file ends that holds the process group of a call.
pub(crate) const GROUP: &str = "group";

/// A directory of its own, because there may be several lives at one `state_dir`: a new version of the
/// plugin beside the old one, and what a dead one has left.
#[derive(Debug)]
pub(crate) struct Life {
    name: String,
    directory: PathBuf,
    /// For as long as this process lives: whoever else can have it knows that this life is over.
    lock: File,
    next: AtomicU64,
}

impl Life {
    /// # Errors
    ///
    /// There can be no such directory.
    pub(crate) fn begin(state_dir: &Path) -> io::Result<Self> {
        // A directory that is not locked yet looks like one of the dead.
        let _turn = turn(state_dir)?;
        let name = format!("{:016x}", RandomState::new().hash_one(state_dir));
        let directory = calls(state_dir).join(&name);
        DirBuilder::new().mode(0o700).create(&directory)?;
        let lock = take(&directory)?.ok_or(io::ErrorKind::WouldBlock)?;
        Ok(Self { name, directory, lock, next: AtomicU64::new(0) })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A new file (0600) that nobody else writes, removed with its owner.
    pub(crate) fn file(self: &Arc<Self>, kind: &str) -> io::Result<Kept> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("{number}.{kind}"));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Kept { path, file, life: Arc::clone(self) })
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // Where it cannot be, the next life does it.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A file of a call, and the life for as long as the call lasts.
#[derive(Debug)]
pub(crate) struct Kept {
    path: PathBuf,
    file: File,
    life: Arc<Life>,
}

impl Kept {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&mut self, content: &[u8]) -> io::Result<()> {
        self.file.write_all(content)
    }

    /// Has the program of `command` die with the thread that starts it, and its process group written here
    /// before it runs: by itself, since this process may die between its start and any word of ours.
    pub(crate) fn bind(&self, command: &mut Command) -> io::Result<()> {
        let (mut file, lock) = (self.file.try_clone()?, self.life.lock.as_raw_fd());
        let plugin = getpid();
        let bind = move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // It may have died before the line above, and then nobody tells us.
            if getppid() != Some(plugin) {
                return Err(Errno::SRCH.into());
            }
            file.write_all(&getpid().as_raw_nonzero().get().to_ne_bytes())?;
            // `exec` would do it. But it may hang, and keep a life that is over locked.
            #[expect(unsafe_code, reason = "a descriptor of the copy that this process is")]
            // SAFETY: nothing in the copy uses it: what comes next is `exec`, or the end.
            unsafe {
                rustix::io::close(lock);
            }
            Ok(())
        };
        #[expect(unsafe_code, reason = "between `fork` and `exec` not everything is allowed")]
        // SAFETY: it makes system calls and nothing else; no memory is allocated, no lock taken.
        unsafe {
            command.pre_exec(bind);
        }
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // The program may have moved it away.
        let _ = fs::remove_file(&self.path);
    }
}

/// A life that is over, whose directory nobody else touches while this is there.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) directory: PathBuf,
    /// What its calls were known by.
    pub(crate) mark: String,
    _lock: File,
}

/// One at a time begins a life, or ends what the dead have left.
pub(crate) fn turn(state_dir: &Path) -> io::Result<File> {
    let calls = calls(state_dir);
    DirBuilder::new().recursive(true).mode(0o700).create(&calls)?;
    let turn = open(&calls.join("turn"))?;
    turn.lock()?;
    Ok(turn)
}

/// The lives that are over. Not to be asked out of [`turn`].
pub(crate) fn dead(state_dir: &Path) -> io::Result<Vec<Dead>> {
    let mut dead = Vec::new();
    for entry in fs::read_dir(calls(state_dir))? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let directory = entry.path();
        if let Some(lock) = take(&directory)? {
            let mark = format!("{MARK}={}", entry.file_name().display());
            dead.push(Dead { directory, mark, _lock: lock });
        }
    }
    Ok(dead)
}

impl Dead {
    /// The process groups of the calls that were under way at its end.
    pub(crate) fn groups(&self) -> io::Result<Vec<Pid>> {
        let mut groups = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == GROUP) {
                // One that has not written anything has not run anything.
                let number = fs::read(&path)?.try_into().map(i32::from_ne_bytes);
                groups.extend(number.ok().and_then(Pid::from_raw));
            }
        }
        Ok(groups)
    }
}

fn calls(state_dir: &Path) -> PathBuf {
    state_dir.join("calls")
}

/// The lock of a life, if nobody has it.
fn take(directory: &Path) -> io::Result<Option<File>> {
    let lock = match open(&directory.join("lock")) {
        // It has just ended in order, and removed its directory.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        lock => lock?,
    };
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn open(lock: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(lock)
}
