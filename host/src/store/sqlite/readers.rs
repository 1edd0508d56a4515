//! The connections that read: opened when they are first needed, a few at once, used again.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::OpenFlags;
use tokio::sync::Semaphore;

use super::Session;
use crate::store::StoreError;

/// How many read at once; the next waits.
const AT_ONCE: usize = 4;
/// How many of these may be listings, which may take long: the host's own reads are short, and somebody
/// may wait for each.
const SCANS_AT_ONCE: usize = 2;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    scans: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Session>>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            scans: Arc::new(Semaphore::new(SCANS_AT_ONCE)),
            idle: Arc::default(),
        }
    }

    /// Reads on a thread that may block. Whoever stops waiting stops nothing: the connection comes
    /// back when the read is over.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::Closed;
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(closed)?;
        let (path, idle) = (self.path.clone(), Arc::clone(&self.idle));
        let reading = tokio::task::spawn_blocking(move || {
            let kept = lock(&idle).pop();
            let mut session = kept.map_or_else(|| open(&path), Ok)?;
            let answer = read(&mut session);
            lock(&idle).push(session);
            drop(permit);
            answer
        });
        reading.await.map_err(|_| StoreError::Closed)?
    }

    /// As [`read`](Self::read), of what may take long.
    pub(super) async fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::Closed;
        let permit = Arc::clone(&self.scans).acquire_owned().await.map_err(closed)?;
        self.read(move |session| {
            let answer = read(session);
            drop(permit);
            answer
        })
        .await
    }

    /// Closes what is idle and refuses what comes.
    pub(super) fn close(&self) {
        self.permits.close();
        self.scans.close();
        lock(&self.idle).clear();
    }
}

fn open(path: &Path) -> Result<Session, StoreError> {
    let session = Session::open(path, OpenFlags::empty())?;
    // Not opened read-only: the reader of a write-ahead log may be the one that has to make its index.
    session
        .connection
        .execute_batch("PRAGMA query_only = ON")
        .map_err(|source| StoreError::Open { path: path.to_owned(), cause: source.into() })?;
    Ok(session)
}

fn lock(idle: &Mutex<Vec<Session>>) -> std::sync::MutexGuard<'_, Vec<Session>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
