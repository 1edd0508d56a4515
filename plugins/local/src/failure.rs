//! From what the system says to what the host does about it.

use std::{io, path::Path};

use longshore_plugin_api::Error;

/// Nothing was started, because this could not be done with that file.
pub(crate) fn not_started(step: &str, path: &Path, error: &io::Error) -> Error {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    let path = path.display();
    if matches!(error.kind(), StorageFull | QuotaExceeded) {
        let room = "make room there or name another `cache_dir`";
        return Error::exhausted(format!("cannot {step} `{path}`: {error} (hint: {room})"));
    }
    // EMFILE, ENFILE and ENOMEM have no kinds of their own.
    if matches!(error.raw_os_error(), Some(24 | 23 | 12)) {
        return Error::exhausted(format!("cannot {step} `{path}`: {error}"));
    }
    Error::unavailable(format!("cannot {step} `{path}`: {error}"))
}
