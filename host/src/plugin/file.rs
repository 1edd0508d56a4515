//! Reads a plugin's file once. Everything after this looks at these bytes: what is checked is what
//! is loaded, whatever happens to the file meanwhile.

use std::{
    fmt::Write as _,
    fs::File,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};

use super::problem::{Code, PluginProblem};

/// Far beyond any plugin with its debug information.
const MAX_BYTES: u64 = 512 << 20;

/// The bytes of a file, and their name.
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// SHA-256, in hexadecimal.
    pub(super) digest: String,
}

pub(super) fn read(path: &Path) -> Result<Content, PluginProblem> {
    let problem = |code, message: String| PluginProblem::new(code, message).file(path);
    let cannot_open = |e: std::io::Error| problem(Code::Open, format!("cannot open it: {e}"));
    // A symbolic link is followed here, once and by name; what is opened must then be no link.
    let real = path.canonicalize().map_err(|e| match path.read_link() {
        Ok(target) => {
            let target = target.display();
            problem(Code::Open, format!("a symbolic link to `{target}`, which does not open: {e}"))
        }
        Err(_) => cannot_open(e),
    })?;
    // Without `NONBLOCK` a named pipe would wait here for somebody to write to it, for ever.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(&real, flags, Mode::empty()).map_err(|e| cannot_open(e.into()))?;
    let mut file = File::from(fd);
    let metadata = file.metadata().map_err(cannot_open)?;
    if !metadata.is_file() {
        let message = "not a regular file; a plugin is a shared library (`.so`)";
        return Err(problem(Code::NotAFile, message.to_owned()));
    }
    if metadata.len() > MAX_BYTES {
        let message = format!("{} bytes; no plugin is larger than {MAX_BYTES}", metadata.len());
        return Err(problem(Code::TooLarge, message));
    }
    if metadata.mode() & 0o002 != 0 {
        let message = "anybody may write it, and it runs with the host's rights; `chmod o-w` it";
        return Err(problem(Code::Writable, message.to_owned()));
    }
    if let Some(open) = open_ancestor(&real) {
        let open = open.display();
        let message = format!(
            "anybody may replace it, since `{open}` is writable for all; `chmod o-w {open}`"
        );
        return Err(problem(Code::Writable, message));
    }
    let mut bytes = Vec::new();
    // The file may grow while it is read.
    let limited = file.by_ref().take(MAX_BYTES).read_to_end(&mut bytes);
    limited.map_err(|e| problem(Code::Open, format!("cannot read it: {e}")))?;
    let mut digest = String::with_capacity(64);
    for byte in Sha256::digest(&bytes) {
        write!(digest, "{byte:02x}").expect("a `String` takes everything");
    }
    Ok(Content { bytes, digest })
}

/// The first directory above `file` in which anybody may rename files of others.
fn open_ancestor(file: &Path) -> Option<PathBuf> {
    let open = |dir: &&Path| {
        // 0o1000 is the sticky bit, as on `/tmp`: there one may rename only one's own.
        dir.metadata().is_ok_and(|m| m.mode() & 0o002 != 0 && m.mode() & 0o1000 == 0)
    };
    file.ancestors().skip(1).find(open).map(Path::to_owned)
}
