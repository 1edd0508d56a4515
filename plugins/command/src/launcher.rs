//! Starts the program, on a thread that lives as long as the executor.

use std::{
    path::Path,
    process::Command,
    sync::{Arc, mpsc},
    thread,
};

use longshore_plugin_api::Error;
use tokio::{
    runtime::Handle,
    sync::{OnceCell, oneshot},
};

use crate::{
    aftermath,
    config::Settings,
    life::{self, Life},
    process::{self, Pipes, Process},
};

type Work = Box<dyn FnOnce() + Send>;

/// The kernel kills a program when the *thread* that started it ends, and the threads of a runtime come
/// and go. So there is one for that; it also does what blocks.
#[derive(Debug)]
pub(crate) struct Launcher {
    settings: Arc<Settings>,
    life: OnceCell<Arc<Life>>,
    thread: OnceCell<mpsc::Sender<Work>>,
}

impl Launcher {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self { settings, life: OnceCell::new(), thread: OnceCell::new() }
    }

    /// Runs the program with what `prepare` adds. It dies with this launcher, however that ends.
    ///
    /// # Errors
    ///
    /// It cannot be run, and nothing was.
    pub(crate) async fn spawn(
        &self,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<(Process, Pipes), Error> {
        let life = self.life().await?;
        let note = life.file(life::GROUP).map_err(|e| cannot("note a call", &self.settings, &e))?;
        let mut command = self.settings.command();
        command.env(life::MARK, life.name());
        prepare(&mut command);
        let runtime = Handle::current();
        let started = self.run(move || {
            let _entered = runtime.enter();
            process::start(command, note)
        });
        // Where nobody waits any more what was started is dropped there, which kills it.
        started.await?.map_err(|error| process::cannot_run(&self.settings, &error))
    }

    /// This life, which begins with the first call.
    pub(crate) async fn life(&self) -> Result<Arc<Life>, Error> {
        let begin = || async {
            let settings = Arc::clone(&self.settings);
            let life = self.run(move || Life::begin(&settings.state_dir)).await?;
            life.map(Arc::new).map_err(|e| cannot("keep what calls need", &self.settings, &e))
        };
        self.life.get_or_try_init(begin).await.cloned()
    }

    /// Ends what earlier lives have left.
    ///
    /// # Errors
    ///
    /// Something of them may still do something.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        let settings = Arc::clone(&self.settings);
        let settled = self.run(move || aftermath::settle(&settings.state_dir)).await?;
        settled.map_err(|e| cannot("end what an earlier process has left", &self.settings, &e))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let thread = self.thread.get_or_try_init(|| async { start() }).await?;
        let (answer, answered) = oneshot::channel();
        let gone = || Error::internal("the thread that starts programs has ended");
        let work = Box::new(move || drop(answer.send(work())));
        thread.send(work).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

fn start() -> Result<mpsc::Sender<Work>, Error> {
    let (tell, told) = mpsc::channel::<Work>();
    let started = thread::Builder::new()
        .name("command-spawn".to_owned())
        .spawn(move || told.into_iter().for_each(|work| work()));
    started.map_err(|e| Error::unavailable(format!("cannot start a thread: {e}")))?;
    Ok(tell)
}

fn cannot(step: &str, settings: &Settings, error: &std::io::Error) -> Error {
    let at: &Path = &settings.state_dir;
    Error::unavailable(format!("cannot {step} in `{}`: {error}", at.display()))
}
