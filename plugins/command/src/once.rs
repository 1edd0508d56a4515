//! A process for each call.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    process::ExitStatus,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
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
    log::Log,
    process::{self, LINGER, Pipes, Process},
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
    log: Arc<Log>,
    /// Whether the program has answered a `wait` with `again_in`. Then it looks and does not wait, so
    /// a limit on its processes delays nobody for long; before, one would.
    looks: AtomicBool,
    permits: Semaphore,
    next_file: AtomicU64,
}

impl Once {
    pub(crate) fn new(settings: Arc<Settings>, log: Arc<Log>) -> Self {
        Self {
            settings,
            log,
            looks: AtomicBool::new(false),
            permits: Semaphore::new(LOOKS),
            next_file: AtomicU64::new(0),
        }
    }

    /// Removes the parameters that an earlier host had handed over when it was killed.
    pub(crate) fn tidy(&self) {
        if let Err(error) = fs::remove_dir_all(self.handed())
            && error.kind() != io::ErrorKind::NotFound
        {
            let path = self.handed();
            tracing::warn!(%error, "old parameters in `{}` cannot be removed", path.display());
        }
    }

    pub(crate) async fn call(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let look = call.verb == Verb::Wait && self.looks.load(Ordering::Relaxed);
        let _permit = if look { self.permits.acquire().await.ok() } else { None };
        let handed = call.params.map(|params| self.hand_over(params)).transpose()?;
        let (process, pipes) = process::spawn(&self.settings, |command| {
            command.arg(call.verb.name()).args(call.arguments);
            command.envs(call.variables.iter().map(|(name, value)| (name, value)));
            if let Some(Handed(path)) = &handed {
                command.env("LONGSHORE_PARAMS", path);
            }
        })?;
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

    fn handed(&self) -> PathBuf {
        self.settings.state_dir.join("handed")
    }

    /// Parameters are for nobody else's eyes, so they go by file: arguments and variables can be
    /// seen.
    fn hand_over(&self, params: &RawValue) -> Result<Handed, Error> {
        let number = self.next_file.fetch_add(1, Ordering::Relaxed);
        let handed = Handed(self.handed().join(format!("{number}.json")));
        let write = || {
            fs::create_dir_all(self.handed())?;
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&handed.0)?.write_all(params.get().as_bytes())
        };
        write().map_err(|e| {
            let path = handed.0.display();
            Error::unavailable(format!("cannot hand parameters over in `{path}`: {e}"))
        })?;
        Ok(handed)
    }
}

/// A file with parameters, for as long as the call lasts. The program may move it away.
struct Handed(PathBuf);

impl Drop for Handed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
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
