//! The program that serves, kept running: who finds it dead starts it again, but not at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use longshore_plugin_api::{Error, ErrorKind, Host, wire::Verb};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    call::Call,
    config::Settings,
    connection::{Connection, Over},
    launcher::Launcher,
    log::Log,
    protocol::Reply,
};

/// Before the second start; each further one waits twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A program that has lived so long is not blamed for the deaths before.
const GOOD_LIFE: Duration = Duration::from_secs(60);

/// The program, run once for all calls.
#[derive(Debug)]
pub(crate) struct Serve {
    settings: Arc<Settings>,
    launcher: Arc<Launcher>,
    host: Host,
    log: Arc<Log>,
    slot: Mutex<Slot>,
    /// Whether each new process is to be told `start`.
    started: AtomicBool,
}

#[derive(Debug, Default)]
struct Slot {
    connection: Option<Arc<Connection>>,
    deaths: u32,
    /// Of the last one: why, and when the next start may be.
    dead: Option<(String, Instant)>,
    stopped: bool,
}

impl Serve {
    pub(crate) fn new(
        settings: Arc<Settings>,
        launcher: Arc<Launcher>,
        host: Host,
        log: Arc<Log>,
    ) -> Self {
        let (slot, started) = (Mutex::default(), AtomicBool::new(false));
        Self { settings, launcher, host, log, slot, started }
    }

    pub(crate) async fn call(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let connection = self.connection().await?;
        let reply = connection.call(call).await;
        if call.verb == Verb::Start && is_fine(&reply) {
            self.started.store(true, Ordering::Relaxed);
        }
        reply
    }

    /// Ends the program: it sees the end of its stdin, and is killed if that does not end it.
    pub(crate) async fn stop(&self) {
        let connection = {
            let mut slot = self.slot.lock().await;
            slot.stopped = true;
            slot.connection.take()
        };
        if let Some(connection) = connection {
            connection.close().await;
        }
    }

    /// The process that runs, or a new one. Whoever comes while one is being started waits for it:
    /// two must never be at the same files.
    async fn connection(&self) -> Result<Arc<Connection>, Error> {
        let mut slot = self.slot.lock().await;
        if slot.stopped {
            return Err(Error::unavailable("the executor was stopped"));
        }
        if let Some(connection) = &slot.connection {
            let Some(over) = connection.over() else { return Ok(Arc::clone(connection)) };
            let life = over.at - connection.born;
            slot.bury(over, life);
        }
        let now = Instant::now();
        if let Some((why, until)) = &slot.dead
            && *until > now
        {
            let pause = *until - now;
            return Err(Error::unavailable(format!("{why}; it is started again in {pause:.1?}")));
        }
        let connection = Connection::open(&self.settings, &self.launcher, &self.host, &self.log);
        let connection = connection.await?;
        if self.started.load(Ordering::Relaxed) {
            let mut start = Call::new(Verb::Start, &())?;
            start.limit = self.settings.timeout(Verb::Start);
            let reply = connection.call(&start).await;
            if !is_fine(&reply) {
                connection.kill();
                let why = reply.err().map_or_else(String::new, |error| error.message);
                let why = format!("`{}` does not start again: {why}", self.settings.program());
                slot.bury(Over { why: why.clone(), at: Instant::now() }, Duration::ZERO);
                return Err(Error::unavailable(why));
            }
        }
        slot.connection = Some(Arc::clone(&connection));
        Ok(connection)
    }
}

impl Slot {
    fn bury(&mut self, over: Over, life: Duration) {
        self.connection = None;
        self.deaths = if life > GOOD_LIFE { 1 } else { self.deaths.saturating_add(1) };
        let pause = pause(self.deaths);
        tracing::warn!(deaths = self.deaths, "{}; not started again for {pause:?}", over.why);
        self.dead = Some((over.why, over.at + pause));
    }
}

fn pause(deaths: u32) -> Duration {
    let doublings = deaths.saturating_sub(1).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

fn is_fine(reply: &Result<Reply, Error>) -> bool {
    // A program need not know the verb.
    reply.as_ref().err().is_none_or(|error| error.kind == ErrorKind::Unsupported)
}

impl Drop for Serve {
    fn drop(&mut self) {
        if let Some(connection) = &self.slot.get_mut().connection {
            connection.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pause_is_twice_the_one_before_up_to_half_a_minute() {
        let pauses: Vec<_> = [1, 2, 3, 7, 8, 9, u32::MAX].map(pause).into();
        let expected = [0.25, 0.5, 1.0, 16.0, 30.0, 30.0, 30.0].map(Duration::from_secs_f64);
        assert_eq!(pauses, expected);
    }
}
