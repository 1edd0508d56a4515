//! The way to a plugin's file, one directory after the other, as the kernel goes it: whoever may rename
//! in any of them, the ones with symbolic links included, decides what is loaded.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{File, Metadata},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Component, Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use super::problem::{Code, PluginProblem};

/// What the kernel itself follows.
const MAX_LINKS: usize = 40;

/// Who may own what runs with the host's rights, and who may write it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trust {
    user: u32,
    group: u32,
}

impl Trust {
    /// Root, and the user and the group that this process runs as.
    pub(super) fn own() -> Self {
        Self {
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
        }
    }

    /// Refuses what nobody should run: a file, or a directory on the way to it, that others may change.
    pub(super) fn check(self, passed: &Passed) -> Result<(), PluginProblem> {
        let Some((code, why)) = self.objection(&passed.found) else { return Ok(()) };
        let message = if passed.found.is_dir() {
            let directory = passed.path.display();
            format!("others may replace it, since the directory `{directory}` {why}")
        } else {
            format!("it runs with the host's rights and {why}")
        };
        Err(PluginProblem::new(code, message))
    }

    fn objection(self, it: &Metadata) -> Option<(Code, String)> {
        let (mode, owner) = (it.mode(), it.uid());
        // On a directory, the sticky bit: there one may rename only one's own, as in `/tmp`.
        let sticky = it.is_dir() && mode & 0o1000 != 0;
        if owner != 0 && owner != self.user {
            let why = format!("belongs to user {owner}, who may change it; `chown` it to root");
            Some((Code::Owner, why))
        } else if mode & 0o002 != 0 && !sticky {
            Some((Code::Writable, "is writable for all; `chmod o-w` it".to_owned()))
        } else if mode & 0o020 != 0 && !sticky && it.gid() != 0 && it.gid() != self.group {
            let group = it.gid();
            Some((Code::Writable, format!("is writable for group {group}; `chmod g-w` it")))
        } else {
            None
        }
    }
}

/// A directory that the way to a file goes through, or the file.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    pub(super) path: PathBuf,
    pub(super) found: Metadata,
}

/// Opens a file for reading, if nobody but `trust` can put another in its place.
pub(super) fn open(path: &Path, trust: Trust) -> Result<File, PluginProblem> {
    walk(path, Some(trust)).map(|(file, _)| file)
}

/// Opens a file for reading, whoever may put another in its place, and tells the way to it: for people
/// to look at, never to run.
pub(super) fn survey(path: &Path) -> Result<(File, Vec<Passed>), PluginProblem> {
    walk(path, None)
}

fn walk(path: &Path, trust: Option<Trust>) -> Result<(File, Vec<Passed>), PluginProblem> {
    let mut walk = Walk {
        file: path,
        trust,
        way: Vec::new(),
        below: Vec::new(),
        ahead: VecDeque::new(),
        links: 0,
    };
    let absolute = std::path::absolute(path).map_err(|e| walk.cannot_open(e))?;
    walk.start()?;
    walk.put_ahead(&absolute);
    while let Some(name) = walk.ahead.pop_front() {
        if let Some(file) = walk.step(name)? {
            return Ok((file, walk.way));
        }
    }
    Err(walk.problem(Code::NotAFile, NOT_A_FILE.to_owned()))
}

pub(super) const NOT_A_FILE: &str = "not a regular file; a plugin is a shared library (`.so`)";

struct Walk<'a> {
    file: &'a Path,
    /// Without it every way is good.
    trust: Option<Trust>,
    /// All that was passed, in order.
    way: Vec<Passed>,
    /// The directories from `/` to where the walk has got.
    below: Vec<(PathBuf, OwnedFd)>,
    /// The names still to come.
    ahead: VecDeque<OsString>,
    links: usize,
}

impl Walk<'_> {
    fn start(&mut self) -> Result<(), PluginProblem> {
        let root = Path::new("/");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(root, flags, Mode::empty());
        let directory = File::from(directory.map_err(|e| self.cannot_open(e.into()))?);
        let found = directory.metadata().map_err(|e| self.cannot_open(e))?;
        self.pass(root, found)?;
        self.below.push((root.to_owned(), directory.into()));
        Ok(())
    }

    /// Goes one name on. The file, once it is reached.
    fn step(&mut self, name: OsString) -> Result<Option<File>, PluginProblem> {
        if name == ".." {
            if self.below.len() > 1 {
                self.below.pop();
            }
            return Ok(None);
        }
        let Some((above, directory)) = self.below.last() else { unreachable!("`/` stays") };
        let path = above.join(&name);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let there = rustix::fs::openat(directory, &name, flags, Mode::empty());
        let there = File::from(there.map_err(|e| self.cannot_open(e.into()))?);
        let found = there.metadata().map_err(|e| self.cannot_open(e))?;
        if found.is_symlink() {
            self.links += 1;
            if self.links > MAX_LINKS {
                return Err(self.cannot_open(rustix::io::Errno::LOOP.into()));
            }
            // The link itself, not what now has its name.
            let target = rustix::fs::readlinkat(&there, "", Vec::new())
                .map_err(|e| self.cannot_open(e.into()))?;
            let target: OsString = std::os::unix::ffi::OsStringExt::from_vec(target.into_bytes());
            let target = PathBuf::from(target);
            if target.has_root() {
                self.below.truncate(1);
            }
            self.put_ahead(&target);
            return Ok(None);
        }
        if found.is_dir() {
            let directory = OwnedFd::from(there);
            self.pass(&path, found)?;
            self.below.push((path, directory));
            return Ok(None);
        }
        if !self.ahead.is_empty() {
            return Err(self.cannot_open(rustix::io::Errno::NOTDIR.into()));
        }
        // Without `NONBLOCK` a named pipe would wait here for somebody to write to it, for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(directory, &name, flags, Mode::empty());
        Ok(Some(File::from(file.map_err(|e| self.cannot_open(e.into()))?)))
    }

    fn put_ahead(&mut self, path: &Path) {
        let names = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        });
        let names: Vec<_> = names.collect();
        names.into_iter().rev().for_each(|name| self.ahead.push_front(name));
    }

    fn pass(&mut self, directory: &Path, found: Metadata) -> Result<(), PluginProblem> {
        let passed = Passed { path: directory.to_owned(), found };
        let checked = self.trust.map_or(Ok(()), |trust| trust.check(&passed));
        checked.map_err(|problem| problem.file(self.file))?;
        self.way.push(passed);
        Ok(())
    }

    fn cannot_open(&self, error: io::Error) -> PluginProblem {
        let message = match self.file.read_link() {
            Ok(target) => {
                format!("a symbolic link to `{}`, which does not open: {error}", target.display())
            }
            Err(_) => format!("cannot open it: {error}"),
        };
        self.problem(Code::Open, message)
    }

    fn problem(&self, code: Code, message: String) -> PluginProblem {
        PluginProblem::new(code, message).file(self.file)
    }
}
