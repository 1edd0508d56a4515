//! The one task that writes. Everything that changes a row comes through its queue, and what has
//! gathered while one transaction commits goes into the next: group commit, without a timer.
//!
//! ```text
//!  worker ─┐                      ┌ BEGIN
//!  http   ─┼─► queue ─► a batch ──┤ one statement per kind of write, all rows of it at once
//!  recovery┘                      │ tasks of several statements, one after another
//!                                 └ COMMIT ─► every caller is answered
//! ```
//!
//! What is always true: nobody is answered before the commit; one bad write harms nobody else, since
//! a batch that fails is undone and every write of it is tried again alone.

use std::{collections::HashMap, future::Future, pin::Pin};

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{
    StoreError,
    sqlite::Session,
    statement::{Statement, lock_release},
    value::Value,
};
use crate::job::{AttemptTag, Fenced};

/// A future that a task of several statements makes.
pub(super) type Steps<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// How many writes one transaction takes. More would make each of them wait longer than the commit
/// it saves.
const BATCH: usize = 1000;

/// One row of a fenced write: the statement decides by the row's guard whether it still counts.
#[derive(Debug)]
pub(super) struct FencedRow {
    /// Which job.
    pub(super) id: Uuid,
    /// The row, as the statement's JSON object.
    pub(super) json: String,
    /// The lock to release in the same transaction if the write counts.
    pub(super) unlock: Option<AttemptTag>,
}

enum Write {
    Fenced {
        statement: &'static Statement,
        row: FencedRow,
        reply: oneshot::Sender<Result<Fenced, StoreError>>,
    },
    Task(Box<dyn Task>),
}

/// A write of several statements. It may run twice: alone, after the batch it was in has failed.
trait Task: Send {
    fn run<'a>(&'a mut self, session: &'a mut Session) -> Steps<'a, ()>;
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct TaskOf<F, T> {
    steps: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Task for TaskOf<F, T>
where
    F: for<'a> Fn(&'a mut Session) -> Steps<'a, T> + Send,
    T: Send,
{
    fn run<'a>(&'a mut self, session: &'a mut Session) -> Steps<'a, ()> {
        let steps = (self.steps)(session);
        let value = &mut self.value;
        Box::pin(async move {
            *value = Some(steps.await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        let _ = reply.send(outcome.map(|()| value.expect("a task that went well has a value")));
    }
}

/// The way to the writing task. Cloned freely; the task ends when the last one is gone.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Write>,
}

impl Writer {
    /// Starts the task.
    pub(super) fn start(session: Session) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, writes) = mpsc::channel(4 * BATCH);
        (Self { queue }, tokio::spawn(run(session, writes)))
    }

    /// Writes one row under its guard.
    pub(super) async fn fenced(
        &self,
        statement: &'static Statement,
        row: FencedRow,
    ) -> Result<Fenced, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.queue
            .send(Write::Fenced { statement, row, reply })
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs several statements in one transaction.
    pub(super) async fn task<T, F>(&self, steps: F) -> Result<T, StoreError>
    where
        F: for<'a> Fn(&'a mut Session) -> Steps<'a, T> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Box::new(TaskOf { steps, value: None, reply });
        self.queue.send(Write::Task(task)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

async fn run(mut session: Session, mut writes: mpsc::Receiver<Write>) {
    let mut batch = Vec::with_capacity(BATCH);
    while writes.recv_many(&mut batch, BATCH).await > 0 {
        if batch.len() == 1 {
            let write = batch.pop().expect("one");
            alone(&mut session, write).await;
        } else {
            together(&mut session, std::mem::take(&mut batch)).await;
        }
    }
    session.close().await;
}

/// The fenced writes of a batch, gathered by statement.
#[derive(Default)]
struct Kind {
    rows: Vec<FencedRow>,
    replies: Vec<oneshot::Sender<Result<Fenced, StoreError>>>,
    held: Vec<bool>,
}

async fn together(session: &mut Session, batch: Vec<Write>) {
    let mut kinds: Vec<(&'static Statement, Kind)> = Vec::new();
    let mut tasks = Vec::new();
    for write in batch {
        match write {
            Write::Task(task) => tasks.push(task),
            Write::Fenced { statement, row, reply } => {
                let known = kinds.iter().position(|(known, _)| std::ptr::eq(*known, statement));
                let at = known.unwrap_or_else(|| {
                    kinds.push((statement, Kind::default()));
                    kinds.len() - 1
                });
                kinds[at].1.rows.push(row);
                kinds[at].1.replies.push(reply);
            }
        }
    }
    match attempt(session, &mut kinds, &mut tasks).await {
        Ok(()) => {
            for (_, kind) in kinds {
                for (reply, held) in kind.replies.into_iter().zip(kind.held) {
                    let _ = reply.send(Ok(if held { Fenced::Held } else { Fenced::Lost }));
                }
            }
            for task in tasks {
                task.answer(Ok(()));
            }
        }
        Err(_) => {
            for (statement, kind) in kinds {
                for (row, reply) in kind.rows.into_iter().zip(kind.replies) {
                    alone(session, Write::Fenced { statement, row, reply }).await;
                }
            }
            for task in tasks {
                alone(session, Write::Task(task)).await;
            }
        }
    }
}

async fn attempt(
    session: &mut Session,
    kinds: &mut [(&'static Statement, Kind)],
    tasks: &mut [Box<dyn Task>],
) -> Result<(), StoreError> {
    session.begin().await?;
    let done = async {
        for (statement, kind) in &mut *kinds {
            kind.held = fenced(session, statement, &kind.rows).await?;
        }
        for task in tasks {
            task.run(session).await?;
        }
        session.commit().await
    }
    .await;
    if done.is_err() {
        session.rollback().await;
    }
    done
}

async fn alone(session: &mut Session, write: Write) {
    match write {
        Write::Fenced { statement, row, reply } => {
            let mut kinds = [(statement, Kind { rows: vec![row], ..Kind::default() })];
            let done = attempt(session, &mut kinds, &mut []).await;
            let held = kinds[0].1.held.first().copied().unwrap_or(false);
            let _ = reply.send(done.map(|()| if held { Fenced::Held } else { Fenced::Lost }));
        }
        Write::Task(task) => {
            let mut tasks = [task];
            let done = attempt(session, &mut [], &mut tasks).await;
            let [task] = tasks;
            task.answer(done);
        }
    }
}

/// Runs one statement over all of its rows and says for each whether it counted.
async fn fenced(
    session: &mut Session,
    statement: &'static Statement,
    rows: &[FencedRow],
) -> Result<Vec<bool>, StoreError> {
    let mut held = vec![false; rows.len()];
    let mut unlock = Vec::new();
    let mut waiting: Vec<usize> = (0..rows.len()).collect();
    // One pass, unless two rows are about one job: an UPDATE takes either of them, and the one with
    // the lost token must not stand in for the one that counts.
    while !waiting.is_empty() {
        let mut pass: HashMap<Uuid, usize> = HashMap::with_capacity(waiting.len());
        let mut json = String::from("[");
        waiting.retain(|&at| {
            let row = &rows[at];
            if pass.contains_key(&row.id) {
                return true;
            }
            pass.insert(row.id, at);
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(&row.json);
            false
        });
        json.push(']');
        for mut answer in session.fetch(statement, vec![json.into()]).await? {
            let id: Uuid = answer.next()?;
            if let Some(&at) = pass.get(&id) {
                held[at] = true;
                unlock.extend(rows[at].unlock);
            }
        }
    }
    if !unlock.is_empty() {
        release(session, &unlock).await?;
    }
    Ok(held)
}

/// Frees the locks that these attempts acquired.
pub(super) async fn release(session: &mut Session, tags: &[AttemptTag]) -> Result<(), StoreError> {
    let tags: Vec<_> =
        tags.iter().map(|tag| serde_json::json!({ "tag": format!("{tag:x}") })).collect();
    let tags = Value::Text(serde_json::Value::from(tags).to_string());
    session.fetch(&lock_release, vec![tags]).await.map(|_| ())
}
