//! Never answers.

use std::{future, thread};

use crate::mode::Stall;

pub(crate) async fn act(stall: Stall) {
    match stall {
        Stall::Hang => future::pending().await,
        Stall::Block => block(),
    }
}

pub(crate) fn block() {
    loop {
        thread::park();
    }
}
