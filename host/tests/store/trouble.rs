//! Databases that do not behave: each a clear message, and nothing lost.

use std::{path::Path, process::Command, time::Duration};

use longshore::{
    job::{JobId, NewJob},
    lifecycle::State,
    store::{Filter, Schema, Silent, Store, StoreError, Synchronous},
};

use crate::world::{LEASE, World, new_job, want};

async fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, Synchronous::Full, Schema::Migrate).await.map(|(store, _)| store)
}

#[tokio::test]
async fn a_second_host_is_refused_by_name() {
    let world = World::new().await;
    let error = open(&world.directory.path().join("longshore.db")).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("longshore.db") && text.contains(&std::process::id().to_string()),
        "{text}"
    );
}

#[tokio::test]
async fn a_newer_schema_is_refused_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("longshore.db");
    sqlite(&path, "PRAGMA user_version = 99");
    let error = open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }), "{error:?}");
    assert_eq!(sqlite(&path, "SELECT count(*) FROM sqlite_schema"), "0");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("longshore.db");
    let text = "dear diary, ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let error = open(&path).await.unwrap_err();
    assert!(error.to_string().contains("database"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_writer_from_outside_makes_a_submission_wait_and_loses_nothing() {
    let world = World::new().await;
    let path = world.directory.path().join("longshore.db");
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (held, holding) = std::sync::mpsc::channel();
    let shell = std::thread::spawn(move || {
        use std::io::Write as _;
        let mut shell = Command::new("sqlite3")
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("the tests need sqlite3: apt-get install sqlite3");
        let mut input = shell.stdin.take().unwrap();
        input.write_all(b"BEGIN IMMEDIATE; SELECT 'held';\n").unwrap();
        input.flush().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(
            &mut std::io::BufReader::new(shell.stdout.as_mut().unwrap()),
            &mut line,
        )
        .unwrap();
        assert_eq!(line.trim(), "held");
        held.send(()).unwrap();
        released.recv().unwrap();
        input.write_all(b"ROLLBACK;\n").unwrap();
        drop(input);
        shell.wait().unwrap();
    });
    holding.recv().unwrap();
    let store = world.store.clone();
    let submission = tokio::spawn(async move { store.job_submit(vec![new_job()]).await });
    release.send(()).unwrap();
    submission.await.unwrap().unwrap();
    shell.join().unwrap();
    let page = world.store.job_list(&Filter { limit: 9, ..Filter::default() }).await.unwrap();
    assert_eq!(page.jobs.len(), 1);
}

#[tokio::test]
async fn a_damaged_row_stands_in_nobodys_way() {
    let world = World::new().await;
    let damaged = world.submit(new_job()).await;
    let unreadable = world.submit(new_job()).await;
    let neighbour = world.submit(new_job()).await;
    let shell = |sql: String| sqlite(&world.directory.path().join("longshore.db"), &sql);
    let hex = |id: JobId| id.0.simple().to_string();
    shell(format!("DELETE FROM job_params WHERE job_id = x'{}'", hex(damaged)));
    shell(format!("UPDATE jobs SET attempt = 'many' WHERE id = x'{}'", hex(unreadable)));
    // One free slot, and the damaged rows stand at the head of the queue.
    let claim = || world.store.job_claim(vec![want(1)], world.owner, LEASE);
    assert!(claim().await.unwrap().jobs.is_empty());
    assert!(claim().await.unwrap().jobs.is_empty());
    assert_eq!(claim().await.unwrap().jobs[0].id, neighbour);
    for id in [damaged, unreadable] {
        let failed = format!("SELECT state, work FROM jobs WHERE id = x'{}'", hex(id));
        assert_eq!(shell(failed), "FAILED|gone");
    }
    let page = world.store.job_list(&Filter { limit: 9, ..Filter::default() }).await.unwrap();
    let error = page.jobs.iter().find(|job| job.id == damaged).unwrap().error_message.clone();
    assert!(error.unwrap().starts_with("the stored job cannot be read: bad value in job_due.9"));

    let lone = world.submit(new_job()).await;
    shell(format!(
        "UPDATE jobs SET recovery_count = 2, attempt = 'many' WHERE id = x'{}'",
        hex(lone)
    ));
    let solo = || world.store.job_claim_solo("local", vec![want(1)], world.owner, LEASE);
    assert!(solo().await.unwrap().is_none());
    let claims = claim().await.unwrap();
    assert!(claims.alone.is_empty(), "a damaged lone job keeps no executor to itself");

    let watched = world.submit(new_job()).await;
    assert_eq!(claim().await.unwrap().jobs[0].id, watched);
    shell(format!("UPDATE jobs SET attempt_tag = x'00' WHERE id = x'{}'", hex(watched)));
    assert_eq!(world.store.job_mark_own(world.owner).await.unwrap(), 2);
    let rows = world.store.job_unresolved(Duration::ZERO, &Silent::default()).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [neighbour]);
}

#[tokio::test]
async fn a_refused_submission_does_not_undo_the_writes_it_shares_a_commit_with() {
    let world = World::new().await;
    let keyed = |params: &str| NewJob {
        idempotency_key: Some("k".to_owned()),
        params: params.to_owned(),
        ..new_job()
    };
    let first = world.submit(keyed("{}")).await;
    let (refused, accepted) = tokio::join!(
        world.store.job_submit(vec![new_job(), keyed("[]")]),
        world.store.job_submit(vec![new_job()]),
    );
    assert!(matches!(refused, Err(StoreError::KeyReused { job, .. }) if job == first));
    assert!(accepted.is_ok());
    let page = world.store.job_list(&Filter { limit: 9, ..Filter::default() }).await.unwrap();
    assert_eq!(page.jobs.len(), 2, "nothing of the refused call");
}

#[tokio::test]
async fn a_closed_store_refuses_and_leaves_one_file() {
    let world = World::new().await;
    let accepted = world.submit(new_job()).await;
    assert!(world.store.is_alive());
    world.store.close().await;
    let refused = world.store.job_submit(vec![new_job()]).await;
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
    assert!(!world.store.is_alive());
    let path = world.directory.path().join("longshore.db");
    assert!(!path.with_extension("db-wal").exists(), "everything stands in the database itself");
    assert_eq!(sqlite(&path, "SELECT lower(hex(id)) FROM jobs"), accepted.0.simple().to_string());
}

#[tokio::test]
async fn only_what_waits_on_a_route_that_nobody_offers_is_orphaned() {
    let world = World::new().await;
    let on = |executor: &str, job_type: &str| NewJob {
        executor: executor.to_owned(),
        job_type: job_type.to_owned(),
        ..new_job()
    };
    let jobs = vec![
        on("local", "score"),
        on("local", "train"),
        on("docker", "score"),
        on("local", "score"),
    ];
    world.store.job_submit(jobs).await.unwrap();
    let routes = world.store.job_routes().await.unwrap();
    let expected = [("docker", "score"), ("local", "score"), ("local", "train")];
    assert_eq!(
        routes,
        expected.map(|(executor, job_type)| (executor.to_owned(), job_type.to_owned()))
    );
    let orphan = |after| world.store.job_orphan("local", "score", after, "nobody offers it");
    assert_eq!(orphan(Duration::from_secs(3600)).await.unwrap(), 0, "it may still be offered");
    while orphan(Duration::ZERO).await.unwrap() == 0 {}
    let waiting = world.store.job_routes().await.unwrap();
    assert!(waiting.contains(&("docker".to_owned(), "score".to_owned())), "{waiting:?}");
    assert!(waiting.contains(&("local".to_owned(), "train".to_owned())), "{waiting:?}");
}

/// A real small file system.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "longshore-test"])
            .arg(directory.path())
            .status()
            .expect("mount is there");
        assert!(
            mounted.success(),
            "this test mounts a 3 MiB tmpfs and needs the right to: run it as root"
        );
        Self(directory)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_a_submission_clearly_and_loses_nothing_that_was_accepted() {
    let disk = SmallDisk::new();
    let store = open(&disk.0.path().join("longshore.db")).await.unwrap();
    let mut accepted = Vec::new();
    let error = loop {
        let params = format!(r#"{{"text":"{}"}}"#, "x".repeat(100_000));
        match store.job_submit(vec![NewJob { params, ..new_job() }]).await {
            Ok(submitted) => accepted.push(submitted[0].id()),
            Err(error) => break error,
        }
        assert!(accepted.len() < 100, "3 MiB cannot hold 10 MB");
    };
    assert!(!accepted.is_empty());
    assert!(error.is_transient(), "{error:?}");
    assert!(error.to_string().contains("disk"), "{error}");
    for id in &accepted {
        assert_eq!(
            store.job_get(*id).await.unwrap().expect("an accepted job has a row").state,
            State::Pending
        );
    }
    let page = store.job_list(&Filter { limit: 1000, ..Filter::default() }).await.unwrap();
    assert_eq!(page.jobs.len(), accepted.len(), "the refused one left nothing");
    assert_eq!(store.job_get(accepted[0]).await.unwrap().unwrap().params.len(), 100_011);
}

pub(crate) fn sqlite(path: &Path, statement: &str) -> String {
    let output = Command::new("sqlite3")
        .arg(path)
        .arg(statement)
        .output()
        .expect("the tests need sqlite3: apt-get install sqlite3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
