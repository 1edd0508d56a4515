//! `longshore doctor`: whether everything around the host is as it should be.

mod configuration;
mod database;
mod executors;
mod finding;
mod host;
mod plugins;
mod python;
mod state;

use std::path::Path;

use clap::Args;

use self::finding::{Finding, Level};
use super::{block_on, error::CliError, exit::Exit, logging, output::Output, reach, reach::Reach};
use crate::{
    identity,
    plugin::{Places, Program, Registry},
};

/// Checks everything around the host, and says how to mend it
///
/// The configuration, the state directory and its disk, the database, plugins, executors, Python, the
/// host itself and its clock. Starts nothing and changes nothing. A host that runs is asked how its
/// executors are; while none runs, the executors themselves are asked what they need. Ends with 1 if
/// something fails; a warning is no failure.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore doctor --config /etc/longshore/longshore.toml")]
pub(super) struct Doctor {
    /// Print JSON: a list of `{level, subject, message, way_out}`.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Doctor {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        logging::quiet();
        let mut found = Vec::new();
        let mut say = |findings: Vec<Finding>| -> Result<(), CliError> {
            for finding in findings {
                if !self.json {
                    output.line(finding.line(output.style))?;
                }
                found.push(finding);
            }
            Ok(())
        };
        self.examine(config, &mut say)?;
        let failed = found.iter().any(|finding| finding.level == Level::Fail);
        if self.json {
            output.json(&found)?;
        }
        Ok(if failed { Exit::Failure } else { Exit::Success })
    }

    /// Says each finding as soon as it is made: some take their time.
    fn examine(
        &self,
        path: Option<&Path>,
        say: &mut impl FnMut(Vec<Finding>) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let config = match reach::load(path) {
            Ok(config) => config,
            // Nothing else can be looked for without it.
            Err(error) => return say(vec![configuration::broken(&error)]),
        };
        say(configuration::examine(&config))?;
        say(state::examine(&config))?;
        let (findings, seat) = host::examine(&config, &self.reach, path);
        say(findings)?;
        say(block_on(database::examine(&config, &seat))?)?;
        let scratch = tempfile::tempdir().map_err(|source| CliError::System {
            step: "make a directory for copies of the plugins".to_owned(),
            source,
        })?;
        let mut places = Places::below(scratch.path());
        places.config = Some(config.dir.clone());
        // The executors look at the places that the host gives them, if they are there already: what
        // an executor makes must not be this command's, which may run as another user.
        if identity::privacy(&config.state_dir).is_ok() {
            places.state.clone_from(&config.state_dir);
        }
        let registry = Registry::discover(config.plugins.clone(), places, Program::own());
        say(plugins::examine(&registry.list()))?;
        say(block_on(executors::examine(&config, &registry, &seat))?)?;
        say(block_on(python::examine(&config))?)
    }
}
