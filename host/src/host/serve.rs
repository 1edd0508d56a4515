//! A host from its start to its last signal.

use std::net::SocketAddr;

use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use super::{Host, StartError};
use crate::{config::Config, http, plugin::Program};

/// Runs a host until it is told to stop. `ready` gets the address that it answers on.
///
/// The first SIGTERM or SIGINT drains: no more claims, `shutdown.grace` for what runs, then the rest is
/// handed over. A second one is the caller's to answer, by dropping this: everything is left to the
/// next start's recovery.
///
/// # Errors
///
/// The step of the start that failed.
pub async fn serve(config: Config, ready: impl FnOnce(SocketAddr)) -> Result<(), StartError> {
    // Before anything is open: a signal during the start is not the default's to handle.
    let mut signals = Signals::listen()?;
    let (address, grace) = (config.server.listen, config.shutdown.grace);
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })?;
    let bound = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
    let host = tokio::select! {
        host = Host::open(config, Program::own()) => host?,
        () = signals.next() => return Ok(()),
    };
    // Bounded, and not cut off: what it has begun to watch is handed over by the shutdown that follows.
    host.start().await.map_err(StartError::Store)?;
    let (stop, mut stopping) = watch::channel(false);
    let mut web = tokio::spawn(http::serve(std::sync::Arc::clone(&host), listener, async move {
        let _ = stopping.wait_for(|stop| *stop).await;
    }));
    tracing::info!(address = %bound, replica = %host.identity.id, "ready");
    ready(bound);

    let ended = tokio::select! {
        () = signals.next() => None,
        ended = &mut web => Some(ended),
    };
    tracing::info!(?grace, "stopping; a second signal ends at once");
    // The API answers while jobs drain: they report, and people watch.
    host.shutdown(grace).await;
    let _ = stop.send(true);
    let ended = match ended {
        Some(ended) => ended,
        None => web.await,
    };
    ended.unwrap_or_else(|panic| Err(std::io::Error::other(panic))).map_err(StartError::Serve)
}

/// SIGTERM and SIGINT, as one.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, StartError> {
        let listen = |kind| signal(kind).map_err(StartError::Signals);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
