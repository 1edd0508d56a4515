//! The environment of a job: what is allowed from the host's, what is set, and what is ours. Nothing
//! else.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use longshore_plugin_api::{
    Error,
    environment::{OURS, USUAL, is_listed},
};

/// A host that was started without one, by a service manager for instance, still finds programs.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What is the same for all jobs.
///
/// # Errors
///
/// `InvalidConfig`, with the pointer of a name that no variable can have, or that is ours.
pub(crate) fn common(
    host: impl Iterator<Item = (OsString, OsString)>,
    allowed: Option<Vec<String>>,
    set: BTreeMap<String, String>,
) -> Result<BTreeMap<OsString, OsString>, Error> {
    for name in set.keys() {
        let refuse = |why: &str| {
            let pointer = format!("/set_env/{}", name.replace('~', "~0").replace('/', "~1"));
            Err(Error::invalid_config(format!("`{name}` cannot be set: {why}")).at(pointer))
        };
        if name.is_empty() || name.contains(['=', '\0']) {
            return refuse("it is no variable's name");
        }
        if name.starts_with(OURS) {
            return refuse("names that start with LONGSHORE_ are the executor's own");
        }
        if set[name].contains('\0') {
            return refuse("its value contains a NUL character");
        }
    }
    let listed = |name: &OsStr| match &allowed {
        Some(own) => is_listed(name, own.iter().map(String::as_str)),
        // Documented at `Config::env`.
        None => is_listed(name, USUAL.iter().copied()),
    };
    let mut variables = BTreeMap::from([("PATH".into(), DEFAULT_PATH.into())]);
    variables.extend(host.filter(|(name, _)| listed(name)));
    variables.extend(set.into_iter().map(|(name, value)| (name.into(), value.into())));
    Ok(variables)
}

/// The names in a list of one's own that the executor itself does not have: it has what its `pass_env`
/// lets through, and no job can have more.
pub(crate) fn missing(has: impl Fn(&str) -> bool, allowed: Option<&[String]>) -> Vec<String> {
    let names = allowed.unwrap_or_default().iter();
    names.filter(|name| !name.ends_with('*') && !has(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(host: &[&str], allowed: Option<&[&str]>, set: &[&str]) -> Vec<String> {
        let pair = |name: &&str| (OsString::from(name), OsString::from("x"));
        let allowed = allowed.map(|list| list.iter().map(|&s| s.to_owned()).collect());
        let set = set.iter().map(|&name| (name.to_owned(), "y".to_owned())).collect();
        let variables = common(host.iter().map(pair), allowed, set).unwrap();
        variables.into_keys().map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn what_is_not_allowed_does_not_reach_a_job() {
        let host = ["HOME", "AWS_SECRET_ACCESS_KEY", "LC_ALL", "PIP_INDEX_URL", "HOMEBREW", "lang"];
        assert_eq!(names(&host, None, &[]), ["HOME", "LC_ALL", "PATH", "PIP_INDEX_URL"]);
    }

    #[test]
    fn a_list_of_ones_own_replaces_the_default() {
        assert_eq!(names(&["HOME", "ACME_A", "ACME"], Some(&["ACME_*"]), &[]), ["ACME_A", "PATH"]);
    }

    #[test]
    fn what_is_named_and_not_there_is_told() {
        let has = |name: &str| name == "HOME";
        let allowed = ["HOME", "ACME_TOKEN", "LC_*"].map(str::to_owned);
        assert_eq!(missing(has, Some(&allowed)), ["ACME_TOKEN"]);
        assert!(missing(has, None).is_empty(), "nobody asked for these by name");
    }

    #[test]
    fn everything_is_not_our_own() {
        assert_eq!(names(&["A", "LONGSHORE_TOKEN"], Some(&["*"]), &["B"]), ["A", "B", "PATH"]);
    }

    #[test]
    fn a_name_that_cannot_be_set_is_refused_with_its_place() {
        for (name, pointer) in
            [("A=B", "/set_env/A=B"), ("LONGSHORE_X", "/set_env/LONGSHORE_X"), ("", "/set_env/")]
        {
            let set = BTreeMap::from([(name.to_owned(), String::new())]);
            let error = common(std::iter::empty(), None, set).unwrap_err();
            assert_eq!(error.pointer.as_deref(), Some(pointer));
        }
    }
}
