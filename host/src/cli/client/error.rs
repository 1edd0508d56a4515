//! Why a host did not give what was asked for, and the exit code of each reason.

use std::{io, path::PathBuf};

use crate::cli::exit::Exit;

/// Why the host did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The admin token cannot be read.
    #[error(
        "cannot read the host's admin token `{path}`; run as its user, or give a token with --token-file or LONGSHORE_TOKEN"
    )]
    AdminToken {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The certificate that the configuration names.
    #[error("cannot read the host's certificate `{path}`; see `server.tls`")]
    Certificate {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What answers is no host, or one of another age.
    #[error("what answers at {url} is no longshore host: {message}")]
    Foreign {
        /// Where.
        url: String,
        /// What it did.
        message: String,
    },
    /// The host has no admin token yet.
    #[error(
        "no host has started with this configuration yet (there is no `{path}`); start one with `longshore serve`"
    )]
    NoAdminToken {
        /// Where it would be.
        path: PathBuf,
    },
    /// There is no such job, or it is not ours to see.
    #[error("{message}")]
    NotFound {
        /// What the host says.
        message: String,
    },
    /// No token for that host is known here.
    #[error("no token for {url}; give one with --token-file or LONGSHORE_TOKEN")]
    NoToken {
        /// Where.
        url: String,
    },
    /// The host refuses the request.
    #[error("{message}")]
    Refused {
        /// What the host says.
        message: String,
    },
    /// The host has a problem of its own.
    #[error("the host at {url} could not do it: {message}")]
    Troubled {
        /// Where.
        url: String,
        /// What it says.
        message: String,
    },
    /// The host does not accept the token.
    #[error(
        "the host at {url} does not accept the token ({message}); give another with --token-file or LONGSHORE_TOKEN"
    )]
    Unauthorised {
        /// Where.
        url: String,
        /// What it says.
        message: String,
    },
    /// No host answers.
    #[error(
        "no host answers at {url}; start one with `longshore serve`, or name another with --url"
    )]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Its certificate is not believed, or its TLS is too old.
    #[error(
        "no trust in what answers at {url}; add the issuer of its certificate to this system's, or name it in SSL_CERT_FILE"
    )]
    Untrusted {
        /// Where.
        url: String,
        /// What is wrong with it.
        source: io::Error,
    },
}

impl ClientError {
    /// What a script is told.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::AdminToken { .. }
            | Self::Certificate { .. }
            | Self::Foreign { .. }
            | Self::NoAdminToken { .. }
            | Self::NoToken { .. }
            | Self::Unauthorised { .. }
            | Self::Unreachable { .. }
            | Self::Untrusted { .. } => Exit::Unreachable,
            Self::NotFound { .. } => Exit::NotFound,
            Self::Refused { .. } => Exit::Refused,
            Self::Troubled { .. } => Exit::Failure,
        }
    }

    /// Whether the same request may succeed soon: a host that restarts does not answer for a moment.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Troubled { .. })
    }
}
