//! What a wall between the host and a plugin costs: calls, memory, and the time until one is up.

use std::{
    fs,
    time::{Duration, Instant},
};

use longshore::{
    config::PluginIsolation,
    plugin::{HostedExecutor, Standing},
};
use longshore_plugin_api::{Attempt, Context, Ending, Job, Run, Seconds};
use serde_json::value::RawValue;

use crate::{
    Outcome,
    table::Table,
    world::{World, built, library},
};

const TYPES: &str = "[executors.noop.config]\necho = true\n[jobs.noop]\ncommand = [\"noop\"]\n";
const ISOLATIONS: [&str; 2] = ["none", "process"];

/// Calls of a plugin, one after the other, many at once, and with a megabyte each way.
pub(crate) async fn calls(table: &mut Table) -> Outcome {
    let mut each = Vec::new();
    for isolation in ISOLATIONS {
        let world = World::with("noop", isolation, TYPES).await?;
        let open = world.host.worker.executors().get("noop").ok_or("noop is open")?;
        let executor = &open.executor;
        const CALLS: u32 = 50_000;
        let began = Instant::now();
        for _ in 0..CALLS {
            executor.health().await?;
        }
        let alone = began.elapsed() / CALLS;
        let began = Instant::now();
        let many: Vec<_> = (0..64)
            .map(|_| {
                let executor = executor.clone();
                tokio::spawn(async move {
                    for _ in 0..CALLS / 64 {
                        executor.health().await.expect("it is well");
                    }
                })
            })
            .collect();
        for one in many {
            one.await?;
        }
        let rate = f64::from(CALLS) / began.elapsed().as_secs_f64();
        const LARGE: u32 = 200;
        let params = format!("\"{}\"", "x".repeat(1 << 20));
        let began = Instant::now();
        for n in 0..LARGE {
            echo(&**executor, &format!("large-{n}"), &params).await?;
        }
        each.push((isolation, alone, rate, began.elapsed() / LARGE));
        world.close().await;
    }
    let none = &each[0];
    let beside = |ratio: f64| format!("{ratio:.1} times isolation `none`");
    for (isolation, alone, rate, large) in &each {
        let ratio = |this: Duration, that: Duration| {
            let ratio = this.as_secs_f64() / that.as_secs_f64();
            if *isolation == ISOLATIONS[0] { String::new() } else { beside(ratio) }
        };
        let what = format!("one call of a plugin (`health`), isolation `{isolation}`");
        table.row(&what, format!("{:.1} us", alone.as_secs_f64() * 1e6), ratio(*alone, none.1));
        let what = format!("calls of a plugin, 64 at a time, isolation `{isolation}`");
        table.rate(&what, *rate, None);
        let what = format!("1 MiB to a plugin and back, isolation `{isolation}`");
        table.row(&what, format!("{:.2} ms", large.as_secs_f64() * 1e3), ratio(*large, none.3));
    }
    Ok(())
}

async fn echo(executor: &dyn HostedExecutor, tag: &str, params: &str) -> Outcome {
    let job = Job {
        job_id: tag.to_owned(),
        attempt_tag: tag.to_owned(),
        attempt: 1,
        job_type: "noop".to_owned(),
        workspace: "default".to_owned(),
        run: Run::Command(vec!["noop".to_owned()]),
        params: RawValue::from_string(params.to_owned())?,
        timeout: Seconds(60.0),
        stop_grace: Seconds(5.0),
        python: None,
        resources: None,
        transient_errors: Vec::new(),
        context: Context::default(),
        options: None,
    };
    let attempt = Attempt { job_id: tag.to_owned(), attempt_tag: tag.to_owned(), handle: None };
    executor.submit(&job).await?;
    let ended = executor.wait(&attempt).await?;
    if !matches!(ended.ending, Ending::Succeeded { result } if result.get() == params) {
        return Err("the answer is not what was sent".into());
    }
    executor.forget(&attempt).await?;
    Ok(())
}

/// From the file in the directory of a running host to the end of the first job on it.
pub(crate) async fn drop_in(table: &mut Table) -> Outcome {
    let world = World::new("noop", TYPES).await?;
    world.host.start().await?;
    let file = world.plugins().join(library("noop"));
    let mut us = Vec::new();
    for _ in 0..10 {
        fs::remove_file(&file)?;
        stands(&world, Standing::Absent).await?;
        let job = world.submit("noop", "{}", 1).await?;
        let beside = file.with_extension("part");
        fs::copy(built().join(library("noop")), &beside)?;
        let began = Instant::now();
        fs::rename(&beside, &file)?;
        world.done(&job).await?;
        us.push(began.elapsed().as_secs_f64() * 1e6);
    }
    table.spread("from a file dropped in to the end of its first job, `scan_interval` 500 ms", us);
    world.close().await;
    Ok(())
}

/// From the death of a plugin's process until the next one takes jobs, less the wait before it.
pub(crate) async fn restart(table: &mut Table) -> Outcome {
    let fast = "[executors.noop.restart]\nbase_delay = \"1ms\"\nmax_delay = \"1ms\"\n\
                quarantine_after = 1000\n";
    let world = World::new("noop", &format!("{fast}{TYPES}")).await?;
    world.host.start().await?;
    let mut us = Vec::new();
    for _ in 0..20 {
        stands(&world, Standing::Ready).await?;
        let pid = pids(&world)[0];
        let began = Instant::now();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
        while pids(&world).first().is_none_or(|now| *now == pid) {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        us.push(began.elapsed().as_secs_f64() * 1e6);
    }
    table.spread("from the death of a plugin's process to its successor, back-off 1 ms", us);
    world.close().await;
    Ok(())
}

/// What one process that does nothing costs.
pub(crate) async fn memory(table: &mut Table) -> Outcome {
    let world = World::new("noop", TYPES).await?;
    let pid = pids(&world)[0].as_raw_nonzero();
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib = |name: &str| -> Outcome<f64> {
        let line =
            rollup.lines().find(|line| line.starts_with(name)).ok_or("the kernel says it")?;
        Ok(line.split_whitespace().nth(1).ok_or("with a number")?.parse()?)
    };
    table.row(
        "memory of an idle plugin's process (proportional)",
        format!("{:.1} MiB", kib("Pss:")? / 1024.0),
        format!("{:.1} MiB of it its own", kib("Private_Dirty:")? / 1024.0),
    );
    world.close().await;
    Ok(())
}

/// The processes of the executors.
fn pids(world: &World) -> Vec<rustix::process::Pid> {
    let entries = world.host.registry.list();
    let rows = entries.iter().flat_map(|entry| &entry.executors);
    let running = rows
        .filter(|row| row.isolation == PluginIsolation::Process && row.standing == Standing::Ready);
    running
        .filter_map(|row| rustix::process::Pid::from_raw(i32::try_from(row.pid?).ok()?))
        .collect()
}

async fn stands(world: &World, standing: Standing) -> Outcome {
    let open = world.host.worker.executors().get("noop").ok_or("noop is configured")?;
    loop {
        let changed = open.executor.changed();
        if open.executor.standing() == standing {
            return Ok(());
        }
        changed.await;
    }
}
