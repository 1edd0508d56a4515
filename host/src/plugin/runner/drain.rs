//! Standard output and error of a runner: read for ever, so that it never waits for us, and kept only
//! as far as they are worth.

use std::{collections::VecDeque, io, os::fd::OwnedFd};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::{Errno, read},
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{Heard, death::is_severe, meter::Meter, watched::watched};
use crate::clock::Moment;

const MAX_LINE: usize = 16 << 10;
const MAX_TAIL: usize = 64 << 10;
/// The most that is read after the end: what has left the group may write for ever.
const MAX_REST: usize = 1 << 20;

pub(super) struct Drain {
    pipe: AsyncFd<OwnedFd>,
    chunk: Vec<u8>,
    text: Text,
}

/// Lines, as they come in pieces.
#[derive(Default)]
struct Text {
    /// The line so far, up to its limit.
    line: Vec<u8>,
    tail: VecDeque<u8>,
}

impl Drain {
    pub(super) fn new(pipe: OwnedFd) -> io::Result<Self> {
        fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
        Ok(Self {
            pipe: watched(pipe, Interest::READABLE)?,
            chunk: vec![0; MAX_TAIL],
            text: Text::default(),
        })
    }

    /// Reads for ever.
    pub(super) async fn run(
        &mut self,
        meter: &Meter,
        heard: &dyn Heard,
    ) -> std::convert::Infallible {
        loop {
            let Self { pipe, chunk, text } = self;
            let got = pipe.async_io(Interest::READABLE, |pipe| Ok(read(pipe, &mut chunk[..])?));
            match got.await {
                Ok(len @ 1..) => text.take(&chunk[..len], meter, heard),
                // It has closed them; that is no reason to end it.
                Ok(0) | Err(_) => std::future::pending().await,
            }
        }
    }

    /// Reads what is there, and answers with the last of all. Does not wait for the end, which may be
    /// held open by whoever has left the process group.
    pub(super) fn finish(mut self, meter: &Meter, heard: &dyn Heard) -> String {
        let mut rest = 0;
        while rest < MAX_REST {
            match read(self.pipe.get_ref(), &mut self.chunk[..]) {
                Ok(len @ 1..) => {
                    rest += len;
                    self.text.take(&self.chunk[..len], meter, heard);
                }
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => break,
            }
        }
        self.text.finish(meter, heard)
    }
}

impl Text {
    fn take(&mut self, chunk: &[u8], meter: &Meter, heard: &dyn Heard) {
        let more = (self.tail.len() + chunk.len()).saturating_sub(MAX_TAIL);
        self.tail.drain(..more.min(self.tail.len()));
        self.tail.extend(&chunk[chunk.len().saturating_sub(MAX_TAIL)..]);
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let (piece, ends) = match piece.strip_suffix(b"\n") {
                Some(piece) => (piece, true),
                None => (piece, false),
            };
            // What is longer than a line may be is skipped up to its end.
            let room = MAX_LINE - self.line.len();
            self.line.extend(&piece[..piece.len().min(room)]);
            if ends {
                self.say(meter, heard);
            }
        }
    }

    fn say(&mut self, meter: &Meter, heard: &dyn Heard) {
        if !self.line.trim_ascii().is_empty() {
            if meter.take(Moment::now()).is_ok() {
                let line = String::from_utf8_lossy(&self.line);
                heard.output(line.trim_end(), is_severe(&line));
            } else {
                meter.lose(1);
            }
        }
        self.line.clear();
    }

    fn finish(mut self, meter: &Meter, heard: &dyn Heard) -> String {
        self.say(meter, heard);
        String::from_utf8_lossy(self.tail.make_contiguous()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{super::tests::Ear, *};

    fn drained(written: &[u8]) -> (Vec<String>, String) {
        let ear = Ear::default();
        let meter = Meter::new(Moment::now());
        let mut text = Text::default();
        for chunk in written.chunks(1000) {
            text.take(chunk, &meter, &ear);
        }
        let tail = text.finish(&meter, &ear);
        meter.tell_now(&ear);
        (ear.lines(), tail)
    }

    #[test]
    fn each_line_is_heard_and_a_crash_is_severe() {
        let (lines, tail) = drained(b"hello\n\nthread 'main' (1) panicked at x.rs:1:1:\nboom");
        assert_eq!(lines, ["out hello", "OUT thread 'main' (1) panicked at x.rs:1:1:", "out boom"]);
        assert!(tail.starts_with("hello\n\n") && tail.ends_with("\nboom"));
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_one_is_heard() {
        let flood = [&vec![b'x'; 10 * MAX_LINE][..], b"\nnext\xff\n"].concat();
        let (lines, tail) = drained(&flood);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), "out ".len() + MAX_LINE);
        assert_eq!(lines[1], "out next\u{fffd}");
        assert!(tail.len() <= MAX_TAIL + 2 && tail.ends_with("next\u{fffd}\n"));
    }

    #[test]
    fn a_flood_of_lines_is_counted() {
        let (lines, _) = drained("x\n".repeat(50_000).as_bytes());
        assert!(lines.len() < 10_000, "{}", lines.len());
        let told = lines.last().unwrap();
        assert!(told.contains("things more than could be kept"), "{told}");
    }

    #[tokio::test]
    async fn what_was_written_before_the_end_is_read_though_somebody_holds_the_pipe() {
        let (reader, mut writer) = io::pipe().unwrap();
        let drain = Drain::new(reader.into()).unwrap();
        writer.write_all(b"last words\n").unwrap();
        let (meter, ear) = (Meter::new(Moment::now()), Ear::default());
        assert_eq!(drain.finish(&meter, &ear), "last words\n");
        assert_eq!(ear.lines(), ["out last words"]);
        drop(writer);
    }
}
