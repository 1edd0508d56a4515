//! What it was, in numbers.

use std::{fmt, path::PathBuf, process::Command, time::Duration};

use rustix::process::Signal;

use super::{killer::Kill, vitals::Vitals};

#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) jobs: usize,
    pub(super) took: Duration,
    pub(super) kills: Vec<Kill>,
    /// What the host has said.
    pub(super) log: String,
    /// Where its database is.
    pub(super) database: PathBuf,
    pub(super) before: Vitals,
    pub(super) after: Vitals,
}

impl Numbers {
    fn by(&self, signal: Signal) -> usize {
        self.kills.iter().filter(|kill| kill.signal == signal).count()
    }

    /// The sum of what the passes of recovery have done of this.
    fn passes(&self, what: &str) -> usize {
        let passes = self.log.lines().filter(|line| line.contains("recovery pass pass=Pass"));
        let field = format!(" {what}: ");
        let counts = passes.filter_map(|line| {
            line.split_once(&field)?
                .1
                .split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse::<usize>()
                .ok()
        });
        counts.sum()
    }

    /// How many of the kills took that long at most, in that part of all.
    fn away(&self, percent: usize) -> Duration {
        let mut all: Vec<_> = self.kills.iter().map(|kill| kill.away).collect();
        all.sort_unstable();
        let at = (all.len() * percent).div_ceil(100).saturating_sub(1);
        all.get(at).copied().unwrap_or_default()
    }

    fn count(&self, which: &str) -> String {
        let query = format!("SELECT count(*) FROM jobs WHERE {which}");
        let output = Command::new("sqlite3")
            .arg("-readonly")
            .arg(self.database.join("longshore.db"))
            .arg(query)
            .output()
            .expect("the tests need sqlite3: apt-get install sqlite3");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deaths = self.log.matches("it is started again in").count();
        let hit: usize = self.kills.iter().map(|kill| kill.jobs).sum();
        let lost = self.log.matches("its runner is gone").count();
        let Vitals { memory: was, database: small, descriptors: had } = &self.before;
        let Vitals { memory: is, database: large, descriptors: has } = &self.after;
        let seconds = self.took.as_secs_f64();
        let mut row = |name: &str, value: String| writeln!(f, "  {name:<34}{value}");
        row(
            "jobs",
            format!("{} in {seconds:.1} s, {:.1}/s", self.jobs, self.jobs as f64 / seconds),
        )?;
        row("runners killed with SIGKILL", self.by(Signal::KILL).to_string())?;
        row("runners killed with SIGSEGV", self.by(Signal::SEGV).to_string())?;
        for executor in ["local", "noop", "evil", "pool"] {
            let its = self.kills.iter().filter(|kill| kill.executor == executor).count();
            row(&format!("  of `{executor}`"), its.to_string())?;
        }
        row("runners that died in all", deaths.to_string())?;
        row("jobs hit by kills", hit.to_string())?;
        row("attempts that lost their runner", lost.to_string())?;
        row("reattached", self.passes("reattached").to_string())?;
        row("requeued", self.passes("requeued").to_string())?;
        row("jobs that were hit at all", self.count("recovery_count > 0"))?;
        row("jobs that ran alone", self.count("recovery_count >= 2"))?;
        row("jobs that were hit alone", self.count("solo_count > 0"))?;
        row("jobs that ended otherwise", self.count("state <> 'SUCCEEDED'"))?;
        row("kill to ready, p50", format!("{:.0?}", self.away(50)))?;
        row("kill to ready, p99", format!("{:.0?}", self.away(99)))?;
        row("memory of the host", format!("{was} KiB, then {is} KiB"))?;
        row("its database", format!("{small} KiB, then {large} KiB"))?;
        row("descriptors of the host", format!("{}, then {}", had.len(), has.len()))
    }
}
