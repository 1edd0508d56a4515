//! What a runner knows of the host's environment. Secrets in it are not for plugins.

use std::ffi::{OsStr, OsString};

/// What is passed on by default: as to the jobs of `local`, which take theirs from here.
const ALLOWED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TZ",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "PIP_*",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "RUST_BACKTRACE",
];

/// The host's own, among them its tokens. Nobody gets them.
const OURS: &str = "LONGSHORE_";

/// The variables of a runner: the usual ones and those of `pass`, which are names, or starts of names
/// with a `*` behind.
pub(in crate::plugin) fn environment(pass: &[String]) -> Vec<(OsString, OsString)> {
    of(std::env::vars_os(), pass)
}

fn of(
    all: impl Iterator<Item = (OsString, OsString)>,
    pass: &[String],
) -> Vec<(OsString, OsString)> {
    all.filter(|(name, _)| is_passed(name, pass)).collect()
}

fn is_passed(name: &OsStr, pass: &[String]) -> bool {
    let name = name.as_encoded_bytes();
    let passed = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start.as_bytes()),
        None => name == pattern.as_bytes(),
    };
    !name.starts_with(OURS.as_bytes())
        && (ALLOWED.iter().any(|pattern| passed(pattern)) || pass.iter().any(|p| passed(p)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pass: &[&str]) -> Vec<String> {
        let all = ["HOME", "LC_ALL", "ACME_KEY", "TOKEN", "TOKENS", "LONGSHORE_TOKEN"];
        let pass: Vec<_> = pass.iter().map(|&pattern| pattern.to_owned()).collect();
        let passed = of(all.into_iter().map(|name| (name.into(), "x".into())), &pass);
        passed.into_iter().map(|(name, _)| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_runner_gets_what_is_usual_and_what_it_is_to_get() {
        assert_eq!(names(&[]), ["HOME", "LC_ALL"]);
        assert_eq!(names(&["ACME_*", "TOKEN"]), ["HOME", "LC_ALL", "ACME_KEY", "TOKEN"]);
        let most = ["HOME", "LC_ALL", "ACME_KEY", "TOKEN", "TOKENS"];
        assert_eq!(names(&["*", "LONGSHORE_TOKEN"]), most, "never our own");
        let own = environment(&["*".to_owned()]);
        assert!(std::env::vars_os().all(|pair| {
            own.contains(&pair) || pair.0.as_encoded_bytes().starts_with(OURS.as_bytes())
        }));
    }
}
