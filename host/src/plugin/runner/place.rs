//! The directory that a runner has for itself, and what is written beside it: which processes are to end
//! before anybody else has it.
//!
//! The kernel kills a runner whose host is killed, and nobody else of its group. The next host does.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};
use serde::{Deserialize, Serialize};

use crate::clock::Moment;

/// How long killed processes are waited for.
const BURIAL: Duration = Duration::from_secs(5);

/// Removed when this is dropped, which blocks.
pub(super) struct Place(PathBuf);

impl Place {
    /// A directory that nothing is in, of whatever an earlier runner left.
    pub(super) fn make(dir: &Path) -> io::Result<Self> {
        remove(dir)?;
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        Ok(Self(dir.to_owned()))
    }

    /// Writes down who has it: the leader of a process group. What is killed before this is written has
    /// not heard of any plugin.
    pub(super) fn give_to(&self, leader: u32) {
        let written = Group::of(leader).map(|group| fs::write(record(&self.0), group.to_json()));
        if let Some(Err(error)) = written {
            tracing::debug!(leader, %error, "what outlives this host will not be found");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::debug!(%error, "the directory of a runner stays");
        }
    }
}

/// Kills what is left of runners that had their directories in this one, and removes it. Blocks, some
/// seconds at most. Only for whoever owns it: what a living host has would be killed, too.
pub(in crate::plugin) fn sweep(dir: &Path) {
    let beside = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    for record in beside.filter(|path| path.extension().is_some_and(|ext| ext == RECORD)) {
        let group = fs::read(&record).ok().and_then(|text| serde_json::from_slice(&text).ok());
        group.iter().for_each(Group::end);
    }
    if let Err(error) = removed(fs::remove_dir_all(dir)) {
        tracing::warn!(path = %dir.display(), %error, "cannot remove what runners left");
    }
}

const RECORD: &str = "group";

fn record(dir: &Path) -> PathBuf {
    let mut beside = dir.as_os_str().to_owned();
    beside.push(format!(".{RECORD}"));
    beside.into()
}

fn remove(dir: &Path) -> io::Result<()> {
    removed(fs::remove_dir_all(dir))?;
    // Last: as long as it is there, somebody looks.
    removed(fs::remove_file(record(dir)))
}

/// Nothing is as good as removed.
fn removed(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
}

/// A process group. As long as anybody is in it, its number is no other's; so it is told from a later one
/// of that number by its leader, or by the session that it was in.
#[derive(Debug, Deserialize, Serialize)]
struct Group {
    /// The boot and the process namespace in which the numbers mean something.
    world: String,
    leader: i32,
    started: u64,
    session: i32,
}

impl Group {
    /// Nothing where the leader has ended already.
    fn of(leader: u32) -> Option<Self> {
        let leader = i32::try_from(leader).ok()?;
        let Stat { started, session, .. } = Stat::of(leader)?;
        Some(Self { world: world(), leader, started, session })
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text are JSON")
    }

    fn end(&self) {
        let Some(leader) = Pid::from_raw(self.leader) else { return };
        let deadline = Moment::now().after(BURIAL);
        loop {
            let members = self.living();
            if members.is_empty() {
                return;
            }
            if deadline.remaining().is_zero() {
                tracing::warn!(?members, "they do not end {BURIAL:?} after they were killed");
                return;
            }
            tracing::warn!(?members, "killing what an earlier host's plugin has left running");
            // The last of them may just have ended.
            let _ = kill_process_group(leader, Signal::KILL);
            members.iter().for_each(|pid| until_ended(*pid, deadline));
        }
    }

    /// The processes of this group; none where its number is another's by now.
    fn living(&self) -> Vec<i32> {
        let is_others = Stat::of(self.leader).is_some_and(|leader| leader.started != self.started);
        if is_others || self.world != world() {
            return Vec::new();
        }
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| Stat::of(*pid).is_some_and(|stat| self.has(&stat))).collect()
    }

    fn has(&self, stat: &Stat) -> bool {
        let Stat { state, group, session, started } = *stat;
        let here = group == self.leader && session == self.session && started >= self.started;
        // Whoever should reap it may be long in coming.
        here && !matches!(state, 'Z' | 'X')
    }
}

fn until_ended(pid: i32, deadline: Moment) {
    let pid = Pid::from_raw(pid).ok_or(Errno::SRCH);
    let Ok(pidfd) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty())) else { return };
    let patience = Timespec::try_from(deadline.remaining()).ok();
    // Whoever asked looks again.
    let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], patience.as_ref());
}

fn world() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), namespace.display())
}

/// Of `/proc/PID/stat`.
struct Stat {
    state: char,
    group: i32,
    session: i32,
    /// In ticks since the boot.
    started: u64,
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before that may hold anything.
        let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::CommandExt as _,
        process::{Child, Command},
    };

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").process_group(0).spawn().unwrap()
    }

    #[test]
    fn only_a_group_that_was_written_down_as_it_is_now_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let runners = dir.path().join("runners");
        let (mut ours, mut other) = (sleeper(), sleeper());
        let place = Place::make(&runners.join("x.1")).unwrap();
        place.give_to(ours.id());
        let changes: [fn(&mut Group); 4] = [
            |group| group.world.push('x'),
            |group| group.started += 1,
            |group| group.started -= 1,
            |group| group.session += 1,
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let mut group = Group::of(other.id()).unwrap();
            change(&mut group);
            fs::write(runners.join(format!("y.{n}.group")), group.to_json()).unwrap();
        }
        fs::write(runners.join("z.1.group"), "{").unwrap();
        sweep(&runners);
        assert!(!runners.exists());
        assert!(ours.try_wait().unwrap().is_some(), "it has ended by now");
        assert!(other.try_wait().unwrap().is_none(), "it is another");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn nothing_stays_of_a_place() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::make(&dir.path().join("x.1")).unwrap();
        place.give_to(std::process::id());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        drop(place);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        sweep(&dir.path().join("none"));
    }
}
