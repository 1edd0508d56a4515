//! What a runner knows of the host's environment. Secrets in it are not for plugins.

use std::ffi::OsString;

use longshore_plugin_api::environment::{USUAL, is_listed};

/// What else is passed on: whether a crash has a backtrace is the operator's to say.
const MORE: &str = "RUST_BACKTRACE";

/// The variables of a runner: the usual ones and those of `pass`, which are names, or starts of names
/// with a `*` behind.
pub(in crate::plugin) fn environment(pass: &[String]) -> Vec<(OsString, OsString)> {
    of(std::env::vars_os(), pass)
}

fn of(
    all: impl Iterator<Item = (OsString, OsString)>,
    pass: &[String],
) -> Vec<(OsString, OsString)> {
    let listed = || USUAL.iter().copied().chain([MORE]).chain(pass.iter().map(String::as_str));
    all.filter(|(name, _)| is_listed(name, listed())).collect()
}

#[cfg(test)]
mod tests {
    use longshore_plugin_api::environment::OURS;

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
