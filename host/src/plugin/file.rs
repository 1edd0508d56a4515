//! Reads a plugin's file once. Everything after this looks at these bytes: what is checked is what
//! is loaded, whatever happens to the file meanwhile.

use std::{fmt::Write as _, io::Read as _, path::Path};

use sha2::{Digest as _, Sha256};

use super::{
    problem::{Code, PluginProblem},
    stamp::Stamp,
    walk::{self, Trust},
};

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
    let cannot_read = |e: std::io::Error| problem(Code::Open, format!("cannot read it: {e}"));
    let trust = Trust::own();
    let mut file = walk::open(path, trust)?;
    let metadata = file.metadata().map_err(cannot_read)?;
    if !metadata.is_file() {
        return Err(problem(Code::NotAFile, walk::NOT_A_FILE.to_owned()));
    }
    if metadata.len() > MAX_BYTES {
        let message = format!("{} bytes; no plugin is larger than {MAX_BYTES}", metadata.len());
        return Err(problem(Code::TooLarge, message));
    }
    if let Some((code, why)) = trust.objection(&metadata) {
        return Err(problem(code, format!("it runs with the host's rights and {why}")));
    }
    let before = Stamp::of(&metadata);
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
