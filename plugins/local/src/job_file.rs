//! Reading what a job has left, without trusting it: a job may have put a FIFO, a device or a link
//! there, or a terabyte of zeros.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};

/// What is there.
#[derive(Debug)]
pub(crate) enum JobFile {
    /// Nothing.
    Missing,
    /// A regular file's content.
    Content(Vec<u8>),
    /// Something that must not be read, and why.
    Refused(String),
}

/// Opens a regular file that a job has had its hands on: without waiting for the other end of a FIFO,
/// and without following a link out of here. `InvalidInput` says that it is something else.
pub(crate) fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    let other = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::LOOP) => return Err(other("it is a symbolic link")),
        opened => opened?,
    };
    let stat = fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(other("it is no regular file"));
    }
    Ok((file.into(), u64::try_from(stat.st_size).unwrap_or(0)))
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> JobFile {
    let refused = |error: io::Error| JobFile::Refused(format!("it cannot be read: {error}"));
    let (file, size) = match open_regular(path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return JobFile::Missing,
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return JobFile::Refused(error.to_string());
        }
        Err(error) => return refused(error),
    };
    // One byte of room more than there is to read, so that the end is seen without growing.
    let expected = usize::try_from(size.min(limit) + 1).unwrap_or(0);
    let mut content = Vec::with_capacity(expected);
    // One more than allowed, so that too much is noticed even in a file that still grows.
    match file.take(limit + 1).read_to_end(&mut content) {
        Ok(_) if content.len() as u64 > limit => {
            JobFile::Refused(format!("it is longer than {limit} bytes"))
        }
        Ok(_) => JobFile::Content(content),
        Err(error) => refused(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use rustix::fs::{CWD, mknodat};

    use super::*;

    #[test]
    fn only_a_regular_file_within_the_limit_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "12345").unwrap();
        symlink(at("file"), at("link")).unwrap();
        mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();

        assert!(matches!(read(&at("none"), 5), JobFile::Missing));
        assert!(matches!(read(&at("file"), 5), JobFile::Content(bytes) if bytes == b"12345"));
        for (name, limit, why) in [
            ("file", 4, "it is longer than 4 bytes"),
            ("link", 5, "it is a symbolic link"),
            ("fifo", 5, "it is no regular file"),
            (".", 5, "it is no regular file"),
        ] {
            let JobFile::Refused(reason) = read(&at(name), limit) else { panic!("read {name}") };
            assert_eq!(reason, why);
        }
    }
}
