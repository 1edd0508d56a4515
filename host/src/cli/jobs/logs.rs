//! `longshore jobs logs`.

use std::{
    io::{self, Read as _},
    path::Path,
};

use clap::Args;

use super::One;
use crate::{
    cli::{
        client::{Client, ClientError},
        error::CliError,
        exit::Exit,
        job,
        output::Output,
        say,
    },
    job::JobId,
};

/// Prints what a job has written
///
/// Standard output and standard error of its latest attempt, as far back as its executor keeps them:
/// `local` keeps the last 256 to 512 KiB while the attempt runs, and its last 64 KiB once it is over,
/// however it ended. Of earlier attempts nothing is kept.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore jobs logs --follow 01957a3c-7f7e-7bd0-a4f3-6c62b0f0e0aa")]
pub(super) struct Logs {
    /// Go on until the job has ended, over retries.
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    one: One,
}

impl Logs {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        let Self { follow, one: One { id, reach } } = self;
        let client = reach.client(config)?;
        // What is there now comes as one answer, too: between two of them the attempt could end.
        let until = if follow { "follow" } else { "all" };
        let mut stream = client.stream(&format!("/api/3.0/jobs/{id}/logs?{until}=true"))?;
        let attempt = stream.header("x-log-attempt").and_then(|n| n.parse::<u32>().ok());
        if let Some(attempt @ 2..) = attempt {
            say::note(format_args!("attempt {attempt}; what earlier ones wrote is not kept"));
        }
        let mut buffer = vec![0; 16 << 10];
        loop {
            match stream.body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => output.bytes(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(cut_off(&client, id)),
            }
        }
        if !follow {
            return Ok(Exit::Success);
        }
        // A host that stops ends the stream, too.
        let (job, _) = job::get(&client, id).map_err(|_| cut_off(&client, id))?;
        if job.has_ended() { Ok(Exit::Success) } else { Err(cut_off(&client, id)) }
    }
}

fn cut_off(client: &Client, id: JobId) -> CliError {
    let message = format!("the output of job {id} was cut off; ask again when the host is back");
    ClientError::Troubled { url: client.url().to_owned(), message }.into()
}
