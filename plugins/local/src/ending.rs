//! From evidence to an ending: the exit record, and what the job left in its directory.

use std::{io, path::Path};

use longshore_keeper::record::{Cause, Record, Status};
use longshore_plugin_api::{Ended, Ending};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{
    description::Description,
    job_file::{self, JobFile},
    logs,
};

/// The longest result, in bytes.
const RESULT_LIMIT: u64 = 16 * 1024 * 1024;

/// What a report holds beside its result.
const REPORT_LIMIT: u64 = RESULT_LIMIT + 1024 * 1024;

/// How much output goes with an ending, in bytes.
const TAIL: usize = 64 * 1024;

/// What a command exits with to be tried again: `EX_TEMPFAIL`.
const TRY_AGAIN: i32 = 75;

/// Says how an attempt ended, from what is in its directory.
pub(crate) fn of(directory: &Path, record: &Record) -> Ended {
    let job = Description::read(directory);
    let evidence = Evidence { directory, record, job: &job };
    let note = match record.lost {
        0 => String::new(),
        lost => format!("\n[{lost} bytes of output could not be stored; is the disk full?]\n"),
    };
    // The nursery, which writes the record of a killed keeper, has not seen the output.
    let total = (record.cause != Cause::KeeperKilled).then_some(record.output);
    let log_tail = logs::tail(directory, total, TAIL - note.len()) + &note;
    Ended { ending: evidence.ending(), log_tail }
}

/// Of an attempt whose keeper and nursery were killed, and of which nothing runs any more.
pub(crate) fn abandoned(directory: &Path) -> Ended {
    let ending = Ending::Interrupted { message: "its keeper was killed".to_owned() };
    Ended { ending, log_tail: logs::tail(directory, None, TAIL) }
}

struct Evidence<'a> {
    directory: &'a Path,
    record: &'a Record,
    job: &'a Description,
}

impl Evidence<'_> {
    fn ending(&self) -> Ending {
        let interrupted = |message: &str| Ending::Interrupted { message: message.to_owned() };
        match self.record.cause {
            Cause::Ended if self.job.function.is_some() => self.function(),
            Cause::Ended => self.command(),
            Cause::Timeout => Ending::Timeout { message: self.timeout() },
            Cause::Canceled => Ending::Canceled { message: format!("canceled {}", self.when()) },
            Cause::Stopped => interrupted("the host was shutting down"),
            Cause::HostGone => interrupted("the host went away"),
            Cause::KeeperKilled => interrupted("its keeper was killed"),
            Cause::SetUpFailed => interrupted(&format!(
                "there was no process to be had: {}",
                self.errno().map_or_else(|| "no reason was given".to_owned(), |e| e.to_string())
            )),
            Cause::ExecFailed => self.not_executed(),
        }
    }

    fn function(&self) -> Ending {
        let report = match self.read("report.json", REPORT_LIMIT) {
            Ok(Some(content)) => Report::parse(&content),
            Ok(None) => return self.failed(&format!("{} without a report", self.how())),
            Err(why) => Err(why),
        };
        match report {
            Ok(Report::Failed { message, transient }) => Ending::Failed { message, transient },
            Ok(Report::Succeeded { result }) if self.record.status == Status::Code(0) => {
                Ending::Succeeded { result }
            }
            Ok(Report::Succeeded { .. }) => {
                self.failed(&format!("{} after it had reported a result", self.how()))
            }
            Err(why) => self.failed(&format!("{} and left a report.json: {why}", self.how())),
        }
    }

    fn command(&self) -> Ending {
        match self.record.status {
            Status::Code(0) => {}
            Status::Code(TRY_AGAIN) => {
                let message = self.about("exited with code 75, which asks for another try");
                return Ending::Failed { message, transient: true };
            }
            _ => return self.failed(&self.how()),
        }
        let parsed = self.read("result.json", RESULT_LIMIT).and_then(|content| {
            let content = content.unwrap_or_else(|| b"null".to_vec());
            serde_json::from_slice(&content).map_err(|e| format!("it is not JSON: {e}"))
        });
        match parsed {
            Ok(result) => Ending::Succeeded { result },
            Err(why) => self.failed(&format!("exited with code 0 and left a result.json: {why}")),
        }
    }

    fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, String> {
        match job_file::read(&self.directory.join(name), limit) {
            JobFile::Missing => Ok(None),
            JobFile::Content(content) => Ok(Some(content)),
            JobFile::Refused(why) => Err(why),
        }
    }

    /// What the main process did, as the end of a sentence about it.
    fn how(&self) -> String {
        match self.record.status {
            Status::Code(code) => format!("exited with code {code}"),
            // Ours are recorded as a timeout or a cancel.
            Status::Signal(9) => {
                "was killed by signal 9 (SIGKILL), most likely for want of memory".to_owned()
            }
            Status::Signal(signal) => match signal_name(signal) {
                Some(name) => format!("was killed by signal {signal} ({name})"),
                None => format!("was killed by signal {signal}"),
            },
            Status::None | Status::Errno(_) => "did not start".to_owned(),
        }
    }

    fn failed(&self, how: &str) -> Ending {
        Ending::Failed { message: self.about(how), transient: false }
    }

    fn about(&self, how: &str) -> String {
        format!("job type `{}` {how}", self.job.job_type)
    }

    fn timeout(&self) -> String {
        let Description { job_id, job_type, timeout, .. } = self.job;
        let seconds = timeout.0;
        let when = self.when();
        format!("job {job_id} of type `{job_type}` reached its timeout of {seconds} s {when}")
    }

    fn when(&self) -> &'static str {
        if self.record.started == 0 {
            "before it was started"
        } else if self.in_set_up() {
            "while its Python environment was set up"
        } else {
            "while it ran"
        }
    }

    /// Whether the entry point was still building the environment: it says so in its progress, and
    /// clears that when it is done.
    fn in_set_up(&self) -> bool {
        #[derive(Deserialize)]
        struct Told {
            progress: Option<Phase>,
        }
        #[derive(Deserialize)]
        struct Phase {
            phase: Option<String>,
        }
        let needs_one =
            self.job.python.as_ref().is_some_and(|python| !python.requirements.is_empty());
        needs_one
            && matches!(self.read("progress.json", 64 * 1024), Ok(Some(content))
                if serde_json::from_slice::<Told>(&content)
                    .is_ok_and(|told| told.progress.and_then(|p| p.phase).as_deref() == Some("set-up")))
    }

    fn not_executed(&self) -> Ending {
        let program = match (&self.job.command, &self.job.function) {
            (Some(command), _) => command.first().map_or("its program", String::as_str),
            (None, _) => "the Python interpreter",
        };
        let error = self.errno();
        let shown = error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
        // What another try may find otherwise: too many processes or files, a program being written.
        let transient = matches!(self.record.status, Status::Errno(11 | 12 | 23 | 24 | 26));
        Ending::Failed {
            message: self.about(&format!("cannot execute `{program}`{shown}")),
            transient,
        }
    }

    fn errno(&self) -> Option<io::Error> {
        match self.record.status {
            Status::Errno(errno) => Some(io::Error::from_raw_os_error(errno)),
            _ => None,
        }
    }
}

enum Report {
    Succeeded { result: Box<RawValue> },
    Failed { message: String, transient: bool },
}

impl Report {
    fn parse(content: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Raw {
            status: String,
            #[serde(default, deserialize_with = "present")]
            result: Option<Box<RawValue>>,
            #[serde(default)]
            error_message: Option<String>,
            #[serde(default)]
            is_transient_error: bool,
        }
        let raw: Raw =
            serde_json::from_slice(content).map_err(|e| format!("it is no report: {e}"))?;
        match (raw.status.as_str(), raw.result, raw.error_message) {
            ("SUCCEEDED", Some(result), None) if result.get().len() as u64 <= RESULT_LIMIT => {
                Ok(Self::Succeeded { result })
            }
            ("SUCCEEDED", Some(_), None) => {
                Err(format!("its result is longer than {RESULT_LIMIT} bytes"))
            }
            ("FAILED", None, Some(message)) => {
                Ok(Self::Failed { message, transient: raw.is_transient_error })
            }
            ("SUCCEEDED", ..) => Err("a success has a result and no error".to_owned()),
            ("FAILED", ..) => Err("a failure has an error and no result".to_owned()),
            (status, ..) => Err(format!("`{status}` is no status that a job may report")),
        }
    }
}

/// `null` is a result like any other; by itself an `Option` would take it for none.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}
