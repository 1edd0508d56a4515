//! `[executors.NAME.config]`: what an operator writes, and what it means here.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use longshore_plugin_api::{Error, Host, Seconds, wire::Verb};
use schemars::JsonSchema;
use serde::Deserialize;

/// The executor's settings.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The program and its first arguments. It runs where the configuration file is; a name without a
    /// slash is looked up on `PATH`.
    pub program: Vec<String>,
    /// Whether the program is run for each call, or once for all. Defaults to `once`.
    #[serde(default)]
    pub mode: Mode,
    /// Variables that the program gets beside the host's own. Defaults to none.
    #[serde(default)]
    pub set_env: BTreeMap<String, String>,
    /// Seconds after which an unanswered verb fails, by verb; of `cancel` and `stop` beyond the grace
    /// that they are given. Defaults: `submit` 300, `wait` none, the others a little less than the
    /// host's own patience.
    #[serde(default)]
    pub timeout: BTreeMap<String, f64>,
}

/// How the program is run.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A process for each call: the verb is the last argument, the payload stands on stdin.
    #[default]
    Once,
    /// One process for all calls: each is a line on stdin and a line on stdout.
    Serve,
}

/// The settings, with every default filled in.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    pub(crate) state_dir: PathBuf,
    program: PathBuf,
    arguments: Vec<String>,
    directory: PathBuf,
    variables: BTreeMap<OsString, OsString>,
    timeout: BTreeMap<Name, Duration>,
}

/// A verb's name; `Verb` has no order.
type Name = &'static str;

impl Settings {
    /// # Errors
    ///
    /// `InvalidConfig`, with the pointer of what is wrong.
    pub(crate) fn new(config: Config, host: &Host) -> Result<Self, Error> {
        // Where there is no file (a test, a script) paths are relative to where the process stands.
        let directory = match host.config_dir() {
            Some(directory) => directory.to_owned(),
            None => env::current_dir().map_err(|e| {
                Error::invalid_config(format!("the current directory is gone: {e}"))
            })?,
        };
        let Some(state_dir) = host.state_dir().map(|path| directory.join(path)) else {
            let message = "the host has no directory for this executor to keep anything in";
            return Err(Error::invalid_config(message));
        };
        let mut words = config.program.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        let program =
            program.ok_or_else(|| Error::invalid_config("no program is named").at("/program"))?;
        let arguments: Vec<_> = words.collect();
        if let Some(bad) =
            std::iter::once(&program).chain(&arguments).position(|word| word.contains('\0'))
        {
            let message = "contains a NUL character, which no argument can";
            return Err(Error::invalid_config(message).at(format!("/program/{bad}")));
        }
        // Relative to what the operator sees, not to where the host happens to have been started.
        let program = if program.contains('/') { directory.join(program) } else { program.into() };
        let mut variables = variables(config.set_env)?;
        variables.insert("LONGSHORE_EXECUTOR".into(), host.executor().into());
        variables.insert("LONGSHORE_STATE_DIR".into(), state_dir.clone().into());
        let timeout = timeouts(config.timeout)?;
        let mode = config.mode;
        Ok(Self { mode, state_dir, program, arguments, directory, variables, timeout })
    }

    /// The program, ready to be run.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.directory);
        for (name, _) in env::vars_os() {
            // What the host was told, its token among it, is not for the program.
            if name.as_encoded_bytes().starts_with(OURS.as_bytes()) {
                command.env_remove(name);
            }
        }
        command.envs(&self.variables);
        command
    }

    /// The program's name, for people.
    pub(crate) fn program(&self) -> String {
        let mut words = vec![self.program.display().to_string()];
        words.extend(self.arguments.iter().cloned());
        words.join(" ")
    }

    /// What relative paths are relative to.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// How long a verb may take; of `cancel` and `stop` beyond their grace.
    pub(crate) fn timeout(&self, verb: Verb) -> Option<Duration> {
        self.timeout.get(verb.name()).copied().or_else(|| patience(verb))
    }
}

/// Each a little less than the host's own, so that what hangs is named by whoever can kill it.
fn patience(verb: Verb) -> Option<Duration> {
    let seconds = match verb {
        // As long as the job: the job's own deadline counts.
        Verb::Wait => return None,
        Verb::Submit => 300,
        Verb::Facts | Verb::Locality | Verb::ValidateJob | Verb::Health => 4,
        Verb::Logs | Verb::Cancel => 9,
        // The program's own end comes after it.
        Verb::Stop => 6,
        Verb::CheckRequirements => 25,
        Verb::Start | Verb::Recover | Verb::Forget | Verb::Retain => 55,
    };
    Some(Duration::from_secs(seconds))
}

/// Our own variables; nobody else sets them.
const OURS: &str = "LONGSHORE_";

fn variables(set: BTreeMap<String, String>) -> Result<BTreeMap<OsString, OsString>, Error> {
    for (name, value) in &set {
        let why = if name.is_empty() || name.contains(['=', '\0']) {
            "it is no variable's name"
        } else if name.starts_with(OURS) {
            "names that start with LONGSHORE_ are the host's own"
        } else if value.contains('\0') {
            "its value contains a NUL character"
        } else {
            continue;
        };
        let pointer = format!("/set_env/{}", name.replace('~', "~0").replace('/', "~1"));
        return Err(Error::invalid_config(format!("`{name}` cannot be set: {why}")).at(pointer));
    }
    Ok(set.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
}

fn timeouts(given: BTreeMap<String, f64>) -> Result<BTreeMap<Name, Duration>, Error> {
    let typed = |(name, seconds): (String, f64)| {
        let refuse = |why: &str| Error::invalid_config(why).at(format!("/timeout/{name}"));
        let verb = Verb::parse(&name).ok_or_else(|| {
            let known: Vec<_> = Verb::ALL.iter().map(|verb| verb.name()).collect();
            refuse(&format!("there is no verb `{name}`; there are {}", known.join(", ")))
        })?;
        if seconds.is_finite() && seconds > 0.0 {
            Ok((verb.name(), Seconds(seconds).into()))
        } else {
            Err(refuse("a timeout is a positive number of seconds"))
        }
    };
    given.into_iter().map(typed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_of_a_verb_and_positive() {
        let one = |name: &str, seconds| timeouts([(name.to_owned(), seconds)].into());
        assert_eq!(one("wait", 1.5).unwrap()["wait"], Duration::from_millis(1500));
        for (name, seconds) in [("wiat", 1.0), ("wait", 0.0), ("wait", -1.0), ("wait", f64::NAN)] {
            let error = one(name, seconds).unwrap_err();
            assert_eq!(error.pointer, Some(format!("/timeout/{name}")));
        }
    }

    #[test]
    fn a_variable_of_ours_is_refused_with_its_place() {
        let pointer = |name: &str| {
            variables([(name.to_owned(), String::new())].into()).unwrap_err().pointer.unwrap()
        };
        assert_eq!(pointer("LONGSHORE_STATE_DIR"), "/set_env/LONGSHORE_STATE_DIR");
        assert_eq!(pointer("a/b=c"), "/set_env/a~1b=c");
    }

    #[test]
    fn every_verb_but_wait_has_an_end() {
        for verb in Verb::ALL {
            assert_eq!(patience(*verb).is_none(), *verb == Verb::Wait, "{verb:?}");
        }
    }
}
