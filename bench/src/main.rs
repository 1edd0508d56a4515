//! `cargo xtask bench`: what the host does in a second, beside what this machine could do at best,
//! measured in the same run. Ratios travel between machines, absolute numbers do not.

#![expect(clippy::print_stdout, reason = "a table is its answer")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

mod latency;
mod limits;
mod noop;
mod plugin;
mod spawn;
mod table;
mod world;

use table::Table;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut table = Table::new();
    runtime.block_on(async {
        limits::disk(&mut table)?;
        if wanted("noop") {
            let limit = limits::bare_sql(&mut table)?;
            noop::jobs(&mut table, "process", limit).await?;
            noop::jobs(&mut table, "none", limit).await?;
            noop::submissions(&mut table).await?;
        }
        if wanted("latency") {
            latency::pick_up(&mut table).await?;
        }
        if wanted("plugin") {
            plugin::calls(&mut table).await?;
            plugin::drop_in(&mut table).await?;
            plugin::restart(&mut table).await?;
            plugin::memory(&mut table).await?;
        }
        if wanted("local") {
            spawn::local(&mut table).await?;
        }
        Outcome::Ok(())
    })?;
    runtime.shutdown_background();
    table.print();
    Ok(())
}
