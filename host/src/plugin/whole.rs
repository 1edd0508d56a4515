//! Files that are there whole or not at all, whenever the machine stops.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// Writes a file, or puts it in the place of another: under a name of its own first, to the disk, then
/// by rename. Its directory must be there.
pub(super) fn write(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let dir =
        path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let part = dir.join(format!(".{}-{count}.part", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        sync(dir)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

/// Names, too, are on the disk only once somebody has asked for it.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
