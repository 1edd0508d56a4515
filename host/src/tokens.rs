//! Who may talk to the host. There is no open door: a host without configured tokens has one, the
//! admin token that it writes at its first start.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
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
    let path = admin_token_path(state_dir);
    let failed = |step| {
        let path = path.clone();
        move |source| TokenError::Admin { step, path, source }
    };
    match fs::metadata(&path) {
        Ok(metadata) => {
            let mode = std::os::unix::fs::MetadataExt::mode(&metadata) & 0o777;
            if mode & 0o077 != 0 {
                return Err(TokenError::Exposed { path, mode });
            }
            let token = fs::read_to_string(&path).map_err(failed("read"))?.trim().to_owned();
            if token.len() < 32 {
                let short = io::Error::new(
                    io::ErrorKind::InvalidData,
                    "too short; delete it for a new one",
                );
                return Err(failed("read")(short));
            }
            Ok(token)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes)
                .map_err(|error| failed("write")(io::Error::other(error)))?;
            let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            // Under another name first: a reader never sees half a token.
            let draft = path.with_extension("draft");
            let _ = fs::remove_file(&draft);
            let write = || -> io::Result<()> {
                let mut file =
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
                file.write_all(token.as_bytes())?;
                file.sync_all()?;
                fs::rename(&draft, &path)
            };
            write().map_err(failed("write"))?;
            Ok(token)
        }
        Err(error) => Err(failed("read")(error)),
    }
}

/// Names no token.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.known.iter().map(|(_, caller)| &caller.name)).finish()
    }
}
