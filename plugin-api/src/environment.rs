//! Which variables of an environment are handed on: by a host to the process of a plugin, and by an
//! executor to the processes of jobs. One list for both, since nobody can hand on what was not handed
//! to him.

use std::ffi::OsStr;

/// What is handed on where nobody says otherwise: what programs need to be found and to speak, and what
/// pip needs to reach an index.
pub const USUAL: &[&str] = &[
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
];

/// How Longshore's own variables begin, among them the host's tokens. Nobody hands them on.
pub const OURS: &str = "LONGSHORE_";

/// Whether a variable is in a list of names, or of starts of names with a `*` behind. Our own never are.
#[must_use]
pub fn is_listed<'p>(name: &OsStr, patterns: impl IntoIterator<Item = &'p str>) -> bool {
    let name = name.as_encoded_bytes();
    let listed = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start.as_bytes()),
        None => name == pattern.as_bytes(),
    };
    !name.starts_with(OURS.as_bytes()) && patterns.into_iter().any(listed)
}
