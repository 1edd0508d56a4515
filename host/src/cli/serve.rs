//! `longshore serve`: the host itself.

use std::{
    fs::File,
    io::{self, Write as _},
    net::SocketAddr,
    os::fd::AsFd as _,
    path::Path,
};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{error::CliError, exit::Exit, logging, reach};
use crate::{config::Config, host};

/// Runs the host
///
/// Opens the database (and brings its schema up to date), loads the plugins, recovers what an earlier
/// process left, then serves HTTP and runs jobs until it is told to stop.
///
/// The first SIGTERM or SIGINT stops claiming, gives running jobs `shutdown.grace`, and hands over
/// the rest; the second ends the process at once. When the host is ready it prints its address on
/// standard output; what it says about itself goes to standard error, as `[log]` says.
/// `LONGSHORE_LOG` overrides the level: `info,longshore::worker=debug`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  $ longshore serve --config /etc/longshore/longshore.toml")]
pub(super) struct Serve {
    /// Loopback address to listen on instead of `server.listen`; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) fn run(self, config: Option<&Path>) -> Result<Exit, CliError> {
        let mut config = reach::load(config)?;
        if let Some(listen) = self.listen {
            config.server.listen = listen;
        }
        logging::start(&config.log);
        serve(config)
    }
}

/// Keeps standard output for our own lines. What plugins in this process print goes where the log goes:
/// it must not stand between answers, and not end the host once nobody reads those any more.
#[expect(unsafe_code, reason = "standard output has no safe owner")]
fn own_output() -> io::Result<File> {
    let own = io::stdout().as_fd().try_clone_to_owned()?;
    // SAFETY: closes and opens what the standard library owns as a number only.
    if unsafe { libc::dup2(2, 1) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(own.into())
}

fn serve(config: Config) -> Result<Exit, CliError> {
    let mut output = own_output()
        .map_err(|source| CliError::System { step: "keep standard output".to_owned(), source })?;
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::System { step: "start the runtime".to_owned(), source })?;
    let ended = runtime.block_on(async {
        let mut impatience = Impatience::new()?;
        tokio::select! {
            exit = impatience.lost() => {
                tracing::warn!("second signal: ending now; the next start recovers what runs");
                Ok(exit)
            }
            ended = host::serve(config, |address| {
                // Whoever started the host may not care where it listens.
                let _ = writeln!(output, "longshore listens on {scheme}://{address}");
            }) => Ok(ended.map(|()| Exit::Success)?),
        }
    });
    // What a plugin still does on a thread of ours must not keep the host from ending.
    runtime.shutdown_background();
    ended
}

/// Counts signals: the first is the host's to handle, the second ends the process whatever the host
/// is doing about the first.
struct Impatience {
    interrupt: Signal,
    terminate: Signal,
}

impl Impatience {
    fn new() -> Result<Self, CliError> {
        let listen = |kind| {
            signal(kind)
                .map_err(|source| CliError::System { step: "listen to signals".to_owned(), source })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Answers at the second signal, with its exit code.
    async fn lost(&mut self) -> Exit {
        self.next().await;
        self.next().await
    }

    /// Of two that came before anybody looked, SIGTERM counts as the first: what loses patience with
    /// it is a person's Ctrl-C.
    async fn next(&mut self) -> Exit {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Exit::Terminated,
            _ = self.interrupt.recv() => Exit::Interrupted,
        }
    }
}

/// Beyond loopback the address needs tokens and TLS, and the configuration is where all three are
/// seen together.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "expected an address and a port such as `127.0.0.1:7878`".to_owned())?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err("this is beyond loopback, where `server.listen` must say it together with tokens and TLS"
        .to_owned())
}
