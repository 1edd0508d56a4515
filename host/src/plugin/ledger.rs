//! Who is to blame for the deaths of a plugin's process, and what follows. Pure.
//!
//! A job that ran alone when the process died is a suspect, and its deaths count once, however often it
//! is tried: recovery fails such a job by itself, and must not take the plugin from its neighbours. A
//! death with no job or with several in it is the plugin's own. A job that has ended clears the plugin.

use std::{collections::BTreeSet, time::Duration};

use crate::{backoff::Backoff, clock::Moment, config::Restart};

/// The deaths since the last good sign.
#[derive(Debug)]
pub(super) struct Ledger {
    rules: Restart,
    deaths: Vec<Death>,
}

#[derive(Debug)]
struct Death {
    at: Moment,
    /// The one job that was running.
    suspect: Option<String>,
}

/// What a death leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Aftermath {
    /// It is started again after that long.
    Restart(Duration),
    /// It is left alone.
    Quarantine,
}

impl Ledger {
    pub(super) fn new(rules: Restart) -> Self {
        Self { rules, deaths: Vec::new() }
    }

    /// The process died while these jobs ran.
    pub(super) fn died(&mut self, now: Moment, running: &[String]) -> Aftermath {
        let suspect = if let [alone] = running { Some(alone.clone()) } else { None };
        self.deaths.push(Death { at: now, suspect });
        if self.count(now) >= self.rules.quarantine_after as usize {
            return Aftermath::Quarantine;
        }
        let Restart { base_delay, max_delay, .. } = self.rules;
        let n = u32::try_from(self.deaths.len()).unwrap_or(u32::MAX);
        Aftermath::Restart(Backoff { base_delay, max_delay }.delay(n, 0.0))
    }

    /// A job has ended, or somebody says that all is well.
    pub(super) fn clear(&mut self) {
        self.deaths.clear();
    }

    /// How many deaths count against the plugin.
    pub(super) fn count(&mut self, now: Moment) -> usize {
        self.deaths.retain(|death| now < death.at.after(self.rules.window));
        let suspects: BTreeSet<_> = self.deaths.iter().filter_map(|d| d.suspect.as_ref()).collect();
        suspects.len() + self.deaths.iter().filter(|death| death.suspect.is_none()).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::START.after(Duration::from_secs(seconds))
    }

    fn jobs(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_job_that_kills_it_again_and_again_does_not_cost_its_neighbours_the_plugin() {
        let mut ledger = Ledger::new(Restart::default());
        // Twice in company, as recovery allows it, then alone until it is failed.
        ledger.died(at(1), &jobs(&["poison", "good"]));
        ledger.died(at(2), &jobs(&["poison", "good"]));
        for second in 3..7 {
            let aftermath = ledger.died(at(second), &jobs(&["poison"]));
            assert!(matches!(aftermath, Aftermath::Restart(_)));
        }
        assert_eq!(ledger.count(at(7)), 3);
    }

    #[test]
    fn a_plugin_that_fails_one_lone_job_after_another_is_quarantined() {
        let mut ledger = Ledger::new(Restart::default());
        let aftermath: Vec<_> =
            ["a", "b", "c", "d", "e"].map(|job| ledger.died(at(1), &jobs(&[job]))).into();
        assert_eq!(aftermath[4], Aftermath::Quarantine);
        assert!(aftermath[..4].iter().all(|one| matches!(one, Aftermath::Restart(_))));
    }

    #[test]
    fn a_job_that_ends_clears_it_and_old_deaths_do_not_count() {
        let mut ledger = Ledger::new(Restart::default());
        for _ in 0..4 {
            ledger.died(at(1), &[]);
        }
        assert_eq!(ledger.count(at(600)), 4);
        assert_eq!(ledger.count(at(601)), 0);
        ledger.died(at(602), &[]);
        ledger.clear();
        assert_eq!(ledger.died(at(603), &[]), Aftermath::Restart(Duration::from_secs(1)));
    }

    proptest! {
        #[test]
        fn deaths_without_a_job_end_in_quarantine_and_never_wait_longer_than_they_may(
            quarantine_after in 1_u32..20, base in 1_u64..100, more in 0_u64..1000,
        ) {
            let rules = Restart {
                base_delay: Duration::from_millis(base),
                max_delay: Duration::from_millis(base + more),
                quarantine_after,
                window: Duration::from_secs(60),
            };
            let mut ledger = Ledger::new(rules);
            for n in 1..=quarantine_after {
                match ledger.died(at(1), &[]) {
                    Aftermath::Quarantine => prop_assert_eq!(n, quarantine_after),
                    Aftermath::Restart(delay) => {
                        prop_assert!(n < quarantine_after);
                        prop_assert!(rules.base_delay <= delay && delay <= rules.max_delay);
                    }
                }
            }
        }
    }
}
