//! The interpreter of functions.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use longshore_plugin_api::Error;

use crate::{config::Settings, inquiry, program};

/// The oldest interpreter that the package runs on.
const OLDEST: (u32, u32) = (3, 9);

/// How long an interpreter may take to say its version. Generous: the first start after an
/// installation compiles the standard library. Less than the host gives us (30 s), which would only
/// say that we hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the interpreter is; whether it works is another question.
#[derive(Clone, Debug)]
pub(crate) struct Python {
    path: PathBuf,
}

impl Python {
    /// Looks it up, without running it.
    ///
    /// # Errors
    ///
    /// `Unavailable`: there is no such program.
    pub(crate) fn find(settings: &Settings) -> Result<Self, Error> {
        let path = settings.variables.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        match program::find(&settings.python, &settings.base_dir, &path) {
            Ok(path) => Ok(Self { path }),
            Err(not_found) => Err(Error::unavailable(format!(
                "{not_found} (hint: install Python 3.{} or newer, or name an interpreter in `python`)",
                OLDEST.1
            ))),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Asks the interpreter for its version.
    ///
    /// # Errors
    ///
    /// `Unavailable`, naming the interpreter: it does not run, hangs, or is too old.
    pub(crate) async fn check(&self, settings: &Settings) -> Result<(), Error> {
        let shown = self.path.display();
        let unavailable = |what: String| {
            Err(Error::unavailable(format!(
                "the interpreter `{shown}` {what} (hint: name another one in `python`)"
            )))
        };
        let told = match self.ask(settings).await {
            Ok(told) => told,
            Err(what) => return unavailable(what),
        };
        match parse(&told) {
            None => unavailable("does not say its version; is it Python?".to_owned()),
            Some(version) if version < OLDEST => unavailable(format!(
                "is Python {}.{}; {}.{} or newer is needed",
                version.0, version.1, OLDEST.0, OLDEST.1
            )),
            Some(_) => Ok(()),
        }
    }

    async fn ask(&self, settings: &Settings) -> Result<String, String> {
        let mut command = Command::new(&self.path);
        command
            .args(["-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"])
            .env_clear()
            .envs(&settings.variables);
        let asked = inquiry::ask(&mut command, PATIENCE).await;
        let Some(answer) = asked.map_err(|e| format!("cannot be started: {e}"))? else {
            return Err(format!("does not answer within {} s", PATIENCE.as_secs()));
        };
        if answer.status.success() {
            return Ok(answer.stdout);
        }
        let last = answer.stderr.lines().last().unwrap_or("no message");
        Err(format!("does not work ({}): {last}", answer.status))
    }
}

fn parse(told: &str) -> Option<(u32, u32)> {
    let (major, minor) = told.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(parse("3.10\n").unwrap() > OLDEST);
        assert!(parse("3.9").unwrap() >= OLDEST);
        assert!(parse("3.8").unwrap() < OLDEST);
        assert_eq!(parse("Python 3"), None);
        assert_eq!(parse(""), None);
    }
}
