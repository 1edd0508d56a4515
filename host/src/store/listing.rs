//! Reading jobs: one, a page of them, their counts, their last output.

use super::{
    Store, StoreError,
    jobs::job,
    statement::{job_counts, job_get, job_log_get},
    value::{Row, Value},
};
use crate::{
    job::{Job, JobId},
    lifecycle::State,
};

/// Which jobs a listing shows. Everything is decided in SQL, before paging.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this submitter's; `None` is for those who may see all.
    pub creator: Option<String>,
    /// Only of this type.
    pub job_type: Option<String>,
    /// Only of this workspace.
    pub workspace: Option<String>,
    /// Only in one of these states; empty is any.
    pub states: Vec<State>,
    /// Only with these parameters: each named top-level parameter has exactly this value.
    pub params: Vec<(String, serde_json::Value)>,
    /// Only jobs made before this one.
    pub before: Option<JobId>,
    /// At most so many.
    pub limit: u32,
}

/// A page of a listing, newest first.
#[derive(Clone, Debug)]
pub struct Page {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Where the next page starts, if there is one.
    pub next: Option<JobId>,
}

impl Store {
    /// One job.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_get(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let mut rows = self.database.fetch(&job_get, vec![id.0.into()]).await?;
        rows.pop().as_mut().map(job).transpose()
    }

    /// A page of jobs, newest first.
    ///
    /// # Errors
    ///
    /// Whatever the database says. A row that cannot be read is left out and logged: one bad row
    /// does not break a listing.
    pub async fn job_list(&self, filter: &Filter) -> Result<Page, StoreError> {
        let (text, arguments) = listing(filter);
        let rows = self.database.list(&job_get, text, arguments).await?;
        let more = rows.len() > filter.limit as usize;
        let (mut jobs, mut last) = (Vec::with_capacity(rows.len()), None);
        for mut row in rows.into_iter().take(filter.limit as usize) {
            // The next page starts behind the last row, whether it could be read or not.
            last = Some(JobId(row.first()?));
            match job(&mut row) {
                Ok(job) => jobs.push(job),
                Err(error) => tracing::error!(id = ?last, %error, "unreadable row"),
            }
        }
        Ok(Page { jobs, next: last.filter(|_| more) })
    }

    /// How many jobs stand in each state that is not an end.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_counts(&self) -> Result<Vec<(State, u64)>, StoreError> {
        let rows = self.database.fetch(&job_counts, vec![]).await?;
        let count =
            |mut row: Row| Ok((row.word(State::from_word)?, row.next::<i64>()?.unsigned_abs()));
        rows.into_iter().map(count).collect()
    }

    /// The last output of a job's last attempt.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn job_log_get(&self, id: JobId) -> Result<Option<String>, StoreError> {
        let mut rows = self.database.fetch(&job_log_get, vec![id.0.into()]).await?;
        rows.pop().map(|mut row| row.next()).transpose()
    }
}

/// The text of a listing holds only what stands here; every value is an argument.
fn listing(filter: &Filter) -> (String, Vec<Value>) {
    let select = job_get.sqlite.split(" WHERE id = ?1").next().unwrap_or_default();
    let mut text = format!("{select} WHERE 1 = 1");
    let mut arguments: Vec<Value> = Vec::new();
    let mut and = |condition: &str, value: Value| {
        arguments.push(value);
        text.push_str(" AND ");
        text.push_str(&condition.replace('?', &format!("?{}", arguments.len())));
    };
    let columns = [
        ("creator = ?", &filter.creator),
        ("job_type = ?", &filter.job_type),
        ("workspace = ?", &filter.workspace),
    ];
    for (condition, value) in columns {
        if let Some(value) = value {
            and(condition, value.as_str().into());
        }
    }
    if !filter.states.is_empty() {
        let states: Vec<_> = filter.states.iter().map(|state| state.as_str()).collect();
        and(
            "state IN (SELECT value FROM json_each(?))",
            serde_json::json!(states).to_string().into(),
        );
    }
    for (name, value) in &filter.params {
        // One document on each side: JSON compares as SQLite's canonical text of it.
        let wanted = serde_json::json!({ "name": name, "value": value }).to_string();
        and(
            "EXISTS (SELECT 1 FROM job_params AS p, json_each(p.params) AS e, (SELECT ? AS w) WHERE p.job_id = jobs.id \
             AND e.key = w ->> 'name' AND json_extract(p.params, e.fullkey) IS w ->> 'value')",
            wanted.into(),
        );
    }
    if let Some(before) = filter.before {
        and("id < ?", before.0.into());
    }
    text.push_str(&format!(" ORDER BY id DESC LIMIT {}", u64::from(filter.limit) + 1));
    (text, arguments)
}
