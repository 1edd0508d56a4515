//! `[[tokens]]`: who may talk to the host.

use std::collections::BTreeSet;

use crate::config::{
    kind::{
        List, Word,
        form::{NAME, TEXT},
        path::FilePath,
    },
    reader::Table,
    secret::{DIGEST, SecretSource, TokenSecret},
};

/// `[[tokens]]`.
#[derive(Clone, Debug)]
pub struct Token {
    /// What the token is called in logs and in a job's `creator`.
    pub name: String,
    /// How it is recognised.
    pub secret: TokenSecret,
    /// What its bearer may do.
    pub role: Role,
    /// Which `[[tokens]]` it is, from 0.
    pub(in crate::config) index: usize,
}

/// What the bearer of a token may do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Submit jobs, and see and cancel its own.
    Submitter {
        /// The job types it may submit; absent means all.
        job_types: Option<BTreeSet<String>>,
        /// The workspaces it may act in; absent means all.
        workspaces: Option<BTreeSet<String>>,
    },
}

#[derive(Clone, Copy, PartialEq)]
enum RoleName {
    Admin,
    Submitter,
}

impl Token {
    pub(in crate::config) fn read(table: &Table<'_>, index: usize) -> Option<Self> {
        table.later(&["grants"]);
        let role = Word {
            words: &[("admin", RoleName::Admin), ("submitter", RoleName::Submitter)],
            later: &[],
        };
        let name = table
            .key("name", NAME)
            .means("What the token is called in logs and as the creator of jobs. Unique.")
            .required();
        let role = table
            .key("role", role)
            .means("`admin`: everything. `submitter`: submit jobs, and see and cancel its own.")
            .required();
        let digest = table
            .key("sha256", DIGEST)
            .means("The SHA-256 of the token, in hexadecimal (`printf %s \"$TOKEN\" | sha256sum`).")
            .optional_or("one of these three");
        let file = table
            .key("file", FilePath)
            .means("A file that holds the token.")
            .optional_or("one of these three");
        let env = table
            .key("env", TEXT)
            .means("An environment variable that holds the token.")
            .optional_or("one of these three");
        let job_types = table
            .key("job_types", List::some(NAME))
            .means("The job types that a submitter may submit.")
            .optional_or("all");
        let workspaces = table
            .key("workspaces", List::some(TEXT))
            .means("The workspaces that a submitter may act in.")
            .optional_or("all");

        let sources = ["sha256", "file", "env"].map(|name| table.has(name));
        match sources.iter().filter(|written| **written).count() {
            0 => table.conflict(None, "a token needs one of `sha256`, `file` and `env`"),
            1 => {}
            _ => table.conflict(None, "a token has one of `sha256`, `file` and `env`, not several"),
        }
        if role == Some(RoleName::Admin) {
            for limit in ["job_types", "workspaces"] {
                if table.has(limit) {
                    table.conflict(
                        Some(limit),
                        format!("`{limit}` limits a submitter; an admin may do everything"),
                    );
                }
            }
        }
        let secret = match (digest, file, env) {
            (Some(digest), ..) => Some(TokenSecret::Digest(digest)),
            (_, Some(path), _) => Some(TokenSecret::Source(SecretSource::File(path))),
            (.., env) => env.map(|name| TokenSecret::Source(SecretSource::Environment(name))),
        };
        let role = match role? {
            RoleName::Admin => Role::Admin,
            RoleName::Submitter => Role::Submitter {
                job_types: job_types.map(BTreeSet::from_iter),
                workspaces: workspaces.map(BTreeSet::from_iter),
            },
        };
        Some(Self { name: name?, secret: secret?, role, index })
    }
}
