//! Who may talk to the host. There is no open door: a host without configured tokens has one, the
//! admin token that it writes at its first start.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::config::{Config, Role, SecretError, TokenDigest};

/// What the bearer of the admin token is called.
pub const ADMIN: &str = "admin";

/// Somebody who was recognised.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The token's name: in logs and in a job's `creator`.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// Every token that opens a door.
pub struct Tokens {
    known: Vec<(TokenDigest, Caller)>,
}

/// Why the tokens cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A configured token.
    #[error("cannot read the token `{name}`")]
    Configured {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: SecretError,
    },
    /// The admin token.
    #[error(
        "cannot {step} the admin token `{path}`; the state directory must be writable for this user only"
    )]
    Admin {
        /// `read` or `write`.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others can read the admin token.
    #[error(
        "the admin token `{path}` can be read by others (mode {mode:o}); run `chmod 600 {path}`, or delete it for a new one"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Somebody else has written the admin token, and knows it.
    #[error(
        "the admin token `{path}` belongs to user {owner}, this is user {user}; run as the user to whom it belongs, or delete it for a new one"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its owner's id.
        owner: u32,
        /// This process's user.
        user: u32,
    },
}

/// Where the admin token is.
#[must_use]
pub fn admin_token_path(state_dir: &Path) -> PathBuf {
    state_dir.join("admin-token")
}

impl Tokens {
    /// The configured tokens, and the admin token of `state_dir`, drawn at the first start.
    ///
    /// # Errors
    ///
    /// A token cannot be read, or the admin token is open to others.
    pub fn load(config: &Config) -> Result<Self, TokenError> {
        let admin = Caller { name: ADMIN.to_owned(), role: Role::Admin };
        let mut known = vec![(TokenDigest::of(&admin_token(&config.state_dir)?), admin)];
        for token in &config.tokens {
            let digest = token
                .secret
                .digest()
                .map_err(|source| TokenError::Configured { name: token.name.clone(), source })?;
            known.push((digest, Caller { name: token.name.clone(), role: token.role.clone() }));
        }
        Ok(Self { known })
    }

    /// Who that is. Takes the same time for every wrong token.
    #[must_use]
    pub fn authenticate(&self, bearer: &str) -> Option<Caller> {
        let offered = TokenDigest::of(bearer);
        let mut found = None;
        for (digest, caller) in &self.known {
            // Digests, and every byte of them: how much of a guess was right cannot be measured.
            let differing = digest
                .as_bytes()
                .iter()
                .zip(offered.as_bytes())
                .fold(0, |sum, (a, b)| sum | (a ^ b));
            if differing == 0 {
                found = Some(caller);
            }
        }
        found.cloned()
    }
}

impl Caller {
    /// Whether everything is allowed.
    #[must_use]
    pub const fn is_admin(&self) -> bool {
        matches!(self.role, Role::Admin)
    }

    /// Whether it may submit jobs of that type there.
    #[must_use]
    pub fn may_submit(&self, job_type: &str, workspace: &str) -> bool {
        match &self.role {
            Role::Admin => true,
            Role::Submitter { job_types, workspaces } => {
                let allows = |list: &Option<BTreeSet<String>>, name: &str| {
                    list.as_ref().is_none_or(|list| list.contains(name))
                };
                allows(job_types, job_type) && allows(workspaces, workspace)
            }
        }
    }
}

/// Reads the admin token, or draws it: 32 random bytes in hexadecimal.
fn admin_token(state_dir: &Path) -> Result<String, TokenError> {
    match kept_admin_token(state_dir, rustix::process::geteuid().as_raw())? {
        Some(token) => Ok(token),
        None => {
            let path = admin_token_path(state_dir);
            draw(&path).map_err(|source| TokenError::Admin { step: "write", path, source })
        }
    }
}

/// The admin token, if there is one. It must be a secret of that user's own: what somebody else wrote
/// or can read opens the door to them.
pub(crate) fn kept_admin_token(state_dir: &Path, user: u32) -> Result<Option<String>, TokenError> {
    let path = admin_token_path(state_dir);
    let read = || -> io::Result<_> {
        let mut file = File::open(&path)?;
        // Of the open file: the name could be another's by now.
        let metadata = file.metadata()?;
        let mut token = String::new();
        file.read_to_string(&mut token)?;
        Ok((token.trim().to_owned(), metadata))
    };
    let (token, metadata) = match read() {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(TokenError::Admin { step: "read", path, source }),
    };
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o777);
    if owner != user {
        return Err(TokenError::Foreign { path, owner, user });
    }
    if mode & 0o077 != 0 {
        return Err(TokenError::Exposed { path, mode });
    }
    if token.len() < 32 {
        let short = "too short; delete it for a new one";
        let source = io::Error::new(io::ErrorKind::InvalidData, short);
        return Err(TokenError::Admin { step: "read", path, source });
    }
    Ok(Some(token))
}

fn draw(path: &Path) -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // Under another name first: a reader never sees half a token.
    let draft = path.with_extension("draft");
    let _ = fs::remove_file(&draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(token.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    Ok(token)
}

/// Names no token.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.known.iter().map(|(_, caller)| &caller.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_admin_token_is_drawn_once_and_is_its_users_own_secret() {
        let directory = tempfile::tempdir().unwrap();
        let (state, user) = (directory.path(), rustix::process::geteuid().as_raw());
        let path = admin_token_path(state);
        assert!(kept_admin_token(state, user).unwrap().is_none());
        let token = admin_token(state).unwrap();
        assert_eq!((token.len(), admin_token(state).unwrap()), (64, token));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let refused = kept_admin_token(state, user + 1).unwrap_err();
        assert!(matches!(refused, TokenError::Foreign { owner, .. } if owner == user), "{refused}");
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = admin_token(state).unwrap_err();
            assert!(matches!(refused, TokenError::Exposed { .. }), "{mode:o}: {refused}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        let refused = admin_token(state).unwrap_err();
        assert!(matches!(refused, TokenError::Admin { step: "read", .. }), "{refused}");
    }
}
