//! Says far more than anybody can keep.

use std::io::Write as _;

use longshore_plugin_api::{Host, Progress};

use crate::mode::Flood;

/// Far more output than a pipe, a log or a host may hold.
const OUTPUT: usize = 64 << 20;
const BLOCK: usize = 64 << 10;
/// Log records, and reports of progress.
const RECORDS: u32 = 200_000;

/// Answers when all is said.
pub(crate) async fn act(flood: Flood, host: &Host, tag: Option<&str>) {
    let (host, tag) = (host.clone(), tag.unwrap_or("nobody").to_owned());
    // A pipe that is full blocks whoever writes: not a thread that answers calls.
    let flooded = tokio::task::spawn_blocking(move || match flood {
        Flood::Stdout => {
            print("evil evil evil evil evil evil evil evil evil evil evil evil evil\n")
        }
        Flood::Line => print("evil "),
        Flood::Log => (0..RECORDS).for_each(|n| tracing::info!(n, "{}", "evil ".repeat(100))),
        Flood::Progress => (0..RECORDS).for_each(|n| {
            let message = Some(Some(format!("{n}: {}", "evil ".repeat(100))));
            host.progress(&tag, &Progress { message, ..Progress::default() });
        }),
    });
    let _ = flooded.await;
}

/// To both: a runner gives both the same pipe.
fn print(words: &str) {
    let block = words.repeat(BLOCK / words.len());
    for n in 0..OUTPUT / block.len() {
        // Nobody reads any more: then nobody is flooded.
        let _ = if n % 2 == 0 {
            std::io::stdout().write_all(block.as_bytes())
        } else {
            std::io::stderr().write_all(block.as_bytes())
        };
    }
}
