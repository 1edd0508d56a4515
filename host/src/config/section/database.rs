//! `[database]`: where jobs live.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::config::{
    kind::{Kind, Word},
    node::Value,
    reader::{Spot, Table},
};

/// `[database]`.
#[derive(Clone, Debug)]
pub struct Database {
    /// Which database. Defaults to `longshore.db` in the state directory.
    pub url: DatabaseUrl,
    /// When a commit counts as done. Defaults to `Full`.
    pub synchronous: Synchronous,
}

/// A database that this version can use.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DatabaseUrl {
    /// An embedded `SQLite` file; one host per file.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
}

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Synchronous {
    /// When it is on the disk.
    Full,
    /// When it is in the operating system's hands; a power cut may take the last commits back.
    Normal,
}

impl Database {
    pub(in crate::config) fn read(table: &Table<'_>, state_dir: &Path) -> Self {
        let default = DatabaseUrl::Sqlite { path: state_dir.join("longshore.db") };
        let synchronous = Word {
            words: &[("full", Synchronous::Full), ("normal", Synchronous::Normal)],
            later: &[],
        };
        Self {
            url: table
                .key("url", Url)
                .means("The database: `sqlite:` and the path of a file. One host per file.")
                .or_described(default, "`longshore.db` in `state_dir`"),
            synchronous: table
                .key("synchronous", synchronous)
                .means(
                    "`full`: what was acknowledged survives a power cut. `normal`: several times \
                     faster on a disk that syncs slowly; a crash of the host loses nothing, but a \
                     power cut may lose the last moments: a submission that was answered, or an \
                     outcome, so that a finished job runs again.",
                )
                .or(Synchronous::Full),
        }
    }
}

struct Url;

impl Url {
    const LATER: [&str; 4] = ["postgres", "postgresql", "mysql", "mariadb"];
}

impl Kind for Url {
    type Out = DatabaseUrl;

    fn name(&self) -> String {
        "database URL".to_owned()
    }

    fn expected(&self) -> String {
        "a database URL such as \"sqlite:longshore.db\"".to_owned()
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<DatabaseUrl> {
        let Value::Text(url) = value else {
            spot.wrong(&self.expected(), value);
            return None;
        };
        let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if Self::LATER.contains(&scheme) {
            // Without the rest: it may hold a password.
            spot.later(&format!("{scheme}:…"), "use an embedded database: \"sqlite:longshore.db\"");
        } else if scheme != "sqlite" || path.is_empty() || path.contains('\0') {
            spot.wrong(&self.expected(), value);
        } else if path.starts_with(":memory:") {
            spot.wrong_with_hint(
                &self.expected(),
                value,
                "jobs must outlive the host: name a file",
            );
        } else if path.contains('?') {
            spot.wrong_with_hint(
                &self.expected(),
                value,
                "options after `?` are not read: see `database.synchronous`",
            );
        } else {
            return Some(DatabaseUrl::Sqlite { path: spot.base().join(path) });
        }
        None
    }

    fn show(&self, value: &DatabaseUrl) -> Json {
        let DatabaseUrl::Sqlite { path } = value;
        format!("sqlite:{}", path.display()).into()
    }
}
