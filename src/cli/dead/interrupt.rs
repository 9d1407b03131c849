//! Ctrl-C and SIGTERM while letters are read or changed.
//!
//! Owns that the process does not end while it holds letters: a partly read queue would come back
//! in another order.
//!
//! Not here: the scan that stops on request (`broker`).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::{exit::Failure, output::print_status};

/// Watches signals. While letters may be held, the first signal requests a stop; every other one
/// ends the process at once. No letter is lost by that either.
pub(super) struct Interrupt {
    stop: CancellationToken,
    holding: Arc<AtomicBool>,
}

impl Interrupt {
    pub(super) fn watch() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::Internal(format!("signals cannot be watched: {error}"))
        };
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let (stop, holding) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let watched = Self { stop: stop.clone(), holding: Arc::clone(&holding) };
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => (),
                    _ = terminate.recv() => (),
                }
                if stop.is_cancelled() || !holding.load(Ordering::Acquire) {
                    std::process::exit(1);
                }
                stop.cancel();
                print_status("ending: the letters are put back first; once more ends at once");
            }
        });
        Ok(watched)
    }

    /// Sets whether letters may be held from now on.
    pub(super) fn holds(&self, letters: bool) {
        self.holding.store(letters, Ordering::Release);
    }

    /// Cancelled when the user wants to stop.
    pub(super) const fn stop(&self) -> &CancellationToken {
        &self.stop
    }
}
