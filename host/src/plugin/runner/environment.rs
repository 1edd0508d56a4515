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
    std::env::vars_os().filter(|(name, _)| is_passed(name, pass)).collect()
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

    #[test]
    fn a_runner_gets_what_is_usual_and_what_it_is_to_get() {
        let pass = ["ACME_*".to_owned(), "TOKEN".to_owned(), "*".to_owned()];
        let passed = |name: &str, pass| is_passed(OsStr::new(name), pass);
        for (name, usual) in [
            ("HOME", true),
            ("LC_ALL", true),
            ("ACME_KEY", false),
            ("TOKEN", false),
            ("TOKENS", false),
        ] {
            assert_eq!(passed(name, &[]), usual, "{name}");
        }
        assert!(passed("ACME_KEY", &pass[..2]) && passed("TOKEN", &pass[..2]));
        assert!(!passed("TOKENS", &pass[..2]) && passed("TOKENS", &pass));
        assert!(!passed("LONGSHORE_TOKEN", &pass), "whatever is asked for");
        let own = |name: &str, pass| environment(pass).iter().any(|(own, _)| own == name);
        assert!(own("PATH", &[]));
        assert!(!own("CARGO_MANIFEST_DIR", &[]) && own("CARGO_MANIFEST_DIR", &pass[2..]));
    }
}
