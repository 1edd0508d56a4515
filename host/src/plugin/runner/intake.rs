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
