//! Reads a plugin's file once. Everything after this looks at these bytes: what is checked is what
//! is loaded, whatever happens to the file meanwhile.

use std::{
    fmt::Write as _,
    fs::{File, Metadata},
    io::{self, Read as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};

use super::{
    problem::{Code, PluginProblem},
    stamp::Stamp,
    walk::{self, Passed, Trust},
};

/// Far beyond any plugin with its debug information.
const MAX_BYTES: u64 = 512 << 20;

/// The bytes of a file, and their name.
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// SHA-256, in hexadecimal.
    pub(super) digest: String,
}

/// Reads it, if nobody but root and this user can put another in its place.
pub(super) fn read(path: &Path) -> Result<Content, PluginProblem> {
    let trust = Trust::own();
    let file = walk::open(path, trust)?;
    let passed = regular(path, &file)?;
    trust.check(&passed).map_err(|problem| problem.file(path))?;
    contents(path, &file, &passed)
}

/// Reads it, whoever may put another in its place, and tells the way to it: for people to look at,
/// never to run.
pub(super) fn survey(path: &Path) -> Result<(Content, Vec<Passed>), PluginProblem> {
    let (file, mut way) = walk::survey(path)?;
    let passed = regular(path, &file)?;
    let content = contents(path, &file, &passed)?;
    way.push(passed);
    Ok((content, way))
}

fn regular(path: &Path, file: &File) -> Result<Passed, PluginProblem> {
    let found = file.metadata().map_err(|e| cannot_read(path, &e))?;
    if found.is_file() {
        return Ok(Passed { path: path.to_owned(), found });
    }
    Err(PluginProblem::new(Code::NotAFile, walk::NOT_A_FILE).file(path))
}

fn cannot_read(path: &Path, e: &io::Error) -> PluginProblem {
    PluginProblem::new(Code::Open, format!("cannot read it: {e}")).file(path)
}

fn contents(path: &Path, file: &File, passed: &Passed) -> Result<Content, PluginProblem> {
    let problem = |code, message: String| PluginProblem::new(code, message).file(path);
    let cannot_read = |e: io::Error| cannot_read(path, &e);
    let size = passed.found.len();
    if size > MAX_BYTES {
        let message = format!("{size} bytes; no plugin is larger than {MAX_BYTES}");
        return Err(problem(Code::TooLarge, message));
    }
    let read = steadily(file, &passed.found, |mut file| {
        let mut bytes = Vec::new();
        // The file may grow while it is read.
        file.by_ref().take(MAX_BYTES).read_to_end(&mut bytes).map(|_| bytes)
    });
    let Some(bytes) = read.map_err(cannot_read)? else {
        let message = "it changes while it is read, so it is looked at again; copy a plugin to \
                       another name beside it, then `mv` it";
        return Err(problem(Code::Changing, message.to_owned()));
    };
    let mut digest = String::with_capacity(64);
    for byte in Sha256::digest(&bytes) {
        write!(digest, "{byte:02x}").expect("a `String` takes everything");
    }
    Ok(Content { bytes, digest })
}

/// What `read` makes of a file that does not change meanwhile: half of one content and half of the next
/// may pass every check and be a third plugin.
fn steadily<T>(
    file: &File,
    found: &Metadata,
    read: impl FnOnce(&File) -> io::Result<T>,
) -> io::Result<Option<T>> {
    let before = Stamp::of(found);
    before.wait_out_its_tick();
    let value = read(file)?;
    let after = Stamp::of(&file.metadata()?);
    Ok((before == after).then_some(value))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{FileExt as _, PermissionsExt as _},
    };

    use super::*;

    #[test]
    fn what_is_written_while_it_is_read_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.so");
        fs::write(&path, "one content").unwrap();
        let file = File::open(&path).unwrap();
        let writer = File::options().write(true).open(&path).unwrap();
        let look = |write: &dyn Fn()| {
            let found = file.metadata().unwrap();
            let mut bytes = [0; 11];
            steadily(&file, &found, |file| {
                file.read_exact_at(&mut bytes[..5], 0)?;
                write();
                file.read_exact_at(&mut bytes[5..], 5).map(|()| bytes)
            })
            .unwrap()
        };
        assert_eq!(look(&|| {}).as_ref(), Some(b"one content"));
        // As long as the other, and in the very moment after the look before.
        for _ in 0..100 {
            assert_eq!(look(&|| writer.write_all_at(b"two", 0).unwrap()), None);
        }
        assert_eq!(look(&|| {}).as_ref(), Some(b"two content"));
        assert_eq!(
            look(&|| drop(fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))),
            None
        );
    }
}
