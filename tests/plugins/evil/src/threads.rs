//! Threads that do not end, or speak when nobody listens any more.
#![expect(clippy::disallowed_methods, reason = "a thread of its own that is meant to linger")]

use std::{
    future::poll_fn,
    sync::{Mutex, PoisonError},
    task::Poll,
    thread,
    time::Duration,
};

use longshore_plugin_api::{Host, Progress};

use crate::mode::Thread;

/// How long what lingers does so.
const LINGER: u32 = 200;
const STEP: Duration = Duration::from_millis(10);

pub(crate) async fn act(deed: Thread, host: &Host, tag: Option<&str>) {
    let tag = tag.unwrap_or("nobody").to_owned();
    match deed {
        Thread::Busy => {
            for _ in 0..4 {
                let host = host.clone();
                thread::spawn(move || busy(&host));
            }
        }
        Thread::Late => {
            let host = host.clone();
            thread::spawn(move || {
                for n in 0..LINGER {
                    thread::sleep(STEP);
                    tracing::warn!(n, "evil speaks after the end");
                    host.progress(&tag, &said(n));
                }
            });
        }
        Thread::Reenter => reenter(host, &tag).await,
        Thread::Waker => {
            let mut first = true;
            poll_fn(|cx| {
                if !std::mem::take(&mut first) {
                    return Poll::Ready(());
                }
                let waker = cx.waker().clone();
                thread::spawn(move || {
                    for _ in 0..LINGER {
                        waker.wake_by_ref();
                        thread::sleep(STEP);
                    }
                });
                Poll::Pending
            })
            .await;
        }
    }
}

/// Allocates, logs and never ends.
fn busy(host: &Host) {
    for n in 0_u32.. {
        let text = format!("{n} ").repeat(64);
        if n.is_multiple_of(1000) {
            tracing::trace!("evil is busy: {}", text.len());
            host.progress("nobody", &said(n));
            thread::sleep(STEP);
        }
    }
}

/// Eight threads speak to the host, each while it holds the lock that all of them want.
async fn reenter(host: &Host, tag: &str) {
    static LOCK: Mutex<u32> = Mutex::new(0);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (host, tag) = (host.clone(), tag.to_owned());
            tokio::task::spawn_blocking(move || {
                for _ in 0..100 {
                    let mut said_so_far = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
                    *said_so_far += 1;
                    tracing::info!("evil holds a lock");
                    host.progress(&tag, &said(*said_so_far));
                }
            })
        })
        .collect();
    for thread in threads {
        let _ = thread.await;
    }
}

pub(crate) fn said(n: u32) -> Progress {
    Progress { message: Some(Some(n.to_string())), ..Progress::default() }
}
