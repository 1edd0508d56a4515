//! Who gets which job, when, and how often.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use longshore::{
    job::{Crashes, Fenced, JobId, NewJob},
    lifecycle::State,
    store::{Filter, Schema, Silent, Store, Synchronous, Want},
};

use crate::world::{LEASE, World, canceled_by_ann, ended, new_job, want};

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn eight_claimers_start_each_of_16000_jobs_exactly_once() {
    let world = World::new().await;
    for _ in 0..16 {
        world.store.job_submit((0..1000).map(|_| new_job()).collect()).await.unwrap();
    }
    let claimers = (0..8).map(|_| {
        let world = world.clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = world.claim(23).await;
                assert!(claimed.len() <= 23, "never more than the free slots");
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.into_iter().map(|job| (job.id, job.token)));
            }
        })
    });
    let mut started = HashSet::new();
    let mut tokens = HashSet::new();
    for claimer in claimers.collect::<Vec<_>>() {
        for (id, token) in claimer.await.unwrap() {
            assert!(started.insert(id), "{id} was started twice");
            assert!(tokens.insert(token), "a claim token was drawn twice");
        }
    }
    assert_eq!(started.len(), 16_000);
}

#[tokio::test]
async fn the_order_is_priority_then_due_time_then_age() {
    let world = World::new().await;
    let now = world.store.clock_read().await.unwrap();
    let mut expected = Vec::new();
    for (priority, due) in
        [(3, now - 9_000_000), (1, now - 1_000_000), (2, now - 5_000_000), (1, now - 2_000_000)]
    {
        let job = NewJob { priority, due_at: Some(due), ..new_job() };
        expected.push(((priority, due), job.id));
        world.submit(job).await;
    }
    expected.sort();
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(world.claim_one().await.id);
    }
    assert_eq!(order, expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_type_does_not_hold_up_another() {
    let world = World::new().await;
    world.store.job_submit((0..100).map(|_| new_job()).collect()).await.unwrap();
    let other = world.submit(NewJob { job_type: "count".to_owned(), ..new_job() }).await;
    let wants = vec![want(0), Want { job_type: "count".to_owned(), ..want(1) }];
    let claimed = world.store.job_claim(wants, world.owner, LEASE).await.unwrap().jobs;
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [other]);
}

#[tokio::test]
async fn evidence_counts_until_the_outcome_is_settled_and_the_work_is_proven_gone() {
    let world = World::new().await;
    let mut counts = Vec::new();
    for state in State::ALL {
        let placed = world.in_state(state).await;
        // The canceled one was begun, and nobody has seen it end.
        if [State::Running, State::NeedsRecovery, State::Canceled].contains(&state) {
            counts.push((placed.id, placed.tag, None));
        }
    }
    let by_id =
        |attempts: &mut Vec<_>| attempts.sort_by_key(|(id, _, _): &(JobId, _, Option<String>)| *id);
    let mut alive = world.store.job_alive_attempts("local").await.unwrap();
    by_id(&mut alive);
    by_id(&mut counts);
    assert_eq!(alive, counts);
    assert_eq!(world.store.job_alive_attempts("another").await.unwrap(), []);
}

#[tokio::test]
async fn max_running_counts_what_may_still_be_at_work() {
    let world = World::new().await;
    let canceled = world.begun(new_job()).await;
    let held = world.store.job_cancel(canceled.id, &canceled_by_ann()).await.unwrap();
    assert_eq!(held, Fenced::Held);
    world.store.job_submit((0..5).map(|_| new_job()).collect()).await.unwrap();
    let capped = || vec![Want { max_running: Some(2), ..want(9) }];
    let first = world.store.job_claim(capped(), world.owner, LEASE).await.unwrap().jobs;
    assert_eq!(first.len(), 1, "the canceled one has not been seen to end");
    assert!(world.store.job_claim(capped(), world.owner, LEASE).await.unwrap().jobs.is_empty());
    let gone = world.store.job_work_gone(canceled.id, canceled.token, None).await.unwrap();
    assert_eq!(gone, Fenced::Held);
    assert_eq!(world.store.job_claim(capped(), world.owner, LEASE).await.unwrap().jobs.len(), 1);
}

#[tokio::test]
async fn a_transient_failure_is_not_claimed_before_its_due_time_by_a_fresh_host() {
    let world = World::new().await;
    let placed = world.begun(new_job()).await;
    let held = world
        .store
        .job_retry(placed.id, placed.token, None, Duration::from_secs(3600), 3)
        .await
        .unwrap();
    assert_eq!(held, Fenced::Held);
    let path = world.directory.path().join("longshore.db");
    let (directory, owner) = (std::sync::Arc::clone(&world.directory), world.owner);
    world.store.close().await;
    drop(world);
    // The lock file is given back when the writing task has ended.
    let store = reopened(&path).await;
    let fresh = World { store, owner, directory };
    assert!(fresh.claim(9).await.is_empty(), "nobody may be early, with or without memory");
    let next = fresh.store.job_next_due(&[want(1)]).await.unwrap().expect("it is due some time");
    assert!(next > Duration::from_secs(3500) && next <= Duration::from_secs(3600), "{next:?}");
}

async fn reopened(path: &std::path::Path) -> Store {
    for _ in 0..1000 {
        match Store::open(path, Synchronous::Full, Schema::Verify).await {
            Ok((store, _)) => return store,
            Err(_) => tokio::task::yield_now().await,
        }
    }
    Store::open(path, Synchronous::Full, Schema::Verify).await.unwrap().0
}

#[tokio::test]
async fn an_expired_lease_is_marked_and_a_renewed_one_is_not() {
    let world = World::new().await;
    world.store.job_submit(vec![new_job(), new_job()]).await.unwrap();
    let claimed =
        world.store.job_claim(vec![want(2)], world.owner, Duration::ZERO).await.unwrap().jobs;
    let renewed = &claimed[1];
    let held = world.store.job_renew(&[(renewed.id, renewed.token)], LEASE).await.unwrap();
    assert!(held.contains(&renewed.id));
    let grace = Duration::from_secs(25);
    // SQLite's clock moves in milliseconds.
    while world.store.job_mark_expired(grace).await.unwrap() == 0 {}
    assert_eq!(world.state(claimed[0].id).await, State::NeedsRecovery);
    assert_eq!(world.state(renewed.id).await, State::Running);
}

#[tokio::test]
async fn overdue_is_the_timeout_and_the_larger_of_15_percent_and_the_graces() {
    let world = World::new().await;
    let hurried = NewJob { timeout: Duration::from_millis(1), ..new_job() };
    let placed = world.begun(hurried).await;
    assert_eq!(world.store.job_mark_expired(Duration::from_secs(25)).await.unwrap(), 0);
    while world.store.job_mark_expired(Duration::ZERO).await.unwrap() == 0 {}
    let rows = world.store.job_unresolved(Duration::ZERO, &Silent::default()).await.unwrap();
    assert!(rows[0].id == placed.id && rows[0].overdue, "{rows:?}");
    let rows =
        world.store.job_unresolved(Duration::from_secs(25), &Silent::default()).await.unwrap();
    assert!(!rows[0].overdue, "not within its graces");
}

#[tokio::test]
async fn a_job_that_was_there_at_two_crashes_is_claimed_alone() {
    let world = World::new().await;
    let id = world.submit(new_job()).await;
    for _ in 0..2 {
        let placed = world.claim_one().await;
        world.store.job_begin(id, placed.token, "here", None).await.unwrap();
        let _ = world.store.job_mark(id, placed.token, Duration::ZERO, false).await.unwrap();
        let held = world
            .store
            .job_requeue(id, placed.token, None, Duration::ZERO, Crashes::of(0, 1))
            .await
            .unwrap();
        assert_eq!(held, Fenced::Held);
    }
    world.submit(new_job()).await;
    let claims = world.store.job_claim(vec![want(9)], world.owner, LEASE).await.unwrap();
    assert!(claims.jobs.is_empty(), "neither it nor a neighbour: its executor is emptied first");
    assert_eq!(claims.alone, HashSet::from(["local".to_owned()]));
    let solo = |want| world.store.job_claim_solo("local", vec![want], world.owner, LEASE);
    let full = Want { max_running: Some(0), ..want(9) };
    assert!(solo(full.clone()).await.unwrap().is_none(), "the cap of the fleet holds for it too");
    let claims = world.store.job_claim(vec![full], world.owner, LEASE).await.unwrap();
    assert!(claims.alone.is_empty(), "and meanwhile it keeps no executor to itself");
    let claimed = solo(want(9)).await.unwrap().unwrap();
    assert_eq!((claimed.id, claimed.recovery_count, claimed.attempt), (id, 2, 3));
}

#[tokio::test]
async fn an_idempotency_key_answers_with_the_first_job() {
    let world = World::new().await;
    let keyed = || NewJob { idempotency_key: Some("k".to_owned()), ..new_job() };
    let first = world.submit(keyed()).await;
    let both = world.store.job_submit(vec![keyed(), keyed()]).await.unwrap();
    assert!(both.iter().all(|submitted| submitted.id() == first), "{both:?}");
    let other = world
        .store
        .job_submit(vec![NewJob { creator: "bob".to_owned(), ..keyed() }])
        .await
        .unwrap();
    assert_ne!(other[0].id(), first, "a key belongs to its submitter");
    let different = NewJob { params: r#"{"a":2}"#.to_owned(), ..keyed() };
    let error = world.store.job_submit(vec![new_job(), different]).await.unwrap_err();
    assert!(error.to_string().contains(&first.to_string()), "{error}");
    let page = world.store.job_list(&Filter { limit: 100, ..Filter::default() }).await.unwrap();
    assert_eq!(page.jobs.len(), 2, "a rejected call leaves no row of any of its jobs");
}

#[tokio::test]
async fn a_listing_is_filtered_before_it_is_paged() {
    let world = World::new().await;
    let mut of = BTreeMap::<&str, Vec<_>>::new();
    for n in 0..30 {
        let creator = if n % 3 == 0 { "ann" } else { "bob" };
        let params = format!(r#"{{"n":{n},"even":{},"tags":["x","y"]}}"#, n % 2 == 0);
        let id = world.submit(NewJob { creator: creator.to_owned(), params, ..new_job() }).await;
        of.entry(creator).or_default().push(id);
    }
    let mut filter = Filter { creator: Some("ann".to_owned()), limit: 4, ..Filter::default() };
    let mut seen = Vec::new();
    loop {
        let page = world.store.job_list(&filter).await.unwrap();
        assert!(page.jobs.len() <= 4);
        seen.extend(page.jobs.iter().map(|job| job.id));
        match page.next {
            Some(next) => filter.before = Some(next),
            None => break,
        }
    }
    let mut newest_first = of["ann"].clone();
    newest_first.reverse();
    assert_eq!(seen, newest_first);
    for (name, value, expected) in [
        ("even", serde_json::json!(true), 15),
        ("n", serde_json::json!(7), 1),
        ("n", serde_json::json!("7"), 0),
        ("tags", serde_json::json!(["x", "y"]), 30),
        ("absent", serde_json::json!(null), 0),
    ] {
        let filter = Filter {
            params: vec![(name.to_owned(), value.clone())],
            limit: 100,
            ..Filter::default()
        };
        let page = world.store.job_list(&filter).await.unwrap();
        assert_eq!(page.jobs.len(), expected, "{name} = {value}");
    }
}

#[tokio::test]
async fn states_are_listed_as_asked() {
    let world = World::new().await;
    let placed = world.begun(new_job()).await;
    world.submit(new_job()).await;
    let held = world
        .store
        .job_settle(
            placed.id,
            placed.token,
            None,
            &ended(State::Timeout, longshore::lifecycle::Work::Gone),
        )
        .await
        .unwrap();
    assert_eq!(held, Fenced::Held);
    for (states, expected) in
        [(vec![State::Timeout], 1), (vec![State::Pending, State::Timeout], 2), (vec![], 2)]
    {
        let filter = Filter { states: states.clone(), limit: 9, ..Filter::default() };
        assert_eq!(world.store.job_list(&filter).await.unwrap().jobs.len(), expected, "{states:?}");
    }
}
