//! Signals: SIGTERM and SIGINT drain, SIGHUP reloads limits and log level.
//!
//! Owns which signal does what, and that a second SIGTERM or SIGINT ends the process at once.
//!
//! Not here: what a reload does (`reload.rs`), and how a drain ends the session (`sessions.rs`).

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{reload::Reload, systemd::Systemd};

/// Watches for signals until one ends the daemon. A second SIGTERM or SIGINT ends the process at
/// once.
pub(super) fn watch(stop: CancellationToken, mut reload: Reload, systemd: Systemd) {
    let signals =
        [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] = signals else {
        tracing::error!("signals cannot be watched; the daemon ends without draining");
        return;
    };
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => {
                    let (systemd, mut reloading) = (systemd.clone(), reload);
                    let reloaded = tokio::task::spawn_blocking(move || {
                        systemd.while_reloading(|| reloading.run());
                        reloading
                    });
                    match reloaded.await {
                        Ok(reloaded) => reload = reloaded,
                        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
                    }
                }
                () = stop.cancelled() => return,
            }
        }
        tracing::info!("draining: what is in hand is finished, nothing new is taken");
        stop.cancel();
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
        tracing::warn!("a second signal: ending at once; what was not acked comes back");
        std::process::exit(0);
    });
}
