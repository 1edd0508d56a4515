//! The state directory: whose it is, what file system it is on, how much room there is, and how long
//! the disk takes to keep something.

use std::{
    fs::{self, File, Metadata},
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::finding::{Finding, fail, failed, ok, warn};
use crate::{cli::moment::span, clock::Moment, config::Config, tokens::admin_token_path};

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
        Ok(metadata) => {
            findings.push(owner(dir, &metadata));
            findings.extend(admin_token(dir));
            dir.clone()
        }
        Err(_) => {
            let there = nearest(dir);
            findings.push(unmade(dir, &there));
            there
        }
    };
    findings.extend(file_system(&there));
    findings.extend(room(&there));
    findings.extend(fsync(&there));
    findings
}

fn owner(dir: &Path, metadata: &Metadata) -> Finding {
    let shown = dir.display();
    let (mode, user) = (metadata.mode() & 0o777, rustix::process::geteuid().as_raw());
    if metadata.uid() != user {
        let owner = metadata.uid();
        return fail(
            SUBJECT,
            format!("`{shown}` belongs to user {owner}, this is user {user}"),
            "run this and the host as the user to whom it belongs",
        );
    }
    if !writable(dir) {
        return fail(
            SUBJECT,
            format!("`{shown}` cannot be written"),
            format!("`chmod u+rwx {shown}`"),
        );
    }
    match mode & 0o077 {
        0 => ok(SUBJECT, format!("`{shown}`, private to this user")),
        open if open & 0o022 != 0 => fail(
            SUBJECT,
            format!("others may write `{shown}` (mode {mode:o}), where the host loads code from"),
            format!("`chmod 700 {shown}`"),
        ),
        _ => warn(
            SUBJECT,
            format!("others may look into `{shown}` (mode {mode:o})"),
            format!("`chmod 700 {shown}`"),
        ),
    }
}

fn unmade(dir: &Path, above: &Path) -> Finding {
    let (dir, shown) = (dir.display(), above.display());
    if writable(above) {
        return ok(SUBJECT, format!("`{dir}` will be made at the first start"));
    }
    fail(
        SUBJECT,
        format!("`{dir}` is not there, and `{shown}` cannot be written"),
        "make it for this user, or set `state_dir`",
    )
}

fn admin_token(dir: &Path) -> Option<Finding> {
    let path = admin_token_path(dir);
    let mode = fs::metadata(&path).ok()?.mode() & 0o777;
    let path = path.display();
    Some(if mode & 0o077 == 0 {
        ok("admin token", format!("`{path}`, private to this user"))
    } else {
        fail(
            "admin token",
            format!("others can read `{path}` (mode {mode:o})"),
            "delete it, start the host again for a new one, and keep the old one out of use",
        )
    })
}

/// Locks and shared memory, which `SQLite` needs, are not what a network file system is good
/// at.
fn file_system(dir: &Path) -> Option<Finding> {
    const SUBJECT: &str = "file system";
    // From linux/magic.h and the file systems' own sources.
    let (name, far) = match u32::try_from(rustix::fs::statfs(dir).ok()?.f_type).ok()? {
        0x6969 => ("NFS", true),
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => ("SMB", true),
        0x00c3_6400 => ("Ceph", true),
        0x0bd0_0bd0 => ("Lustre", true),
        0x5346_414f | 0x6b41_4653 => ("AFS", true),
        0x0102_1997 => ("9p", true),
        0x6573_5546 => ("FUSE", true),
        0x0102_1994 => ("tmpfs", false),
        0x794c_7630 => ("overlay", false),
        _ => return Some(ok(SUBJECT, "a local one")),
    };
    let shown = dir.display();
    Some(match (name, far) {
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
    })
}

fn room(dir: &Path) -> Option<Finding> {
    const SUBJECT: &str = "disk space";
    let disk = rustix::fs::statvfs(dir).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let said = format!("{} MiB free", free / MIB);
    let way_out = "make room; while the disk is full, submissions are refused";
    Some(match free {
        0..TOO_LITTLE => fail(SUBJECT, said, way_out),
        TOO_LITTLE..LITTLE => warn(SUBJECT, said, way_out),
        _ => ok(SUBJECT, said),
    })
}

/// How long the disk takes to promise something: every commit waits for it.
fn fsync(dir: &Path) -> Option<Finding> {
    const SUBJECT: &str = "disk sync";
    if !writable(dir) {
        return None;
    }
    let measure = || -> std::io::Result<Duration> {
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
    };
    Some(match measure() {
        Ok(time) if time > SLOW => warn(
            SUBJECT,
            format!("{} for each; every commit waits so long", said(time)),
            "use a faster disk, or `database.synchronous = \"normal\"` if a power cut may cost the last jobs",
        ),
        Ok(time) => ok(SUBJECT, format!("{} for each", said(time))),
        Err(error) => failed(SUBJECT, format!("`{}` cannot be written: {error}", dir.display())),
    })
}

fn said(time: Duration) -> String {
    if time < Duration::from_millis(10) { format!("{time:.1?}") } else { span(time) }
}

fn writable(dir: &Path) -> bool {
    use rustix::fs::Access;
    rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// The directory above that is there.
fn nearest(dir: &Path) -> PathBuf {
    dir.ancestors().find(|above| above.is_dir()).unwrap_or_else(|| Path::new("/")).to_owned()
}
