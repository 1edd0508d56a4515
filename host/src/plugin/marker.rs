//! Who to suspect when the host has died: a file for each executor in its process, written before each
//! call and removed by an end in order. What it holds is in the page cache, which outlives the process;
//! after a death of the whole machine nobody is suspected.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use longshore_plugin_api::wire::Verb;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The file has always this size, so that a write replaces all of it.
const SIZE: usize = 512;

/// The mark of one executor.
#[derive(Debug, Default)]
pub(super) struct Marker {
    path: PathBuf,
    /// Nothing where it could not be made, or is not wanted: then nobody is suspected.
    file: Option<File>,
    mark: Mutex<Mark>,
}

/// What the file says.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Mark {
    /// The machine's boot.
    boot: String,
    /// The host's process, by a name that no other one ever has.
    host: Uuid,
    plugin: String,
    version: String,
    /// How often in a row the host has died with it.
    deaths: u32,
    /// The calls that it has not answered.
    calls: u32,
    /// The call that was made last.
    verb: String,
    job: Option<String>,
}

/// One call under way.
#[derive(Debug)]
pub(super) struct Call<'a>(&'a Marker);

impl Marker {
    /// Marks an executor that is about to be loaded. Answers with what an earlier process has left, if
    /// that died with this executor in it. Blocks.
    pub(super) fn set(
        state_dir: &Path,
        executor: &str,
        plugin: &str,
        version: &str,
    ) -> (Self, Option<String>) {
        let path = state_dir.join("in-process").join(executor.replace('/', "_"));
        let boot = boot();
        // Of this very process: an older version, which ends its jobs.
        let left = read(&path).filter(|left| left.boot == boot && left.host != host());
        let mark = Mark {
            boot,
            host: host(),
            plugin: plugin.to_owned(),
            version: version.to_owned(),
            deaths: left.as_ref().map_or(0, |left| left.deaths + 1),
            calls: 0,
            verb: "load".to_owned(),
            job: None,
        };
        let suspicion = left.map(|left| left.suspicion(mark.deaths));
        let file = match open(&path) {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot write down what runs in this process");
                None
            }
        };
        let this = Self { path, file, mark: Mutex::new(mark) };
        this.change(|_| true);
        (this, suspicion)
    }

    /// A call begins. It is written down before the plugin knows of it.
    pub(super) fn enter(&self, verb: Verb, job: Option<&str>) -> Call<'_> {
        self.change(|mark| {
            mark.calls += 1;
            verb.name().clone_into(&mut mark.verb);
            mark.job = job.map(str::to_owned);
            true
        });
        Call(self)
    }

    /// Its executor has ended in order.
    pub(super) fn remove(&self) {
        let inode = |found: io::Result<fs::Metadata>| found.ok().map(|found| found.ino());
        // Another version may have its own there by now.
        if let Some(file) = &self.file
            && inode(file.metadata()) == inode(fs::metadata(&self.path))
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a mark");
        }
    }

    /// Changes it, and writes it where `change` says so.
    fn change(&self, change: impl FnOnce(&mut Mark) -> bool) {
        let Some(file) = &self.file else { return };
        // Written under the lock: what was called last is what stands there.
        let mut mark = self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        if change(&mut mark)
            && let Err(error) = file.write_all_at(&mark.bytes(), 0)
        {
            tracing::debug!(%error, "a mark is not written");
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        // Those in between change nothing about who is suspected, and are not worth a write.
        self.0.change(|mark| {
            mark.calls = mark.calls.saturating_sub(1);
            mark.calls == 0
        });
    }
}

impl Mark {
    fn bytes(&self) -> [u8; SIZE] {
        let mut bytes = [b' '; SIZE];
        let text = serde_json::to_vec(self).unwrap_or_default();
        // What is too long for it, a name of hundreds of letters, is not read again either.
        let len = text.len().min(SIZE);
        bytes[..len].copy_from_slice(&text[..len]);
        bytes
    }

    fn suspicion(&self, deaths: u32) -> String {
        let Self { plugin, version, calls, verb, job, .. } = self;
        let job = job.as_ref().map_or_else(String::new, |job| format!(" of job {job}"));
        let busy = match calls {
            0 => format!("idle after `{verb}`{job}"),
            1 => format!("busy with `{verb}`{job}"),
            more => format!("busy with {more} calls, the last of them `{verb}`{job}"),
        };
        let times = if deaths > 1 { format!(" ({deaths} times in a row)") } else { String::new() };
        format!(
            "the host ended without a word{times} while plugin `{plugin}` {version} was in its process, \
             {busy}; if it was the plugin that crashed it, set `isolation = \"process\"`"
        )
    }
}

fn read(path: &Path) -> Option<Mark> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    // A file of its own, whoever still has the one that was there.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => OpenOptions::new().create_new(true).write(true).mode(0o600).open(path),
    }
}

fn host() -> Uuid {
    static HOST: OnceLock<Uuid> = OnceLock::new();
    *HOST.get_or_init(Uuid::new_v4)
}

fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As if another process had written it.
    fn by_another(path: &Path) {
        let mark = Mark { host: Uuid::nil(), ..read(path).unwrap() };
        fs::write(path, mark.bytes()).unwrap();
    }

    #[test]
    fn a_mark_of_this_process_accuses_nobody_and_each_removes_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in-process/x");
        let (older, left) = Marker::set(dir.path(), "x", "evil", "1");
        assert_eq!(left, None);
        let (newer, left) = Marker::set(dir.path(), "x", "evil", "2");
        assert_eq!(left, None);
        older.remove();
        assert_eq!(read(&path).unwrap().version, "2");
        newer.remove();
        assert!(!path.exists());
    }

    #[test]
    fn what_another_process_left_names_the_last_call_and_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in-process/x");
        let (mut marker, _) = Marker::set(dir.path(), "x", "evil", "1");
        for deaths in 1..3 {
            // Calls that nobody has come back from.
            std::mem::forget(marker.enter(Verb::Wait, Some("a")));
            std::mem::forget(marker.enter(Verb::Submit, Some("b")));
            by_another(&path);
            let (next, left) = Marker::set(dir.path(), "x", "evil", "1");
            let left = left.unwrap();
            assert!(
                left.contains("busy with 2 calls, the last of them `submit` of job b"),
                "{left}"
            );
            assert_eq!(left.contains("(2 times in a row)"), deaths == 2, "{left}");
            marker = next;
        }
    }

    #[test]
    fn a_mark_of_another_boot_or_of_nothing_accuses_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in-process/x");
        drop(Marker::set(dir.path(), "x", "evil", "1"));
        by_another(&path);
        let old = Mark { boot: "another".to_owned(), ..read(&path).unwrap() };
        fs::write(&path, old.bytes()).unwrap();
        assert_eq!(Marker::set(dir.path(), "x", "evil", "1").1, None);
        fs::write(&path, "{").unwrap();
        assert_eq!(Marker::set(dir.path(), "x", "evil", "1").1, None);
    }
}
