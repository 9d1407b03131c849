//! The task that writes the history.
//!
//! Owns when records are written: soon enough that a crash loses less than a second of them, and
//! many at once. A history that cannot be opened or written costs records, and no delivery.
//!
//! Not here: the records that wait (`history/buffer.rs`), and the files (`store/history.rs`).

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    history::{DeliveryHistory, HistoryBuffer, HistoryRecord, HistoryUnavailable, StepMerger},
    telemetry::{Telemetry, events, with_causes},
};

/// How long a record waits before it is written. An attempt may wait twice as long for the decision
/// about it.
const WRITE_INTERVAL: Duration = Duration::from_millis(400);

/// How often records that are too old are deleted, if none is added: at least once in this time.
const TRIM_INTERVAL_MAX: Duration = Duration::from_secs(60);
/// The same as a share of the retention.
const TRIMS_IN_RETENTION: u32 = 32;

/// The history of a daemon, and what writes it.
pub(super) struct HistoryWriter {
    pub(super) buffer: Arc<HistoryBuffer>,
    pub(super) history: Arc<dyn DeliveryHistory>,
    pub(super) retention: Duration,
    pub(super) clock: Clock,
    pub(super) telemetry: Arc<Telemetry>,
}

/// Opens the history; `None` if it is off, or if its files cannot be used.
pub(super) async fn open(
    opening: impl FnOnce() -> Result<Option<Arc<dyn DeliveryHistory>>, HistoryUnavailable>
    + Send
    + 'static,
) -> Option<Arc<dyn DeliveryHistory>> {
    match tokio::task::spawn_blocking(opening).await {
        Ok(Ok(history)) => history,
        Ok(Err(error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(
                error,
                "the history cannot be used until the next start; deliveries leave no record"
            );
            None
        }
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

impl HistoryWriter {
    /// Writes records until `ended`, and then what is left.
    pub(super) async fn run(self, ended: CancellationToken) {
        let (mut merger, mut is_failing) = (StepMerger::default(), false);
        let mut turn = interval(WRITE_INTERVAL);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let trim_interval = TRIM_INTERVAL_MAX.min(self.retention / TRIMS_IN_RETENTION);
        let mut trimmed = Instant::now();
        loop {
            let is_turn = tokio::select! {
                _ = turn.tick() => true,
                () = self.buffer.many() => false,
                () = ended.cancelled() => break,
            };
            let mut ready = merger.merge(self.buffer.take());
            if is_turn {
                ready.extend(merger.end_round());
            }
            self.write(ready, &mut is_failing).await;
            if trimmed.elapsed() >= trim_interval {
                trimmed = Instant::now();
                self.trim().await;
            }
        }
        let mut ready = merger.merge(self.buffer.take());
        ready.extend(merger.finish());
        self.write(ready, &mut is_failing).await;
    }

    async fn write(&self, records: Vec<HistoryRecord>, is_failing: &mut bool) {
        let count = records.len();
        if count == 0 {
            return;
        }
        let history = Arc::clone(&self.history);
        match history.append(records, self.clock.now()).await {
            Ok(()) => {
                *is_failing = false;
                events::HistoryWritten { records: count }.emit(&self.telemetry);
            }
            Err(error) => {
                let (cause, news) = (&with_causes(&error), !*is_failing);
                *is_failing = true;
                events::HistoryFailed { lost: count, cause, news }.emit(&self.telemetry);
            }
        }
    }

    async fn trim(&self) {
        if let Err(error) = Arc::clone(&self.history).trim(self.clock.now()).await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "the history was not trimmed");
        }
    }
}
