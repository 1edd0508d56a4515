//! What a runner says by itself, until somebody has heard it. The reader of its socket never waits
//! here; the runner does, for credit.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use longshore_plugin_api::wire::tell;
use tokio::sync::Notify;

use super::{
    Heard, MAX_UNTAKEN,
    channel::Channel,
    frame::{Frame, Kind, MAX_EVENT, Violation},
    message::Record,
    meter::Meter,
};
use crate::clock::Moment;

/// Credit is given in packets of that many, or of all that there are.
const BATCH: u64 = 16;

#[derive(Default)]
pub(super) struct Intake {
    said: Mutex<Said>,
    more: Notify,
}

#[derive(Default)]
struct Said {
    events: VecDeque<Event>,
    /// Those above, and those for which no credit has been given yet.
    untaken: usize,
}

enum Event {
    Record(Record),
    /// Its payload.
    Progress(String),
}

impl Intake {
    /// Takes in an event.
    pub(super) fn put(&self, frame: Frame) -> Result<(), Violation> {
        let Frame { kind, payload, .. } = frame;
        if payload.len() > MAX_EVENT {
            return Err(Violation(format!("a {kind:?} of {} bytes", payload.len())));
        }
        let event = match kind {
            Kind::Log => Event::Record(
                serde_json::from_str(&payload)
                    .map_err(|e| Violation(format!("a record that does not parse: {e}")))?,
            ),
            _ => Event::Progress(payload),
        };
        let mut said = self.said();
        if said.untaken == MAX_UNTAKEN {
            return Err(Violation(format!("more than {MAX_UNTAKEN} events without credit")));
        }
        said.untaken += 1;
        said.events.push_back(event);
        drop(said);
        self.more.notify_one();
        Ok(())
    }

    /// Passes everything on, for ever, as fast as it is worth.
    pub(super) async fn run(
        &self,
        channel: &Channel,
        meter: &Meter,
        heard: &dyn Heard,
    ) -> std::convert::Infallible {
        let mut taken = 0;
        loop {
            let Some(event) = self.next() else {
                self.more.notified().await;
                continue;
            };
            if let Event::Record(_) = event {
                while let Err(wait) = meter.take(Moment::now()) {
                    tokio::time::sleep(wait).await;
                }
            }
            pass(event, meter, heard);
            taken += 1;
            let mut said = self.said();
            if taken == BATCH || said.events.is_empty() {
                said.untaken = said.untaken.saturating_sub(usize::try_from(taken).unwrap_or(0));
                drop(said);
                // The end of the runner is seen by others.
                let _ = channel.send(Kind::Credit, taken, None, "");
                taken = 0;
            }
        }
    }

    /// Passes on what is left, after the end.
    pub(super) fn finish(&self, meter: &Meter, heard: &dyn Heard) {
        while let Some(event) = self.next() {
            pass(event, meter, heard);
        }
    }

    fn next(&self) -> Option<Event> {
        self.said().events.pop_front()
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pass(event: Event, meter: &Meter, heard: &dyn Heard) {
    match event {
        Event::Record(Record { level, target, message, fields, lost }) => {
            meter.lose(lost);
            heard.log(level, &target, &message, &fields);
        }
        Event::Progress(payload) => {
            // It has been read by the runner; nobody there is waiting for this answer.
            if let Err(error) = heard.tell(tell::PROGRESS, &payload) {
                tracing::debug!(%error, "progress is not taken");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::tests::Ear, *};
    use crate::plugin::runner::channel;

    fn frame(kind: Kind, payload: String) -> Frame {
        Frame { kind, verb: None, id: 0, payload }
    }

    fn record(message: &str) -> Frame {
        let (target, fields) = (String::new(), String::new());
        let record = Record { level: 3, target, message: message.to_owned(), fields, lost: 2 };
        frame(Kind::Log, serde_json::to_string(&record).unwrap())
    }

    #[tokio::test]
    async fn credit_is_given_for_what_was_heard_and_for_nothing_else() {
        let (near, far) = channel::pair().unwrap();
        let scratch = std::env::temp_dir();
        let near = Channel::new(near, scratch.clone()).unwrap();
        let far = Channel::new(far, scratch).unwrap();
        let (intake, ear, meter) = (Intake::default(), Ear::default(), Meter::new(Moment::now()));
        for n in 0..MAX_UNTAKEN {
            intake.put(record(&n.to_string())).unwrap();
        }
        let flood = intake.put(record("more")).unwrap_err();
        assert_eq!(flood.0, "more than 64 events without credit");
        let mut packet = channel::packet();
        let credit = async {
            let mut credit = 0;
            while credit < 64 {
                credit += far.receive(&mut packet).await.unwrap().unwrap().id;
            }
            credit
        };
        let credit = tokio::select! {
            credit = tokio::time::timeout(Duration::from_secs(60), credit) => credit.unwrap(),
            never = intake.run(&near, &meter, &ear) => match never {},
        };
        assert_eq!((credit, ear.lines().len()), (64, 64));
        assert!(far.receive_now(&mut packet).unwrap().is_none());
        intake.put(record("there is room again")).unwrap();
        intake.finish(&meter, &ear);
        meter.tell_now(&ear);
        assert_eq!(
            ear.lines()[64..],
            ["log 3 there is room again", "log 2 it said 130 things more than could be kept",]
        );
    }

    #[test]
    fn an_event_that_makes_no_sense_is_a_violation() {
        let intake = Intake::default();
        assert!(intake.put(frame(Kind::Log, "{}".to_owned())).is_err());
        let long = intake.put(frame(Kind::Progress, "x".repeat(MAX_EVENT + 1))).unwrap_err();
        assert_eq!(long.0, "a Progress of 65513 bytes");
    }
}
