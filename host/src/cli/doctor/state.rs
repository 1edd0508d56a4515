//! The state directory: whose it is, what file system it is on, how much room there is, and how long
//! the disk takes to keep something.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use super::finding::{Finding, fail, failed, ok, warn};
use crate::{
    cli::moment::span,
    clock::Moment,
    config::Config,
    identity::{self, Privacy},
    report::Chain,
    tokens::{admin_token_path, kept_admin_token},
};

const SUBJECT: &str = "state directory";
const MIB: u64 = 1 << 20;
/// Below this `SQLite` may be unable to checkpoint.
const TOO_LITTLE: u64 = 64 * MIB;
const LITTLE: u64 = 1024 * MIB;
/// An SSD takes about a millisecond, a spinning disk about ten.
const SLOW: Duration = Duration::from_millis(30);

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let dir = &config.state_dir;
    let mut findings = Vec::new();
    let there = match fs::metadata(dir) {
        Ok(metadata) if !metadata.is_dir() => {
            return vec![fail(
                SUBJECT,
                format!("`{}` is no directory", dir.display()),
                "set `state_dir`",
            )];
        }
        Ok(_) => {
            findings.push(own(dir));
            findings.extend(seat(dir));
            findings.extend(admin_token(dir));
            dir.clone()
        }
        Err(_) => {
            let there = nearest(dir);
            findings.push(unmade(dir, &there));
            if !there.is_dir() {
                return findings;
            }
            there
        }
    };
    let magic = rustix::fs::statfs(&there).ok().and_then(|fs| u32::try_from(fs.f_type).ok());
    findings.extend(magic.map(|magic| file_system(magic, &there)));
    findings.extend(
        rustix::fs::statvfs(&there)
            .ok()
            .map(|disk| room(disk.f_bavail.saturating_mul(disk.f_frsize))),
    );
    if writable(&there) {
        findings.push(sync(&there, fsync(&there)));
    }
    findings
}

/// As the host looks at it when it starts.
fn own(dir: &Path) -> Finding {
    let shown = dir.display();
    match identity::privacy(dir) {
        Err(error) => failed(SUBJECT, format!("{:#}", Chain(&error))),
        Ok(_) if !writable(dir) => {
            fail(SUBJECT, format!("`{shown}` cannot be written"), format!("`chmod u+rwx {shown}`"))
        }
        Ok(Privacy::Private) => ok(SUBJECT, format!("`{shown}`, private to this user")),
        Ok(Privacy::Readable { mode }) => warn(
            SUBJECT,
            format!("others may look into `{shown}` (mode {mode:o})"),
            format!("`chmod 700 {shown}`"),
        ),
    }
}

fn unmade(dir: &Path, above: &Path) -> Finding {
    let (dir, shown) = (dir.display(), above.display());
    if above.is_dir() && writable(above) {
        return ok(SUBJECT, format!("`{dir}` will be made at the first start"));
    }
    fail(
        SUBJECT,
        format!("`{dir}` is not there and cannot be made in `{shown}`"),
        "make it for this user, or set `state_dir`",
    )
}

fn seat(dir: &Path) -> Option<Finding> {
    const SUBJECT: &str = "identity";
    match identity::seat(dir) {
        Ok(replica) => replica.map(|replica| ok(SUBJECT, format!("this is host {replica}"))),
        Err(error) => Some(failed(SUBJECT, format!("{:#}", Chain(&error)))),
    }
}

fn admin_token(dir: &Path) -> Option<Finding> {
    const SUBJECT: &str = "admin token";
    let user = rustix::process::geteuid().as_raw();
    match kept_admin_token(dir, user) {
        Ok(token) => token.map(|_| {
            let path = admin_token_path(dir);
            ok(SUBJECT, format!("`{}`, private to this user", path.display()))
        }),
        Err(error) => Some(failed(SUBJECT, format!("{:#}", Chain(&error)))),
    }
}

/// Locks and shared memory, which `SQLite` needs, are not what a network file system is good
/// at.
fn file_system(magic: u32, dir: &Path) -> Finding {
    const SUBJECT: &str = "file system";
    // From linux/magic.h and the file systems' own sources.
    let (name, far) = match magic {
        0x6969 => ("NFS", true),
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => ("SMB", true),
        0x00c3_6400 => ("Ceph", true),
        0x0bd0_0bd0 => ("Lustre", true),
        0x5346_414f | 0x6b41_4653 => ("AFS", true),
        0x0102_1997 => ("9p", true),
        0x6573_5546 => ("FUSE", true),
        0x0102_1994 => ("tmpfs", false),
        0x794c_7630 => ("overlay", false),
        _ => return ok(SUBJECT, "a local one"),
    };
    let shown = dir.display();
    match (name, far) {
        ("FUSE", _) => warn(
            SUBJECT,
            format!("`{shown}` is on FUSE, behind which anything may be"),
            "make sure that its locks and its fsync are real, or set `state_dir` to a local disk",
        ),
        (name, true) => fail(
            SUBJECT,
            format!("`{shown}` is on {name}, a network file system, where SQLite can lose data"),
            "set `state_dir` to a directory on a local disk",
        ),
        ("tmpfs", _) => warn(
            SUBJECT,
            format!("`{shown}` is in memory; every job is gone when the machine stops"),
            "set `state_dir` to a directory on a disk",
        ),
        (name, false) => warn(
            SUBJECT,
            format!(
                "`{shown}` is on {name}, most likely a container's own layer, and goes with it"
            ),
            "mount a volume there",
        ),
    }
}

fn room(free: u64) -> Finding {
    const SUBJECT: &str = "disk space";
    let said = format!("{} MiB free", free / MIB);
    let way_out = "make room; while the disk is full, submissions are refused";
    match free {
        0..TOO_LITTLE => fail(SUBJECT, said, way_out),
        TOO_LITTLE..LITTLE => warn(SUBJECT, said, way_out),
        _ => ok(SUBJECT, said),
    }
}

/// How long the disk takes to promise something: the median of a few times.
fn fsync(dir: &Path) -> io::Result<Duration> {
    // It has no name: nothing is left of it, whatever happens.
    let mut file: File = tempfile::tempfile_in(dir)?;
    let mut times = [Duration::ZERO; 9];
    for time in &mut times {
        file.write_all(&[0; 4096])?;
        let begun = Moment::now();
        file.sync_all()?;
        *time = begun.elapsed();
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

fn sync(dir: &Path, took: io::Result<Duration>) -> Finding {
    const SUBJECT: &str = "disk sync";
    match took {
        Ok(time) if time > SLOW => warn(
            SUBJECT,
            format!("{} for each; every commit waits so long", said(time)),
            "use a faster disk, or `database.synchronous = \"normal\"` if a power cut may cost the last jobs",
        ),
        Ok(time) => ok(SUBJECT, format!("{} for each", said(time))),
        Err(error) => failed(SUBJECT, format!("`{}` cannot be written: {error}", dir.display())),
    }
}

fn said(time: Duration) -> String {
    if time < Duration::from_millis(10) { format!("{time:.1?}") } else { span(time) }
}

fn writable(dir: &Path) -> bool {
    use rustix::fs::Access;
    rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// What is there of the path.
fn nearest(dir: &Path) -> PathBuf {
    dir.ancestors().find(|above| above.exists()).unwrap_or_else(|| Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    #[test]
    fn where_sqlite_can_lose_data_is_told_from_where_a_state_goes_with_its_container() {
        let finding = |magic| file_system(magic, Path::new("/state"));
        for (magic, level, word) in [
            (0xef53, Level::Ok, "a local one"),
            (0x6969, Level::Fail, "NFS"),
            (0x517b, Level::Fail, "SMB"),
            (0x0102_1997, Level::Fail, "9p"),
            (0x6573_5546, Level::Warn, "FUSE"),
            (0x0102_1994, Level::Warn, "in memory"),
            (0x794c_7630, Level::Warn, "overlay"),
        ] {
            let finding = finding(magic);
            assert_eq!(finding.level, level, "{finding:?}");
            assert!(format!("{finding:?}").contains(word), "{finding:?}");
        }
    }

    #[test]
    fn a_disk_that_fills_up_is_warned_about_before_it_fails() {
        assert_eq!(room(2048 * MIB).level, Level::Ok);
        assert_eq!(room(500 * MIB).level, Level::Warn);
        assert_eq!(room(10 * MIB).level, Level::Fail);
    }

    #[test]
    fn a_disk_that_is_slow_or_broken_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let finding = |took| sync(dir.path(), took);
        assert_eq!(finding(Ok(Duration::from_millis(1))).level, Level::Ok);
        assert_eq!(finding(Ok(Duration::from_millis(80))).level, Level::Warn);
        assert_eq!(finding(Err(io::ErrorKind::StorageFull.into())).level, Level::Fail);
        fsync(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left of it");
    }
}
