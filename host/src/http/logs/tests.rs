use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::body::to_bytes;
use longshore_plugin_api::{Attempt, Ended, Error, Facts, Handle, JobShape, Verdict, Work};
use tempfile::TempDir;
use tokio::sync::watch;
use uuid::Uuid;

use super::*;
use crate::{
    job::{Claimed, Fenced, JobId, NewJob, Outcome, ReplicaId},
    lifecycle,
    plugin::{BoxFuture, HostedExecutor, Standing, executor::Answer},
    store::{Ended as End, Schema, Synchronous, Want},
};

const AT_MOST: Duration = Duration::from_secs(20);

/// An executor of which only the output can be asked.
#[derive(Debug, Default)]
struct Speaker {
    facts: Facts,
    /// What each attempt has written and the executor has not forgotten, by tag.
    output: Mutex<HashMap<String, String>>,
    /// The last question: tag and offset.
    asked: watch::Sender<(String, u64)>,
}

impl Speaker {
    fn say(&self, claimed: &Claimed, text: &str) {
        self.output().entry(format!("{:x}", claimed.tag)).or_default().push_str(text);
    }

    fn forget(&self) {
        self.output().clear();
    }

    fn output(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a reader has read all that was said.
    async fn heard(&self, claimed: &Claimed) {
        let tag = format!("{:x}", claimed.tag);
        let length = self.output()[&tag].len() as u64;
        let mut asked = self.asked.subscribe();
        let heard = asked.wait_for(|asked| *asked == (tag.clone(), length));
        drop(tokio::time::timeout(AT_MOST, heard).await.expect("a reader").unwrap());
    }
}

fn unasked<T>() -> Answer<'static, T> {
    Box::pin(async { Err(Error::unsupported("only logs")) })
}

impl HostedExecutor for Speaker {
    fn name(&self) -> &str {
        "here"
    }

    fn plugin(&self) -> &str {
        "speaker"
    }

    fn standing(&self) -> Standing {
        Standing::Ready
    }

    fn answers(&self) -> bool {
        self.standing().answers()
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn facts(&self) -> Option<Facts> {
        Some(self.facts.clone())
    }

    fn logs<'a>(&'a self, attempt: &'a Attempt, offset: u64) -> Answer<'a, LogChunk> {
        self.asked.send_replace((attempt.attempt_tag.clone(), offset));
        let output = self.output().get(&attempt.attempt_tag).cloned();
        Box::pin(async move {
            let output = output.ok_or_else(|| Error::not_found("forgotten"))?;
            // A few bytes at a time, so that a reader comes again.
            let text: String =
                output.chars().skip(usize::try_from(offset).unwrap()).take(4).collect();
            Ok(LogChunk { offset, next_offset: offset + text.len() as u64, text, end: true })
        })
    }

    fn locality(&self) -> Answer<'_, Option<String>> {
        unasked()
    }

    fn validate_job<'a>(&'a self, _: &'a JobShape) -> Answer<'a, ()> {
        unasked()
    }

    fn submit<'a>(&'a self, _: &'a longshore_plugin_api::Job) -> Answer<'a, Option<Handle>> {
        unasked()
    }

    fn wait<'a>(&'a self, _: &'a Attempt) -> Answer<'a, Ended> {
        unasked()
    }

    fn cancel<'a>(&'a self, _: &'a Attempt, _: Duration) -> Answer<'a, Work> {
        unasked()
    }

    fn recover<'a>(&'a self, _: &'a [Attempt]) -> Answer<'a, Vec<Verdict>> {
        unasked()
    }

    fn forget<'a>(&'a self, _: &'a Attempt) -> Answer<'a, ()> {
        unasked()
    }

    fn retain<'a>(&'a self, _: &'a [Attempt]) -> Answer<'a, ()> {
        unasked()
    }

    fn health(&self) -> Answer<'_, ()> {
        unasked()
    }

    fn stop(&self, _: Duration) -> Answer<'_, ()> {
        unasked()
    }
}

struct Scene {
    store: Store,
    speaker: Arc<Speaker>,
    executors: Arc<Executors>,
    id: JobId,
    closing: watch::Sender<bool>,
    _directory: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("longshore.db");
        let (store, _) = Store::open(&path, Synchronous::Normal, Schema::Migrate).await.unwrap();
        let speaker = Arc::new(Speaker::default());
        let open: Arc<dyn HostedExecutor> = Arc::clone(&speaker) as _;
        let executors = Arc::new(Executors::new("test".to_owned(), [("here".to_owned(), open)]));
        let id = JobId::new();
        let job = NewJob {
            id,
            job_type: "score".to_owned(),
            workspace: "default".to_owned(),
            creator: "alice".to_owned(),
            executor: "here".to_owned(),
            priority: 2,
            due_at: None,
            timeout: Duration::from_secs(60),
            params: "{}".to_owned(),
            lock_key: None,
            idempotency_key: None,
        };
        store.job_submit(vec![job]).await.unwrap();
        let closing = watch::Sender::new(false);
        Self { store, speaker, executors, id, closing, _directory: directory }
    }

    async fn claim(&self) -> Claimed {
        let want = Want {
            executor: "here".to_owned(),
            job_type: "score".to_owned(),
            slots: 1,
            max_running: None,
        };
        let owner = ReplicaId(Uuid::new_v4());
        let claimed = self
            .store
            .job_claim(vec![want], owner, Duration::from_secs(60))
            .await
            .unwrap()
            .jobs
            .remove(0);
        let _ = self.store.job_begin(claimed.id, claimed.token, "test", None).await.unwrap();
        claimed
    }

    async fn end(&self, claimed: &Claimed, tail: &str) {
        self.keep(claimed, tail).await;
        let outcome = Outcome::Succeeded { result: "null".to_owned() };
        let end = End { outcome, work: lifecycle::Work::Gone };
        let _ = self.store.job_settle(self.id, claimed.token, None, &end).await.unwrap();
    }

    fn source(&self) -> Source {
        Source { store: self.store.clone(), executors: Arc::clone(&self.executors) }
    }

    async fn job(&self) -> Job {
        self.store.job_get(self.id).await.unwrap().unwrap()
    }

    /// A reader, and what it will have read at the end.
    async fn follow(&self, offset: u64) -> tokio::task::JoinHandle<String> {
        tokio::spawn(read(self.reader(offset, Until::Ended).await))
    }

    /// What a reader gets who does not wait for more.
    async fn all(&self) -> String {
        read(self.reader(0, Until::Now).await).await
    }

    async fn reader(&self, offset: u64, until: Until) -> Follow {
        Follow::new(self.source(), &self.job().await, offset, until, self.closing.subscribe())
    }

    async fn keep(&self, claimed: &Claimed, tail: &str) {
        assert_eq!(
            self.store.job_log_put(self.id, claimed.token, tail).await.unwrap(),
            Fenced::Held
        );
    }

    async fn retry(&self, claimed: &Claimed) {
        let store = &self.store;
        let retried = store.job_retry(self.id, claimed.token, None, Duration::ZERO, 3).await;
        assert_eq!(retried.unwrap(), Fenced::Held);
    }
}

async fn read(follow: Follow) -> String {
    let read = to_bytes(Body::from_stream(follow.stream()), 1 << 20);
    let read = tokio::time::timeout(AT_MOST, read).await;
    String::from_utf8(read.expect("an end").unwrap().into()).unwrap()
}

#[tokio::test]
async fn output_is_followed_to_its_end_even_if_the_executor_has_forgotten_it() {
    let scene = Scene::new().await;
    let claimed = scene.claim().await;
    scene.speaker.say(&claimed, "one\ntwo\n");
    let (reader, late) = (scene.follow(0).await, scene.follow(4).await);
    scene.speaker.heard(&claimed).await;
    scene.speaker.forget();
    scene.end(&claimed, "one\ntwo\nthree\n").await;
    assert_eq!(reader.await.unwrap(), "one\ntwo\nthree\n");
    assert_eq!(late.await.unwrap(), "two\nthree\n");
}

#[tokio::test]
async fn output_is_followed_over_a_retry() {
    let scene = Scene::new().await;
    let first = scene.claim().await;
    scene.speaker.say(&first, "one\n");
    let reader = scene.follow(0).await;
    scene.speaker.heard(&first).await;
    scene.keep(&first, "one\nit broke\n").await;
    scene.speaker.forget();
    scene.retry(&first).await;
    let second = scene.claim().await;
    scene.speaker.say(&second, "two\n");
    scene.speaker.heard(&second).await;
    scene.end(&second, "two\nthree\n").await;
    assert_eq!(reader.await.unwrap(), "one\nit broke\ntwo\nthree\n");
}

#[tokio::test]
async fn attempts_that_nobody_saw_and_that_say_the_same_are_read_once_each() {
    let scene = Scene::new().await;
    let first = scene.claim().await;
    scene.speaker.say(&first, "hello\n");
    let mut pieces = Box::pin(scene.reader(0, Until::Ended).await.stream());
    let mut next = async || {
        let piece = tokio::time::timeout(AT_MOST, futures_util::StreamExt::next(&mut pieces)).await;
        piece.expect("a piece or the end").map(|piece| piece.unwrap())
    };
    assert_eq!((next().await.unwrap(), next().await.unwrap()), ("hell".into(), "o\n".into()));
    scene.keep(&first, "hello\n").await;
    scene.retry(&first).await;
    let second = scene.claim().await;
    scene.keep(&second, "hello\n").await;
    scene.retry(&second).await;
    assert_eq!(next().await.unwrap(), "hello\n", "the second, which is over");
    let third = scene.claim().await;
    scene.end(&third, "hello\n").await;
    assert_eq!(next().await.unwrap(), "hello\n", "the third, which is over");
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn a_reader_of_a_job_that_waits_is_sent_away_when_the_host_stops() {
    let scene = Scene::new().await;
    let reader = scene.follow(0).await;
    scene.closing.send_replace(true);
    assert_eq!(reader.await.unwrap(), "");
}

#[tokio::test]
async fn a_piece_of_live_output_says_where_the_next_begins() {
    let scene = Scene::new().await;
    assert!(scene.source().live(&scene.job().await, 7).await.unwrap().is_none(), "not begun");
    let claimed = scene.claim().await;
    scene.speaker.say(&claimed, "one\ntwo\n");
    let job = scene.job().await;
    let piece = scene.source().live(&job, 4).await.unwrap().unwrap();
    assert_eq!((piece.text.as_str(), piece.next_offset), ("two\n", 8));
    assert!(!piece.end, "the attempt's end is not yet the job's");
    scene.speaker.forget();
    assert!(scene.source().live(&job, 8).await.unwrap().is_none());
}

/// The end comes between two pieces: the executor has forgotten them, and the kept end has offsets of
/// its own.
#[tokio::test]
async fn all_output_is_read_although_the_job_ends_meanwhile() {
    let scene = Scene::new().await;
    let claimed = scene.claim().await;
    scene.speaker.say(&claimed, "one\ntwo\nthree\n");
    let mut pieces = Box::pin(scene.reader(0, Until::Now).await.stream());
    let mut text = String::new();
    for _ in 0..2 {
        let piece = futures_util::StreamExt::next(&mut pieces).await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert_eq!(text, "one\ntwo\n");
    scene.speaker.forget();
    scene.end(&claimed, "two\nthree\nfour\n").await;
    while let Some(Ok(piece)) = futures_util::StreamExt::next(&mut pieces).await {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert_eq!(text, "one\ntwo\nthree\nfour\n");
}

#[tokio::test]
async fn all_output_of_a_job_is_that_of_its_last_attempt() {
    let scene = Scene::new().await;
    assert_eq!(scene.all().await, "");
    let first = scene.claim().await;
    scene.speaker.say(&first, "one\n");
    assert_eq!(scene.all().await, "one\n", "and it does not wait for more");
    scene.keep(&first, "one\nit broke\n").await;
    scene.speaker.forget();
    scene.retry(&first).await;
    assert_eq!(scene.all().await, "one\nit broke\n", "while it waits for its second attempt");
    let second = scene.claim().await;
    assert_eq!(scene.all().await, "", "the second has written nothing yet");
    scene.speaker.say(&second, "two\n");
    assert_eq!(scene.all().await, "two\n");
    scene.speaker.forget();
    scene.end(&second, "two\nthree\n").await;
    assert_eq!(scene.all().await, "two\nthree\n");
}

/// Its row has ended at once, and what its work still writes has not been kept yet.
#[tokio::test]
async fn a_canceled_job_keeps_its_readers_until_its_work_is_gone() {
    let scene = Scene::new().await;
    let claimed = scene.claim().await;
    scene.speaker.say(&claimed, "one\n");
    let reader = scene.follow(0).await;
    scene.speaker.heard(&claimed).await;
    let reason = crate::job::CancelReason::Requested { by: "alice".to_owned() };
    assert_eq!(scene.store.job_cancel(scene.id, &reason).await.unwrap(), Fenced::Held);
    assert_eq!(scene.all().await, "one\n");
    scene.speaker.say(&claimed, "stopping\n");
    scene.speaker.heard(&claimed).await;
    scene.keep(&claimed, "one\nstopping\nstopped\n").await;
    let gone = scene.store.job_work_gone(scene.id, claimed.token, None).await.unwrap();
    assert_eq!(gone, Fenced::Held);
    scene.speaker.forget();
    assert_eq!(reader.await.unwrap(), "one\nstopping\nstopped\n");
    assert_eq!(scene.all().await, "one\nstopping\nstopped\n");
}
