//! The one thread that writes. Everything that changes a row comes through its queue, and what has
//! gathered while one transaction commits goes into the next: group commit, without a timer.
//!
//! ```text
//!  worker ─┐                      ┌ BEGIN
//!  http   ─┼─► queue ─► a batch ──┤ each kind of write, its statement prepared once
//!  recovery┘                      │ tasks of several statements, one after another
//!                                 └ COMMIT ─► every caller is answered
//! ```
//!
//! What is always true: nobody is answered before the commit; one bad write harms nobody else, since
//! a batch that fails is undone and every write of it is tried again alone.

use std::{future::Future, pin::Pin};

use tokio::sync::{mpsc, oneshot};

use super::{
    StoreError,
    sqlite::{BEGIN, Session},
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
    /// The statement's arguments.
    pub(super) arguments: Vec<Value>,
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
    /// The last: what comes after it is refused.
    Close(oneshot::Sender<()>),
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

/// The way to the writing thread. Cloned freely.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Write>,
}

impl Writer {
    /// Starts the thread. It ends when the last writer is gone.
    pub(super) fn start(session: Session) -> Result<Self, StoreError> {
        let (queue, writes) = mpsc::channel(4 * BATCH);
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || runtime.block_on(run(session, writes)))
            .map_err(StoreError::Thread)?;
        Ok(Self { queue })
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

    /// Whether anybody writes. Nobody does after a panic of the thread.
    pub(super) fn is_alive(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Ends the thread after what is in its queue, and closes its connection.
    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.queue.send(Write::Close(reply)).await.is_ok() {
            let _ = closed.await;
        }
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
        let close = batch.iter().position(|write| matches!(write, Write::Close(_)));
        let last = close.map(|at| batch.split_off(at).swap_remove(0));
        match &*batch {
            [] => {}
            [_] => alone(&mut session, batch.remove(0)).await,
            _ => together(&mut session, &mut batch).await,
        }
        if let Some(Write::Close(closed)) = last {
            drop((writes, session));
            let _ = closed.send(());
            return;
        }
    }
}

/// The fenced writes of a batch, gathered by statement.
#[derive(Default)]
struct Kind {
    rows: Vec<FencedRow>,
    replies: Vec<oneshot::Sender<Result<Fenced, StoreError>>>,
    held: Vec<bool>,
}

async fn together(session: &mut Session, batch: &mut Vec<Write>) {
    let mut kinds: Vec<(&'static Statement, Kind)> = Vec::new();
    let mut tasks = Vec::new();
    for write in batch.drain(..) {
        match write {
            Write::Task(task) => tasks.push(task),
            Write::Close(_) => unreachable!("the last of a queue stands in no batch"),
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
        // Whoever holds the write lock holds it for each of them: to wait anew for each would keep the
        // last waiting for an hour.
        Err(StoreError::Transaction { step: BEGIN, cause }) => {
            let busy = || StoreError::Transaction { step: BEGIN, cause: cause.clone() };
            for reply in kinds.into_iter().flat_map(|(_, kind)| kind.replies) {
                let _ = reply.send(Err(busy()));
            }
            for task in tasks {
                task.answer(Err(busy()));
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
        Write::Close(_) => unreachable!("the last of a queue stands in no batch"),
    }
}

/// Runs one statement over all of its rows and says for each whether it counted.
async fn fenced(
    session: &mut Session,
    statement: &'static Statement,
    rows: &[FencedRow],
) -> Result<Vec<bool>, StoreError> {
    let changed = session.each(statement, rows.iter().map(|row| &*row.arguments)).await?;
    let held: Vec<bool> = changed.into_iter().map(|rows| rows > 0).collect();
    let counted = rows.iter().zip(&held).filter(|(_, held)| **held);
    let unlock: Vec<_> = counted.filter_map(|(row, _)| row.unlock).collect();
    release(session, &unlock).await?;
    Ok(held)
}

/// Frees the locks that these attempts acquired.
pub(super) async fn release(session: &mut Session, tags: &[AttemptTag]) -> Result<(), StoreError> {
    let tags: Vec<Value> = tags.iter().map(|tag| tag.0.into()).collect();
    session.each(&lock_release, tags.iter().map(std::slice::from_ref)).await.map(|_| ())
}
