//! The job's output, kept in two bounded files.

use std::{io::Write as _, os::fd::OwnedFd};

use longshore_keeper::SEGMENT_BYTES;
use rustix::{
    buffer::spare_capacity,
    fs::{AtFlags, Mode, OFlags, openat, unlinkat},
    io::{Errno, Result, read, retry_on_intr, write},
};

/// How much is moved at once. The memory is touched only as far as a job's output fills it.
const PIECE: usize = 16 * 1024;

/// What one look at the pipe brought.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Drained {
    /// Something; there may be more.
    Some,
    /// Nothing for now.
    Nothing,
    /// Every writer has closed it.
    Closed,
}

/// The segments under the attempt's directory.
#[derive(Debug, Default)]
pub(crate) struct Output {
    piece: Vec<u8>,
    segment: Option<OwnedFd>,
    /// How much was stored, in bytes.
    pub(crate) stored: u64,
    /// How much could not be stored, in bytes.
    pub(crate) lost: u64,
}

impl Output {
    /// Moves what one read of the pipe gives. Never blocks (the pipe's end is non-blocking) and never
    /// fails: what the disk refuses is counted and dropped, so that the job is not held up by it.
    pub(crate) fn drain(&mut self, directory: &OwnedFd, pipe: &OwnedFd) -> Drained {
        let mut piece = std::mem::take(&mut self.piece);
        piece.clear();
        piece.reserve(PIECE);
        let answer = retry_on_intr(|| read(pipe, spare_capacity(&mut piece)));
        self.store(directory, &piece);
        self.piece = piece;
        match answer {
            Ok(0) => Drained::Closed,
            Ok(_) => Drained::Some,
            Err(Errno::AGAIN) => Drained::Nothing,
            Err(_) => Drained::Closed,
        }
    }

    fn store(&mut self, directory: &OwnedFd, mut piece: &[u8]) {
        while !piece.is_empty() {
            match self.store_some(directory, piece) {
                Ok(count) => piece = &piece[count..],
                Err(_) => {
                    self.lost += piece.len() as u64;
                    return;
                }
            }
        }
    }

    fn store_some(&mut self, directory: &OwnedFd, piece: &[u8]) -> Result<usize> {
        let used = self.stored % SEGMENT_BYTES;
        // A full segment was closed; one that the disk refused to open is tried again.
        let segment = match &self.segment {
            Some(segment) => segment,
            None => self.segment.insert(open(directory, self.stored / SEGMENT_BYTES)?),
        };
        let room = usize::try_from(SEGMENT_BYTES - used).unwrap_or(usize::MAX);
        let count = retry_on_intr(|| write(segment, &piece[..piece.len().min(room)]))?;
        if count == 0 {
            return Err(Errno::NOSPC);
        }
        self.stored += count as u64;
        if self.stored.is_multiple_of(SEGMENT_BYTES) {
            self.segment = None;
        }
        Ok(count)
    }
}

fn open(directory: &OwnedFd, number: u64) -> Result<OwnedFd> {
    // The old one goes first: on a full disk its room is what the new one needs.
    if let Some(old) = number.checked_sub(2) {
        let _ = unlinkat(directory, name(old).as_slice(), AtFlags::empty());
    }
    openat(
        directory,
        name(number).as_slice(),
        // The job can write in this directory: do not follow it elsewhere, nor wait for its FIFO.
        OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::TRUNC
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::CLOEXEC,
        Mode::RUSR | Mode::WUSR,
    )
}

fn name(number: u64) -> Vec<u8> {
    let mut name = Vec::with_capacity(32);
    // Writing to a vector cannot fail.
    let _ = write!(name, "output.{number}");
    name
}
