//! `longshore jobs logs`.

use std::{
    io::{self, Read as _},
    path::Path,
};

use clap::Args;

use crate::{
    cli::{
        client::{Client, ClientError},
        error::CliError,
        exit::Exit,
        job,
        output::Output,
        reach::Reach,
    },
    job::JobId,
};

/// Prints what a job has written
///
/// Standard output and standard error of its latest attempt, as far as they are kept: all of the
/// last half megabyte while it runs, the last 64 KiB once it has ended.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore jobs logs --follow 01957a3c-7f7e-7bd0-a4f3-6c62b0f0e0aa")]
pub(super) struct Logs {
    /// The job's id.
    #[arg(value_name = "ID", value_parser = super::id)]
    id: JobId,
    /// Go on until the job has ended.
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Logs {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        let client = self.reach.client(config)?;
        if self.follow { follow(&client, self.id, output) } else { print(&client, self.id, output) }
    }
}

fn print(client: &Client, id: JobId, output: &mut Output) -> Result<Exit, CliError> {
    let mut offset = 0;
    loop {
        let part = client.text(&format!("/api/3.0/jobs/{id}/logs?offset={offset}"))?;
        output.text(&part.text)?;
        let next = part.header("x-log-next-offset").and_then(|next| next.parse::<u64>().ok());
        // Nothing new now is the end of what there is now.
        match next {
            Some(next) if next > offset && part.header("x-log-end") != Some("true") => {
                offset = next
            }
            _ => return Ok(Exit::Success),
        }
    }
}

fn follow(client: &Client, id: JobId, output: &mut Output) -> Result<Exit, CliError> {
    let mut stream = client.stream(&format!("/api/3.0/jobs/{id}/logs?follow=true"))?;
    let mut buffer = vec![0; 16 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => output.bytes(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(cut_off(client, id)),
        }
    }
    // A host that stops ends the stream, too.
    let (job, _) = job::get(client, id).map_err(|_| cut_off(client, id))?;
    if job.has_ended() { Ok(Exit::Success) } else { Err(cut_off(client, id)) }
}

fn cut_off(client: &Client, id: JobId) -> CliError {
    let message = format!("its output ended before job {id} did; ask again when the host is back");
    ClientError::Troubled { url: client.url().to_owned(), message }.into()
}
