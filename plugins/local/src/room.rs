//! Whether there is room for another attempt.

use std::{io, path::Path};

use longshore_keeper::SEGMENT_BYTES;
use longshore_plugin_api::Error;
use rustix::fs::{Access, access, statvfs};

use crate::failure::not_started;

/// What an attempt may need beside its parameters: its output, and as much again for its result. One
/// that is started with less fails for a reason that is not its own; one that waits loses nothing.
const RESERVE: u64 = 4 * SEGMENT_BYTES;

/// Checks that an attempt with so many bytes of parameters finds room in the directory.
///
/// # Errors
///
/// `Exhausted` where it does not, `Unavailable` where nothing can be written.
pub(crate) fn check(directory: &Path, params: u64) -> Result<(), Error> {
    access(directory, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| not_started("write to", directory, &error.into()))?;
    let stat = statvfs(directory).map_err(|e| not_started("look at", directory, &e.into()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    // Some file systems do not count files.
    if free < RESERVE.saturating_add(params) || (stat.f_files > 0 && stat.f_ffree == 0) {
        return Err(not_started("write to", directory, &io::ErrorKind::StorageFull.into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use longshore_plugin_api::ErrorKind;

    use super::*;

    #[test]
    fn an_attempt_that_finds_no_room_is_not_started() {
        let directory = tempfile::tempdir().unwrap();
        check(directory.path(), 0).unwrap();
        let error = check(directory.path(), u64::MAX).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Exhausted);
        assert!(error.message.contains("(hint: make room there"), "{error}");
        let error = check(&directory.path().join("none"), 0).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
    }
}
