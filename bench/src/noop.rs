//! Jobs that do nothing: what the host itself costs.

use std::time::Instant;

use crate::{
    Outcome,
    table::Table,
    world::{World, params},
};

const JOBS: usize = 100_000;
const TYPES: &str = "[jobs.noop]\ncommand = [\"noop\"]\nmax_workers = 2000\n";

/// Jobs/s from PENDING to SUCCEEDED, history kept.
pub(crate) async fn jobs(table: &mut Table, isolation: &str, limit: f64) -> Outcome {
    let world = World::with("noop", isolation, TYPES).await?;
    let mut jobs = Vec::with_capacity(JOBS);
    for _ in 0..JOBS / 1000 {
        jobs.extend(world.submit("noop", &params(), 1000).await?);
    }
    // The oldest are claimed first: when the last few have ended, all have.
    let last = jobs.split_off(JOBS - 2000);
    let began = Instant::now();
    world.host.start().await?;
    world.done(&last).await?;
    let rate = JOBS as f64 / began.elapsed().as_secs_f64();
    let what = format!("no-op jobs, isolation `{isolation}`, 1 KiB of parameters, rows kept");
    table.rate(&what, rate, Some(("bare SQL", limit)));
    world.close().await;
    Ok(())
}

/// Submissions/s, one at a time by many clients and a thousand at a time by one.
pub(crate) async fn submissions(table: &mut Table) -> Outcome {
    let world = std::sync::Arc::new(World::new("noop", TYPES).await?);
    let began = Instant::now();
    for _ in 0..50 {
        world.submit("noop", &params(), 1000).await?;
    }
    table.rate("submissions, 1000 a call", 50_000.0 / began.elapsed().as_secs_f64(), None);
    let began = Instant::now();
    let clients: Vec<_> = (0..64)
        .map(|_| {
            let world = std::sync::Arc::clone(&world);
            tokio::spawn(async move {
                for _ in 0..200 {
                    world.submit("noop", &params(), 1).await.expect("a submission");
                }
            })
        })
        .collect();
    for client in clients {
        client.await?;
    }
    table.rate(
        "submissions, one a call, 64 clients",
        12_800.0 / began.elapsed().as_secs_f64(),
        None,
    );
    if let Ok(world) = std::sync::Arc::try_unwrap(world) {
        world.close().await;
    }
    Ok(())
}
