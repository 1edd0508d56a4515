//! What the command tells a script by its exit code.

use std::fmt::Write as _;

/// How a command ended. The numbers are a promise to scripts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// It did what was asked.
    Success,
    /// It was done, and the answer is bad: the job ended otherwise, a check found something, a host
    /// could not go on.
    Failure,
    /// The command line makes no sense.
    Usage,
    /// The configuration has mistakes.
    Configuration,
    /// No host answers, or it does not know the token.
    Unreachable,
    /// There is no such job.
    NotFound,
    /// The host refuses the request.
    Refused,
    /// Told to end twice by `SIGINT`: 128 + 2, as a shell says it.
    Interrupted,
    /// Told to end twice, lastly by `SIGTERM`: 128 + 15.
    Terminated,
}

impl Exit {
    const ALL: [Self; 9] = [
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::Configuration,
        Self::Unreachable,
        Self::NotFound,
        Self::Refused,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Configuration => 3,
            Self::Unreachable => 4,
            Self::NotFound => 5,
            Self::Refused => 6,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done; with --wait or watch: the job succeeded",
            Self::Failure => {
                "failed: the job did not succeed, a check found something, a step went wrong"
            }
            Self::Usage => "the command line or an input makes no sense",
            Self::Configuration => "the configuration has mistakes",
            Self::Unreachable => "no host answers, or it does not accept the token",
            Self::NotFound => "there is no such job",
            Self::Refused => "the host refuses the request, and says which field is wrong",
            Self::Interrupted => "ended at once by a second SIGINT",
            Self::Terminated => "ended at once by a second SIGTERM",
        }
    }

    /// The table for `longshore --help`.
    pub(super) fn table() -> String {
        let mut text = "Exit codes:\n".to_owned();
        for exit in Self::ALL {
            writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning())
                .expect("a `String` takes everything");
        }
        text
    }
}
