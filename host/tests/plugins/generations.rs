//! What becomes of an executor while its file and its process come and go.

use std::{fs, future::Future, sync::Arc, time::Duration};

use longshore::{
    config::{ExecutorConfig, PluginIsolation},
    plugin::{Code, HostedExecutor, Registry, Standing, Wanted, registry::ExecutorEntry},
};
use longshore_plugin_api::{Ending, ErrorKind, Found};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::bench::{BOTH, Place, attempt, job, noop, open_with, patched};

/// An executor that is started again at once.
fn quick(isolation: PluginIsolation) -> ExecutorConfig {
    let mut config = ExecutorConfig::of("noop", isolation, json!({"echo": true}));
    config.restart.base_delay = Duration::from_millis(1);
    config.restart.max_delay = Duration::from_millis(1);
    config
}

/// The same plugin, another content.
fn newer() -> Vec<u8> {
    [noop(), b"\0"].concat()
}

/// Puts a file in its place at one stroke, as a deployment does.
fn install(place: &Place, content: &[u8]) {
    fs::write(place.file("x.part"), content).expect("it is writable");
    fs::rename(place.file("x.part"), place.file("x.so")).expect("it is there");
}

fn rows(registry: &Registry) -> Vec<ExecutorEntry> {
    registry.list().into_iter().flat_map(|entry| entry.executors).collect()
}

fn standings(registry: &Registry) -> Vec<Standing> {
    rows(registry).iter().map(|row| row.standing).collect()
}

/// Looks at the directory until it is so.
async fn until(registry: &Registry, what: impl Fn(&Registry) -> bool) {
    let looking = async {
        while !what(registry) {
            registry.scan();
            tokio::task::yield_now().await;
        }
    };
    soon(looking).await.unwrap_or_else(|()| panic!("{:#?}", registry.list()));
}

async fn soon<T>(done: impl Future<Output = T>) -> Result<T, ()> {
    tokio::time::timeout(Duration::from_secs(60), done).await.map_err(|_| ())
}

fn is_gone(pid: u32) -> bool {
    !fs::exists(format!("/proc/{pid}")).expect("`/proc` is there")
}

fn kill(row: &ExecutorEntry) {
    let pid = i32::try_from(row.pid.expect("it has a process")).expect("a pid");
    kill_process(Pid::from_raw(pid).expect("not nobody's"), Signal::KILL).expect("it lives");
}

async fn runs(executor: &dyn HostedExecutor, tag: &str) {
    executor.submit(&job(tag, "1")).await.expect("it starts");
    let ended = soon(executor.wait(&attempt(tag))).await.expect("soon").expect("it ends");
    assert!(matches!(ended.ending, Ending::Succeeded { .. }), "{ended:?}");
    executor.forget(&attempt(tag)).await.expect("it forgets");
}

#[tokio::test]
async fn a_file_that_comes_later_is_used_and_one_that_goes_takes_no_new_jobs() {
    for isolation in BOTH {
        let place = Place::with(&[]);
        let registry = place.discover();
        let wanted = Wanted { executor: "x".to_owned(), config: quick(isolation) };
        let (executor, settled) = registry.open(wanted, Arc::new(())).await;
        assert_eq!(settled.expect_err("nothing is there").code, Code::Unknown);
        assert_eq!((executor.standing(), executor.facts()), (Standing::Absent, None));
        let refused = executor.submit(&job("early", "1")).await.expect_err("it is not there");
        assert_eq!(refused.kind, ErrorKind::Refused);

        install(&place, noop());
        until(&registry, |registry| standings(registry) == [Standing::Ready]).await;
        runs(&*executor, "first").await;

        executor.submit(&job("long", r#"{"hang":true}"#)).await.expect("it starts");
        fs::remove_file(place.file("x.so")).expect("it is there");
        let both = [Standing::Draining, Standing::Absent];
        until(&registry, |registry| standings(registry) == both).await;
        assert_eq!(rows(&registry)[1].problem.as_ref().map(|p| p.code), Some(Code::Gone));
        let refused = executor.submit(&job("late", "1")).await.expect_err("it takes no more");
        assert_eq!(refused.kind, ErrorKind::Refused);
        // It still has the job that it had.
        executor.cancel(&attempt("long"), Duration::ZERO).await.expect("it stops");
        executor.forget(&attempt("long")).await.expect("it forgets");
        until(&registry, |registry| standings(registry) == [Standing::Absent]).await;

        install(&place, noop());
        until(&registry, |registry| standings(registry) == [Standing::Ready]).await;
        runs(&*executor, "again").await;
    }
}

#[tokio::test]
async fn a_newer_content_takes_new_jobs_while_the_older_ends_its_own() {
    for isolation in BOTH {
        let place = Place::with(&[("x.so", noop())]);
        let registry = place.discover();
        let opened = open_with(&registry, "x", quick(isolation), Arc::new(())).await;
        let executor = opened.expect("it is good");
        let old = rows(&registry).remove(0);
        executor.submit(&job("long", r#"{"hang":true}"#)).await.expect("it starts");

        install(&place, &newer());
        let both = [Standing::Ready, Standing::Draining];
        until(&registry, |registry| standings(registry) == both).await;
        let [new, draining] = &rows(&registry)[..] else { panic!("two rows") };
        assert_eq!((&draining.digest, draining.pid, draining.jobs), (&old.digest, old.pid, 1));
        assert!(new.digest != old.digest && new.jobs == 0, "{new:?}");
        runs(&*executor, "new").await;
        let attempts = [attempt("long"), attempt("new")];
        let found = executor.recover(&attempts).await.expect("both look");
        assert_eq!(
            found.iter().find(|v| v.attempt_tag == "long").map(|v| &v.found),
            Some(&Found::Here)
        );

        executor.cancel(&attempt("long"), Duration::ZERO).await.expect("the older stops it");
        let ended = executor.wait(&attempt("long")).await.expect("the older tells");
        assert!(matches!(ended.ending, Ending::Canceled { .. }), "{ended:?}");
        executor.forget(&attempt("long")).await.expect("it forgets");
        until(&registry, |registry| standings(registry) == [Standing::Ready]).await;
        if let Some(pid) = old.pid {
            until(&registry, |_| is_gone(pid)).await;
        }
    }
}

#[tokio::test]
async fn a_newcomer_that_is_refused_takes_nothings_place() {
    let place = Place::with(&[("x.so", noop())]);
    let registry = place.discover();
    let config = quick(PluginIsolation::Process);
    let executor = open_with(&registry, "x", config, Arc::new(())).await.expect("it is good");
    let ours = rows(&registry)[0].digest.clone();
    let first =
        |registry: &Registry| (rows(registry)[0].digest.clone(), rows(registry)[0].standing);
    let refused = |code: Code| {
        move |registry: &Registry| {
            let entries = registry.list();
            let rows = entries.iter().flat_map(|entry| &entry.executors);
            let problems = rows.filter_map(|row| row.problem.as_ref());
            entries
                .iter()
                .filter_map(|entry| entry.problem.as_ref())
                .chain(problems)
                .any(|p| p.code == code)
        }
    };

    install(&place, &noop()[..noop().len() / 2]);
    until(&registry, refused(Code::Truncated)).await;
    assert_eq!(first(&registry), (ours.clone(), Standing::Ready));

    // Its code says otherwise than its note: found out when it is loaded.
    let note = r#""name":"noop","version":"0.1.0""#;
    install(&place, &patched(noop(), note, r#""name":"noop","version":"0.1.1""#));
    until(&registry, refused(Code::Describe)).await;
    assert_eq!(first(&registry), (ours.clone(), Standing::Ready));

    fs::write(place.file("y.so"), newer()).expect("it is writable");
    until(&registry, refused(Code::Duplicate)).await;
    assert_eq!(first(&registry).1, Standing::Ready);
    runs(&*executor, "still").await;
}

#[tokio::test]
async fn a_process_that_dies_is_started_again_and_what_it_had_is_unknown() {
    let place = Place::with(&[("x.so", noop())]);
    let registry = place.discover();
    let config = quick(PluginIsolation::Process);
    let executor = open_with(&registry, "x", config, Arc::new(())).await.expect("it is good");
    let before = rows(&registry).remove(0);
    executor.submit(&job("lost", r#"{"hang":true}"#)).await.expect("it starts");
    let waiting = tokio::spawn({
        let executor = Arc::clone(&executor);
        async move { executor.wait(&attempt("lost")).await }
    });
    // What is asked after it is answered after it was sent.
    executor.health().await.expect("it is well");
    let changed = executor.changed();
    kill(&before);
    let lost = soon(waiting).await.expect("soon").expect("no panic").expect_err("it is unknown");
    assert_eq!(lost.kind, ErrorKind::Crashed);
    assert!(lost.message.contains("died of SIGKILL"), "{lost}");
    soon(changed).await.expect("it stands otherwise");
    until(&registry, |registry| standings(registry) == [Standing::Ready]).await;
    let after = rows(&registry).remove(0);
    assert!(after.pid != before.pid && is_gone(before.pid.expect("it had one")), "{after:?}");
    assert_eq!((after.deaths, after.jobs), (1, 0));
    assert_eq!(after.problem.as_ref().map(|problem| problem.code), Some(Code::Crashed));
    let found = executor.recover(&[attempt("lost")]).await.expect("the next one looks");
    assert_eq!(found[0].found, Found::Gone, "`noop` keeps its jobs in memory");
    runs(&*executor, "next").await;
}

#[tokio::test]
async fn what_dies_again_and_again_is_left_alone_until_a_person_or_another_file_comes() {
    let place = Place::with(&[("x.so", noop())]);
    let registry = place.discover();
    let mut config = quick(PluginIsolation::Process);
    config.restart.quarantine_after = 3;
    let executor = open_with(&registry, "x", config, Arc::new(())).await.expect("it is good");
    let wear_out = async || {
        for n in 1..=3 {
            until(&registry, |registry| standings(registry) == [Standing::Ready]).await;
            kill(&rows(&registry)[0]);
            until(&registry, |registry| rows(registry)[0].deaths == n).await;
        }
        until(&registry, |registry| standings(registry) == [Standing::Quarantined]).await;
    };
    wear_out().await;
    let refused = executor.submit(&job("a", "1")).await.expect_err("it is left alone");
    assert!(refused.message.contains("executor `x` is quarantined"), "{refused}");
    assert_eq!(registry.release("x"), ["x"]);
    until(&registry, |registry| standings(registry) == [Standing::Ready]).await;
    runs(&*executor, "released").await;

    wear_out().await;
    install(&place, &newer());
    until(&registry, |registry| standings(registry) == [Standing::Ready]).await;
    runs(&*executor, "replaced").await;
}

#[tokio::test]
async fn nothing_is_left_of_an_executor_that_was_stopped_or_dropped() {
    let place = Place::with(&[("x.so", noop())]);
    let registry = place.discover();
    let config = quick(PluginIsolation::Process);
    let executor = open_with(&registry, "x", config.clone(), Arc::new(())).await.expect("good");
    let pid = rows(&registry)[0].pid.expect("it has one");
    executor.stop(Duration::ZERO).await.expect("it stops");
    assert!(is_gone(pid), "it is gone when `stop` answers");

    let executor = open_with(&registry, "y", config, Arc::new(())).await.expect("good");
    let pid = rows(&registry)[0].pid.expect("it has one");
    drop((executor, registry));
    let gone = async {
        while !is_gone(pid) {
            tokio::task::yield_now().await;
        }
    };
    soon(gone).await.expect("nobody needs it");
}
