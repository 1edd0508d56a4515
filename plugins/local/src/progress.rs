//! Progress: a job renames a new `progress.json` into its directory, and the host hears of it.
//!
//! One `inotify` descriptor watches all attempts. Only the latest report matters, so a job that
//! reports a thousand times a second is read twenty times.

use std::{
    collections::{BTreeSet, HashMap},
    fmt, io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use longshore_plugin_api::Progress;
use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};
use tokio::{io::unix::AsyncFd, task::JoinHandle};
use tracing::instrument::WithSubscriber as _;

use crate::{
    descriptor,
    job_file::{self, JobFile},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Far above what the Python package writes.
const LIMIT: u64 = 64 * 1024;

/// Who hears of progress: the attempt's tag, and what it says.
pub(crate) type Tell = Box<dyn Fn(&str, &Progress) + Send + Sync>;

/// Watches until it is dropped.
pub(crate) struct Watcher {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    events: AsyncFd<OwnedFd>,
    tell: Tell,
    /// By watch descriptor. The kernel says when a watch has ended with its directory.
    watched: Mutex<HashMap<i32, Watched>>,
}

#[derive(Clone, Debug)]
struct Watched {
    tag: String,
    file: PathBuf,
}

impl Watcher {
    pub(crate) fn start(tell: Tell) -> io::Result<Self> {
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let events = descriptor::register(events)?;
        let shared = Arc::new(Shared { events, tell, watched: Mutex::default() });
        let follow = Arc::clone(&shared).follow();
        Ok(Self { shared, task: tokio::spawn(follow.with_current_subscriber()) })
    }

    /// Watches an attempt until its directory is removed.
    pub(crate) fn watch(&self, tag: &str, directory: &Path) {
        // Locked around both, so that no event meets a watch that is not in the table.
        let mut watched = self.shared.lock();
        match inotify::add_watch(&self.shared.events, directory, WatchFlags::MOVED_TO) {
            Ok(descriptor) => {
                let file = directory.join("progress.json");
                watched.insert(descriptor, Watched { tag: tag.to_owned(), file });
            }
            // The job runs all the same.
            Err(error) => tracing::warn!(
                attempt_tag = tag,
                %error,
                "no progress of this attempt will be seen (hint: raise fs.inotify.max_user_watches)"
            ),
        }
    }

    #[cfg(test)]
    fn watches(&self) -> usize {
        self.shared.lock().len()
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn follow(self: Arc<Self>) {
        loop {
            let Ok(mut ready) = self.events.readable().await else {
                return;
            };
            let Ok(read) = ready.try_io(|events| self.changed(events)) else {
                continue;
            };
            for watched in read.unwrap_or_default() {
                self.forward(&watched);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads all events that are there. `WouldBlock` if there was none.
    fn changed(&self, events: &AsyncFd<OwnedFd>) -> io::Result<Vec<Watched>> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(events, &mut buffer);
        let mut watched = self.lock();
        let mut changed = BTreeSet::new();
        let mut read_any = false;
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) if read_any => break,
                Err(error) => return Err(error.into()),
            };
            read_any = true;
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                // Nobody knows what was missed.
                changed.extend(watched.keys().copied());
            } else if event.events().contains(ReadFlags::IGNORED) {
                watched.remove(&event.wd());
            } else if event.file_name() == Some(c"progress.json") {
                changed.insert(event.wd());
            }
        }
        Ok(changed.iter().filter_map(|descriptor| watched.get(descriptor).cloned()).collect())
    }

    fn forward(&self, watched: &Watched) {
        let JobFile::Content(content) = job_file::read(&watched.file, LIMIT) else {
            return;
        };
        match serde_json::from_slice::<Progress>(&content) {
            Ok(progress) => (self.tell)(&watched.tag, &progress),
            Err(error) => {
                tracing::debug!(attempt_tag = watched.tag, %error, "progress.json makes no sense");
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i32, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn nobody() -> Tell {
        Box::new(|_, _| {})
    }

    fn report(directory: &Path, content: &str) {
        let temporary = directory.join("progress.json.new");
        fs::write(&temporary, content).unwrap();
        fs::rename(&temporary, directory.join("progress.json")).unwrap();
    }

    async fn until(what: &str, mut condition: impl FnMut() -> bool) {
        let met = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), met).await.expect(what);
    }

    #[tokio::test]
    async fn the_latest_progress_of_each_attempt_is_told() {
        let heard = Arc::new(Mutex::new(HashMap::new()));
        let keep = Arc::clone(&heard);
        let watcher = Watcher::start(Box::new(move |tag, progress| {
            keep.lock().unwrap().insert(tag.to_owned(), progress.clone());
        }))
        .unwrap();
        let directories = ["a", "b"].map(|tag| {
            let directory = tempfile::tempdir().unwrap();
            watcher.watch(tag, directory.path());
            (tag, directory)
        });
        for (tag, directory) in &directories {
            report(directory.path(), "nonsense");
            for done in 0..=100 {
                let counts = format!("{{\"completed\": {done}, \"total\": 100}}");
                let content = format!("{{\"message\": \"{tag}\", \"progress\": {counts}}}");
                report(directory.path(), &content);
            }
        }
        until("both are done", || {
            let heard = heard.lock().unwrap();
            let done = |tag: &str| -> Option<bool> {
                let progress = heard.get(tag)?;
                let counts = progress.progress.clone()??;
                Some(
                    counts.completed == Some(Some(100))
                        && progress.message == Some(Some(tag.into())),
                )
            };
            done("a") == Some(true) && done("b") == Some(true)
        })
        .await;
    }

    #[tokio::test]
    async fn a_watch_ends_with_its_directory() {
        let watcher = Watcher::start(nobody()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        watcher.watch("a", directory.path());
        assert_eq!(watcher.watches(), 1);
        drop(directory);
        until("it is forgotten", || watcher.watches() == 0).await;
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_harms_nobody() {
        let watcher = Watcher::start(nobody()).unwrap();
        watcher.watch("a", Path::new("/no/such/directory"));
        assert_eq!(watcher.watches(), 0);
    }

    #[tokio::test]
    async fn of_a_thousand_reports_one_is_read() {
        // No task reads here, so that all of them are in the queue.
        let directory = tempfile::tempdir().unwrap();
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        let events = descriptor::register(events).unwrap();
        let shared = Shared { events, tell: nobody(), watched: Mutex::default() };
        let flags = WatchFlags::MOVED_TO;
        let watch = inotify::add_watch(&shared.events, directory.path(), flags).unwrap();
        let file = directory.path().join("progress.json");
        shared.lock().insert(watch, Watched { tag: "a".to_owned(), file });
        for _ in 0..1000 {
            report(directory.path(), "{}");
        }
        assert_eq!(shared.changed(&shared.events).unwrap().len(), 1);
        let none = shared.changed(&shared.events).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
    }
}
