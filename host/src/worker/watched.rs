//! The attempts that this host watches: how to reach the one that runs a job, and what they have
//! said of their progress.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use longshore_plugin_api::{Counts, Progress};
use serde_json::json;
use tokio::sync::watch;

use crate::job::{AttemptTag, ClaimToken, JobId};

/// Why an attempt should stop waiting for its work.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Wish {
    /// It should not.
    #[default]
    None,
    /// Its job was canceled: stop the work.
    Cancel,
    /// Its claim does not count any more: look at the row.
    Lost,
    /// The host goes away: hand the work over.
    HandOver,
}

/// Every attempt that this host watches.
#[derive(Debug, Default)]
pub(super) struct Watched {
    attempts: Mutex<HashMap<JobId, Arc<Attempt>>>,
}

/// One attempt, as others on this host can reach it.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The job.
    pub(super) id: JobId,
    /// The claim.
    pub(super) token: ClaimToken,
    /// The attempt.
    pub(super) tag: AttemptTag,
    wish: watch::Sender<Wish>,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    message: Option<String>,
    counts: Option<serde_json::Map<String, serde_json::Value>>,
    unsaved: bool,
}

/// An attempt's place among the watched, given up when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    watched: Arc<Watched>,
    attempt: Arc<Attempt>,
    wishes: watch::Receiver<Wish>,
}

impl Watched {
    /// Takes a place. A newer claim of the same job replaces an older one that is still unwinding.
    #[must_use]
    pub(super) fn enter(self: &Arc<Self>, id: JobId, token: ClaimToken, tag: AttemptTag) -> Seat {
        let (wish, wishes) = watch::channel(Wish::None);
        let attempt = Arc::new(Attempt { id, token, tag, wish, told: Mutex::default() });
        let older = self.lock().insert(id, Arc::clone(&attempt));
        if let Some(older) = older {
            // Nobody can reach it from here on: it must let go now.
            older.tell(Wish::Lost);
        }
        Seat { watched: Arc::clone(self), attempt, wishes }
    }

    /// Tells the attempt that runs this job, if one does here.
    pub(super) fn tell(&self, id: JobId, wish: Wish) {
        if let Some(attempt) = self.lock().get(&id) {
            attempt.tell(wish);
        }
    }

    /// Tells the attempt that holds this very claim.
    pub(super) fn tell_claim(&self, id: JobId, token: ClaimToken, wish: Wish) {
        if let Some(attempt) = self.lock().get(&id).filter(|attempt| attempt.token == token) {
            attempt.tell(wish);
        }
    }

    /// Tells every attempt.
    pub(super) fn tell_all(&self, wish: Wish) {
        for attempt in self.lock().values() {
            attempt.tell(wish);
        }
    }

    /// Every claim that is to be renewed.
    #[must_use]
    pub(super) fn claims(&self) -> Vec<(JobId, ClaimToken)> {
        self.lock().values().map(|attempt| (attempt.id, attempt.token)).collect()
    }

    /// The attempt that runs this job here.
    #[must_use]
    pub(super) fn get(&self, id: JobId) -> Option<Arc<Attempt>> {
        self.lock().get(&id).cloned()
    }

    /// Takes in what an executor says of an attempt. Attempts that are not watched here say nothing.
    pub(super) fn progress(&self, attempt_tag: &str, progress: Progress) {
        let Ok(tag) = uuid::Uuid::try_parse(attempt_tag) else { return };
        let attempt = self.lock().values().find(|attempt| attempt.tag.0 == tag).cloned();
        if let Some(attempt) = attempt {
            attempt.told.lock().unwrap_or_else(PoisonError::into_inner).merge(progress);
        }
    }

    /// What was said since the last call: the attempt, its message, its counts as JSON.
    #[must_use]
    pub(super) fn unsaved(&self) -> Vec<(Arc<Attempt>, Option<String>, Option<String>)> {
        let attempts: Vec<_> = self.lock().values().cloned().collect();
        attempts
            .into_iter()
            .filter_map(|attempt| {
                let mut told = attempt.told.lock().unwrap_or_else(PoisonError::into_inner);
                if !std::mem::take(&mut told.unsaved) {
                    return None;
                }
                let counts = told.counts.as_ref().map(|counts| json!(counts).to_string());
                let message = told.message.clone();
                drop(told);
                Some((attempt, message, counts))
            })
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Arc<Attempt>>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// A wish is never taken back, and the first one counts; only a cancel outranks a hand-over.
    fn tell(&self, wish: Wish) {
        self.wish.send_if_modified(|current| {
            let outranks =
                *current == Wish::None || (*current == Wish::HandOver && wish == Wish::Cancel);
            if outranks {
                *current = wish;
            }
            outranks
        });
    }
}

impl Told {
    fn merge(&mut self, progress: Progress) {
        if let Some(message) = progress.message {
            self.message = message;
        }
        match progress.progress {
            None => {}
            Some(None) => self.counts = None,
            Some(Some(Counts { phase, completed, total, unit })) => {
                let counts = self.counts.get_or_insert_default();
                let mut set = |name: &str, value: Option<serde_json::Value>| match value {
                    None => {}
                    Some(serde_json::Value::Null) => drop(counts.remove(name)),
                    Some(value) => drop(counts.insert(name.to_owned(), value)),
                };
                set("phase", phase.map(|value| json!(value)));
                set("completed", completed.map(|value| json!(value)));
                set("total", total.map(|value| json!(value)));
                set("unit", unit.map(|value| json!(value)));
            }
        }
        self.unsaved = true;
    }
}

impl Seat {
    /// Waits for a wish.
    pub(super) async fn wish(&mut self) -> Wish {
        // The sender is in `self.attempt` and outlives this call: the wait does not fail.
        self.wishes.wait_for(|wish| *wish != Wish::None).await.map_or(Wish::None, |wish| *wish)
    }

    /// The wish there is.
    #[must_use]
    pub(super) fn wished(&self) -> Wish {
        *self.wishes.borrow()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut attempts = self.watched.lock();
        // Not the place of a newer claim of the same job.
        if attempts.get(&self.attempt.id).is_some_and(|at| at.token == self.attempt.token) {
            attempts.remove(&self.attempt.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn merged(steps: &[&str]) -> (Option<String>, Option<String>) {
        let watched = Arc::new(Watched::default());
        let tag = AttemptTag(Uuid::new_v4());
        let _seat = watched.enter(JobId::new(), ClaimToken::draw(), tag);
        for step in steps {
            watched.progress(&format!("{tag:x}"), serde_json::from_str(step).unwrap());
        }
        let (_, message, counts) = watched.unsaved().pop().expect("something was said");
        assert!(watched.unsaved().is_empty(), "said once");
        (message, counts)
    }

    #[test]
    fn an_absent_field_keeps_its_value_and_a_null_clears_it() {
        let (message, counts) = merged(&[
            r#"{"message": "reading", "progress": {"completed": 1, "total": 9, "unit": "traces"}}"#,
            r#"{"progress": {"completed": 2, "unit": null}}"#,
        ]);
        assert_eq!(message.as_deref(), Some("reading"));
        assert_eq!(counts.as_deref(), Some(r#"{"completed":2,"total":9}"#));
        assert_eq!(
            merged(&[
                r#"{"message": "a", "progress": {"total": 1}}"#,
                r#"{"message": null, "progress": null}"#
            ]),
            (None, None)
        );
    }

    #[test]
    fn a_newer_claim_keeps_its_place_when_the_older_one_leaves() {
        let watched = Arc::new(Watched::default());
        let (id, tag) = (JobId::new(), AttemptTag(Uuid::new_v4()));
        let older = watched.enter(id, ClaimToken::draw(), tag);
        let newer = watched.enter(id, ClaimToken::draw(), tag);
        drop(older);
        assert_eq!(watched.claims(), [(id, newer.attempt.token)]);
        drop(newer);
        assert!(watched.claims().is_empty());
    }
}
