//! How an executor stands: the one truth for the list of plugins, the claim loop and recovery. What
//! follows on what is `next`, a pure function; `supervisor` does what it says.
//!
//! ```text
//!             ┌──────────── again ────────────┐
//!             ▼                               │
//!  Absent ─► Starting ─► Ready ─► Hung ─► Restarting ─► Quarantined
//!             │            │                                │ released
//!             ▼            ▼ replaced                       ▼
//!           Failed      Draining ─► Stopped              Starting
//! ```

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::ledger::Aftermath;
use crate::clock::Moment;

/// How a configured executor stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// No file in the plugin directory is its plugin.
    Absent,
    /// It is being loaded, opened and started.
    Starting,
    /// It takes jobs.
    Ready,
    /// It does not answer. In a process of its own it is about to be killed.
    Hung,
    /// Its process has died and is started again then.
    Restarting(Moment),
    /// Its process has died too often; it waits for a person, or for another file.
    Quarantined,
    /// It cannot be used as it is. What may pass by itself is tried again then.
    Failed(Option<Moment>),
    /// A newer version has taken its place; it ends the jobs that it has.
    Draining,
    /// It has ended.
    Stopped,
}

impl Standing {
    /// Whether jobs may be sent to it.
    #[must_use]
    pub const fn takes_jobs(self) -> bool {
        matches!(self, Self::Ready)
    }

    /// Whether it can be asked about jobs that it has.
    #[must_use]
    pub const fn answers(self) -> bool {
        matches!(self, Self::Ready | Self::Draining)
    }

    /// Whether this host offers it: it runs, or will again. What is quarantined is not absent.
    #[must_use]
    pub const fn is_offered(self) -> bool {
        !matches!(self, Self::Absent | Self::Failed(_) | Self::Stopped)
    }

    /// When something is to be tried again.
    pub(super) const fn again(self) -> Option<Moment> {
        match self {
            Self::Restarting(at) => Some(at),
            Self::Failed(again) => again,
            _ => None,
        }
    }

    /// One word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Hung => "hung",
            Self::Restarting(_) => "restarting",
            Self::Quarantined => "quarantined",
            Self::Failed(_) => "failed",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }
}

impl Serialize for Standing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// What happened to one generation of an executor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Event {
    /// It is loaded, opened and started.
    Up,
    /// It is not, and says why. What may pass by itself is tried again after that long.
    Refused(Option<Duration>),
    /// Its process died, and that leads to this.
    Died(Aftermath),
    /// It did not answer in time.
    Overran,
    /// It answers after all.
    Answered,
    /// The time has come.
    Due,
    /// A person lets it try again.
    Released,
    /// Another generation has taken its place.
    Replaced,
    /// It has no job any more.
    Drained,
    /// The host ends.
    Stop,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Act {
    Nothing,
    Start,
    /// Only of what runs in a process of its own.
    Kill,
    End,
}

/// How it stands after that, and what is to be done. `isolated`: whether it has a process of its own.
pub(super) fn next(
    now: Moment,
    standing: Standing,
    event: Event,
    isolated: bool,
) -> (Standing, Act) {
    use Standing::{
        Absent, Draining, Failed, Hung, Quarantined, Ready, Restarting, Starting, Stopped,
    };
    let after = |aftermath| match aftermath {
        Aftermath::Restart(delay) => Restarting(now.after(delay)),
        Aftermath::Quarantine => Quarantined,
    };
    let kill = if isolated { Act::Kill } else { Act::Nothing };
    match (standing, event) {
        (Stopped | Absent, _) => (standing, Act::Nothing),
        (Starting | Ready | Hung | Draining, Event::Stop) => (Stopped, Act::End),
        (_, Event::Stop) => (Stopped, Act::Nothing),

        (Starting, Event::Up) => (Ready, Act::Nothing),
        (Starting, Event::Refused(again)) => {
            (Failed(again.map(|delay| now.after(delay))), Act::Nothing)
        }
        (Ready, Event::Refused(_)) => (Failed(None), Act::End),
        // It was never in use.
        (Starting, Event::Replaced) => (Stopped, Act::End),

        (Ready | Hung, Event::Replaced) => (Draining, Act::Nothing),
        (_, Event::Replaced) if standing != Draining => (Stopped, Act::Nothing),

        (Ready, Event::Overran) => (Hung, kill),
        (Draining, Event::Overran) => (Draining, kill),
        // A process that was told to die is not taken back.
        (Hung, Event::Answered) if !isolated => (Ready, Act::Nothing),

        (Starting | Ready | Hung, Event::Died(aftermath)) => (after(aftermath), Act::Nothing),
        // The newer generation finds what it left.
        (Draining, Event::Died(_)) => (Stopped, Act::Nothing),
        (Draining, Event::Drained) => (Stopped, Act::End),

        (Restarting(_) | Failed(Some(_)), Event::Due)
        | (Restarting(_) | Failed(_) | Quarantined, Event::Released) => (Starting, Act::Start),

        _ => (standing, Act::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Moment {
        Moment::START
    }

    fn events() -> impl Strategy<Value = Event> {
        let second = Duration::from_secs(1);
        prop_oneof![
            Just(Event::Up),
            Just(Event::Refused(None)),
            Just(Event::Refused(Some(second))),
            Just(Event::Died(Aftermath::Restart(second))),
            Just(Event::Died(Aftermath::Quarantine)),
            Just(Event::Overran),
            Just(Event::Answered),
            Just(Event::Due),
            Just(Event::Released),
            Just(Event::Replaced),
            Just(Event::Drained),
        ]
    }

    #[test]
    fn a_death_leads_to_a_restart_or_to_quarantine_and_a_person_ends_that() {
        let second = Duration::from_secs(1);
        let died = Event::Died(Aftermath::Restart(second));
        let (restarting, act) = next(now(), Standing::Ready, died, true);
        assert_eq!((restarting, act), (Standing::Restarting(now().after(second)), Act::Nothing));
        assert_eq!(next(now(), restarting, Event::Due, true), (Standing::Starting, Act::Start));
        let (quarantined, _) =
            next(now(), Standing::Hung, Event::Died(Aftermath::Quarantine), true);
        assert_eq!(quarantined, Standing::Quarantined);
        assert_eq!(next(now(), quarantined, Event::Due, true).1, Act::Nothing);
        assert_eq!(next(now(), quarantined, Event::Released, true).1, Act::Start);
        assert!(quarantined.is_offered() && !quarantined.answers());
    }

    #[test]
    fn what_hangs_is_killed_where_it_can_be_and_comes_back_by_itself_where_it_cannot() {
        assert_eq!(next(now(), Standing::Ready, Event::Overran, true), (Standing::Hung, Act::Kill));
        assert_eq!(
            next(now(), Standing::Ready, Event::Overran, false),
            (Standing::Hung, Act::Nothing)
        );
        assert_eq!(next(now(), Standing::Hung, Event::Answered, false).0, Standing::Ready);
        assert_eq!(next(now(), Standing::Hung, Event::Answered, true).0, Standing::Hung);
    }

    #[test]
    fn a_draining_generation_is_never_started_again() {
        let died = Event::Died(Aftermath::Restart(Duration::ZERO));
        assert_eq!(next(now(), Standing::Draining, died, true).0, Standing::Stopped);
        assert_eq!(
            next(now(), Standing::Draining, Event::Drained, true),
            (Standing::Stopped, Act::End)
        );
    }

    proptest! {
        #[test]
        fn nothing_starts_what_was_replaced(
            before in prop::collection::vec(events(), 0..8),
            after in prop::collection::vec(events(), 0..8),
            isolated: bool,
        ) {
            let step = |standing, event: &Event| next(now(), standing, *event, isolated);
            let standing = before.iter().fold(Standing::Starting, |at, event| step(at, event).0);
            let mut standing = step(standing, &Event::Replaced).0;
            for event in &after {
                let (to, act) = step(standing, event);
                prop_assert!(act != Act::Start && !to.takes_jobs());
                standing = to;
            }
        }

        #[test]
        fn the_host_can_always_stop_it(events in prop::collection::vec(events(), 0..12), isolated: bool) {
            let standing = events
                .iter()
                .fold(Standing::Starting, |at, event| next(now(), at, *event, isolated).0);
            prop_assert_eq!(next(now(), standing, Event::Stop, isolated).0, Standing::Stopped);
        }

        #[test]
        fn nothing_is_killed_that_runs_in_the_hosts_own_process(
            events in prop::collection::vec(events(), 0..12),
        ) {
            let mut standing = Standing::Starting;
            for event in events {
                let (to, act) = next(now(), standing, event, false);
                prop_assert!(act != Act::Kill);
                standing = to;
            }
        }
    }
}
