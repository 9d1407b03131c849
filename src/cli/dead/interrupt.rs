//! Ctrl-C and SIGTERM. Owns that whoever holds letters is not ended before they are back: what is taken in part goes behind the rest.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::{exit::Failure, screen::note};

/// Watches signals. A first one asks to stop while letters may be held; any other ends the process, which loses nothing either.
pub(super) struct Interrupt {
    stop: CancellationToken,
    holding: Arc<AtomicBool>,
}

impl Interrupt {
    pub(super) fn watch() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::Internal(format!("signals cannot be watched: {error}"));
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
                note("ending: the letters in hand are given back first; once more ends at once");
            }
        });
        Ok(watched)
    }

    /// Says whether letters may be held from now on.
    pub(super) fn holds(&self, letters: bool) {
        self.holding.store(letters, Ordering::Release);
    }

    /// Is cancelled when somebody wants to stop.
    pub(super) const fn stop(&self) -> &CancellationToken {
        &self.stop
    }
}
