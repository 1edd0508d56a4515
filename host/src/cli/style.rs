//! Colours, where somebody looks at them.

use std::{env, fmt, io::IsTerminal};

use crate::lifecycle::State;

/// Whether to write colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    colours: bool,
}

/// What a text is, not how it looks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tone {
    Good,
    Bad,
    Doubtful,
    Busy,
    Quiet,
}

impl Style {
    /// Colours if `stream` is a terminal that has them and the user has not said no
    /// (<https://no-color.org>).
    pub(super) fn of(stream: &impl IsTerminal) -> Self {
        let said_no = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self { colours: stream.is_terminal() && !said_no && !dumb }
    }

    /// Whether there are any.
    pub(super) const fn has_colours(self) -> bool {
        self.colours
    }

    pub(super) fn paint(self, tone: Tone, text: impl fmt::Display) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Doubtful => 33,
            Tone::Busy => 36,
            Tone::Quiet => 2,
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// A state of a job. A word of a newer host stays as it is.
    pub(super) fn state(self, word: &str) -> String {
        match State::from_word(word) {
            Some(state) => self.paint(Tone::of(state), word),
            None => word.to_owned(),
        }
    }
}

impl Tone {
    const fn of(state: State) -> Self {
        match state {
            State::Pending => Self::Quiet,
            State::Running => Self::Busy,
            State::NeedsRecovery | State::Canceled => Self::Doubtful,
            State::Succeeded => Self::Good,
            State::Failed | State::Timeout => Self::Bad,
        }
    }
}
