//! What lies in the broker's queues, for the metrics, and why in the dead ones. Owns that looking never reaches a session: it has
//! connections and tasks of its own, outlives sessions, and a failure of it is logged once and then tried again.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::{Address, DeadCounter, QueueGauge, Topology},
    domain::QueueSeen,
    pipeline::Parts,
    telemetry::{Telemetry, events, with_causes},
};

/// How often the queues are asked.
const EVERY: Duration = Duration::from_secs(15);

/// How long a count of dead letters may go on after the daemon was told to stop.
const COUNT_MAX: Duration = Duration::from_secs(3);

/// What is watched, and how.
pub(super) struct Watch {
    /// Where the broker is.
    pub(super) address: Address,
    /// Whose queues.
    pub(super) topology: Arc<Topology>,
    /// How often dead letters are counted at most; zero means never.
    pub(super) count_every: Duration,
    /// Whether there is a session: without one nothing is asked, and nothing is known.
    pub(super) ready: watch::Receiver<bool>,
    /// Ends it.
    pub(super) stop: CancellationToken,
}

/// Watches until the daemon is told to stop, and a few seconds longer at the most.
pub(super) fn start(watch: Watch, parts: &Parts) -> JoinHandle<()> {
    let Watch { address, topology, count_every, ready, stop } = watch;
    let gauge = QueueGauge::new(address.clone(), Arc::clone(&topology));
    let counter = DeadCounter::new(address, topology, parts.clock.clone(), count_every);
    let (tell, seen) = watch::channel(Vec::new());
    let (telemetry, stopping) = (Arc::clone(&parts.telemetry), stop.clone());
    tokio::spawn(async move {
        let depths = watch_depths(gauge, tell, ready.clone(), Arc::clone(&telemetry), stop.clone());
        let letters = count_letters(counter, seen, ready, telemetry, stop);
        // Letters that are being counted return to their places by themselves, if the broker is there to take them back.
        let too_late = async {
            stopping.cancelled().await;
            tokio::time::sleep(COUNT_MAX).await;
        };
        tokio::select! {
            _ = async { tokio::join!(depths, letters) } => (),
            () = too_late => (),
        }
    })
}

/// Says how much lies in the queues, as long as there is a session.
async fn watch_depths(
    mut gauge: QueueGauge,
    tell: watch::Sender<Vec<QueueSeen>>,
    mut ready: watch::Receiver<bool>,
    telemetry: Arc<Telemetry>,
    stop: CancellationToken,
) {
    let mut failing = false;
    while let Some(true) = stop.run_until_cancelled(becomes(&mut ready, true)).await {
        let asked = gauge.ask().await;
        // What was answered after the session's end says nothing of the next.
        if *ready.borrow() {
            let seen = asked.unwrap_or_else(|error| {
                events::QueuesUnseen { cause: &with_causes(&error), news: !failing }.emit();
                Vec::new()
            });
            failing = seen.is_empty();
            events::QueuesSeen { queues: &seen }.emit(&telemetry);
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

/// Waits until there is a session, or none any longer; whether that came about.
async fn becomes(ready: &mut watch::Receiver<bool>, wanted: bool) -> bool {
    ready.wait_for(|ready| *ready == wanted).await.is_ok()
}

/// What was seen of the queues is not said again.
fn forget(telemetry: &Telemetry) {
    events::QueuesSeen { queues: &[] }.emit(telemetry);
    events::DeadLettersSeen { queues: &[] }.emit(telemetry);
}

/// Counts dead letters whenever the queues were asked.
async fn count_letters(
    mut counter: DeadCounter,
    mut seen: watch::Receiver<Vec<QueueSeen>>,
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
                    events::DeadLettersSeen { queues: &counted }.emit(&telemetry);
                }
            }
            Err(error) => {
                events::DeadLettersUnseen { cause: &with_causes(&error), news: !failing }.emit();
                failing = true;
            }
        }
    }
}
