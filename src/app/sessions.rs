//! Broker sessions, one after the other, until the daemon stops.
//!
//! Owns when the next session is tried, and the invariant that no session affects the next: all
//! tasks of the old session have ended and their results are recorded before the new one consumes.
//!
//! Not here: what a session consists of (`broker/session.rs`), and the lengths of the waits
//! (`backoff.rs`).

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    AppError,
    backoff::Backoff,
    queue_monitor::{self, QueueMonitor, Seen},
    wiring,
};
use crate::{
    broker::{BrokerError, BrokerSession, SessionEnd, SessionSettings, Topology},
    config::Config,
    pipeline::{Pipeline, PipelineContext, SessionRedeliveries},
    settle::{
        CommitQueue, GroupCommitter, InFlightRegistry, LedgerUnavailable, RecordError,
        StepPublisher,
    },
    telemetry::{Telemetry, events, with_causes},
};

/// How long the last write to the ledger may take after `shutdown.drain` is over.
const RECORD_MAX: Duration = Duration::from_secs(2);

/// How long a first start waits for the lock queue. A process that has just died may still seem to
/// hold it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs sessions until `stop`.
///
/// # Errors
///
/// Only before the first session, and only if waiting cannot remove the cause.
pub(super) async fn run(
    config: &Config,
    parts: Arc<PipelineContext>,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), AppError> {
    let topology = Arc::new(Topology::new(wiring::topology_settings(config)));
    let settings = config.broker.session(config.event.size_max);
    let watch = QueueMonitor {
        address: config.broker.address(),
        topology: Arc::clone(&topology),
        count_every: config.broker.dead_count_every,
        ready: ready.subscribe(),
        stop: stop.clone(),
    };
    let (watching, seen) = queue_monitor::start(watch, &parts);
    let mut backoff = Backoff::new(config.broker.reconnect_min, config.broker.reconnect_max);
    let mut standing = Readiness { ready, lost_at: None, telemetry: Arc::clone(&parts.telemetry) };
    let (mut id, began, mut first) = (0, Instant::now(), true);
    while !stop.is_cancelled() {
        id += 1;
        let opening = open(id, &settings, &topology, &parts);
        let Some(opened) = stop.run_until_cancelled(opening).await else {
            break;
        };
        let failed_at = match opened {
            Ok(session) => {
                standing.begin(id);
                first = false;
                let (began, step_publisher) = (Instant::now(), Arc::clone(&session.step_publisher));
                serve(session, &parts, &mut standing, config.shutdown.drain, seen.clone(), &stop)
                    .await;
                let lost_at = standing.lost_at.unwrap_or(began);
                backoff.after_session(step_publisher.has_acked(), lost_at.duration_since(began));
                lost_at
            }
            Err(SessionOpenError::Broker(error)) if first && is_final(&error, began) => {
                return Err(error.into());
            }
            Err(error) => {
                standing.lose(&with_causes(&error));
                Instant::now()
            }
        };
        stop.run_until_cancelled(tokio::time::sleep_until(
            failed_at + backoff.next(rand::random()),
        ))
        .await;
    }
    // A panic in it was logged when it happened.
    let _ = watching.await;
    Ok(())
}

/// Whether the first start fails instead of trying again. The lock counts as temporary for
/// [`LOCK_TIMEOUT`], because a process that has just died may still seem to hold it.
fn is_final(error: &BrokerError, began: Instant) -> bool {
    match error {
        BrokerError::Locked { .. } => began.elapsed() > LOCK_TIMEOUT,
        error => !error.may_pass(),
    }
}

/// Why the next session could not be opened.
#[derive(Debug, thiserror::Error)]
enum SessionOpenError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A session that cannot write the ledger would send all messages and acknowledge none, again
    /// and again.
    #[error("the ledger cannot be written")]
    Ledger(#[from] LedgerUnavailable),
}

async fn open(
    id: u64,
    settings: &SessionSettings,
    topology: &Arc<Topology>,
    parts: &Arc<PipelineContext>,
) -> Result<BrokerSession, SessionOpenError> {
    Arc::clone(&parts.ledger).begin_session(parts.clock.now()).await?;
    Ok(BrokerSession::open(id, settings, topology, &parts.clock).await?)
}

/// Runs one session until it ends or the daemon stops.
///
/// The next session may consume as soon as this returns. After a session's end no task waits for
/// memory, a permit or a confirm, and no attempt begins. So only the attempts in flight remain, for
/// at most `send.deadline`, and the write of their results to the ledger. The waiting deliveries
/// stay unacknowledged, and the broker redelivers their messages.
async fn serve(
    session: BrokerSession,
    parts: &Arc<PipelineContext>,
    standing: &mut Readiness,
    drain: Duration,
    seen: Seen,
    stop: &CancellationToken,
) {
    let BrokerSession { mut intake, step_publisher, ended, blocked, connections } = session;
    let step_publisher: Arc<dyn StepPublisher> = step_publisher;
    let finish = CancellationToken::new();
    let committer = GroupCommitter {
        ledger: Arc::clone(&parts.ledger),
        pace_log: Arc::clone(&parts.pace_log),
        step_publisher: Arc::clone(&step_publisher),
        clock: parts.clock.clone(),
        recorded: Box::new({
            let telemetry = Arc::clone(&parts.telemetry);
            move |took| events::LedgerCommitted { took }.emit(&telemetry)
        }),
        finish: finish.clone(),
    };
    let (commits, committed) = committer.start();
    let mut recording =
        tokio::spawn(watch_committer(committed, ended.clone(), Arc::clone(&parts.telemetry)));
    let blocked = tokio::spawn(watch_blocked(blocked, Arc::clone(&parts.telemetry)));
    let stop_waiting = CancellationToken::new();
    let pipeline = pipeline(parts, step_publisher, commits, stop_waiting.clone(), ended.clone());
    // Only a stop of the daemon bounds the wait for unfinished work. The end of a session does not.
    let impatience = async {
        stop.cancelled().await;
        tokio::time::sleep(drain).await;
    }
    .shared();
    let work = pipeline.run(async || intake.next().await);
    tokio::pin!(work);
    let finished = tokio::select! {
        () = &mut work => true,
        () = ended.wait() => false,
        () = stop.cancelled() => false,
        queue = queue_monitor::without_consumer(seen) => {
            ended.end(format!("messages wait in queue {queue}, which has no consumer any more"));
            false
        }
    };
    stop_waiting.cancel();
    blocked.abort();
    if ended.has_ended() && !stop.is_cancelled() {
        standing.lose(&ended.cause());
    } else {
        standing.leave();
    }
    if !finished {
        tokio::select! {
            () = &mut work => (),
            () = impatience.clone() => {
                tracing::warn!("what was in hand took longer than shutdown.drain; it comes back");
            }
        }
    }
    finish.cancel();
    let too_late = async {
        impatience.await;
        tokio::time::sleep(RECORD_MAX).await;
    };
    tokio::select! {
        _ = &mut recording => (),
        () = too_late => {
            tracing::warn!("what was settled last could not be recorded in time; it comes back");
        }
    }
    // The connections close last, because they hold the lock that excludes another daemon while
    // attempts are in flight.
    connections.close().await;
}

fn pipeline(
    parts: &Arc<PipelineContext>,
    step_publisher: Arc<dyn StepPublisher>,
    commits: CommitQueue,
    stop_waiting: CancellationToken,
    ended: SessionEnd,
) -> Arc<Pipeline> {
    Arc::new(Pipeline {
        parts: Arc::clone(parts),
        step_publisher,
        commits,
        stop_waiting,
        in_flight: InFlightRegistry::default(),
        returned: SessionRedeliveries::default(),
        tasks: TaskTracker::new(),
        on_unsettled: Box::new(move |unsettled| ended.end(with_causes(&unsettled))),
    })
}

async fn watch_committer(
    committed: JoinHandle<Result<(), RecordError>>,
    ended: SessionEnd,
    telemetry: Arc<Telemetry>,
) {
    let failed = match committed.await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => with_causes(&error),
        Err(panicked) => panicked.to_string(),
    };
    events::LedgerFailed { cause: &failed }.emit(&telemetry);
    ended.end(failed);
}

async fn watch_blocked(mut blocked: watch::Receiver<bool>, telemetry: Arc<Telemetry>) {
    while blocked.changed().await.is_ok() {
        events::BrokerBlocked { blocked: *blocked.borrow() }.emit(&telemetry);
    }
}

/// Whether there is a session. Each outage is logged once at its start and once at its end.
struct Readiness {
    ready: watch::Sender<bool>,
    /// When the session was lost, or when the first attempt to open one failed. `None` before that
    /// and during a session.
    lost_at: Option<Instant>,
    telemetry: Arc<Telemetry>,
}

impl Readiness {
    fn begin(&mut self, session: u64) {
        let outage_seconds = self.lost_at.take().map(|since| since.elapsed().as_secs());
        events::BrokerConnected { session, outage_seconds }.emit(&self.telemetry);
        self.ready.send_replace(true);
    }

    fn lose(&mut self, cause: &str) {
        self.leave();
        if self.lost_at.is_none() {
            self.lost_at = Some(Instant::now());
            events::BrokerLost { cause }.emit(&self.telemetry);
        } else {
            tracing::debug!(cause, "still no session with the broker");
        }
    }

    /// Reports that there is no session, without an outage: the daemon stops, or [`Self::lose`]
    /// reports the cause.
    fn leave(&self) {
        self.ready.send_replace(false);
    }
}
