//! What the plugin says by itself, until the host takes it. Filled on the plugin's threads: never
//! blocks, never calls back, and what is too much is dropped and counted.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use longshore_plugin_api::{
    Counts, Error, Progress,
    abi::{
        Answer, HostApi, HostApi_TO, HostApiBox,
        abi_stable::{
            sabi_trait::TD_Opaque,
            std_types::{RResult, RStr},
        },
    },
    wire::{self, tell},
};
use tokio::sync::Notify;

use crate::plugin::runner::{
    MAX_UNTAKEN,
    frame::{Kind, MAX_EVENT},
    message::Record,
};

const MAX_RECORDS: usize = 1024;
const MAX_BYTES: usize = 1 << 20;
const MAX_TAGS: usize = 4096;
/// Of a message and of its fields. A plugin that logs whole files must not fill the host's log.
const MAX_TEXT: usize = 16 << 10;
/// The same, of a record whose text needs so many escapes that it does not fit into a packet.
const MAX_ODD_TEXT: usize = 4 << 10;
/// Of what is said about an attempt at once: three such texts and a tag, merged, fit into a packet.
const MAX_PROGRESS: usize = 15 << 10;

pub(super) struct Outbox {
    kept: Mutex<Kept>,
    more: Notify,
}

#[derive(Default)]
struct Kept {
    records: VecDeque<Record>,
    /// Of the records.
    bytes: usize,
    /// The latest of each attempt, and the attempts in the order in which they were first spoken of.
    progress: HashMap<String, Progress>,
    tags: VecDeque<String>,
    /// What has been dropped, and not been told.
    lost: u64,
    /// What the host has not taken yet.
    untaken: usize,
    closed: bool,
}

/// One thing to tell the host.
#[derive(Debug)]
pub(super) enum Event {
    Record(Record),
    Progress(wire::Progress),
}

impl Outbox {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { kept: Mutex::default(), more: Notify::new() })
    }

    /// This, as the plugin sees it.
    pub(super) fn as_host(self: &Arc<Self>) -> HostApiBox {
        HostApi_TO::from_value(Host(Arc::clone(self)), TD_Opaque)
    }

    /// The next event that the host will take.
    pub(super) async fn next(&self) -> Event {
        loop {
            if let Some(event) = self.try_next() {
                return event;
            }
            self.more.notified().await;
        }
    }

    pub(super) fn try_next(&self) -> Option<Event> {
        let mut kept = self.kept();
        if kept.untaken >= MAX_UNTAKEN {
            return None;
        }
        // Progress first: it is little, and a flood of records does not hold it up.
        let event = kept.next_progress().or_else(|| kept.next_record())?;
        kept.untaken += 1;
        Some(event)
    }

    /// The host has taken so many.
    pub(super) fn credit(&self, taken: u64) {
        let mut kept = self.kept();
        kept.untaken = kept.untaken.saturating_sub(usize::try_from(taken).unwrap_or(usize::MAX));
        drop(kept);
        self.more.notify_one();
    }

    /// The executor has been stopped: what is said of its attempts from now on is not true.
    pub(super) fn close(&self) {
        self.kept().closed = true;
    }

    fn log(&self, record: Record) {
        self.kept().keep(record);
        self.more.notify_one();
    }

    fn tell(&self, verb: &str, payload: &str) -> Result<(), Error> {
        if verb != tell::PROGRESS {
            return Err(Error::unsupported(format!("this host takes no `{verb}`")));
        }
        if payload.len() > MAX_PROGRESS {
            let (is, most) = (payload.len(), MAX_PROGRESS);
            return Err(Error::denied(format!("{is} bytes of progress; at most {most} are taken")));
        }
        let told: wire::Progress = serde_json::from_str(payload)
            .map_err(|e| Error::internal(format!("this progress does not parse: {e}")))?;
        let mut kept = self.kept();
        if kept.closed {
            return Err(Error::cancelled("the executor was stopped"));
        }
        kept.note(told);
        drop(kept);
        self.more.notify_one();
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, record: Record) {
        self.bytes += size(&record);
        self.records.push_back(record);
        while self.records.len() > MAX_RECORDS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= size(&oldest);
            self.lost += 1;
        }
    }

    fn note(&mut self, told: wire::Progress) {
        let full = self.progress.len() == MAX_TAGS;
        match self.progress.get_mut(&told.attempt_tag) {
            Some(known) => merge(known, told.progress),
            None if full => self.lost += 1,
            None => {
                self.tags.push_back(told.attempt_tag.clone());
                self.progress.insert(told.attempt_tag, told.progress);
            }
        }
    }

    fn next_progress(&mut self) -> Option<Event> {
        let attempt_tag = self.tags.pop_front()?;
        let progress = self.progress.remove(&attempt_tag)?;
        Some(Event::Progress(wire::Progress { attempt_tag, progress }))
    }

    fn next_record(&mut self) -> Option<Event> {
        let mut record = self.records.pop_front()?;
        self.bytes -= size(&record);
        record.lost = std::mem::take(&mut self.lost);
        Some(Event::Record(record))
    }
}

impl Event {
    /// Fits into a packet, always: the host takes no events that do not.
    pub(super) fn into_frame(self) -> (Kind, String) {
        match self {
            Self::Record(mut record) => {
                let mut text = json(&record);
                if text.len() > MAX_EVENT {
                    cut(&mut record.message, MAX_ODD_TEXT);
                    cut(&mut record.fields, MAX_ODD_TEXT);
                    text = json(&record);
                }
                (Kind::Log, text)
            }
            Self::Progress(progress) => (Kind::Progress, json(&progress)),
        }
    }
}

fn json(event: &impl serde::Serialize) -> String {
    serde_json::to_string(event).expect("text and numbers are JSON")
}

fn size(record: &Record) -> usize {
    size_of::<Record>() + record.target.len() + record.message.len() + record.fields.len()
}

fn cut(text: &mut String, most: usize) {
    text.truncate(text.floor_char_boundary(most));
}

/// The later of two, where an absent field keeps its value and a null clears it.
fn merge(known: &mut Progress, later: Progress) {
    if later.message.is_some() {
        known.message = later.message;
    }
    known.progress = match (known.progress.take(), later.progress) {
        (known, None) => known,
        (_, Some(None)) => Some(None),
        (Some(Some(known)), Some(Some(later))) => Some(Some(Counts {
            phase: later.phase.or(known.phase),
            completed: later.completed.or(known.completed),
            total: later.total.or(known.total),
            unit: later.unit.or(known.unit),
        })),
        // What was cleared before stays so where the later one does not speak of it.
        (Some(None), Some(Some(later))) => Some(Some(Counts {
            phase: later.phase.or(Some(None)),
            completed: later.completed.or(Some(None)),
            total: later.total.or(Some(None)),
            unit: later.unit.or(Some(None)),
        })),
        (None, later) => later,
    };
}

struct Host(Arc<Outbox>);

impl HostApi for Host {
    fn log(&self, level: u8, target: RStr<'_>, message: RStr<'_>, fields: RStr<'_>) {
        let text = |text: RStr<'_>, most: usize| {
            let text = text.as_str();
            text[..text.floor_char_boundary(most)].to_owned()
        };
        self.0.log(Record {
            level,
            target: text(target, 256),
            message: text(message, MAX_TEXT),
            fields: text(fields, MAX_TEXT),
            lost: 0,
        });
    }

    fn tell(&self, verb: RStr<'_>, payload: RStr<'_>) -> Answer {
        match self.0.tell(verb.as_str(), payload.as_str()) {
            Ok(()) => RResult::ROk("null".into()),
            Err(e) => RResult::RErr(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(message: &str) -> Record {
        let (target, fields) = ("t".to_owned(), String::new());
        Record { level: 3, target, message: message.to_owned(), fields, lost: 0 }
    }

    fn progress(tag: &str, progress: serde_json::Value) -> String {
        json!({"attempt_tag": tag, "progress": progress}).to_string()
    }

    fn drain(outbox: &Outbox) -> Vec<Event> {
        std::iter::from_fn(|| {
            let event = outbox.try_next()?;
            outbox.credit(1);
            Some(event)
        })
        .collect()
    }

    #[test]
    fn a_flood_of_records_keeps_the_latest_and_counts_the_rest() {
        let outbox = Outbox::new();
        for n in 0..MAX_RECORDS + 10 {
            outbox.log(record(&n.to_string()));
        }
        let kept = drain(&outbox);
        assert_eq!(kept.len(), MAX_RECORDS);
        let Event::Record(first) = &kept[0] else { panic!("{kept:?}") };
        assert_eq!((&*first.message, first.lost), ("10", 10));
        let told: u64 = kept
            .iter()
            .map(|event| match event {
                Event::Record(record) => record.lost,
                Event::Progress(_) => 0,
            })
            .sum();
        assert_eq!(told, 10, "each loss is told once");

        let long = "x".repeat(MAX_TEXT);
        for _ in 0..200 {
            outbox.log(record(&long));
        }
        assert!(outbox.kept().bytes <= MAX_BYTES);
        assert!(drain(&outbox).len() < 64);
    }

    #[test]
    fn the_host_is_told_no_more_than_it_takes() {
        let outbox = Outbox::new();
        for n in 0..MAX_UNTAKEN + 1 {
            outbox.log(record(&n.to_string()));
        }
        assert_eq!(std::iter::from_fn(|| outbox.try_next()).count(), MAX_UNTAKEN);
        outbox.credit(u64::MAX);
        assert!(outbox.try_next().is_some());
    }

    #[test]
    fn progress_is_merged_and_goes_before_records() {
        let outbox = Outbox::new();
        outbox.log(record("a"));
        let tell = |told: String| outbox.tell(tell::PROGRESS, &told).unwrap();
        tell(progress("j", json!({"message": "one", "progress": {"completed": 1, "total": 9}})));
        tell(progress("k", json!({"message": "other"})));
        tell(progress("j", json!({"progress": {"completed": 2, "unit": null}})));
        let events = drain(&outbox);
        let frames: Vec<_> = events.into_iter().map(Event::into_frame).collect();
        assert_eq!(frames.len(), 3);
        let merged: serde_json::Value = serde_json::from_str(&frames[0].1).unwrap();
        assert_eq!(
            merged,
            json!({"attempt_tag": "j", "progress": {
                "message": "one", "progress": {"completed": 2, "total": 9, "unit": null},
            }})
        );
        assert_eq!(frames[2].0, Kind::Log);
    }

    #[test]
    fn what_was_cleared_stays_so_when_counting_starts_again() {
        let mut known = Progress::default();
        merge(&mut known, serde_json::from_value(json!({"progress": null})).unwrap());
        merge(&mut known, serde_json::from_value(json!({"progress": {"completed": 1}})).unwrap());
        assert_eq!(
            serde_json::to_value(&known).unwrap(),
            json!({"progress": {"phase": null, "completed": 1, "total": null, "unit": null}})
        );
    }

    #[test]
    fn attempts_without_end_are_dropped_and_counted() {
        let outbox = Outbox::new();
        for n in 0..MAX_TAGS + 3 {
            outbox.tell(tell::PROGRESS, &progress(&n.to_string(), json!({}))).unwrap();
        }
        assert_eq!(drain(&outbox).len(), MAX_TAGS);
        assert_eq!(outbox.kept().lost, 3);
    }

    #[test]
    fn what_makes_no_sense_or_comes_too_late_is_refused() {
        let outbox = Outbox::new();
        let kind = |verb, payload: &str| outbox.tell(verb, payload).unwrap_err().kind;
        use longshore_plugin_api::ErrorKind;
        assert_eq!(kind("sing", "null"), ErrorKind::Unsupported);
        assert_eq!(kind(tell::PROGRESS, "null"), ErrorKind::Internal);
        let huge = progress("j", json!({"message": "x".repeat(MAX_PROGRESS)}));
        assert_eq!(kind(tell::PROGRESS, &huge), ErrorKind::Denied);
        outbox.close();
        assert_eq!(kind(tell::PROGRESS, &progress("j", json!({}))), ErrorKind::Cancelled);
        assert!(outbox.try_next().is_none());
    }

    #[test]
    fn every_event_fits_into_a_packet() {
        let outbox = Outbox::new();
        let odd = "\u{1}".repeat(MAX_TEXT);
        outbox.log(Record { fields: odd.clone(), target: "\u{1}".repeat(256), ..record(&odd) });
        let third = "x".repeat(MAX_PROGRESS - 200);
        for told in [
            json!({"message": third}),
            json!({"progress": {"phase": third}}),
            json!({"progress": {"unit": third}}),
        ] {
            outbox.tell(tell::PROGRESS, &progress("j", told)).unwrap();
        }
        let events = drain(&outbox);
        assert_eq!(events.len(), 2);
        for event in events {
            assert!(event.into_frame().1.len() <= MAX_EVENT);
        }
    }
}
