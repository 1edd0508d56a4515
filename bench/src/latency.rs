//! How long one job waits when there is nothing else to do, and what one call to a plugin costs.

use std::time::{Duration, Instant};

use longshore::clock::wall_us;

use crate::{Outcome, table::Table, world::World};

/// From the call of `submit` to the executor's, at random moments.
pub(crate) async fn pick_up(table: &mut Table) -> Outcome {
    let world = World::new("noop", "[jobs.noop]\ncommand = [\"noop\"]\n").await?;
    world.host.start().await?;
    let (mut us, mut seed) = (Vec::new(), 7_u64);
    for _ in 0..500 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        tokio::time::sleep(Duration::from_micros(1000 + (seed >> 33) % 9000)).await;
        let began = wall_us();
        let id = world.submit("noop", r#"{"clock":true}"#, 1).await?[0];
        let result = loop {
            let job = world.host.store.job_get(id).await?.ok_or("the job has no row")?;
            match job.result {
                Some(result) => break result,
                None => tokio::time::sleep(Duration::from_micros(200)).await,
            }
        };
        us.push((result.parse::<i64>()? - began) as f64);
    }
    table.spread("submit to start, idle, every commit durable", us);
    world.close().await;
    Ok(())
}

/// One call through the ABI: JSON, a future, the plugin's answer.
pub(crate) async fn calls(table: &mut Table) -> Outcome {
    let world = World::new("noop", "[jobs.noop]\ncommand = [\"noop\"]\n").await?;
    let open = world.host.worker.executors().get("noop").ok_or("noop is open")?;
    const CALLS: u32 = 200_000;
    let began = Instant::now();
    for _ in 0..CALLS {
        open.executor.health().await?;
    }
    let each = began.elapsed() / CALLS;
    table.row(
        "one call through the plugin ABI (`health`)",
        format!("{} ns", each.as_nanos()),
        "in-process".to_owned(),
    );
    world.close().await;
    Ok(())
}
