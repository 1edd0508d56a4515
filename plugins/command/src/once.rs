//! A process for each call.

use std::{
    io,
    process::ExitStatus,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use longshore_plugin_api::{Error, wire::Verb};
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe,
    sync::{Notify, Semaphore},
};

use crate::{
    call::Call,
    config::Settings,
    launcher::Launcher,
    life::Kept,
    log::Log,
    process::{LINGER, Pipes, Process},
    protocol::{self, LONGEST, Reply},
};

/// `EX_USAGE`: how a process says that it does not know the verb.
const UNKNOWN_VERB: i32 = 64;

/// How many processes may look at once whether an attempt has ended.
const LOOKS: usize = 16;

/// The program, run for each call.
#[derive(Debug)]
pub(crate) struct Once {
    settings: Arc<Settings>,
    launcher: Arc<Launcher>,
    log: Arc<Log>,
    /// Whether the program has answered a `wait` with `again_in`. Then it looks and does not wait, so
    /// a limit on its processes delays nobody for long; before, one would.
    looks: AtomicBool,
    permits: Semaphore,
}

impl Once {
    pub(crate) fn new(settings: Arc<Settings>, launcher: Arc<Launcher>, log: Arc<Log>) -> Self {
        Self {
            settings,
            launcher,
            log,
            looks: AtomicBool::new(false),
            permits: Semaphore::new(LOOKS),
        }
    }

    pub(crate) async fn call(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let look = call.verb == Verb::Wait && self.looks.load(Ordering::Relaxed);
        let _permit = if look { self.permits.acquire().await.ok() } else { None };
        let handed = match call.params {
            Some(params) => Some(self.hand_over(params).await?),
            None => None,
        };
        let spawning = self.launcher.spawn(|command| {
            command.arg(call.verb.name()).args(call.arguments);
            command.envs(call.variables.iter().map(|(name, value)| (name, value)));
            if let Some(handed) = &handed {
                command.env("LONGSHORE_PARAMS", handed.path());
            }
        });
        let (process, pipes) = spawning.await?;
        // Dropping the conversation kills the process.
        let conversation = self.converse(call, process, pipes);
        let reply = match call.limit {
            None => conversation.await,
            Some(limit) => tokio::time::timeout(limit, conversation).await.unwrap_or_else(|_| {
                let (program, verb) = (self.settings.program(), call.verb.name());
                Err(Error::timeout(format!(
                    "`{program}` did not answer `{verb}` within {limit:?} and was killed"
                )))
            }),
        };
        if call.verb == Verb::Wait && matches!(reply, Ok(Reply::Again(_))) {
            self.looks.store(true, Ordering::Relaxed);
        }
        reply
    }

    async fn converse(
        &self,
        call: &Call<'_>,
        mut process: Process,
        pipes: Pipes,
    ) -> Result<Reply, Error> {
        let mut output = Vec::new();
        let last_line = Mutex::default();
        let status = {
            let flooded = Notify::new();
            let Pipes { stdin, stdout, stderr } = pipes;
            let talk = async {
                let feed = feed(stdin, &call.payload);
                let listen = listen(stdout, &mut output, &flooded);
                // A pipe that breaks ends; what matters is what came through it.
                let _ = tokio::join!(feed, listen, self.log.drain(stderr, &last_line));
            };
            tokio::pin!(talk);
            tokio::select! {
                () = &mut talk => Some(process.end().await),
                status = process.end() => {
                    // What has left the group may hold the pipes for ever. It has nothing to say.
                    let _ = tokio::time::timeout(LINGER, talk).await;
                    Some(status)
                }
                () = flooded.notified() => None,
            }
        };
        let Some(status) = status.filter(|_| output.len() <= LONGEST) else {
            return Err(protocol::nonsense("more than 32 MiB", &output));
        };
        let status = status.map_err(|e| Error::internal(format!("its end was not seen: {e}")))?;
        let last_line = last_line.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.judge(call.verb, status, &output, &last_line)
    }

    fn judge(
        &self,
        verb: Verb,
        status: ExitStatus,
        output: &[u8],
        last_line: &str,
    ) -> Result<Reply, Error> {
        let silent = output.iter().all(u8::is_ascii_whitespace);
        let program = self.settings.program();
        let verb = verb.name();
        if silent && status.code() == Some(UNKNOWN_VERB) {
            return Err(Error::unsupported(format!("`{program}` knows no verb `{verb}`")));
        }
        let ended = || {
            let said = if last_line.is_empty() {
                String::new()
            } else {
                format!("; its last words: {last_line}")
            };
            format!("`{program}` ended its `{verb}` with {status}{said}")
        };
        if silent {
            return Err(Error::internal(format!("{} and without an answer", ended())));
        }
        match protocol::answer(output) {
            // Whoever fails does not answer; an error it may have said before.
            Ok(_) if !status.success() => {
                let shown = protocol::shown(output);
                Err(Error::internal(format!("{}, after the answer {shown}", ended())))
            }
            answer => answer,
        }
    }

    /// Parameters are for nobody else's eyes, so they go by file: arguments and variables can be
    /// seen.
    async fn hand_over(&self, params: &RawValue) -> Result<Kept, Error> {
        let life = self.launcher.life().await?;
        let write = || {
            let mut handed = life.file("json")?;
            handed.write(params.get().as_bytes())?;
            Ok(handed)
        };
        write().map_err(|e: io::Error| {
            let path = self.settings.state_dir.display();
            Error::unavailable(format!("cannot hand parameters over in `{path}`: {e}"))
        })
    }
}

async fn feed(mut stdin: pipe::Sender, payload: &str) -> io::Result<()> {
    stdin.write_all(payload.as_bytes()).await?;
    stdin.write_all(b"\n").await
}

async fn listen(stdout: pipe::Receiver, output: &mut Vec<u8>, flooded: &Notify) -> io::Result<()> {
    stdout.take(LONGEST as u64 + 1).read_to_end(output).await?;
    if output.len() > LONGEST {
        flooded.notify_one();
        // Nobody reads on, and its end is not to be waited for either.
        std::future::pending::<()>().await;
    }
    Ok(())
}
