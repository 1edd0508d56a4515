//! `[executors.NAME.config]`: what an operator writes, and what it means here.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use longshore_plugin_api::{Error, Host};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::environment;

/// The executor's settings.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where attempts and Python environments are kept: on a local disk that may run programs, private
    /// to this user. Defaults to the executor's own directory in the host's `state_dir`.
    pub cache_dir: Option<PathBuf>,
    /// The Python interpreter of functions, 3.9 or newer: a path, or a name on `PATH`. Defaults to
    /// `python3`.
    pub python: Option<PathBuf>,
    /// Where Python modules are found, before what the interpreter finds by itself. Defaults to
    /// nothing.
    pub pythonpath: Vec<PathBuf>,
    /// What relative paths are relative to: those above, and a command's program with a slash in its
    /// name. Defaults to where the configuration file is.
    pub base_dir: Option<PathBuf>,
    /// The variables of this executor that a job gets; a trailing `*` stands for anything. In a process
    /// of its own the executor has those below, and what its `pass_env` adds. Replaces the default
    /// list: `PATH`, `HOME`, `USER`, `LOGNAME`, `TZ`, `LANG`, `LANGUAGE`, `LC_*`, and what pip needs
    /// to reach an index: `PIP_*`, `SSL_CERT_FILE`, `SSL_CERT_DIR`, `REQUESTS_CA_BUNDLE`,
    /// `CURL_CA_BUNDLE`, `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` (also in lower case).
    pub env: Option<Vec<String>>,
    /// Variables that every job gets, whatever the host's are. Defaults to none.
    pub set_env: BTreeMap<String, String>,
}

/// The settings, with every default and every path filled in.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) cache_dir: PathBuf,
    pub(crate) python: PathBuf,
    pub(crate) base_dir: PathBuf,
    pub(crate) pythonpath: Vec<PathBuf>,
    /// What of a job's environment is the same for all.
    pub(crate) variables: BTreeMap<OsString, OsString>,
    /// Variables that jobs are to get and that this executor does not have.
    pub(crate) missing: Vec<String>,
}

impl Settings {
    /// # Errors
    ///
    /// `InvalidConfig`, with the pointer of what is wrong.
    pub(crate) fn new(config: Config, host: &Host) -> Result<Self, Error> {
        // Where there is no file (a test, a script) paths are relative to where the process stands.
        let here = match host.config_dir() {
            Some(directory) => directory.to_owned(),
            None => env::current_dir().map_err(|e| {
                Error::invalid_config(format!("the current directory is gone: {e}"))
            })?,
        };
        let base_dir = here.join(config.base_dir.unwrap_or_default());
        let cache_dir = match (config.cache_dir, host.state_dir()) {
            (Some(directory), _) if !directory.as_os_str().is_empty() => base_dir.join(directory),
            (None, Some(directory)) => directory.to_owned(),
            (Some(_), _) => {
                return Err(
                    Error::invalid_config("expected a directory, got nothing").at("/cache_dir")
                );
            }
            (None, None) => {
                let message = "the host has no directory to keep attempts in; name one here";
                return Err(Error::invalid_config(message).at("/cache_dir"));
            }
        };
        let python = config.python.unwrap_or_else(|| "python3".into());
        if python.as_os_str().is_empty() {
            return Err(Error::invalid_config("expected an interpreter, got nothing").at("/python"));
        }
        let pythonpath = config.pythonpath.iter().map(|path| base_dir.join(path)).collect();
        if let Some(bad) = config.pythonpath.iter().position(|path| has_colon(path)) {
            let message = "a path with `:` in it cannot stand in PYTHONPATH";
            return Err(Error::invalid_config(message).at(format!("/pythonpath/{bad}")));
        }
        let has = |name: &str| env::var_os(name).is_some() || config.set_env.contains_key(name);
        let missing = environment::missing(has, config.env.as_deref());
        let variables = environment::common(env::vars_os(), config.env, config.set_env)?;
        Ok(Self { cache_dir, python, base_dir, pythonpath, variables, missing })
    }

    /// Where attempts are.
    pub(crate) fn attempts(&self) -> PathBuf {
        self.cache_dir.join("attempts")
    }

    /// Where Python environments are.
    pub(crate) fn environments(&self) -> PathBuf {
        self.cache_dir.join("environments")
    }
}

fn has_colon(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().contains(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(config: Config) -> Result<Settings, Error> {
        Settings::new(config, &Host::nowhere())
    }

    #[test]
    fn relative_paths_are_relative_to_the_base() {
        let settings = settings(Config {
            base_dir: Some("/base".into()),
            cache_dir: Some("cache".into()),
            pythonpath: vec!["jobs".into(), "/abs".into()],
            ..Config::default()
        })
        .unwrap();
        assert_eq!(settings.cache_dir, Path::new("/base/cache"));
        assert_eq!(settings.pythonpath, ["/base/jobs", "/abs"].map(PathBuf::from));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        let pointer = |config| settings(config).unwrap_err().pointer.unwrap();
        assert_eq!(pointer(Config::default()), "/cache_dir");
        let cache_dir = Some(PathBuf::new());
        assert_eq!(pointer(Config { cache_dir, ..Config::default() }), "/cache_dir");
        let placed = || Config { cache_dir: Some("/cache".into()), ..Config::default() };
        let python = Some(PathBuf::new());
        assert_eq!(pointer(Config { python, ..placed() }), "/python");
        let pythonpath = vec!["ok".into(), "a:b".into()];
        assert_eq!(pointer(Config { pythonpath, ..placed() }), "/pythonpath/1");
    }
}
