//! Who this host is: a seat that it keeps over restarts, and the lock that says that nobody else
//! sits in it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::ReplicaId;

/// A host's seat and this run of it.
#[derive(Debug)]
pub struct Identity {
    /// The seat, kept in the state directory.
    pub id: ReplicaId,
    /// This run.
    pub incarnation: Uuid,
    /// The machine.
    pub machine_id: String,
    /// The machine's name.
    pub hostname: String,
    /// Held for as long as this host lives.
    _lock: File,
}

#[derive(Deserialize, Serialize)]
struct Kept {
    replica: ReplicaId,
    machine_id: String,
}

/// Why a host cannot take its seat.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The state directory or a file in it.
    #[error("cannot {step} `{path}`; `state_dir` must be a directory that this user can write")]
    State {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Another host sits there.
    #[error(
        "another longshore host uses the state directory `{path}`; stop it or give this one its own `state_dir`"
    )]
    Taken {
        /// The directory.
        path: PathBuf,
    },
}

impl Identity {
    /// Takes the seat of `state_dir`, made if it is not there. A seat that was copied to another
    /// machine is left: this one gets a new id.
    ///
    /// # Errors
    ///
    /// The directory is not usable, or another host sits there.
    pub fn take(state_dir: &Path) -> Result<Self, IdentityError> {
        let failed = |step, path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::State { step, path, source }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state_dir)
            .map_err(failed("make", state_dir))?;
        let lock_path = state_dir.join("host.lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(IdentityError::Taken { path: state_dir.to_owned() });
        }
        let machine_id = machine_id();
        let path = state_dir.join("replica.json");
        let kept = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        let id = match kept.filter(|kept| kept.machine_id == machine_id) {
            Some(kept) => kept.replica,
            None => {
                let id = ReplicaId(Uuid::now_v7());
                let kept = Kept { replica: id, machine_id: machine_id.clone() };
                keep(&path, &kept).map_err(failed("write", &path))?;
                id
            }
        };
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Self { id, incarnation: Uuid::new_v4(), machine_id, hostname, _lock: lock })
    }

    /// What this host calls its own place: where host-scope work of its executors is.
    #[must_use]
    pub fn here(&self) -> String {
        format!("host:{}:{}", self.machine_id, self.id)
    }
}

fn keep(path: &Path, kept: &Kept) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(serde_json::to_string(kept)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(draft, path)
}

/// What makes this machine itself; a container without one is told apart by its name.
fn machine_id() -> String {
    let read = |path| {
        fs::read_to_string(path).ok().map(|id| id.trim().to_owned()).filter(|id| !id.is_empty())
    };
    read("/etc/machine-id")
        .or_else(|| read("/var/lib/dbus/machine-id"))
        .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_kept_and_has_one_host() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let first = Identity::take(&state).unwrap();
        assert!(matches!(Identity::take(&state), Err(IdentityError::Taken { .. })));
        let (id, incarnation) = (first.id, first.incarnation);
        drop(first);
        let again = Identity::take(&state).unwrap();
        assert_eq!(again.id, id);
        assert_ne!(again.incarnation, incarnation);
    }

    #[test]
    fn a_seat_that_was_copied_from_another_machine_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let stranger =
            Kept { replica: ReplicaId(Uuid::now_v7()), machine_id: "another".to_owned() };
        keep(&directory.path().join("replica.json"), &stranger).unwrap();
        assert_ne!(Identity::take(directory.path()).unwrap().id, stranger.replica);
    }
}
