//! The lengths of the broker's queues for the metrics, and the reasons of the dead letters.
//!
//! Owns the invariant that a query that fails or takes long never affects a session. Queries have
//! their own connections and tasks, and outlive sessions. A failure is logged once and retried.
//!
//! Not here: how a queue is queried (`broker/queue_lengths.rs`) and how dead letters are counted
//! (`broker/dead_count.rs`).

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::{Address, DeadCounter, QueueLengths, Topology},
    domain::QueueStats,
    pipeline::PipelineContext,
    telemetry::{Telemetry, events, with_causes},
};

/// How often the queue lengths are queried.
const EVERY: Duration = Duration::from_secs(15);

/// How long the queries may continue after the daemon began to stop.
const COUNT_MAX: Duration = Duration::from_secs(3);

/// The queues to watch, and how often.
pub(super) struct QueueMonitor {
    /// Where the broker is.
    pub(super) address: Address,
    /// The names of the queues.
    pub(super) topology: Arc<Topology>,
    /// The shortest time between two counts of dead letters; zero means never.
    pub(super) count_every: Duration,
    /// Whether there is a session. Without one, nothing is queried and the gauges are empty.
    pub(super) ready: watch::Receiver<bool>,
    /// Ends the queries.
    pub(super) stop: CancellationToken,
}

/// The lengths and consumers of the queues, each time they are known anew.
pub(super) type Seen = watch::Receiver<Vec<QueueStats>>;

/// Watches the queues until the daemon stops, and at most [`COUNT_MAX`] longer.
pub(super) fn start(watch: QueueMonitor, parts: &PipelineContext) -> (JoinHandle<()>, Seen) {
    let QueueMonitor { address, topology, count_every, ready, stop } = watch;
    let gauge = QueueLengths::new(address.clone(), Arc::clone(&topology));
    let counter = DeadCounter::new(address, topology, parts.clock.clone(), count_every);
    let (tell, seen) = watch::channel(Vec::new());
    let (telemetry, stopping) = (Arc::clone(&parts.telemetry), stop.clone());
    let counted = seen.clone();
    let watching = tokio::spawn(async move {
        let depths = watch_depths(gauge, tell, ready.clone(), Arc::clone(&telemetry), stop.clone());
        let letters = count_letters(counter, counted, ready, telemetry, stop);
        // If a count is interrupted, the broker requeues its letters when the channel closes,
        // provided that the broker is reachable.
        let too_late = async {
            stopping.cancelled().await;
            tokio::time::sleep(COUNT_MAX).await;
        };
        tokio::select! {
            _ = async { tokio::join!(depths, letters) } => (),
            () = too_late => (),
        }
    });
    (watching, seen)
}

/// Waits until messages have been waiting twice in a row in a queue without a consumer, though a
/// session consumes it. The broker tells of a consumer that it cancels, but a session must not
/// depend on that alone. Returns the queue's name without the prefix.
///
/// A queue that is too busy to answer is said to have neither consumers nor messages, so no
/// consumers alone prove nothing.
pub(super) async fn without_consumer(mut seen: Seen) -> String {
    let mut before: HashSet<String> = HashSet::new();
    seen.mark_unchanged();
    while seen.changed().await.is_ok() {
        let without: HashSet<_> = seen
            .borrow_and_update()
            .iter()
            .filter(|queue| queue.consumers == Some(0) && queue.ready > 0)
            .map(|queue| queue.name.clone())
            .collect();
        if let Some(queue) = without.intersection(&before).next() {
            return queue.clone();
        }
        before = without;
    }
    std::future::pending().await
}

/// Reports the queue lengths while there is a session.
async fn watch_depths(
    mut gauge: QueueLengths,
    tell: watch::Sender<Vec<QueueStats>>,
    mut ready: watch::Receiver<bool>,
    telemetry: Arc<Telemetry>,
    stop: CancellationToken,
) {
    let mut failing = false;
    while let Some(true) = stop.run_until_cancelled(becomes(&mut ready, true)).await {
        let asked = gauge.measure().await;
        // An answer that arrives after the session's end describes a broker that may have changed
        // since.
        if *ready.borrow() {
            let seen = asked.unwrap_or_else(|error| {
                events::QueueSampleFailed { cause: &with_causes(&error), news: !failing }.emit();
                Vec::new()
            });
            failing = seen.is_empty();
            events::QueuesSampled { queues: &seen }.emit(&telemetry);
            tell.send_replace(seen);
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => (),
            () = stop.cancelled() => (),
            _ = becomes(&mut ready, false) => (),
        }
        if !*ready.borrow() {
            forget(&telemetry);
        }
    }
    gauge.close().await;
    forget(&telemetry);
}

/// Waits until there is a session, or until there is none. `false` if the sender is gone.
async fn becomes(ready: &mut watch::Receiver<bool>, wanted: bool) -> bool {
    ready.wait_for(|ready| *ready == wanted).await.is_ok()
}

/// Clears the gauges, so that they do not report old values.
fn forget(telemetry: &Telemetry) {
    events::QueuesSampled { queues: &[] }.emit(telemetry);
    events::DeadLettersCounted { queues: &[] }.emit(telemetry);
}

/// Counts dead letters after each query of the queue lengths.
async fn count_letters(
    mut counter: DeadCounter,
    mut seen: watch::Receiver<Vec<QueueStats>>,
    ready: watch::Receiver<bool>,
    telemetry: Arc<Telemetry>,
    stop: CancellationToken,
) {
    let mut failing = false;
    while let Some(Ok(())) = stop.run_until_cancelled(seen.changed()).await {
        let queues = seen.borrow_and_update().clone();
        match counter.count(&queues).await {
            Ok(counted) => {
                failing = false;
                if *ready.borrow() {
                    events::DeadLettersCounted { queues: &counted }.emit(&telemetry);
                }
            }
            Err(error) => {
                events::DeadLetterCountFailed { cause: &with_causes(&error), news: !failing }
                    .emit();
                failing = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn look(publish: (u32, u32), lark: (u32, u32)) -> Vec<QueueStats> {
        let queue =
            |name: &str, ready, consumers| QueueStats { name: name.to_owned(), ready, consumers };
        vec![
            queue("publish", publish.0, Some(publish.1)),
            queue("delivery.lark", lark.0, Some(lark.1)),
            queue("dead.lark", 7, None),
        ]
    }

    #[tokio::test]
    async fn a_queue_in_which_messages_wait_twice_in_a_row_without_a_consumer_is_named() {
        let (tell, seen) = watch::channel(look((1, 0), (1, 0)));
        let mut found = Box::pin(without_consumer(seen));
        // Once is no proof, and neither is a queue that did not answer.
        for looks in
            [look((1, 0), (1, 1)), look((1, 1), (0, 0)), look((0, 0), (1, 0)), look((9, 1), (0, 1))]
        {
            assert!(found.as_mut().now_or_never().is_none());
            tell.send_replace(looks);
        }
        for looks in [look((0, 1), (3, 0)), look((0, 1), (4, 0))] {
            assert!(found.as_mut().now_or_never().is_none());
            tell.send_replace(looks);
        }
        assert_eq!(found.now_or_never().as_deref(), Some("delivery.lark"));
    }
}
