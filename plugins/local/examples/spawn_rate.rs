//! How many jobs a second, beside how many processes a second this machine can start at all.
//!
//! `cargo run --release -p longshore-local --example spawn_rate [-- JOBS [AT_ONCE [DIRECTORY]]]`
//!
//! Both sides run `/bin/true` with the same number at once, in turns, so that a busy machine is busy
//! for both. A job is submitted, waited for and forgotten.
#![expect(clippy::print_stdout, reason = "its answer")]

use std::{
    env,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use longshore_local::{Config, Local};
use longshore_plugin_api::{Attempt, Context, Ending, Executor as _, Host, Job, Run, Seconds};
use rustix::time::{ClockId, clock_gettime};
use serde_json::value::RawValue;

const ROUNDS: usize = 5;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let mut arguments = env::args().skip(1);
    let mut number = |default| arguments.next().map_or(default, |n| n.parse().expect("a number"));
    let (jobs, at_once) = (number(2000), number(8));
    let cache = tempfile::tempdir_in(arguments.next().unwrap_or_else(|| ".".to_owned()))
        .expect("a directory to work in");
    let cache_dir = Some(cache.path().to_owned());
    let local = Local::new(Config { cache_dir, ..Config::default() }, Host::nowhere())
        .expect("the defaults are valid");
    local.check_requirements().await.expect("the requirements are met");
    local.start().await.expect("it starts");
    let local = Arc::new(local);

    println!("{jobs} times /bin/true, {at_once} at once");
    let (mut raw_rates, mut local_rates) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        raw_rates.push(raw(jobs, at_once));
        local_rates.push(through(&local, jobs, at_once, round).await);
        let (raw, local) = (raw_rates[round], local_rates[round]);
        println!("raw {raw:6.0}/s   local {local:6.0}/s   {:3.0} %", 100.0 * local / raw);
    }
    let (raw, through) = (median(raw_rates), median(local_rates));
    println!("median: raw {raw:.0}/s, local {through:.0}/s, {:.0} %", 100.0 * through / raw);
    local.stop(Duration::ZERO).await.expect("it stops");
}

fn raw(jobs: usize, at_once: usize) -> f64 {
    let next = AtomicUsize::new(0);
    let start = now();
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < jobs {
                    Command::new("/bin/true").status().expect("/bin/true runs");
                }
            });
        }
    });
    rate(jobs, start)
}

async fn through(local: &Arc<Local>, jobs: usize, at_once: usize, round: usize) -> f64 {
    let next = Arc::new(AtomicUsize::new(0));
    let start = now();
    let tasks: Vec<_> = (0..at_once)
        .map(|_| {
            let (local, next) = (Arc::clone(local), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= jobs {
                        return;
                    }
                    one(&local, &format!("bench-{round}-{number}")).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no job fails");
    }
    rate(jobs, start)
}

async fn one(local: &Local, tag: &str) {
    let handle = local.submit(job(tag)).await.expect("it is submitted");
    let attempt = Attempt { job_id: String::new(), attempt_tag: tag.to_owned(), handle };
    let ended = local.wait(&attempt).await.expect("it ends");
    assert!(matches!(ended.ending, Ending::Succeeded { .. }), "{ended:?}");
    local.forget(&attempt).await.expect("it is forgotten");
}

fn job(tag: &str) -> Job {
    Job {
        job_id: "00000000-0000-7000-8000-000000000000".to_owned(),
        attempt_tag: tag.to_owned(),
        attempt: 1,
        job_type: "bench".to_owned(),
        workspace: "default".to_owned(),
        run: Run::Command(vec!["/bin/true".to_owned()]),
        params: RawValue::from_string(format!("{{\"blob\": \"{}\"}}", "x".repeat(1024)))
            .expect("it is JSON"),
        timeout: Seconds(60.0),
        stop_grace: Seconds(1.0),
        python: None,
        resources: None,
        transient_errors: Vec::new(),
        context: Context::default(),
        options: None,
    }
}

fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn rate(jobs: usize, start: Duration) -> f64 {
    jobs as f64 / (now() - start).as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
