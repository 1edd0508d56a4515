//! What only several sections together can get wrong. Each check looks at settings that were read
//! without a mistake, or not at all: one mistake should not be reported as two.

use std::collections::BTreeMap;

use super::{
    Config,
    mistake::{Mistake, Problem},
    section::tokens::Role,
    suggest,
};

/// Beyond loopback, a door needs a lock and a cover.
pub(super) fn open_doors(config: &Config) -> Vec<Mistake> {
    let (record, server) = (&config.record, &config.server);
    if server.listen.ip().is_loopback() {
        return Vec::new();
    }
    let written = |key: &str| record.positions.contains_key(key);
    let refuse = |needs: &str| {
        record.conflict("server.listen", format!("listening on {} needs {needs}", server.listen))
    };
    let mut mistakes = Vec::new();
    if config.tokens.is_empty() && !written("tokens") {
        mistakes.push(refuse("[[tokens]]: the host would be open to everybody who reaches it"));
    }
    if server.tls.is_none() && !written("server.tls") && !server.behind_tls_proxy {
        mistakes.push(refuse(
            "`server.tls`, or `server.behind_tls_proxy = true` where a proxy provides TLS: tokens \
             would travel in the clear",
        ));
    }
    mistakes
}

/// Two tokens of one name could not be told apart in a log, two names of one token not by the host.
pub(super) fn equal_tokens(config: &Config) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut names = BTreeMap::new();
    for token in &config.tokens {
        let index = token.index;
        if token.name == crate::tokens::ADMIN {
            // Its bearer would see and cancel what the admin token has submitted.
            mistakes.push(config.record.conflict(
                &format!("tokens[{index}].name"),
                "token name `admin` belongs to the host's own token in `state_dir`".to_owned(),
            ));
        }
        if let Some(other) = names.insert(token.name.as_str(), index) {
            mistakes.push(config.record.conflict(
                &format!("tokens[{index}].name"),
                format!(
                    "token name `{}` is taken{}",
                    token.name,
                    config.record.line_of(&format!("tokens[{other}].name"))
                ),
            ));
        }
        let twin = config
            .tokens
            .iter()
            .find(|earlier| earlier.index < index && earlier.secret == token.secret);
        if let Some(twin) = twin {
            mistakes.push(config.record.conflict(
                &format!("tokens[{index}]"),
                format!("token `{}` is the same as token `{}`", token.name, twin.name),
            ));
        }
    }
    mistakes
}

/// A submitter's job types exist.
pub(super) fn job_types_of_tokens(config: &Config) -> Vec<Mistake> {
    if config.is_incomplete() {
        return Vec::new();
    }
    let known = config.job_names();
    let mut mistakes = Vec::new();
    for token in &config.tokens {
        let Role::Submitter { job_types: Some(job_types), .. } = &token.role else {
            continue;
        };
        for name in job_types.iter().filter(|name| !known.contains(&name.as_str())) {
            let key = format!("tokens[{}].job_types", token.index);
            let problem = Problem::Value {
                what: format!("`{key}`"),
                expected: "names of configured job types".to_owned(),
                found: format!("{name:?}"),
                suggestion: suggest::closest(name, known.iter().copied()).map(str::to_owned),
            };
            mistakes.push(config.record.mistake(&key, problem));
        }
    }
    mistakes
}
