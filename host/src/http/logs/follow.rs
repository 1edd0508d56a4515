//! A job's output as it comes, over retries, until the job has ended.

use std::{convert::Infallible, time::Duration};

use axum::body::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::watch;

use super::Source;
use crate::job::{AttemptTag, Job, JobId};

/// How often a silent job is asked. A person reads along; nothing else waits for it.
const PAUSE: Duration = Duration::from_millis(250);
/// The row is looked at after so many silent answers: it may hold megabytes of parameters.
const PATIENCE: u32 = 4;
/// How much of what was sent is remembered, to find the place in the kept output.
const REMEMBERED: usize = 1024;

/// Somebody who reads along. Driven by the reader: gone when the connection is.
pub(super) struct Follow {
    source: Source,
    id: JobId,
    closing: watch::Receiver<bool>,
    tag: Option<AttemptTag>,
    offset: u64,
    /// The last that was sent of this attempt.
    last: String,
    done: bool,
}

impl Follow {
    pub(super) fn new(
        source: Source,
        job: &Job,
        offset: u64,
        closing: watch::Receiver<bool>,
    ) -> Self {
        Self { source, id: job.id, closing, tag: job.tag, offset, last: String::new(), done: false }
    }

    pub(super) fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        stream::unfold(self, |mut follow| async move {
            let text = follow.next().await?;
            Some((Ok(Bytes::from(text)), follow))
        })
    }

    /// The next piece, never empty; `None` is the end.
    async fn next(&mut self) -> Option<String> {
        let mut silent = PATIENCE;
        let mut row: Option<Job> = None;
        while !self.done {
            if silent >= PATIENCE || row.is_none() {
                silent = 0;
                match self.source.store.job_get(self.id).await {
                    Ok(Some(job)) => {
                        if let Some(text) = self.caught_up(&job).await {
                            return Some(text);
                        }
                        row = Some(job);
                        continue;
                    }
                    // Retention has removed it.
                    Ok(None) => return None,
                    Err(error) => {
                        tracing::warn!(job = %self.id, %error, "cannot see whether it has ended")
                    }
                }
            }
            if let Some(job) = &row {
                match self.source.live(job, self.offset).await {
                    Ok(chunk) if !chunk.text.is_empty() => {
                        self.offset = chunk.next_offset;
                        self.remember(&chunk.text);
                        return Some(chunk.text);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(job = %self.id, %error, "no output from the executor")
                    }
                }
            }
            silent += 1;
            tokio::select! {
                // A host that stops does not wait for those who read along.
                _ = self.closing.wait_for(|closing| *closing) => return None,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        None
    }

    /// What is left of an attempt that is over: its job has ended, or another attempt has begun. The
    /// executor may have forgotten it by now, so it comes from what the host kept.
    async fn caught_up(&mut self, job: &Job) -> Option<String> {
        let ended = job.state.is_terminal();
        let another = self.tag.is_some() && job.tag != self.tag;
        self.done = ended;
        let mut left = None;
        if ended || another {
            let kept = self.source.store.job_log_get(self.id).await.unwrap_or_else(|error| {
                tracing::warn!(job = %self.id, %error, "cannot read its last output");
                None
            });
            left = kept.map(|kept| rest(&kept, self.offset, &self.last).to_owned());
        }
        if another {
            self.offset = 0;
            self.last.clear();
        }
        self.tag = job.tag;
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
    match kept.rfind(last) {
        Some(at) if !last.is_empty() => &kept[at + last.len()..],
        _ => kept,
    }
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
        assert_eq!(rest("y\nz\n", 1000, "x\ny\n"), "y\nz\n");
        assert_eq!(rest("x\ny\nz\n", 1000, "x\ny\n"), "z\n");
    }
}
