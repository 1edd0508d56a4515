//! One pass of recovery in numbers.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// What one pass saw and did.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Pass {
    /// When it ended; milliseconds UTC.
    pub ended_at: i64,
    /// Rows that lost their watcher by the clock.
    pub marked: usize,
    /// Rows that were looked at.
    pub seen: usize,
    /// Rows that are watched again.
    pub reattached: usize,
    /// Rows that wait for another attempt.
    pub requeued: usize,
    /// Rows that were failed.
    pub given_up: usize,
    /// Rows whose time was over.
    pub timed_out: usize,
    /// Ended rows whose work is now proven gone.
    pub confirmed: usize,
    /// Rows of which nothing is known yet.
    pub waiting: usize,
    /// Rows that nobody offered to run.
    pub orphaned: usize,
    /// What stands in the way, by executor.
    pub trouble: BTreeMap<String, String>,
}

impl Pass {
    /// Adds what one executor's part saw and did.
    pub(super) fn absorb(&mut self, part: Self) {
        self.seen += part.seen;
        self.reattached += part.reattached;
        self.requeued += part.requeued;
        self.given_up += part.given_up;
        self.timed_out += part.timed_out;
        self.confirmed += part.confirmed;
        self.waiting += part.waiting;
        self.trouble.extend(part.trouble);
    }

    /// Whether any row was written: one that only waits is looked at every few seconds for hours.
    pub(super) fn did_something(&self) -> bool {
        let Self { marked, reattached, requeued, given_up, timed_out, confirmed, orphaned, .. } =
            self;
        [marked, reattached, requeued, given_up, timed_out, confirmed, orphaned]
            .iter()
            .any(|count| **count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_that_only_looked_or_waits_has_done_nothing() {
        let waits = Pass {
            ended_at: 1,
            seen: 3,
            waiting: 3,
            trouble: [("far".to_owned(), "no daemon answers".to_owned())].into(),
            ..Pass::default()
        };
        assert!(!Pass::default().did_something());
        assert!(!waits.did_something());
        for write in [
            |pass: &mut Pass| pass.marked = 1,
            |pass: &mut Pass| pass.reattached = 1,
            |pass: &mut Pass| pass.requeued = 1,
            |pass: &mut Pass| pass.given_up = 1,
            |pass: &mut Pass| pass.timed_out = 1,
            |pass: &mut Pass| pass.confirmed = 1,
            |pass: &mut Pass| pass.orphaned = 1,
        ] {
            let mut pass = waits.clone();
            write(&mut pass);
            assert!(pass.did_something(), "{pass:?}");
        }
    }
}
