//! A job's output as it comes, over retries, until the job has ended.

use std::{convert::Infallible, time::Duration};

use axum::body::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::watch;

use super::{Source, is_live};
use crate::job::{Job, JobId};

/// How often a silent job is asked. A person reads along; nothing else waits for it.
const PAUSE: Duration = Duration::from_millis(250);
/// The row is looked at after so many silent answers: it may hold megabytes of parameters.
const PATIENCE: u32 = 4;
/// The work of a job that was canceled is stopped after its end. After so many silent answers of it
/// (half a minute) it is no longer waited for.
const LAST_WORDS: u32 = 120;
/// How much of what was sent is remembered, to find the place in the kept output.
const REMEMBERED: usize = 1024;

/// When a reader has read enough.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Until {
    /// When the job has ended, and its work with it.
    Ended,
    /// When there is nothing more now.
    Now,
}

/// Somebody who reads along. Driven by the reader: gone when the connection is.
pub(super) struct Follow {
    source: Source,
    id: JobId,
    until: Until,
    closing: watch::Receiver<bool>,
    /// The attempt that is being read.
    attempt: u32,
    /// How far in it.
    offset: u64,
    /// The last that was sent of it.
    last: String,
    /// The last attempt of which all is sent.
    complete: u32,
    done: bool,
}

impl Follow {
    pub(super) fn new(
        source: Source,
        job: &Job,
        offset: u64,
        until: Until,
        closing: watch::Receiver<bool>,
    ) -> Self {
        Self {
            source,
            id: job.id,
            until,
            closing,
            attempt: job.attempt,
            offset,
            last: String::new(),
            complete: job.attempt.saturating_sub(1),
            done: false,
        }
    }

    pub(super) fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        stream::unfold(self, |mut follow| async move {
            let text = follow.next().await?;
            Some((Ok(Bytes::from(text)), follow))
        })
    }

    /// The next piece, never empty; `None` is the end.
    async fn next(&mut self) -> Option<String> {
        let mut row: Option<Job> = None;
        // How many answers in a row had nothing, and how many of them since the row was looked at.
        let (mut silent, mut unseen) = (0, 0);
        while !self.done {
            if row.is_none() || unseen >= PATIENCE || self.until == Until::Now {
                unseen = 0;
                match self.source.store.job_get(self.id).await {
                    Ok(Some(job)) => {
                        if let Some(text) = self.caught_up(&job).await {
                            return Some(text);
                        }
                        row = Some(job);
                    }
                    // Retention has removed it.
                    Ok(None) => return None,
                    Err(error) => {
                        tracing::warn!(job = %self.id, %error, "cannot see whether it has ended")
                    }
                }
                // The row was looked at after the answer: what was silent is not an attempt that has
                // ended and was forgotten meanwhile.
                if self.done || self.until == Until::Now && silent > 0 {
                    return None;
                }
            }
            if let Some(job) = &row {
                match self.source.live(job, self.offset).await {
                    Ok(Some(chunk)) if !chunk.text.is_empty() => {
                        self.offset = chunk.next_offset;
                        self.remember(&chunk.text);
                        return Some(chunk.text);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(job = %self.id, %error, "no output from the executor")
                    }
                }
                // Work that cannot be stopped keeps nobody here for ever.
                if job.state.is_terminal() && silent >= LAST_WORDS {
                    return None;
                }
            }
            (silent, unseen) = (silent + 1, unseen + 1);
            if self.until == Until::Now {
                continue;
            }
            tokio::select! {
                // A host that stops does not wait for those who read along.
                _ = self.closing.wait_for(|closing| *closing) => return None,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        None
    }

    /// What is left of an attempt that is over: its job has ended, waits, or is at another attempt. The
    /// executor may have forgotten it by now, so it comes from what the host kept.
    async fn caught_up(&mut self, job: &Job) -> Option<String> {
        let live = is_live(job);
        self.done = !live && job.state.is_terminal();
        // The last attempt that is over: only its output is kept.
        let over = if live { job.attempt.saturating_sub(1) } else { job.attempt };
        let mut left = None;
        if over > self.complete {
            let kept = self.source.store.job_log_get(self.id).await.unwrap_or_else(|error| {
                tracing::warn!(job = %self.id, %error, "cannot read its last output");
                None
            });
            // Of an attempt that was over before anybody looked, nothing is sent yet.
            let known = over == self.attempt;
            left = kept.map(|kept| {
                if known { rest(&kept, self.offset, &self.last).to_owned() } else { kept }
            });
            self.complete = over;
        }
        if job.attempt > self.attempt {
            self.attempt = job.attempt;
            self.offset = 0;
            self.last.clear();
        }
        left.filter(|text| !text.is_empty())
    }

    fn remember(&mut self, text: &str) {
        self.last.push_str(text);
        let excess = self.last.len().saturating_sub(REMEMBERED);
        self.last.drain(..self.last.ceil_char_boundary(excess));
    }
}

/// What of the kept output, which is the end of all output, was not sent: `sent` bytes were, of which
/// `last` are the last. Where the place cannot be found, a line too often is better than one too few.
fn rest<'a>(kept: &'a str, sent: u64, last: &str) -> &'a str {
    if last.is_empty() && sent == 0 {
        return kept;
    }
    // Usually it is all there is, and the place is known.
    let sent = usize::try_from(sent).unwrap_or(usize::MAX);
    if let Some((before, after)) = kept.split_at_checked(sent)
        && before.ends_with(last)
    {
        return after;
    }
    if let Some(at) = kept.rfind(last)
        && !last.is_empty()
    {
        return &kept[at + last.len()..];
    }
    // It may begin within the last that was sent.
    let mut suffixes = last.char_indices().map(|(at, _)| &last[at..]);
    suffixes.find_map(|suffix| kept.strip_prefix(suffix)).unwrap_or(kept)
}

#[cfg(test)]
mod tests {
    use super::rest;

    #[test]
    fn the_kept_output_goes_on_where_the_stream_stopped() {
        assert_eq!(rest("a\nb\nc\n", 0, ""), "a\nb\nc\n");
        assert_eq!(rest("a\nb\nc\n", 4, "a\nb\n"), "c\n");
        assert_eq!(rest("a\nb\nc\n", 6, "a\nb\nc\n"), "");
        // Equal lines: the count tells which of them.
        assert_eq!(rest("x\nx\nx\n", 2, "x\n"), "x\nx\n");
        // Only the end of it was kept.
        assert_eq!(rest("y\nz\n", 1000, "w\nx\n"), "y\nz\n");
        assert_eq!(rest("x\ny\nz\n", 1000, "x\ny\n"), "z\n");
        // Even less of it.
        assert_eq!(rest("é\nz\n", 1000, "x\né\n"), "z\n");
    }
}
