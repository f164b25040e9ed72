//! The signals that are the program's.

use nix::libc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::error::{Doing, Result};

/// Everything that a client, a shell or a terminal sends to the command that it started.
/// SIGSTOP and SIGKILL can't be caught.
const FORWARDED: [i32; 7] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH];

/// Signals that have come.
pub struct Signals(mpsc::UnboundedReceiver<i32>);

impl Signals {
    /// Starts catching.
    pub fn new() -> Result<Self> {
        let (tell, received) = mpsc::unbounded_channel();
        for number in FORWARDED {
            let caught = signal(SignalKind::from_raw(number)).doing(|| "can't catch signals".into())?;
            tokio::task::spawn_local(forward(caught, number, tell.clone()));
        }
        Ok(Self(received))
    }

    /// The next one.
    pub async fn next(&mut self) -> i32 {
        match self.0.recv().await {
            Some(number) => number,
            None => std::future::pending().await,
        }
    }
}

async fn forward(mut caught: Signal, number: i32, tell: mpsc::UnboundedSender<i32>) {
    while caught.recv().await.is_some() {
        if tell.send(number).is_err() {
            return;
        }
    }
}
