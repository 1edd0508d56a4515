//! `longshore plugin check`.

mod child;
mod sheet;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use clap::Args;
use longshore_plugin_api::testkit::{self, Package, Plan, Sample, Test};
use tempfile::TempDir;

pub(in crate::cli) use self::child::run as child;
use crate::{
    cli::{error::CliError, exit::Exit, moment::parse_span, output::Output},
    plugin::{self, PluginProblem},
};

/// The first argument of a process that runs one test. Not for people.
pub(in crate::cli) const CHILD: &str = "__check";

/// Tries out whether a plugin keeps what executors promise
///
/// Level 1 looks at the file and at what loading it does, level 2 at every method, level 3 at what no
/// host does and everything might. Each test runs beside the plugin in a process of its own: what
/// crashes or hangs ends that test. Ends with 1 if a test fails, crashes or hangs.
///
/// The executor gets no settings, and runs the commands `true` and `sleep 600`, unless a file for
/// --with says otherwise.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  $ longshore plugin check target/release/libacme.so
  $ longshore plugin check target/release/libacme.so --level 3 --with check.toml
  $ longshore plugin check target/release/libacme.so --only cancel --deadline 5m

A file for --with; each line may be left out:
  survives = true                   # jobs outlive the plugin's process, and are found again
  config = { region = \"north\" }     # the executor's settings; paths are relative to this file
  bad_config = { region = 7 }       # settings with a mistake that it has to name
  quick = { command = [\"true\"], params = { a = 1 } }
  long = { command = [\"sleep\", \"600\"], options = { queue = \"slow\" } }
  failing = { function = \"module:function\" }")]
pub(super) struct Check {
    /// The shared library.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The highest level to try.
    #[arg(long, value_name = "1-3", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=3))]
    level: u8,
    /// Only tests whose names contain this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// A TOML file with the settings and the jobs to test it with.
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    /// What random tests begin with: the number that an earlier run has printed.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// How long one test may take: `500ms`, `30s`, `5m`.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_span)]
    deadline: Duration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, CliError> {
        let scratch = tempfile::tempdir().map_err(system("make a directory for the tests"))?;
        let plan = self.plan(&scratch)?;
        if !testkit::tests().any(|test| plan.wants(test)) {
            // A check of nothing would be a good one.
            let message = format!("no test of levels 1 to {} has such a name", self.level);
            return Err(CliError::Input { what: "--only".to_owned(), message });
        }
        let mut sheet = sheet::Sheet::new(&plan, output.style);
        let mut written = Ok(());
        let json = self.json;
        let report = testkit::run(&plan, &child_of, &mut |row| {
            if !json && written.is_ok() {
                written = output.text(sheet.row(row));
            }
        });
        let report = report.map_err(system("run the tests"))?;
        written?;
        if self.json {
            output.json(&report)?;
        } else {
            output.line(sheet::summary(&report))?;
        }
        Ok(if report.is_good() { Exit::Success } else { Exit::Failure })
    }

    fn plan(&self, scratch: &TempDir) -> Result<Plan, CliError> {
        // Neither the file nor what is checked of it can change while the tests run.
        let file = scratch.path().join("plugin.so");
        fs::copy(&self.file, &file).map_err(|source| CliError::Unreadable {
            what: "plugin",
            path: self.file.clone(),
            source,
        })?;
        let (sample, config_dir) = self.sample()?;
        Ok(Plan {
            package: Some(self.package(&file)),
            file: Some(file),
            sample,
            config_dir,
            level: self.level,
            only: self.only.clone(),
            seed: self.seed.map_or_else(draw, Ok)?,
            deadline: self.deadline,
            hears_output: true,
            directory: scratch.path().to_owned(),
        })
    }

    /// What a host reads of the file.
    fn package(&self, copy: &Path) -> Package {
        let problem = |problem: PluginProblem| {
            let named = PluginProblem { file: Some(self.file.clone()), ..problem };
            format!("{}: {named}", named.code)
        };
        match plugin::inspect(copy) {
            Ok(found) => Package {
                problem: found.problem.map(problem),
                note: serde_json::to_value(&found.note).ok(),
                exports: found.exports,
            },
            Err(why) => Package { problem: Some(problem(why)), note: None, exports: Vec::new() },
        }
    }

    fn sample(&self) -> Result<(Sample, Option<PathBuf>), CliError> {
        let here = std::env::current_dir().map_err(system("find the current directory"))?;
        let Some(path) = &self.with else {
            return Ok((Sample::default(), Some(here)));
        };
        let text = fs::read_to_string(path).map_err(|source| CliError::Unreadable {
            what: "file of samples",
            path: path.clone(),
            source,
        })?;
        let sample = toml::from_str(&text).map_err(|error| CliError::Input {
            what: format!("`{}`", path.display()),
            message: error.to_string().trim_end().to_owned(),
        })?;
        Ok((sample, path.parent().map(|directory| here.join(directory))))
    }
}

/// This binary again: there is no other that fits the kit.
fn child_of(_: &Test, directory: &Path) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(CHILD).arg(directory);
    command
}

fn draw() -> Result<u64, CliError> {
    // Short enough to be typed again.
    let drawn = getrandom::u32();
    drawn.map(u64::from).map_err(|e| system("draw a seed")(io::Error::other(e.to_string())))
}

fn system(step: &'static str) -> impl Fn(io::Error) -> CliError {
    move |source| CliError::System { step: step.to_owned(), source }
}
