//! From a job to an order: program, arguments, environment.

use std::{
    ffi::{CString, OsStr, OsString},
    os::unix::ffi::OsStringExt as _,
    path::Path,
    time::Duration,
};

use longshore_keeper::order::{self, MAX_ORDER_BYTES};
use longshore_plugin_api::{Error, Job, Run};

use crate::{
    bundle::Installed, clock, config::Settings, description::Description, executor::Started,
    program,
};

/// What a job needs to be started: what is written, and what is ordered.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The content of `job.json`.
    pub(crate) description: Vec<u8>,
    /// The order's packet.
    pub(crate) packet: Vec<u8>,
}

impl Launch {
    /// Plans the attempt of that number in `directory`; its time counts from now.
    ///
    /// # Errors
    ///
    /// `InvalidJob`: its command cannot be run.
    pub(crate) fn plan(
        job: &Job,
        number: u64,
        directory: &Path,
        settings: &Settings,
        started: &Started,
    ) -> Result<Self, Error> {
        let Started { installed, python, owner, .. } = started;
        let description = Description::of(job, &settings.environments(), owner);
        let arguments = match &job.run {
            Run::Function(_) => {
                vec![python.path().as_os_str().to_owned(), "-m".into(), "longshore.entry".into()]
            }
            Run::Command(command) => command_line(command, settings)?,
        };
        let mut variables = settings.variables.clone();
        let own = description.variables(directory);
        variables.extend(own.into_iter().map(|(name, value)| (name.into(), value.into())));
        let theirs = variables.remove(OsStr::new("PYTHONPATH"));
        variables.insert("PYTHONPATH".into(), python_path(settings, installed, theirs));

        let variables = variables.into_iter().map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        });
        let deadline = clock::since_boot().saturating_add(Duration::from(job.timeout));
        let packet = order::encode(
            number,
            clock::nanoseconds(deadline),
            clock::nanoseconds(job.stop_grace.into()),
            &c_strings(arguments.into_iter())?,
            &c_strings(variables)?,
        )
        .map_err(|too_long| {
            Error::invalid_job(format!(
                "the command and its environment are {} bytes, more than {MAX_ORDER_BYTES} (hint: \
                 pass data as parameters)",
                too_long.bytes
            ))
        })?;
        let description = serde_json::to_vec(&description)
            .map_err(|e| Error::internal(format!("cannot write the job's description: {e}")))?;
        Ok(Self { description, packet })
    }
}

fn command_line(command: &[String], settings: &Settings) -> Result<Vec<OsString>, Error> {
    let Some((name, arguments)) = command.split_first().filter(|(name, _)| !name.is_empty()) else {
        return Err(Error::invalid_job("the command names no program"));
    };
    let path = settings.variables.get(OsStr::new("PATH")).map(OsString::as_os_str);
    let program = program::find(Path::new(name), &settings.base_dir, path.unwrap_or_default())
        .map_err(|not_found| Error::invalid_job(not_found.to_string()))?;
    Ok([program.into_os_string()].into_iter().chain(arguments.iter().map(Into::into)).collect())
}

/// Our package first, so that no job's module called `longshore` hides it.
fn python_path(settings: &Settings, installed: &Installed, rest: Option<OsString>) -> OsString {
    let mut path = installed.package.clone().into_os_string();
    let configured = settings.pythonpath.iter().map(|directory| directory.as_os_str());
    for entry in configured.chain(rest.as_deref().filter(|rest| !rest.is_empty())) {
        path.push(":");
        path.push(entry);
    }
    path
}

fn c_strings(strings: impl Iterator<Item = OsString>) -> Result<Vec<CString>, Error> {
    strings.map(|string| CString::new(string.into_vec())).collect::<Result<_, _>>().map_err(
        |error| {
            let text = String::from_utf8_lossy(&error.into_vec()).into_owned();
            Error::invalid_job(format!("{text:?} contains a NUL character"))
        },
    )
}
