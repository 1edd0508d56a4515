//! A payload that is too long for a packet: in a file without a name, whose descriptor travels with it.

use std::{
    fs::File,
    io::{self, Write as _},
    os::{fd::OwnedFd, unix::fs::FileExt as _},
    path::Path,
};

use rustix::fs::{MemfdFlags, memfd_create};

use super::frame::Violation;

/// A file with that content. In memory; where the kernel refuses that, unlinked in `dir`.
pub(super) fn write(text: &str, dir: &Path) -> io::Result<OwnedFd> {
    let mut file = match memfd_create(c"longshore", MemfdFlags::CLOEXEC) {
        Ok(file) => File::from(file),
        Err(_) => tempfile::tempfile_in(dir)?,
    };
    file.write_all(text.as_bytes())?;
    Ok(file.into())
}

/// The content of such a file. It is read and never mapped: whoever wrote it may still cut it off.
pub(super) fn read(file: OwnedFd, len: u32) -> Result<String, Violation> {
    let file = File::from(file);
    let violation = |why: String| Violation(format!("a payload of {len} bytes {why}"));
    let there = file.metadata().map_err(|e| violation(format!("without a file: {e}")))?;
    // Before so many bytes are asked of the allocator.
    if !there.is_file() || there.len() != u64::from(len) {
        return Err(violation(format!("in a file of {}", there.len())));
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0).map_err(|e| violation(format!("that is not read: {e}")))?;
    text(bytes)
}

/// A payload is text.
pub(super) fn text(bytes: Vec<u8>) -> Result<String, Violation> {
    String::from_utf8(bytes).map_err(|e| Violation(format!("a payload that is no text: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_payload_arrives_as_it_was() {
        let long = "é".repeat(8 << 20);
        let file = write(&long, Path::new("/nonexistent")).unwrap();
        assert_eq!(read(file, 16 << 20).unwrap(), long);
    }

    #[test]
    fn a_file_that_is_not_what_was_said_is_a_violation() {
        let dir = Path::new("/nonexistent");
        let short = read(write("abc", dir).unwrap(), 4).unwrap_err();
        assert_eq!(short.0, "a payload of 4 bytes in a file of 3");
        let (pipe, _writer) = io::pipe().unwrap();
        assert!(read(pipe.into(), 0).is_err(), "a pipe would be waited for");
        assert!(text(vec![0xff]).is_err());
    }
}
