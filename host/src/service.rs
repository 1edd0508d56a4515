//! Loops, all of one shape: a service is started, does its work again and again, and is stopped.

use std::{future::Future, time::Duration};

use tokio::{sync::watch, task::JoinHandle};

/// A loop that runs beside everything else.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Tells a loop when to end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits until the service is asked to stop.
    pub async fn asked(&mut self) {
        // A service that was dropped without a word is stopped, too.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether it was.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }
}

impl Service {
    /// Starts a loop of its own making.
    pub fn start<F, Fut>(name: &'static str, run: F) -> Self
    where
        F: FnOnce(Stop) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (stop, asked) = watch::channel(false);
        let task = tokio::spawn(run(Stop(asked)));
        Self { name, stop, task }
    }

    /// Starts a loop that runs `once` at once and then every `interval`. `once` reports its own
    /// trouble: nothing it meets ends the loop.
    pub fn every<F, Fut>(name: &'static str, interval: Duration, mut once: F) -> Self
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send,
    {
        Self::start(name, move |mut stop| async move {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stop.asked() => return,
                    _ = ticks.tick() => once().await,
                }
            }
        })
    }

    /// Asks the loop to end and waits until it has. A pass that is under way is not cut off, unless
    /// it was waiting.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::error!(service = self.name, %error, "a service ended badly");
        }
    }

    /// Whether the loop still runs. A loop that has ended by itself has panicked.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.task.is_finished()
    }

    /// What it is called.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}
