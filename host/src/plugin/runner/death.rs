//! How a runner ended.

use std::{fmt, time::Duration};

use longshore_plugin_api::{Error, ErrorKind, wire::Verb};
use rustix::process::Signal;

use crate::plugin::problem::Code;

/// The end of a runner, once nothing of its process group is left.
#[derive(Clone, Debug)]
pub(in crate::plugin) struct Death {
    pub(in crate::plugin) how: How,
    /// The last of its standard output and error, at most 64 KiB.
    pub(in crate::plugin) tail: String,
    pub(in crate::plugin) uptime: Duration,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::plugin) enum How {
    /// With that code.
    Exit(i32),
    /// Of that signal.
    Signal(i32),
    /// The host killed it, because it did not keep to the protocol.
    Protocol(String),
    /// The host killed it.
    Killed(Why),
    /// Somebody else in this process has reaped it, or made the kernel do so; or it does not end.
    Unknown,
}

/// Why the host kills a runner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::plugin) enum Why {
    /// It did not answer in time.
    Overran(Verb),
    /// It did not load, or greet, in time.
    NeverReady,
    /// It did not end when it was told to.
    Lingered,
    /// Nobody needs it any more.
    Abandoned,
}

impl Death {
    /// The error of a call that the runner knew of: what has come of it is unknown.
    pub(super) fn of_a_call(&self) -> Error {
        let kind = match self.how {
            How::Killed(Why::Overran(_)) => ErrorKind::Hung,
            // The host wanted it: nobody is to blame.
            How::Killed(Why::Lingered | Why::Abandoned) => ErrorKind::Internal,
            _ => ErrorKind::Crashed,
        };
        Error::new(kind, format!("the plugin's process {self}"))
    }

    /// The step that it stands for.
    pub(in crate::plugin) fn code(&self) -> Code {
        match self.how {
            How::Protocol(_) => Code::Protocol,
            How::Killed(Why::NeverReady | Why::Overran(_)) => Code::Hung,
            _ => Code::Crashed,
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.how {
            How::Exit(code) => write!(f, "exited with {code}")?,
            How::Signal(signal) => write!(f, "died of {}", Named(*signal))?,
            How::Protocol(_) | How::Killed(_) => f.write_str("was killed")?,
            How::Unknown => f.write_str("ended, nobody knows how,")?,
        }
        match self.uptime.as_secs() {
            0 => write!(f, " after {} ms", self.uptime.as_millis())?,
            seconds => write!(f, " after {seconds} s")?,
        }
        match &self.how {
            How::Protocol(why) => write!(f, ", since it sent {why}")?,
            How::Killed(Why::Overran(verb)) => {
                write!(f, ", since it did not answer `{}` in time", verb.name())?;
            }
            How::Killed(Why::NeverReady) => f.write_str(", since it was not ready in time")?,
            How::Killed(Why::Lingered) => {
                f.write_str(", since it did not end when it was told to")?
            }
            How::Killed(Why::Abandoned) => f.write_str(", since nobody needs it any more")?,
            How::Exit(_) | How::Signal(_) | How::Unknown => {}
        }
        match self.last_words() {
            Some(words) => write!(f, "; it last said: {words}"),
            None => Ok(()),
        }
    }
}

impl Death {
    /// The line that tells most, in short.
    fn last_words(&self) -> Option<&str> {
        const MOST: usize = 300;
        let lines = || self.tail.lines().map(str::trim).filter(|line| !line.is_empty());
        // After a panic come the message and a backtrace.
        let line = lines().rfind(|line| is_severe(line)).or_else(|| lines().next_back())?;
        Some(&line[..line.floor_char_boundary(MOST)])
    }
}

/// Whether a line tells that its process is ending.
pub(super) fn is_severe(line: &str) -> bool {
    line.starts_with("thread '") && (line.contains("panicked at") || line.contains("overflowed"))
        || line.starts_with("memory allocation of")
        || line.starts_with("fatal runtime error")
}

struct Named(i32);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(Signal, &str); 14] = [
            (Signal::HUP, "SIGHUP"),
            (Signal::INT, "SIGINT"),
            (Signal::QUIT, "SIGQUIT"),
            (Signal::ILL, "SIGILL"),
            (Signal::TRAP, "SIGTRAP"),
            (Signal::ABORT, "SIGABRT"),
            (Signal::BUS, "SIGBUS"),
            (Signal::FPE, "SIGFPE"),
            (Signal::KILL, "SIGKILL"),
            (Signal::SEGV, "SIGSEGV"),
            (Signal::PIPE, "SIGPIPE"),
            (Signal::TERM, "SIGTERM"),
            (Signal::XCPU, "SIGXCPU"),
            (Signal::SYS, "SIGSYS"),
        ];
        match NAMES.iter().find(|(signal, _)| signal.as_raw() == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(how: How, tail: &str, millis: u64) -> String {
        let uptime = Duration::from_millis(millis);
        Death { how, tail: tail.to_owned(), uptime }.to_string()
    }

    #[test]
    fn a_death_is_one_line() {
        assert_eq!(said(How::Signal(11), "", 3_900), "died of SIGSEGV after 3 s");
        assert_eq!(
            said(How::Exit(42), "starting\nbye\n\n", 12),
            "exited with 42 after 12 ms; it last said: bye"
        );
        assert_eq!(
            said(
                How::Signal(6),
                "a\nthread 'main' (7) panicked at src/lib.rs:3:5:\nboom\nstack backtrace:\n  0: x\n",
                1000
            ),
            "died of SIGABRT after 1 s; it last said: thread 'main' (7) panicked at src/lib.rs:3:5:"
        );
        assert_eq!(
            said(How::Protocol("a packet of 3 bytes".to_owned()), "", 1000),
            "was killed after 1 s, since it sent a packet of 3 bytes"
        );
        assert_eq!(
            said(How::Killed(Why::Overran(Verb::Health)), "", 1000),
            "was killed after 1 s, since it did not answer `health` in time"
        );
        assert_eq!(said(How::Signal(35), "", 0), "died of signal 35 after 0 ms");
        let long = "é".repeat(400);
        assert!(said(How::Unknown, &long, 0).len() < 400);
    }
}
