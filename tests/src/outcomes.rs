//! How jobs have ended, looked at again and again: what has ended has ended, and is never touched again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::{Client, TERMINAL};

/// The outcomes that were seen, by job.
#[derive(Debug, Default)]
pub struct Outcomes(BTreeMap<String, Value>);

impl Outcomes {
    /// Adds the outcomes that there are now; those seen before must be the same. Says how many there are.
    ///
    /// # Panics
    ///
    /// A job that had ended is gone, or has ended otherwise.
    #[track_caller]
    pub fn look(&mut self, client: &Client) -> usize {
        let ended = client.search(json!({ "statuses": TERMINAL }));
        let now: BTreeMap<String, Value> = ended.into_iter().map(outcome).collect();
        for (id, outcome) in &self.0 {
            assert_eq!(now.get(id), Some(outcome), "job {id} had ended, and was touched again");
        }
        self.0.extend(now);
        self.0.len()
    }
}

fn outcome(mut job: Value) -> (String, Value) {
    let id = job["job_id"].as_str().expect("a job has an id").to_owned();
    let fields = ["status", "result", "error_message", "attempt", "finished_at"];
    (id, fields.into_iter().map(|field| (field.to_owned(), job[field].take())).collect())
}
