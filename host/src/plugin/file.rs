//! Reads a plugin's file once. Everything after this looks at these bytes: what is checked is what
//! is loaded, whatever happens to the file meanwhile.

use std::{
    fmt::Write as _,
    fs::File,
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
    contents(path, file, &passed)
}

/// Reads it, whoever may put another in its place, and tells the way to it: for people to look at,
/// never to run.
pub(super) fn survey(path: &Path) -> Result<(Content, Vec<Passed>), PluginProblem> {
    let (file, mut way) = walk::survey(path)?;
    let passed = regular(path, &file)?;
    let content = contents(path, file, &passed)?;
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

fn contents(path: &Path, mut file: File, passed: &Passed) -> Result<Content, PluginProblem> {
    let problem = |code, message: String| PluginProblem::new(code, message).file(path);
    let cannot_read = |e: io::Error| cannot_read(path, &e);
    let size = passed.found.len();
    if size > MAX_BYTES {
        let message = format!("{size} bytes; no plugin is larger than {MAX_BYTES}");
        return Err(problem(Code::TooLarge, message));
    }
    let before = Stamp::of(&passed.found);
    before.wait_out_its_tick();
    let mut bytes = Vec::new();
    // The file may grow while it is read.
    let limited = file.by_ref().take(MAX_BYTES).read_to_end(&mut bytes);
    limited.map_err(cannot_read)?;
    // Half of one content and half of the next may pass every check and be a third plugin.
    let after = Stamp::of(&file.metadata().map_err(cannot_read)?);
    if before != after {
        let message = "it changes while it is read, so it is looked at again; copy a plugin to \
                       another name beside it, then `mv` it";
        return Err(problem(Code::Changing, message.to_owned()));
    }
    let mut digest = String::with_capacity(64);
    for byte in Sha256::digest(&bytes) {
        write!(digest, "{byte:02x}").expect("a `String` takes everything");
    }
    Ok(Content { bytes, digest })
}
