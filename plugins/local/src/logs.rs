//! Reading a job's output from the segments that its keeper writes.

use std::{io, os::unix::fs::FileExt as _, path::Path};

use longshore_keeper::SEGMENT_BYTES;
use longshore_plugin_api::LogChunk;

use crate::job_file;

/// How much one answer holds, in bytes.
const CHUNK: usize = 256 * 1024;

/// Output from `offset` on. `over` says that there will never be more than there is now.
pub(crate) fn read(directory: &Path, offset: u64, over: bool) -> io::Result<LogChunk> {
    let mut start = offset;
    let mut bytes = from(directory, start, CHUNK)?;
    if bytes.is_empty() {
        // Nothing yet, or not any more.
        let oldest = segments(directory)?.into_iter().min().unwrap_or(0);
        start = start.max(oldest.saturating_mul(SEGMENT_BYTES));
        bytes = from(directory, start, CHUNK)?;
    }
    let last = over && bytes.len() < CHUNK;
    // Half a character waits for its other half, unless that never comes.
    if !last {
        bytes.truncate(whole_characters(&bytes));
    }
    Ok(LogChunk {
        offset: start,
        next_offset: start + bytes.len() as u64,
        end: last,
        text: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

/// The last output, at most `limit` bytes, from the start of a line if there is one. `total` is how
/// much there has been; where nobody has counted it the segments say so.
pub(crate) fn tail(directory: &Path, total: Option<u64>, limit: usize) -> String {
    let total = total.or_else(|| stored(directory).ok()).unwrap_or(0);
    if total == 0 {
        return String::new();
    }
    let start = total.saturating_sub(limit as u64);
    let bytes = from(directory, start, limit).unwrap_or_default();
    // The end of a line that is longer than the limit is better than nothing.
    let line = bytes.iter().position(|byte| *byte == b'\n').map(|newline| newline + 1);
    let cut = line.filter(|line| start > 0 && *line < bytes.len()).unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes[cut..]);
    // What is no text has grown by being replaced.
    text[text.ceil_char_boundary(text.len().saturating_sub(limit))..].to_owned()
}

/// How much output there has been, by its segments.
fn stored(directory: &Path) -> io::Result<u64> {
    let Some(newest) = segments(directory)?.into_iter().max() else { return Ok(0) };
    let (_, size) = job_file::open_regular(&directory.join(format!("output.{newest}")))?;
    Ok(newest.saturating_mul(SEGMENT_BYTES).saturating_add(size))
}

fn from(directory: &Path, mut offset: u64, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < limit {
        let name = format!("output.{}", offset / SEGMENT_BYTES);
        let segment = match job_file::open_regular(&directory.join(name)) {
            Ok((segment, _)) => segment,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        let within = offset % SEGMENT_BYTES;
        let room = usize::try_from(SEGMENT_BYTES - within).unwrap_or(usize::MAX);
        let at = bytes.len();
        bytes.resize(at + room.min(limit - at), 0);
        let count = segment.read_at(&mut bytes[at..], within)?;
        bytes.truncate(at + count);
        if count == 0 {
            break;
        }
        offset += count as u64;
    }
    Ok(bytes)
}

/// The numbers of the segments that are still there.
fn segments(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in directory.read_dir()? {
        let name = entry?.file_name();
        numbers.extend(
            name.to_str().and_then(|name| name.strip_prefix("output.")?.parse::<u64>().ok()),
        );
    }
    Ok(numbers)
}

/// How much of it is not the beginning of a character that is cut off.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        // Invalid somewhere: only what could be a beginning at the very end is kept back.
        Err(_) => {
            let tail = (1..=3.min(bytes.len())).rev().find(|back| {
                let end = &bytes[bytes.len() - back..];
                matches!(std::str::from_utf8(end), Err(e) if e.error_len().is_none() && e.valid_up_to() == 0)
            });
            bytes.len() - tail.unwrap_or(0)
        }
        Ok(_) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn with(list: &[(u64, &[u8])]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (number, content) in list {
            fs::write(directory.path().join(format!("output.{number}")), content).unwrap();
        }
        directory
    }

    #[test]
    fn a_job_that_puts_something_else_in_the_place_of_its_output_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("output.0");
        let refused = || {
            assert_eq!(tail(directory.path(), Some(10), 100), "");
            assert_eq!(tail(directory.path(), None, 100), "");
            read(directory.path(), 0, true).unwrap_err().to_string()
        };
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &output,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert_eq!(refused(), "it is no regular file");
        fs::remove_file(&output).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &output).unwrap();
        assert_eq!(refused(), "it is a symbolic link");
        fs::remove_file(&output).unwrap();
        fs::create_dir(&output).unwrap();
        assert_eq!(refused(), "it is no regular file");
    }

    fn all(directory: &Path) -> (u64, String) {
        let mut text = String::new();
        let first = read(directory, 0, true).unwrap();
        let (start, mut chunk) = (first.offset, first);
        while !chunk.end {
            text += &chunk.text;
            chunk = read(directory, chunk.next_offset, true).unwrap();
        }
        (start, text + &chunk.text)
    }

    #[test]
    fn a_reader_who_asks_again_misses_nothing() {
        let full = vec![b'a'; SEGMENT_BYTES as usize];
        let directory = with(&[(0, &full), (1, b"bbb")]);
        let (start, text) = all(directory.path());
        assert_eq!(start, 0);
        assert!(text.len() == full.len() + 3 && text.ends_with("abbb"));
    }

    #[test]
    fn what_was_dropped_is_skipped() {
        let full = vec![b'a'; SEGMENT_BYTES as usize];
        let directory = with(&[(7, &full), (8, b"b")]);
        let (start, text) = all(directory.path());
        assert_eq!(start, 7 * SEGMENT_BYTES);
        assert_eq!(text.len(), full.len() + 1);
    }

    #[test]
    fn without_output_there_is_nothing_and_perhaps_an_end() {
        let directory = with(&[]);
        assert!(!read(directory.path(), 0, false).unwrap().end);
        assert!(read(directory.path(), 0, true).unwrap().end);
    }

    #[test]
    fn a_character_is_never_torn() {
        let directory = with(&[(0, "aü".as_bytes().split_last().unwrap().1)]);
        let chunk = read(directory.path(), 0, false).unwrap();
        assert_eq!((chunk.text.as_str(), chunk.next_offset), ("a", 1));
        fs::write(directory.path().join("output.0"), "aü").unwrap();
        assert_eq!(read(directory.path(), 1, false).unwrap().text, "ü");
    }

    #[test]
    fn what_is_no_text_is_replaced_and_passed() {
        let directory = with(&[(0, b"\xff\xfeok\xc3")]);
        let chunk = read(directory.path(), 0, false).unwrap();
        assert_eq!((chunk.text.as_str(), chunk.next_offset), ("\u{fffd}\u{fffd}ok", 4));
        let last = read(directory.path(), 4, true).unwrap();
        assert_eq!((last.text.as_str(), last.end), ("\u{fffd}", true));
    }

    #[test]
    fn a_tail_starts_at_a_line() {
        let directory = with(&[(0, b"first\nsecond\nthird\n")]);
        for total in [Some(19), None] {
            let tail = |limit| tail(directory.path(), total, limit);
            assert_eq!(tail(100), "first\nsecond\nthird\n");
            assert_eq!(tail(9), "third\n");
            assert_eq!(tail(3), "rd\n", "of a line that is longer");
        }
    }

    #[test]
    fn a_tail_that_nobody_has_counted_ends_with_the_last_segment() {
        let full = vec![b'a'; SEGMENT_BYTES as usize];
        let directory = with(&[(3, &full), (4, b"\nlast\n")]);
        assert_eq!(tail(directory.path(), None, 9), "last\n");
        assert_eq!(tail(with(&[]).path(), None, 9), "");
    }

    #[test]
    fn a_tail_keeps_its_limit_whatever_the_job_wrote() {
        let directory = with(&[(0, &[0xff; 99])]);
        let tail = tail(directory.path(), None, 64);
        assert!(tail.len() <= 64 && tail.chars().all(|c| c == '\u{fffd}') && tail.len() > 60);
    }
}
