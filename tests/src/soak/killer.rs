//! Kills the processes of executors, and looks how long they are away.

use std::time::Duration;

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use serde_json::Value;

use super::unfinished;
use crate::{
    chance::Chance,
    client::Client,
    history::History,
    wait::{PATIENCE, now, pause},
};

/// How often it is looked at how the executors stand.
const LOOK: Duration = Duration::from_millis(20);
/// A runner heeds the first SIGSEGV of a kind that no code of it has caused by taking its handler away;
/// the second one ends it.
const AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// One executor, as the host shows it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) standing: String,
    pub(super) pid: Option<i32>,
    pub(super) jobs: usize,
}

/// The executors' processes.
pub(super) fn rows(client: &Client) -> Vec<Row> {
    let plugins = client.get("/api/3.0/plugins").json;
    let entries = plugins["plugins"].as_array().into_iter().flatten();
    let rows = entries.filter_map(|entry| entry["executors"].as_array()).flatten();
    rows.map(|row| Row {
        name: text(&row["name"]),
        standing: text(&row["standing"]),
        pid: row["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()),
        jobs: row["jobs"].as_u64().map_or(0, |jobs| usize::try_from(jobs).expect("it is small")),
    })
    .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A kill that is to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    /// When so many jobs have ended, and then after this time.
    ended: usize,
    pause: Duration,
    signal: Signal,
    /// Only one that has jobs, if there is one.
    busy: bool,
    which: u64,
}

/// So many kills, spread over the end of so many jobs.
pub(super) fn plan(kills: usize, jobs: usize, chance: &mut Chance) -> Vec<Planned> {
    // When the last few jobs end there is not much left to hit.
    let part = jobs * 9 / 10 / kills.max(1);
    let mut draw = |below: usize| {
        usize::try_from(chance.below(below as u64)).expect("it is below a number of that type")
    };
    let mut planned = |n: usize| Planned {
        ended: n * part + draw(part),
        pause: Duration::from_millis(draw(100) as u64),
        signal: if draw(2) == 0 { Signal::KILL } else { Signal::SEGV },
        busy: draw(4) > 0,
        which: draw(1 << 20) as u64,
    };
    (0..kills).map(&mut planned).collect()
}

/// One that was done.
#[derive(Clone, Debug)]
pub(super) struct Kill {
    pub(super) executor: String,
    pub(super) signal: Signal,
    pub(super) jobs: usize,
    /// How long it took until the executor was ready again.
    pub(super) away: Duration,
    at: Duration,
    pid: i32,
}

#[derive(Debug)]
pub(super) struct Killer {
    history: History,
    /// Whose executor is not back.
    away: Vec<Kill>,
    done: Vec<Kill>,
}

impl Killer {
    pub(super) fn new(history: History) -> Self {
        // Whatever a job was started by that was dead before its first line.
        history.killed(1);
        Self { history, away: Vec::new(), done: Vec::new() }
    }

    pub(super) fn kills(&self) -> Vec<Kill> {
        self.done.clone()
    }

    /// Does what is planned, and returns when every executor is back; gives up at that time. `ended` says
    /// of the number of unfinished jobs how many have ended.
    pub(super) fn kill(
        &mut self,
        client: &Client,
        plan: Vec<Planned>,
        give_up: Duration,
        ended: impl Fn(usize) -> usize,
    ) {
        for planned in plan {
            while ended(unfinished(client)) < planned.ended {
                assert!(now() < give_up, "too few jobs end to go on: {:?}", rows(client));
                self.look(client);
                pause(LOOK);
            }
            let until = now() + planned.pause;
            while now() < until {
                self.look(client);
                pause(LOOK);
            }
            while !self.try_kill(client, planned) {
                pause(LOOK);
            }
        }
        while !self.away.is_empty() {
            self.look(client);
            pause(LOOK);
        }
    }

    fn try_kill(&mut self, client: &Client, planned: Planned) -> bool {
        let mut rows = self.look(client);
        rows.retain(|row| row.standing == "ready" && row.pid.is_some());
        if planned.busy && rows.iter().any(|row| row.jobs > 0) {
            rows.retain(|row| row.jobs > 0);
        }
        if rows.is_empty() {
            return false;
        }
        let which = usize::try_from(planned.which).expect("it is small") % rows.len();
        let Row { name: executor, pid: Some(pid), jobs, .. } = rows.swap_remove(which) else {
            return false;
        };
        // It may have died by itself meanwhile.
        if !end(pid, planned.signal) {
            return false;
        }
        self.history.killed(pid.unsigned_abs().into());
        let (signal, away, at) = (planned.signal, Duration::ZERO, now());
        self.away.push(Kill { executor, signal, jobs, away, at, pid });
        true
    }

    /// Looks who is back.
    fn look(&mut self, client: &Client) -> Vec<Row> {
        let rows = rows(client);
        let back = |kill: &mut Kill| {
            let mut its = rows.iter().filter(|row| row.name == kill.executor);
            its.any(|row| row.standing == "ready" && row.pid != Some(kill.pid))
        };
        for mut kill in self.away.extract_if(.., back).collect::<Vec<_>>() {
            kill.away = now() - kill.at;
            self.done.push(kill);
        }
        for kill in &self.away {
            assert!(now() - kill.at < PATIENCE, "{} does not come back: {rows:?}", kill.executor);
        }
        rows
    }
}

/// Ends a process by this signal; says whether it was there.
fn end(pid: i32, signal: Signal) -> bool {
    let pid = Pid::from_raw(pid).expect("a process has a number");
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    let mut sent = false;
    loop {
        if pidfd_send_signal(&process, signal).is_err() {
            return sent;
        }
        sent = true;
        let mut ended = [PollFd::new(&process, PollFlags::IN)];
        if poll(&mut ended, Some(&AGAIN)).is_ok_and(|ended| ended > 0) {
            return true;
        }
    }
}
