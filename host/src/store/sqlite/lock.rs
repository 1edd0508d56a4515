//! SQLite serves one host: the second is refused by name, before it touches the file.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
};

use rustix::fs::FlockOperation;

use crate::store::StoreError;

/// Takes the lock beside a database file. It is the kernel's, so that a host that dies in any way
/// gives it back.
pub(super) fn take(database: &Path) -> Result<File, StoreError> {
    let path = database.with_extension("lock");
    let failed = |source| StoreError::Lock { path: path.clone(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        let holder = Some(holder.trim().to_owned()).filter(|pid| !pid.is_empty());
        return Err(StoreError::InUse { path: database.to_owned(), holder });
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}
