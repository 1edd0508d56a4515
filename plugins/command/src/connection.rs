//! One run of a program that serves: calls go out as lines, answers come back by id.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use longshore_plugin_api::{Error, Host, wire::Verb};
use tokio::{
    io::AsyncWriteExt as _,
    net::unix::pipe,
    sync::{Notify, mpsc, oneshot, watch},
    time::Instant,
};
use tracing::instrument::WithSubscriber as _;

use crate::{
    call::Call,
    config::Settings,
    launcher::Launcher,
    line::{Line, Lines},
    log::Log,
    process::{LINGER, Pipes, Process},
    protocol::{self, LONGEST, Reply, Said},
};

/// A process that serves, until it is over.
#[derive(Debug)]
pub(crate) struct Connection {
    program: String,
    pub(crate) born: Instant,
    calls: Mutex<Calls>,
    over: watch::Sender<Option<Over>>,
    end: Notify,
}

#[derive(Debug)]
struct Calls {
    next: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<Reply, Error>>>,
    /// Nothing once no more may be said.
    lines: Option<mpsc::UnboundedSender<String>>,
    heard: Instant,
}

/// How it ended.
#[derive(Clone, Debug)]
pub(crate) struct Over {
    pub(crate) why: String,
    pub(crate) at: Instant,
}

impl Connection {
    pub(crate) async fn open(
        settings: &Settings,
        launcher: &Launcher,
        host: &Host,
        log: &Arc<Log>,
    ) -> Result<Arc<Self>, Error> {
        let (process, pipes) = launcher.spawn(|_| {}).await?;
        // Bounded by what is asked: each line belongs to a call that somebody waits for.
        let (lines, to_say) = mpsc::unbounded_channel();
        let now = Instant::now();
        let this = Arc::new(Self {
            program: settings.program(),
            born: now,
            calls: Mutex::new(Calls {
                next: 0,
                waiting: HashMap::new(),
                lines: Some(lines),
                heard: now,
            }),
            over: watch::Sender::new(None),
            end: Notify::new(),
        });
        let attended = Arc::clone(&this).attend(process, pipes, to_say, host.clone(), log.clone());
        // The task outlives the call that began it, and still logs for this executor.
        tokio::spawn(attended.with_current_subscriber());
        Ok(this)
    }

    /// # Errors
    ///
    /// The program's own; `Internal` where it died before it answered; `Timeout`; `Unavailable`
    /// where it was over already and has not been asked.
    pub(crate) async fn call(self: &Arc<Self>, call: &Call<'_>) -> Result<Reply, Error> {
        let Call { verb, payload, limit, .. } = call;
        let began = Instant::now();
        let mut asked = self.ask(*verb, payload)?;
        let answer = match limit {
            None => (&mut asked.answer).await,
            Some(limit) => match tokio::time::timeout(*limit, &mut asked.answer).await {
                Ok(answer) => answer,
                Err(_) => return Err(self.late(*verb, *limit, began)),
            },
        };
        answer.unwrap_or_else(|_| Err(self.died(*verb)))
    }

    fn ask(self: &Arc<Self>, verb: Verb, payload: &str) -> Result<Asked, Error> {
        let mut calls = self.calls();
        let id = calls.next;
        let line = format!(r#"{{"id":{id},"verb":"{}","payload":{payload}}}"#, verb.name());
        let said = calls.lines.as_ref().is_some_and(|lines| lines.send(line).is_ok());
        if !said {
            return Err(Error::unavailable(format!("`{}` has just ended", self.program)));
        }
        let (tell, answer) = oneshot::channel();
        calls.next += 1;
        calls.waiting.insert(id, tell);
        Ok(Asked { connection: Arc::clone(self), id, answer })
    }

    /// A program that has said nothing at all since the call began hangs, and is killed; one that
    /// answers others is only slow with this.
    fn late(&self, verb: Verb, limit: Duration, began: Instant) -> Error {
        let mut message =
            format!("`{}` did not answer `{}` within {limit:?}", self.program, verb.name());
        if self.calls().heard < began {
            self.end.notify_one();
            message += " nor anything else, and was killed";
        }
        Error::timeout(message)
    }

    fn died(&self, verb: Verb) -> Error {
        let why = self.over().map_or_else(|| "it ended".to_owned(), |over| over.why);
        let verb = verb.name();
        Error::internal(format!("{why}; `{verb}` was not answered, what came of it is unknown"))
    }

    /// How it ended, if it has.
    pub(crate) fn over(&self) -> Option<Over> {
        self.over.borrow().clone()
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        self.end.notify_one();
    }

    /// Says no more, which the program sees as the end of its stdin, and kills it if it stays.
    pub(crate) async fn close(&self) {
        self.calls().lines = None;
        let mut over = self.over.subscribe();
        let ended = over.wait_for(Option::is_some);
        if tokio::time::timeout(LINGER, ended).await.is_err() {
            self.kill();
            let _ = tokio::time::timeout(LINGER, over.wait_for(Option::is_some)).await;
        }
    }

    async fn attend(
        self: Arc<Self>,
        mut process: Process,
        pipes: Pipes,
        to_say: mpsc::UnboundedReceiver<String>,
        host: Host,
        log: Arc<Log>,
    ) {
        let Pipes { stdin, stdout, stderr } = pipes;
        let feeding = tokio::spawn(feed(stdin, to_say));
        let last_line = Arc::new(Mutex::default());
        let drain = {
            let (log, last_line) = (Arc::clone(&log), Arc::clone(&last_line));
            async move { log.drain(stderr, &last_line).await }
        };
        let mut draining = tokio::spawn(drain.with_current_subscriber());

        let listen = self.listen(stdout, &host, &log);
        tokio::pin!(listen);
        let mut status = None;
        let why = tokio::select! {
            why = &mut listen => {
                // Without a word it is about to end by itself, and then its status says more.
                if why.is_none() {
                    status = tokio::time::timeout(LINGER, process.end()).await.ok();
                }
                why
            }
            ended = process.end() => {
                status = Some(ended);
                // What it had said before it died still counts.
                tokio::time::timeout(LINGER, &mut listen).await.ok().flatten()
            }
            () = self.end.notified() => Some(format!("`{}` was killed", self.program)),
        };
        feeding.abort();
        process.kill();
        let status = match status {
            Some(status) => status,
            None => process.end().await,
        };
        let _ = tokio::time::timeout(LINGER, &mut draining).await;
        draining.abort();

        let mut why = why.unwrap_or_else(|| match status {
            Ok(status) => format!("`{}` ended with {status}", self.program),
            Err(error) => format!("`{}` ended: {error}", self.program),
        });
        let last_line = last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if !last_line.is_empty() {
            let _ = write!(why, "; its last words: {last_line}");
        }
        // Before anybody who waits is woken: they ask why.
        self.over.send_replace(Some(Over { why, at: Instant::now() }));
        let mut calls = self.calls();
        calls.lines = None;
        calls.waiting.clear();
    }

    async fn listen(&self, stdout: pipe::Receiver, host: &Host, log: &Log) -> Option<String> {
        let mut lines = Lines::new(stdout, LONGEST);
        loop {
            let line = match lines.next().await {
                Ok(Some(Line::Whole(line))) => line,
                Ok(Some(Line::Cut(line))) => {
                    return Some(protocol::nonsense("a line of more than 32 MiB", &line).message);
                }
                Ok(None) => return None,
                Err(error) => return Some(format!("cannot be heard: {error}")),
            };
            match protocol::line(&line) {
                Ok(Said::Answer(id, reply)) => self.answered(id, reply),
                Ok(Said::Progress(told)) => host.progress(&told.attempt_tag, &told.progress),
                Ok(Said::Log(level, text)) => log.say(level, &text),
                Err(error) => return Some(error.message),
            }
            self.calls().heard = Instant::now();
        }
    }

    fn answered(&self, id: u64, reply: Result<Reply, Error>) {
        // Nobody may be waiting any more: the call was dropped, and the answer was on its way.
        if let Some(waiting) = self.calls().waiting.remove(&id) {
            let _ = waiting.send(reply);
        }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way; the program is told when nobody waits for it any more.
struct Asked {
    connection: Arc<Connection>,
    id: u64,
    answer: oneshot::Receiver<Result<Reply, Error>>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut calls = self.connection.calls();
        if calls.waiting.remove(&self.id).is_some()
            && let Some(lines) = &calls.lines
        {
            let _ = lines.send(format!(r#"{{"drop":{}}}"#, self.id));
        }
    }
}

async fn feed(
    mut stdin: pipe::Sender,
    mut to_say: mpsc::UnboundedReceiver<String>,
) -> io::Result<()> {
    while let Some(mut line) = to_say.recv().await {
        line.push('\n');
        stdin.write_all(line.as_bytes()).await?;
    }
    Ok(())
}
