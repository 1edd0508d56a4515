//! Jobs whose executor's process dies. Recovery never looks by the clock here: an hour lies between
//! two passes that nobody has asked for.

mod mortal;

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use tempfile::TempDir;
use uuid::Uuid;

use self::mortal::{Mortal, State as Process};
use super::*;
use crate::{
    config::Config,
    executors::Executors,
    job::{CancelReason, Fenced, Job, NewJob},
    lifecycle::{State, Work},
    plugin::HostedExecutor,
    store::{Schema, Synchronous},
    worker::{self, Running, Watching},
};

const HOUR: Duration = Duration::from_secs(3600);
const AT_MOST: Duration = Duration::from_secs(60);

const CONFIG: &str = r#"
[executors.here]
plugin = "mortal"
[executors.there]
plugin = "mortal"
[jobs.score]
command = ["true"]
executor = "here"
[jobs.count]
command = ["true"]
executor = "there"
"#;

struct Scene {
    store: Store,
    mortal: Arc<Mortal>,
    /// Another, which lives.
    other: Arc<Mortal>,
    worker: Arc<Worker>,
    recovery: Arc<Recovery>,
    _running: (Running, Service),
    _directory: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("longshore.db");
        let (store, _) = Store::open(&path, Synchronous::Normal, Schema::Migrate).await.unwrap();
        let mortal = Mortal::new();
        let other = Mortal::new();
        let executors = [("here", &mortal), ("there", &other)]
            .map(|(name, mortal)| (name.to_owned(), Arc::clone(mortal) as Arc<dyn HostedExecutor>));
        let executors = Executors::new("test".to_owned(), executors);
        let config = Config::from_toml(CONFIG, Path::new("longshore.toml")).unwrap();
        let owner = ReplicaId(Uuid::new_v4());
        let settings = worker::Settings {
            lease: HOUR,
            result_grace: HOUR,
            max_result: 1 << 20,
            poll: Duration::from_millis(20),
        };
        let worker = Worker::new(
            store.clone(),
            Arc::new(executors),
            worker::shared(config.job_types),
            owner,
            settings,
            Watching::default(),
        );
        let settings = Settings {
            interval: HOUR,
            rules: Rules { max_recoveries: 1, give_up_after: HOUR },
            orphan_after: HOUR,
            overdue_grace: HOUR,
            lease: HOUR,
            stop_grace: Duration::from_secs(1),
        };
        let recovery =
            Recovery::new(store.clone(), Arc::clone(&worker), owner, settings, HashSet::new());
        let running = (worker.start(), recovery.start());
        Self { store, mortal, other, worker, recovery, _running: running, _directory: directory }
    }

    async fn submit(&self) -> JobId {
        self.submit_to("here", "score").await
    }

    async fn submit_to(&self, executor: &str, job_type: &str) -> JobId {
        let id = JobId::new();
        let job = NewJob {
            id,
            job_type: job_type.to_owned(),
            workspace: "default".to_owned(),
            creator: "alice".to_owned(),
            executor: executor.to_owned(),
            priority: 2,
            due_at: None,
            timeout: HOUR,
            params: "{}".to_owned(),
            lock_key: None,
            idempotency_key: None,
        };
        self.store.job_submit(vec![job]).await.unwrap();
        self.store.wake();
        id
    }

    /// Jobs that are waited for.
    async fn watched<const N: usize>(&self) -> [JobId; N] {
        let mut ids = [JobId::new(); N];
        for id in &mut ids {
            *id = self.submit().await;
        }
        self.until("all are watched", |now| now.watched.len() == N).await;
        ids
    }

    async fn until(&self, what: &str, is: impl Fn(&Process) -> bool) {
        self.poll(what, async || is(&self.mortal.state())).await;
    }

    async fn until_job(&self, id: JobId, what: &str, is: impl Fn(&Job) -> bool) {
        self.poll(what, async || is(&self.job(id).await)).await;
    }

    async fn poll(&self, what: &str, is: impl AsyncFn() -> bool) {
        let asking = async {
            while !is().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(AT_MOST, asking).await.is_err() {
            panic!(
                "not so in time: {what}; {:?}; {:?}",
                self.mortal.state(),
                self.recovery.last_pass()
            );
        }
    }

    async fn job(&self, id: JobId) -> Job {
        self.store.job_get(id).await.unwrap().unwrap()
    }

    /// Its process dies; every job that it had is let go of.
    async fn die(&self) {
        self.mortal.die();
        self.poll("nothing is watched", async || self.worker.running() == 0).await;
    }

    /// Its process is there again, and the host hears of it.
    fn live(&self) {
        self.mortal.change(|state| (state.stands, state.lives) = (true, true));
        let open = self.worker.executors().get("here").unwrap();
        open.well();
        self.worker.executor_is_up();
    }

    /// Starts its process again whenever it is dead, and looks again and again, until it is so.
    async fn revive_until(&self, what: &str, is: impl AsyncFn() -> bool) {
        self.poll(what, async || {
            if is().await {
                return true;
            }
            if !self.mortal.state().lives && self.worker.running() == 0 {
                self.live();
            }
            self.recovery.run_once().await.unwrap();
            false
        })
        .await;
    }

    /// Looks at a job that may have to wait, now.
    async fn look_at(&self, id: JobId) {
        let token = self.job(id).await.token.expect("it was claimed");
        let asked = self.store.job_ask_again(id, token, Duration::ZERO, false).await;
        assert_eq!(asked.unwrap(), Fenced::Held);
        self.recovery.run_once().await.unwrap();
    }

    fn kills(&self, id: JobId, verb: &'static str) {
        self.mortal.change(|state| state.deadly.extend([(verb, id.to_string())]));
    }

    async fn crashes(&self, id: JobId) -> u32 {
        let token = self.job(id).await.token.expect("it was claimed");
        let _ = self.store.job_ask_again(id, token, Duration::ZERO, false).await.unwrap();
        let rows = self.store.job_unresolved(HOUR, &Silent::default()).await.unwrap();
        rows.iter().find(|row| row.id == id).expect("it is unresolved").crashes
    }

    async fn cancel(&self, id: JobId) {
        let reason = CancelReason::Requested { by: "alice".to_owned() };
        assert_eq!(self.worker.cancel(id, &reason).await.unwrap(), Fenced::Held);
    }

    fn end(&self, id: JobId) {
        self.mortal.change(|state| state.ended.extend([id.to_string()]));
    }

    fn is_watched(&self, id: JobId) -> bool {
        self.mortal.state().watched.contains(&id.to_string())
    }
}

#[tokio::test]
async fn a_job_is_watched_again_as_soon_as_its_executor_is_back() {
    let scene = Scene::new().await;
    let [id] = scene.watched().await;
    scene.die().await;
    assert_eq!(scene.job(id).await.state, State::NeedsRecovery);
    scene.live();
    scene.until("it is watched again", |now| now.watched.contains(&id.to_string())).await;
    scene.end(id);
    scene.until_job(id, "it succeeded", |job| job.state == State::Succeeded).await;
    let job = scene.job(id).await;
    assert_eq!((job.attempt, job.retry_count, job.recovery_count), (1, 0, 0));
}

#[tokio::test]
async fn nobody_is_asked_while_nobody_is_there_and_it_is_said_who_waits() {
    let scene = Scene::new().await;
    let [first, second] = scene.watched().await;
    scene.die().await;
    let before = format!("{:?}", [scene.job(first).await, scene.job(second).await]);
    for _ in 0..3 {
        let pass = scene.recovery.run_once().await.unwrap();
        assert_eq!((pass.waiting, pass.seen), (2, 0));
        assert!(pass.trouble.contains_key("here"), "{pass:?}");
    }
    assert_eq!(scene.mortal.state().calls.get("recover"), None);
    let after = format!("{:?}", [scene.job(first).await, scene.job(second).await]);
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_question_that_nobody_hears_puts_no_job_off() {
    let scene = Scene::new().await;
    let [id] = scene.watched().await;
    scene.die().await;
    // It is said to be there again before it is.
    scene.mortal.change(|state| state.stands = true);
    let pass = scene.recovery.run_once().await.unwrap();
    assert_eq!((pass.waiting, pass.seen), (1, 1));
    let calls = scene.mortal.state().calls["recover"];
    scene.live();
    scene.until("it is watched again", |now| now.watched.contains(&id.to_string())).await;
    assert!(scene.mortal.state().calls["recover"] > calls);
}

#[tokio::test]
async fn what_was_not_sent_is_given_back_without_a_question_and_counts_nothing() {
    let scene = Scene::new().await;
    // It stands, but nobody is there: what is claimed now cannot be sent.
    scene.until("it takes jobs", |now| now.calls.contains_key("retain")).await;
    scene.mortal.change(|state| state.lives = false);
    let id = scene.submit().await;
    scene.until("it was tried", |now| now.calls.contains_key("submit")).await;
    scene
        .until_job(id, "it waits", |job| job.state == State::Pending && job.due_at > job.created_at)
        .await;
    let job = scene.job(id).await;
    assert_eq!((job.recovery_count, job.retry_count, job.work), (0, 0, Work::None));
    assert_eq!(scene.mortal.state().calls.get("cancel"), None);
}

#[tokio::test]
async fn a_job_that_kills_its_executor_whenever_it_is_watched_fails_alone() {
    let scene = Scene::new().await;
    let [poison, good] = scene.watched().await;
    let mut company = [0, 0];
    let failed = |job: &Job| job.state.is_terminal();
    while !failed(&scene.job(poison).await) {
        let deaths = scene.mortal.state().deaths;
        company[usize::from(!scene.is_watched(good))] += 1;
        scene.die().await;
        scene.live();
        // Whoever else is watched alone meanwhile ends well.
        scene
            .poll("the poison is watched or has failed", async || {
                if scene.is_watched(good) && deaths > 0 {
                    scene.end(good);
                }
                scene.is_watched(poison) || failed(&scene.job(poison).await)
            })
            .await;
        if deaths == 0 {
            scene.until("both are watched", |now| now.watched.len() == 2).await;
        }
    }
    // Two in company, and one more than the one that is allowed alone.
    assert_eq!(company, [2, 2]);
    let job = scene.job(poison).await;
    assert_eq!((job.state, job.work, job.attempt), (State::Failed, Work::Gone, 1));
    let error = job.error_message.unwrap();
    assert!(
        error.contains("crashed 4 times while it was running, 2 of them while it ran alone"),
        "{error}"
    );
    scene.end(good);
    scene.until_job(good, "the good one succeeded", |job| job.state == State::Succeeded).await;
    assert_eq!(scene.job(good).await.attempt, 1);
}

#[tokio::test]
async fn nothing_new_is_started_before_what_was_there_is_found_again() {
    let scene = Scene::new().await;
    let [id] = scene.watched().await;
    scene.die().await;
    scene.live();
    scene.until("it is watched again", |now| now.watched.len() == 1).await;
    scene.die().await;
    let next = scene.submit().await;
    scene.mortal.change(|state| state.holds = true);
    scene.live();
    // Whoever claims this one has seen the other.
    let witness = scene.submit_to("there", "count").await;
    let claimed = async || scene.other.state().watched.contains(&witness.to_string());
    scene.poll("a later one is started elsewhere", claimed).await;
    assert_eq!(scene.job(next).await.state, State::Pending);
    scene.mortal.change(|state| state.holds = false);
    // It must be alone by now, and is.
    scene.until("it is watched again", |now| now.watched.len() == 1).await;
    assert!(scene.is_watched(id));
    scene.end(id);
    scene.until("the next is started", |now| now.watched.contains(&next.to_string())).await;
}

#[tokio::test]
async fn suspects_are_watched_one_after_another_and_nothing_is_started_beside_them() {
    let scene = Scene::new().await;
    let suspects: [_; 3] = scene.watched().await;
    for watched in [3, 1] {
        scene.die().await;
        scene.live();
        scene.until("they are watched", |now| now.watched.len() == watched).await;
    }
    let other = scene.submit().await;
    let most = AtomicUsize::new(0);
    for _ in suspects {
        scene
            .poll("a suspect is watched", async || {
                let watched = scene.mortal.state().watched.len();
                most.fetch_max(watched, Ordering::Relaxed);
                watched > 0
            })
            .await;
        assert_eq!(scene.job(other).await.state, State::Pending);
        let watched = suspects.iter().find(|id| scene.is_watched(**id));
        scene.end(*watched.expect("one of them"));
        scene
            .until_job(*watched.unwrap(), "it succeeded", |job| job.state == State::Succeeded)
            .await;
    }
    assert_eq!(most.into_inner(), 1);
    scene.until("the other is started", |now| now.watched.contains(&other.to_string())).await;
}

#[tokio::test]
async fn a_job_that_is_canceled_while_nobody_is_there_is_stopped_when_somebody_is() {
    let scene = Scene::new().await;
    let [id] = scene.watched().await;
    scene.die().await;
    scene.cancel(id).await;
    assert_eq!(scene.job(id).await.work, Work::Maybe);
    scene.live();
    scene.until_job(id, "it is stopped", |job| job.work == Work::Gone).await;
    assert_eq!(scene.job(id).await.state, State::Canceled);
    assert!(scene.mortal.state().work.is_empty());
}

#[tokio::test]
async fn a_job_that_is_canceled_before_it_could_be_sent_has_nothing_to_stop() {
    let scene = Scene::new().await;
    scene.mortal.change(|state| state.holds = true);
    let id = scene.submit().await;
    scene.until("it is to be sent", |now| now.calls.contains_key("submit")).await;
    scene.mortal.change(|state| state.lives = false);
    scene.cancel(id).await;
    scene.mortal.change(|state| state.holds = false);
    scene.until_job(id, "nothing was started", |job| job.work == Work::Gone).await;
    assert_eq!(scene.job(id).await.state, State::Canceled);
}

#[tokio::test]
async fn a_handle_that_kills_whoever_is_asked_about_it_harms_no_other_and_ends_alone() {
    let scene = Scene::new().await;
    let [poison, good, other] = scene.watched().await;
    scene.kills(poison, "recover");
    scene.die().await;
    let both = async || scene.is_watched(good) && scene.is_watched(other);
    scene.revive_until("the others are watched", both).await;
    // One that each had in company, the question about all, and the one about this.
    assert_eq!(scene.mortal.state().deaths, 3);
    for _ in 0..3 {
        scene.look_at(poison).await;
        assert!(both().await, "it is asked about alone");
    }
    assert_eq!(scene.mortal.state().deaths, 3);
    scene.end(good);
    scene.end(other);
    for id in [good, other] {
        scene.until_job(id, "it succeeded", |job| job.state == State::Succeeded).await;
    }
    let failed = async || scene.job(poison).await.state == State::Failed;
    scene.revive_until("the poison has failed", failed).await;
    let job = scene.job(poison).await;
    assert_eq!((job.work, job.attempt), (Work::Maybe, 1));
    let error = job.error_message.unwrap();
    assert!(error.contains("crashed 4 times while it was running, 2 of them"), "{error}");
    assert_eq!(scene.mortal.state().deaths, 5);
}

#[tokio::test]
async fn a_stop_that_kills_happens_alone_and_is_counted() {
    let scene = Scene::new().await;
    let [poison, good] = scene.watched().await;
    scene.kills(poison, "cancel");
    scene.cancel(poison).await;
    // Its own watcher was the first to try, recovery is the second; then it is known.
    let second = async || scene.mortal.state().deaths == 2;
    scene.revive_until("recovery has tried to stop it", second).await;
    let watched = async || scene.is_watched(good);
    scene.revive_until("the other is watched", watched).await;
    for _ in 0..3 {
        scene.look_at(poison).await;
        assert!(watched().await, "it is stopped alone");
    }
    assert_eq!(scene.mortal.state().deaths, 2);
    assert_eq!(scene.crashes(poison).await, 1);
    scene.end(good);
    scene.until_job(good, "it succeeded", |job| job.state == State::Succeeded).await;
    let third = async || scene.mortal.state().deaths == 3;
    scene.revive_until("it is tried alone", third).await;
    scene.poll("that is counted", async || scene.crashes(poison).await == 2).await;
    scene.mortal.change(|state| state.deadly.clear());
    scene.live();
    scene.look_at(poison).await;
    scene.until_job(poison, "its work is gone", |job| job.work == Work::Gone).await;
    assert_eq!(scene.job(poison).await.state, State::Canceled);
}
