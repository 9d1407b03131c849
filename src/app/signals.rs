//! Signals: SIGTERM and SIGINT drain, SIGHUP reads limits and log level anew.

use std::{path::PathBuf, sync::Arc};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::parts;
use crate::{
    config::{Config, ProcessEnvironment},
    pipeline::Parts,
    telemetry::LogHandle,
};

/// Watches for signals until the first that ends the daemon. A second one of that kind ends the process at once.
pub(super) fn watch(stop: CancellationToken, file: Option<PathBuf>, logs: LogHandle, parts: Arc<Parts>) {
    let signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] = signals else {
        tracing::error!("signals cannot be watched; the daemon ends without draining");
        return;
    };
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => reload(file.as_deref(), &logs, &parts),
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

fn reload(file: Option<&std::path::Path>, logs: &LogHandle, parts: &Parts) {
    match Config::load(file, &ProcessEnvironment) {
        Ok(config) => {
            // First it is remembered for longer, then a longer window may rely on it.
            parts.journal.remember(parts::remembered(&config));
            parts.pace.configure(parts::pace_settings(&config));
            match logs.set_level(&config.log.level) {
                Ok(()) => tracing::info!(level = config.log.level, "limits and log level were read anew"),
                Err(error) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "limits were read anew; the log level stays as it was"
                ),
            }
        }
        Err(mistakes) => {
            tracing::error!(%mistakes, "the configuration has mistakes; everything stays as it was")
        }
    }
}
