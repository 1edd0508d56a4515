//! The `exit` file: the proof that nothing of an attempt runs any more, and how it ended.
//!
//! ```text
//!  boot=6c3e…-…\n                                             written by the executor before the order
//!  cause=ended code=0 started=… ended=… output=12 lost=0\n    written by the keeper, when all are dead
//! ```
//!
//! The file is held with `flock` from before the order until the keeper and everything below it are
//! gone. It is made at its full length, blanks after the first line, and the record is written over
//! the blanks: a disk that has filled up meanwhile cannot keep an ending from being recorded.
//!
//! Nothing is synced. The evidence must outlive processes, not machines: after a crash of the machine
//! nothing of the attempt runs, and the boot id on the first line says that whatever else the
//! directory holds may be older than what the job last wrote.

use std::fmt::Write as _;

/// The length of the file, in bytes.
pub const FILE_BYTES: usize = 256;

/// Where the record starts: after `boot=`, a UUID and a line feed.
pub const RECORD_OFFSET: u64 = 42;

/// What ended the work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// The job's main process ended by itself.
    Ended,
    /// The deadline passed.
    Timeout,
    /// Somebody canceled the job.
    Canceled,
    /// The host was shutting down.
    Stopped,
    /// The host went away.
    HostGone,
    /// The keeper itself was killed; the nursery swept up after it.
    KeeperKilled,
    /// The keeper could not be made ready (no memory, no descriptors): says nothing of the job.
    SetUpFailed,
    /// The program could not be executed.
    ExecFailed,
}

const CAUSES: [(Cause, &str); 8] = [
    (Cause::Ended, "ended"),
    (Cause::Timeout, "timeout"),
    (Cause::Canceled, "canceled"),
    (Cause::Stopped, "stopped"),
    (Cause::HostGone, "host-gone"),
    (Cause::KeeperKilled, "keeper-killed"),
    (Cause::SetUpFailed, "set-up-failed"),
    (Cause::ExecFailed, "exec-failed"),
];

/// How the job's main process ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// It never was.
    None,
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
    /// It could not be started, for this `errno`.
    Errno(i32),
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record {
    /// What ended it.
    pub cause: Cause,
    /// How the main process ended.
    pub status: Status,
    /// When the main process started, in microseconds since 1970 (UTC); 0 if it never did.
    pub started: u64,
    /// When the last descendant was gone, likewise.
    pub ended: u64,
    /// How much output was stored, in bytes.
    pub output: u64,
    /// How much output could not be stored (a full disk), in bytes.
    pub lost: u64,
}

impl Record {
    /// The line that goes to [`RECORD_OFFSET`].
    #[must_use]
    pub fn line(&self) -> String {
        let cause = CAUSES.iter().find(|(cause, _)| *cause == self.cause).map_or("", |c| c.1);
        let mut line = format!("cause={cause}");
        // Writing to a string cannot fail.
        let _ = match self.status {
            Status::None => Ok(()),
            Status::Code(code) => write!(line, " code={code}"),
            Status::Signal(signal) => write!(line, " signal={signal}"),
            Status::Errno(errno) => write!(line, " errno={errno}"),
        };
        let Self { started, ended, output, lost, .. } = self;
        let _ = writeln!(line, " started={started} ended={ended} output={output} lost={lost}");
        line
    }

    fn parse(line: &str) -> Option<Self> {
        let mut record = Self {
            cause: Cause::Ended,
            status: Status::None,
            started: 0,
            ended: 0,
            output: 0,
            lost: 0,
        };
        let mut pairs = line.split(' ').map(|pair| pair.split_once('='));
        let (key, cause) = pairs.next()??;
        record.cause = CAUSES.iter().find(|(_, word)| key == "cause" && *word == cause)?.0;
        for pair in pairs {
            let (key, value) = pair?;
            match key {
                "code" => record.status = Status::Code(value.parse().ok()?),
                "signal" => record.status = Status::Signal(value.parse().ok()?),
                "errno" => record.status = Status::Errno(value.parse().ok()?),
                "started" => record.started = value.parse().ok()?,
                "ended" => record.ended = value.parse().ok()?,
                "output" => record.output = value.parse().ok()?,
                "lost" => record.lost = value.parse().ok()?,
                _ => return None,
            }
        }
        Some(record)
    }
}

/// The `exit` file as the executor makes it. `boot_id` is `/proc/sys/kernel/random/boot_id`.
#[must_use]
pub fn blank(boot_id: &str) -> String {
    let mut file = format!("boot={:<36.36}\n", boot_id.trim());
    let _ = writeln!(file, "{:width$}", "", width = FILE_BYTES - file.len() - 1);
    file
}

/// The line that stands at [`RECORD_OFFSET`] while the attempt runs: the inode of the pipe that the
/// job's output goes through. Nobody but a descendant has its other end. The record replaces it.
#[must_use]
pub fn running(pipe: u64) -> String {
    format!("pipe={pipe}\n")
}

/// The `exit` file as it is read back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// The boot in which the attempt was made.
    pub boot_id: String,
    /// How it ended; `None` while it has not, and for ever if keeper and nursery were both killed.
    pub record: Option<Record>,
    /// The pipe of its output, while there is no record.
    pub pipe: Option<u64>,
}

impl Evidence {
    /// Reads the file's content; `None` if it is not an `exit` file at all.
    #[must_use]
    pub fn parse(file: &str) -> Option<Self> {
        let (boot, rest) = file.split_once('\n')?;
        let boot_id = boot.strip_prefix("boot=")?.trim_end().to_owned();
        // The line feed that ends the record is its last byte, so half a record is none.
        let line = rest.split_once('\n').map_or("", |(line, _)| line.trim_end());
        let pipe = line.strip_prefix("pipe=").and_then(|pipe| pipe.parse().ok());
        Some(Self { boot_id, record: Record::parse(line), pipe })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "6c3e1a52-0f6d-4a7e-9d0c-1f2e3d4c5b6a";

    fn file_with(record: &Record) -> String {
        let mut file = blank(BOOT).into_bytes();
        let line = record.line().into_bytes();
        let at = usize::try_from(RECORD_OFFSET).unwrap();
        file[at..at + line.len()].copy_from_slice(&line);
        String::from_utf8(file).unwrap()
    }

    #[test]
    fn every_ending_is_read_back_as_it_was_written() {
        let statuses = [Status::None, Status::Code(0), Status::Signal(9), Status::Errno(2)];
        for (cause, _) in CAUSES {
            for status in statuses {
                let (started, ended) = (1_700_000_000_000_000, u64::MAX);
                let record = Record { cause, status, started, ended, output: ended, lost: ended };
                let evidence = Evidence::parse(&file_with(&record)).unwrap();
                assert_eq!(
                    evidence,
                    Evidence { boot_id: BOOT.to_owned(), record: Some(record), pipe: None }
                );
            }
        }
    }

    #[test]
    fn a_file_without_a_record_says_so() {
        assert_eq!(blank(BOOT).len(), FILE_BYTES);
        assert_eq!(blank(BOOT).find('\n'), Some(usize::try_from(RECORD_OFFSET).unwrap() - 1));
        let evidence = Evidence::parse(&blank(BOOT)).unwrap();
        assert_eq!(evidence, Evidence { boot_id: BOOT.to_owned(), record: None, pipe: None });
    }

    #[test]
    fn the_pipe_is_known_until_the_record_takes_its_place() {
        let mut file = blank(BOOT).into_bytes();
        let at = usize::try_from(RECORD_OFFSET).unwrap();
        let line = running(u64::MAX).into_bytes();
        file[at..at + line.len()].copy_from_slice(&line);
        let evidence = Evidence::parse(std::str::from_utf8(&file).unwrap()).unwrap();
        assert_eq!((evidence.record, evidence.pipe), (None, Some(u64::MAX)));

        let record = Record {
            cause: Cause::Ended,
            status: Status::None,
            started: 0,
            ended: 0,
            output: 0,
            lost: 0,
        };
        let line = record.line().into_bytes();
        file[at..at + line.len()].copy_from_slice(&line);
        let evidence = Evidence::parse(std::str::from_utf8(&file).unwrap()).unwrap();
        assert_eq!((evidence.record, evidence.pipe), (Some(record), None));
    }

    #[test]
    fn half_a_record_is_no_record() {
        let line = "cause=ended code=0 started=1 ended=2 output=3 lost=0";
        for end in 0..=line.len() {
            let file = format!("boot={BOOT}\n{}", &line[..end]);
            assert_eq!(Evidence::parse(&file).unwrap().record, None, "cut at {end}");
        }
    }
}
