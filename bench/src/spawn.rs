//! The `local` executor beside the machine's own rate of starting processes.

use std::{process::Command, time::Instant};

use crate::{Outcome, table::Table, world::World};

const JOBS: usize = 3000;

pub(crate) async fn local(table: &mut Table) -> Outcome {
    let raw = raw();
    table.rate("/bin/true, spawned and waited for, 4 threads", raw, None);
    let jobs = "[jobs.nothing]\ncommand = [\"/bin/true\"]\nmax_workers = 16\n";
    let world = World::new("local", jobs).await?;
    let jobs = world.submit("nothing", "{}", JOBS).await?;
    let began = Instant::now();
    world.host.start().await?;
    world.done(&jobs[JOBS - 20..]).await?;
    let rate = JOBS as f64 / began.elapsed().as_secs_f64();
    table.rate(
        "`local` jobs of /bin/true, keeper and all",
        rate,
        Some(("the raw spawn rate", raw)),
    );
    world.close().await;
    Ok(())
}

fn raw() -> f64 {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..JOBS / 4 {
                    Command::new("/bin/true").status().expect("/bin/true runs");
                }
            });
        }
    });
    JOBS as f64 / began.elapsed().as_secs_f64()
}
