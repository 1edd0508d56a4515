//! Everything at once, for long: four executors full of jobs, some of them evil, whose processes are killed
//! again and again. The same code in two sizes.
//!
//! ```text
//!   jobs ──► host ──► local, noop, evil, pool ◄── killer
//!             │ vitals: memory and descriptors, before and after
//!             └ outcomes, history, expectations: every job ended once, as it had to
//! ```

mod jobs;
mod killer;
mod numbers;
mod vitals;

use std::{collections::BTreeMap, fs, thread, time::Duration};

use serde_json::{Value, json};

use self::{jobs::Jobs, killer::Killer, numbers::Numbers, vitals::Vitals};
use crate::{
    chance::Chance,
    client::Client,
    host::{TestHost, setup},
    leftovers,
    outcomes::Outcomes,
    wait::{PATIENCE, now, pause, wait_until},
};

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// How many jobs.
    pub jobs: usize,
    /// How many kills.
    pub kills: usize,
    /// How long it may take at most.
    pub limit: Duration,
}

/// Names the variable that asks for all of it.
pub const VARIABLE: &str = "LONGSHORE_SOAK";

impl Size {
    /// What every run of the tests does.
    pub const USUAL: Self = Self { jobs: 600, kills: 15, limit: Duration::from_secs(240) };
    /// What `cargo xtask soak` does.
    pub const FULL: Self = Self { jobs: 10_000, kills: 200, limit: Duration::from_secs(3600) };

    /// The one that the environment asks for.
    #[must_use]
    pub fn asked() -> Self {
        if std::env::var(VARIABLE).is_ok_and(|size| size == "full") {
            Self::FULL
        } else {
            Self::USUAL
        }
    }

    /// The first part. What grows only once has grown after it: the caches of the database's connections
    /// take a few thousand jobs to fill.
    fn warm_up(self) -> Self {
        Self { jobs: self.jobs * 2 / 5, kills: self.kills * 2 / 5, ..self }
    }

    fn rest(self) -> Self {
        let Self { jobs, kills, .. } = self.warm_up();
        Self { jobs: self.jobs - jobs, kills: self.kills - kills, ..self }
    }
}

/// Runs it, and prints what it was.
///
/// # Panics
///
/// Something was not as it had to be.
pub fn soak(size: Size) {
    let mut chance = Chance::new();
    let mut run = Run::new(size);
    run.part("warm-up", size.warm_up(), false, &mut chance);
    let before = run.vitals();
    run.part("soak", size.rest(), true, &mut chance);
    let after = run.vitals();
    run.judge();
    println!("{}", run.numbers(before.clone(), after.clone()));
    vitals::flat(&before, &after);
    run.finish();
}

struct Run {
    host: TestHost,
    size: Size,
    jobs: Jobs,
    killer: Killer,
    outcomes: Outcomes,
    began: Duration,
}

impl Run {
    fn new(size: Size) -> Self {
        let host = jobs::host(setup(jobs::CONFIG)).start();
        let client = host.client();
        wait_until("every executor is ready", PATIENCE, || {
            killer::rows(&client).iter().all(|row| row.standing == "ready").then_some(())
        });
        let killer = Killer::new(host.history());
        let (jobs, outcomes) = (Jobs::default(), Outcomes::default());
        Self { host, size, jobs, killer, outcomes, began: now() }
    }

    /// Submits so many jobs and does not return before all have ended and so many runners were killed.
    fn part(&mut self, name: &str, size: Size, bad: bool, chance: &mut Chance) {
        let client = self.host.client();
        self.jobs.submit(&client, size.jobs, bad, chance);
        let submitted = self.jobs.len();
        let first = submitted - size.jobs;
        let (killer, outcomes) = (&mut self.killer, &mut self.outcomes);
        let pid = self.host.pid();
        let plan = killer::plan(size.kills, size.jobs, chance);
        thread::scope(|scope| {
            let killing = client.clone();
            let until = now() + self.size.limit;
            let mut killer = Some(scope.spawn(move || {
                killer.kill(&killing, plan, until, |unfinished| submitted - unfinished - first);
            }));
            let mut seen = first;
            loop {
                let left = unfinished(&client);
                // If it gave up, the jobs may never end.
                if let Some(done) = killer.take_if(|killer| killer.is_finished()) {
                    done.join().expect("the killer says why it gave up");
                }
                if left == 0 && killer.is_none() {
                    break;
                }
                assert!(now() < until, "{name}: not over after {:?}", self.size.limit);
                // Not at every turn: to list them all is work for the host, too.
                if submitted - left >= seen + self.size.jobs / 20 {
                    seen = outcomes.look(&client);
                    let memory = vitals::memory(pid);
                    println!("{name}: {seen} of {submitted} jobs have ended; {memory} KiB");
                }
                pause(Duration::from_millis(500));
            }
        });
        self.outcomes.look(&client);
    }

    /// How the host is when it has nothing to do.
    fn vitals(&self) -> Vitals {
        let client = self.host.client();
        wait_until("every executor is ready and holds no job", PATIENCE, || {
            let rows = killer::rows(&client);
            rows.iter().all(|row| row.standing == "ready" && row.jobs == 0).then_some(())
        });
        // Its own connections would count.
        drop(client);
        vitals::of(self.host.pid(), &self.host.path("state"))
    }

    /// Every job has ended once, as it had to, and nothing of it is left.
    fn judge(&self) {
        let client = self.host.client();
        let found = wait_until("no work is left", PATIENCE, || {
            let found = client.search(json!({}));
            found.iter().all(|job| job["work"] != "maybe").then_some(found)
        });
        let found: BTreeMap<&str, &Value> = found
            .iter()
            .map(|job| (job["job_id"].as_str().expect("a job has an id"), job))
            .collect();
        assert_eq!(found.len(), self.jobs.len(), "no job more, none less");
        assert_eq!(self.host.history().faults(), Vec::<String>::new());
        self.jobs.judge(&found, &self.host.history().ended());
        let pool = self.host.path("state/executors/pool");
        wait_until("the pool has forgotten every attempt", PATIENCE, || {
            leftovers::attempts(&pool).is_empty().then_some(())
        });
    }

    fn numbers(&self, before: Vitals, after: Vitals) -> Numbers {
        Numbers {
            jobs: self.jobs.len(),
            took: now() - self.began,
            kills: self.killer.kills(),
            log: self.host.log(),
            database: self.host.path("state"),
            before,
            after,
        }
    }

    fn finish(self) {
        let Self { mut host, .. } = self;
        assert!(host.terminate().success());
        let runners = host.path("state/runners");
        let left = fs::read_dir(&runners).map(Iterator::count).unwrap_or_default();
        assert_eq!(left, 0, "directories of runners are left in {}", runners.display());
        host.finish();
    }
}

fn unfinished(client: &Client) -> usize {
    let page = client.get("/api/3.0/metrics").text;
    let counts = page.lines().filter(|line| line.starts_with("longshore_jobs{"));
    let counts = counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok());
    counts.sum()
}
