//! Lines of what another program writes: however much it is, only so much is kept of each.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// Reads lines of at most `limit` bytes.
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    limit: usize,
    /// Whether what comes next is the rest of a line that was cut.
    inside: bool,
}

/// A line without its end.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Line {
    /// All of it.
    Whole(Vec<u8>),
    /// Its beginning; the rest of it will be thrown away.
    Cut(Vec<u8>),
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        Self { reader: BufReader::new(reader), limit, inside: false }
    }

    /// The next line; the last needs no end. Nothing where there is no more. Not to be dropped in
    /// between: what it has read of the line would be lost.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        loop {
            let read = self.reader.fill_buf().await?;
            if read.is_empty() {
                return Ok((!line.is_empty()).then_some(Line::Whole(line)));
            }
            let end = read.iter().position(|&byte| byte == b'\n');
            let part = &read[..end.unwrap_or(read.len())];
            let skipped = self.inside;
            if !skipped {
                let room = self.limit - line.len();
                line.extend_from_slice(&part[..part.len().min(room)]);
                // Said at once: the end of such a line may never come.
                self.inside = part.len() > room;
            }
            let cut = self.inside && !skipped;
            let used = part.len() + usize::from(end.is_some());
            self.inside &= end.is_none();
            self.reader.consume(used);
            if cut {
                return Ok(Some(Line::Cut(line)));
            }
            if end.is_some() && !skipped {
                return Ok(Some(Line::Whole(line)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8], limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(text, limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn every_line_is_one_and_the_last_needs_no_end() {
        assert_eq!(lines(b"a\n\nbc", 9).await, [whole("a"), whole(""), whole("bc")]);
        assert_eq!(lines(b"a\n", 9).await, [whole("a")]);
        assert_eq!(lines(b"", 9).await, []);
    }

    #[tokio::test]
    async fn a_line_over_the_limit_is_cut_and_the_next_is_whole() {
        let cut = |text: &str| Line::Cut(text.as_bytes().to_vec());
        assert_eq!(lines(b"abc\nabcd\nx", 3).await, [whole("abc"), cut("abc"), whole("x")]);
        // Longer than the reader's own buffer.
        let long = [vec![b'y'; 100_000], b"\nx".to_vec()].concat();
        assert_eq!(lines(&long, 3).await, [cut("yyy"), whole("x")]);
        assert_eq!(lines(&long, 100_000).await, [whole(&"y".repeat(100_000)), whole("x")]);
    }
}
