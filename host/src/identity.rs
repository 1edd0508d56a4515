//! Who this host is: a seat that it keeps over restarts, and the lock that says that nobody else
//! sits in it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
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
    /// The state directory is somebody else's, who could put anything there.
    #[error(
        "the state directory `{path}` belongs to user {owner}, this is user {user}; run as the user to whom it belongs, or set `state_dir` to a directory below it, which the host makes its own"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner's id.
        owner: u32,
        /// This process's user.
        user: u32,
    },
    /// Others may write where the host loads code from.
    #[error(
        "others may write the state directory `{path}` (mode {mode:o}), where the host loads code from; `chmod 700 {path}`"
    )]
    Open {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Without its seat a host leaves what it has running to nobody: it must not just take a new one.
    #[error(
        "`{path}` does not say which host this is; restore it, or delete it: the host is a new one then, and what the old one has left running is not taken up again"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why it cannot be understood.
        #[source]
        source: serde_json::Error,
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
    /// The directory is not usable, the seat in it cannot be read, or another host sits there.
    pub fn take(state_dir: &Path) -> Result<Self, IdentityError> {
        let failed = |step, path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::State { step, path, source }
        };
        prepare(state_dir)?;
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
        let path = kept_path(state_dir);
        let id = match kept(state_dir)? {
            Some(kept) if kept.machine_id == machine_id => kept.replica,
            _ => {
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

/// Makes the state directory if it is not there, and sees to it that it is this user's own.
///
/// # Errors
///
/// It cannot be made, or it is open to others; see [`privacy`].
pub fn prepare(state_dir: &Path) -> Result<(), IdentityError> {
    let path = state_dir.to_owned();
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
    made.map_err(|source| IdentityError::State { step: "make", path, source })?;
    if let Privacy::Readable { mode } = privacy(state_dir)? {
        let path = state_dir.display();
        tracing::warn!(
            "others may look into the state directory `{path}` (mode {mode:o}); `chmod 700 {path}`"
        );
    }
    Ok(())
}

/// To whom a state directory is open, besides its owner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Privacy {
    /// Nobody.
    Private,
    /// Others may look into it.
    Readable {
        /// Its mode.
        mode: u32,
    },
}

/// Whether a state directory is this user's own.
///
/// # Errors
///
/// It cannot be looked at, it is somebody else's, or others may write it.
pub fn privacy(state_dir: &Path) -> Result<Privacy, IdentityError> {
    privacy_for(rustix::process::geteuid().as_raw(), state_dir)
}

fn privacy_for(user: u32, state_dir: &Path) -> Result<Privacy, IdentityError> {
    let path = state_dir.to_owned();
    let metadata = match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => metadata,
        looked => {
            let source = looked.err().unwrap_or_else(|| io::ErrorKind::NotADirectory.into());
            return Err(IdentityError::State { step: "use", path, source });
        }
    };
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o777);
    if owner != user {
        return Err(IdentityError::Foreign { path, owner, user });
    }
    match mode & 0o077 {
        0 => Ok(Privacy::Private),
        open if open & 0o022 != 0 => Err(IdentityError::Open { path, mode }),
        _ => Ok(Privacy::Readable { mode }),
    }
}

fn kept_path(state_dir: &Path) -> PathBuf {
    state_dir.join("replica.json")
}

/// The seat, if one has been taken.
///
/// # Errors
///
/// What is kept of it cannot be read.
pub fn seat(state_dir: &Path) -> Result<Option<ReplicaId>, IdentityError> {
    Ok(kept(state_dir)?.map(|kept| kept.replica))
}

fn kept(state_dir: &Path) -> Result<Option<Kept>, IdentityError> {
    let path = kept_path(state_dir);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(IdentityError::State { step: "read", path, source }),
    };
    let kept = serde_json::from_slice(&text);
    kept.map(Some).map_err(|source| IdentityError::Unreadable { path, source })
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
    fn a_state_directory_is_its_users_own() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let with = |mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            privacy(path)
        };
        assert_eq!(with(0o700).unwrap(), Privacy::Private);
        assert_eq!(with(0o755).unwrap(), Privacy::Readable { mode: 0o755 });
        for mode in [0o770, 0o702, 0o777] {
            let refused = with(mode).unwrap_err();
            assert!(matches!(refused, IdentityError::Open { .. }), "{mode:o}: {refused}");
        }
        let user = rustix::process::geteuid().as_raw();
        let refused = privacy_for(user + 1, path).unwrap_err();
        assert!(matches!(refused, IdentityError::Foreign { owner, .. } if owner == user));
        fs::write(path.join("file"), "").unwrap();
        let refused = privacy(&path.join("file")).unwrap_err();
        assert!(matches!(refused, IdentityError::State { step: "use", .. }), "{refused}");
    }

    #[test]
    fn a_seat_that_cannot_be_read_is_not_replaced_by_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path();
        let path = state.join("replica.json");
        for spoilt in ["", "{\"replica\": 1}", "text"] {
            fs::write(&path, spoilt).unwrap();
            let refused = Identity::take(state).unwrap_err();
            assert!(matches!(refused, IdentityError::Unreadable { .. }), "{refused}");
            assert!(refused.to_string().contains("replica.json"), "{refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), spoilt);
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let refused = Identity::take(state).unwrap_err();
        assert!(matches!(refused, IdentityError::State { step: "read", .. }), "{refused}");
        fs::remove_dir(&path).unwrap();
        Identity::take(state).unwrap();
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
