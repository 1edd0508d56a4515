//! `longshore jobs watch`, and the waiting of `submit --wait`.

use std::{path::Path, thread, time::Duration};

use clap::Args;
use serde_json::Value;

use super::One;
use crate::{
    cli::{
        bar::Bar,
        client::{Client, ClientError},
        error::CliError,
        exit::Exit,
        job::{self, Job},
        output::Output,
        say,
    },
    clock::Moment,
    job::JobId,
};

/// Often enough to look alive.
const SOONEST: Duration = Duration::from_millis(100);
/// Seldom enough that a thousand watchers are no load.
const LATEST: Duration = Duration::from_secs(1);
/// A host that restarts is back by then.
const PATIENCE: Duration = Duration::from_secs(60);

/// Shows a job's progress until it ends
///
/// On a terminal a live bar, elsewhere a line for each change. Ends with 0 if the job succeeded. A
/// host that is restarted meanwhile is waited for. Ctrl-C ends the watching, not the job.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore jobs watch 01957a3c-7f7e-7bd0-a4f3-6c62b0f0e0aa")]
pub(in crate::cli) struct Watch {
    /// Print the job as one line of JSON, now and at each change.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    one: One,
}

impl Watch {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        let One { id, reach } = self.one;
        let client = reach.client(config)?;
        let job = if self.json {
            let (job, _) = until_ended(&client, id, Host::Unknown, |_, value, changed| {
                if changed { output.json_line(value) } else { Ok(()) }
            })?;
            job
        } else {
            let (job, _) = with_bar(&client, id, Host::Unknown)?;
            output.line(job.ending(output.style))?;
            say::where_to_look(&job);
            job
        };
        Ok(job.exit())
    }
}

/// Whether there is a host to wait for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cli) enum Host {
    /// It has just answered: if it is away now, it comes back.
    Answered,
    /// Its first answer must come at once: one that was never there is not waited for.
    Unknown,
}

/// Waits for the end of a job behind a bar.
pub(in crate::cli) fn with_bar(
    client: &Client,
    id: JobId,
    host: Host,
) -> Result<(Job, Value), CliError> {
    let mut bar = Bar::new();
    let ended = until_ended(client, id, host, |job, _, _| {
        if !job.has_ended() {
            bar.show(job);
        }
        Ok(())
    });
    bar.finish();
    ended
}

/// Looks at a job again and again until it has ended. `look` also learns whether anything is new.
fn until_ended(
    client: &Client,
    id: JobId,
    host: Host,
    mut look: impl FnMut(&Job, &Value, bool) -> Result<(), CliError>,
) -> Result<(Job, Value), CliError> {
    let mut last = Value::Null;
    let mut pause = SOONEST;
    let patient = || Moment::now().after(PATIENCE);
    let mut patience = (host == Host::Answered).then(patient);
    loop {
        match job::get(client, id) {
            Ok((job, value)) => {
                let changed = value != last;
                look(&job, &value, changed)?;
                if job.has_ended() {
                    return Ok((job, value));
                }
                // What just moved may move again; what rests may rest.
                pause = if changed { SOONEST } else { (pause * 3 / 2).min(LATEST) };
                last = value;
                patience = Some(patient());
            }
            Err(CliError::Client(error)) if waits(&error, patience) => pause = LATEST,
            Err(error) => return Err(error),
        }
        rest(pause);
    }
}

fn waits(error: &ClientError, patience: Option<Moment>) -> bool {
    error.is_passing() && patience.is_some_and(|patience| !patience.remaining().is_zero())
}

#[expect(clippy::disallowed_methods, reason = "what is waited for happens in another process")]
fn rest(pause: Duration) {
    thread::sleep(pause);
}
