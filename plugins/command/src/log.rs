//! What a program says for people: to the host's log, as much as a person could read.

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{io::AsyncRead, time::Instant};
use tracing::Level;

use crate::line::{Line, Lines};

/// How much of a line is kept, in bytes.
const LONGEST: usize = 4096;

/// How many lines may come at once.
const AT_ONCE: f64 = 100.0;

/// How many lines a second may come for ever.
const PER_SECOND: f64 = 20.0;

/// One executor's way to the log.
#[derive(Debug)]
pub(crate) struct Log {
    allowance: Mutex<Allowance>,
}

#[derive(Debug)]
struct Allowance {
    lines: f64,
    since: Instant,
    dropped: u64,
}

impl Log {
    pub(crate) fn new() -> Self {
        let allowance = Allowance { lines: AT_ONCE, since: Instant::now(), dropped: 0 };
        Self { allowance: Mutex::new(allowance) }
    }

    /// Reads to the end, whatever comes: a program must never wait for its own log. The last line is
    /// kept in `last`.
    pub(crate) async fn drain(
        &self,
        pipe: impl AsyncRead + Unpin,
        last: &Mutex<String>,
    ) -> io::Result<()> {
        let mut lines = Lines::new(pipe, LONGEST);
        while let Some(Line::Whole(line) | Line::Cut(line)) = lines.next().await? {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if text.is_empty() {
                continue;
            }
            self.say(Level::INFO, &text);
            *last.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }
        Ok(())
    }

    /// Logs a line, or counts it.
    pub(crate) fn say(&self, level: Level, text: &str) {
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = allowance.admit(Instant::now());
        drop(allowance);
        let Some(dropped) = admitted else { return };
        if dropped > 0 {
            tracing::warn!("{dropped} lines of the program were dropped: it says too much");
        }
        let text: String = text.chars().take(LONGEST).collect();
        match level {
            Level::ERROR => tracing::error!("{text}"),
            Level::WARN => tracing::warn!("{text}"),
            Level::INFO => tracing::info!("{text}"),
            Level::DEBUG => tracing::debug!("{text}"),
            Level::TRACE => tracing::trace!("{text}"),
        }
    }
}

impl Allowance {
    /// How many were dropped before this one, if this one is not.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let passed: Duration = now - self.since;
        self.since = now;
        self.lines = (self.lines + passed.as_secs_f64() * PER_SECOND).min(AT_ONCE);
        if self.lines < 1.0 {
            self.dropped += 1;
            return None;
        }
        self.lines -= 1.0;
        Some(std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_a_word_after_it_is_heard() {
        let since = Instant::now();
        let mut allowance = Allowance { lines: 2.0, since, dropped: 0 };
        let answers: Vec<_> = (0..5).map(|_| allowance.admit(since)).collect();
        assert_eq!(answers, [Some(0), Some(0), None, None, None]);
        assert_eq!(allowance.admit(since + Duration::from_secs(1)), Some(3));
    }
}
