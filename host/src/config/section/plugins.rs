//! `[plugins]`: where executors come from.

use std::{path::PathBuf, time::Duration};

use crate::config::{
    kind::{Flag, measure::Period, path::FilePath},
    reader::Table,
};

/// `[plugins]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plugins {
    /// The directory with the executors' shared libraries. Defaults to `plugins` beside the file.
    pub dir: PathBuf,
    /// Whether the file names the directory: then it must be there.
    pub dir_named: bool,
    /// The lock file. Defaults to `plugins.lock` beside the file.
    pub lock: PathBuf,
    /// Whether a plugin must stand in the lock file.
    pub require_pins: bool,
    /// Time between two looks at the directory. Defaults to 500 ms.
    pub scan_interval: Duration,
}

impl Plugins {
    /// The plugins of that directory, nothing pinned.
    #[must_use]
    pub fn of(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self {
            lock: PathBuf::new(),
            dir,
            dir_named: true,
            require_pins: false,
            scan_interval: SCAN_INTERVAL,
        }
    }

    pub(in crate::config) fn read(table: &Table<'_>) -> Self {
        let dir = table.key("dir", FilePath).means(
            "Directory with the executors' shared libraries. What is put there, replaced or removed \
             while the host runs is noticed.",
        );
        let lock = table.key("lock", FilePath).means(
            "File with the contents that each plugin may have; `longshore plugin lock` writes it. \
             Pins nothing while it is not there.",
        );
        Self {
            dir: dir.or_described(table.base().join("plugins"), "`\"plugins\"`"),
            dir_named: table.has("dir"),
            lock: lock.or_described(table.base().join("plugins.lock"), "`\"plugins.lock\"`"),
            require_pins: table
                .key("require_pins", Flag)
                .means("Whether a plugin that is not in the lock file is refused.")
                .or(false),
            scan_interval: table
                .key("scan_interval", Period::at_least(Duration::from_millis(10)))
                .means(
                    "Time between two looks at the directory. A file counts once two looks have seen \
                     it unchanged.",
                )
                .or(SCAN_INTERVAL),
        }
    }
}

const SCAN_INTERVAL: Duration = Duration::from_millis(500);
