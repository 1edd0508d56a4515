//! How long one job waits when there is nothing else to do.

use std::time::Duration;

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
