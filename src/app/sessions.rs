//! One broker session after the other, for as long as it takes. Owns when the next one is tried, and that nothing of one
//! session reaches into the next: every task of the old one has ended and is recorded before the new one consumes.

use std::{sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    AppError, parts,
    queues::{self, Watch},
};
use crate::{
    broker::{BrokerError, Ended, Session, Settings, Topology},
    config::Config,
    domain::Moment,
    pipeline::{Parts, Pipeline},
    settle::{Commits, Committer, Hand, NotRecorded, Outbox},
    store::LedgerError,
    telemetry::{Telemetry, events, with_causes},
};

/// How long a first start waits for a lock that a process that has just died may still seem to hold.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// Runs sessions until `stop`. Ends with an error only before the first session, and only if time alone will not mend it.
pub(super) async fn run(
    config: &Config,
    parts: Arc<Parts>,
    sent_is_known: bool,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), AppError> {
    let topology = Arc::new(Topology::new(parts::topology_settings(config)));
    let settings = parts::session_settings(config);
    let watch = Watch {
        address: parts::address(config),
        topology: Arc::clone(&topology),
        count_every: config.broker.dead_count_every,
        ready: ready.subscribe(),
        stop: stop.clone(),
    };
    let watching = queues::start(watch, &parts);
    let waits = ExponentialBuilder::default()
        .with_min_delay(config.broker.reconnect_min)
        .with_max_delay(config.broker.reconnect_max)
        .without_max_times()
        .with_jitter();
    let (mut backoff, mut outage) = (waits.build(), Outage::default());
    let (mut id, began, mut first) = (0, Instant::now(), true);
    // What comes back in the first session may have been sent without our knowing, if the machine went down.
    let mut recovering = (!sent_is_known).then(|| parts.pace.now());
    while !stop.is_cancelled() {
        id += 1;
        let opening = open(id, &settings, &topology, &parts);
        let Some(opened) = stop.run_until_cancelled(opening).await else {
            break;
        };
        match opened {
            Ok(session) => {
                events::BrokerConnected { session: id, outage_seconds: outage.end() }.emit(&parts.telemetry);
                ready.send_replace(true);
                let since = Instant::now();
                first = false;
                let drain = config.shutdown.drain;
                let cause = serve(session, &parts, recovering.take(), drain, &stop).await;
                ready.send_replace(false);
                if stop.is_cancelled() {
                    break;
                }
                outage.begin(&cause, &parts.telemetry);
                // A session that worked for a while starts the waiting anew; one that fails at once does not.
                if since.elapsed() > config.broker.reconnect_max {
                    backoff = waits.build();
                }
            }
            Err(Unopened::Broker(error)) if first && is_final(&error, began) => {
                return Err(error.into());
            }
            Err(error) => outage.begin(&with_causes(&error), &parts.telemetry),
        }
        let wait = backoff.next().unwrap_or(config.broker.reconnect_max);
        stop.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
    // A fault of it was logged when it happened.
    let _ = watching.await;
    Ok(())
}

/// Whether the first start had better fail than go on trying. The lock may still seem held by a process that has just died.
fn is_final(error: &BrokerError, began: Instant) -> bool {
    match error {
        BrokerError::Locked { .. } => began.elapsed() > LOCK_PATIENCE,
        error => !error.may_pass(),
    }
}

/// Why there is no next session yet.
#[derive(Debug, thiserror::Error)]
enum Unopened {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A session that cannot record would send everything and ack nothing, again and again.
    #[error("the ledger cannot be written")]
    Ledger(#[from] LedgerError),
}

async fn open(id: u64, settings: &Settings, topology: &Arc<Topology>, parts: &Arc<Parts>) -> Result<Session, Unopened> {
    let (ledger, now) = (Arc::clone(&parts.ledger), parts.clock.now());
    match tokio::task::spawn_blocking(move || ledger.begin_session(now)).await {
        Ok(written) => written?,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
    Ok(Session::open(id, settings, topology, &parts.clock).await?)
}

/// Runs one session until it ends or the daemon stops; says why it ended.
async fn serve(
    mut session: Session,
    parts: &Arc<Parts>,
    recovering_since: Option<Moment>,
    drain: Duration,
    stop: &CancellationToken,
) -> String {
    let outbox: Arc<dyn Outbox> = Arc::clone(&session.outbox) as _;
    let committer = Committer {
        ledger: Arc::clone(&parts.ledger),
        journal: Arc::clone(&parts.journal),
        outbox: Arc::clone(&outbox),
        clock: parts.clock.clone(),
        recorded: Box::new({
            let telemetry = Arc::clone(&parts.telemetry);
            move |took| events::SettlementsRecorded { took }.emit(&telemetry)
        }),
    };
    let (commits, committed) = committer.start();
    let ended = session.ended.clone();
    let watching = tokio::spawn(watch_committer(committed, ended.clone(), Arc::clone(&parts.telemetry)));
    let blocked = tokio::spawn(watch_blocked(session.blocked.clone(), Arc::clone(&parts.telemetry)));
    let leave = CancellationToken::new();

    let pipeline = pipeline(parts, outbox, commits, leave.clone(), recovering_since, ended.clone());
    {
        let work = pipeline.run(async || session.intake.next().await);
        tokio::pin!(work);
        let finished = tokio::select! {
            () = &mut work => true,
            () = ended.wait() => false,
            () = stop.cancelled() => false,
        };
        // Nobody waits any longer: what waits is deferred, what is in the air is answered within its deadline, and all of it is
        // recorded before anybody else may consume. Only a daemon that is told to stop gives up on that.
        leave.cancel();
        if !finished {
            let impatient = async {
                stop.cancelled().await;
                tokio::time::sleep(drain).await;
            };
            tokio::select! {
                () = &mut work => (),
                () = impatient => tracing::warn!("what was in hand took longer than shutdown.drain; it comes back"),
            }
        }
    }
    if tokio::time::timeout(drain, watching).await.is_err() {
        tracing::warn!("what was settled last could not be recorded in time; it comes back");
    }
    blocked.abort();
    let cause = ended.cause();
    session.close().await;
    cause
}

fn pipeline(
    parts: &Arc<Parts>,
    outbox: Arc<dyn Outbox>,
    commits: Commits,
    leave: CancellationToken,
    recovering_since: Option<Moment>,
    ended: Ended,
) -> Arc<Pipeline> {
    Arc::new(Pipeline {
        parts: Arc::clone(parts),
        outbox,
        commits,
        leave,
        recovering_since,
        hand: Hand::default(),
        tasks: TaskTracker::new(),
        on_stuck: Box::new(move |stuck| ended.end(with_causes(&stuck))),
    })
}

async fn watch_committer(committed: JoinHandle<Result<(), NotRecorded>>, ended: Ended, telemetry: Arc<Telemetry>) {
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

/// The time without a session. It is logged once at its beginning and once at its end.
#[derive(Default)]
struct Outage {
    since: Option<Instant>,
}

impl Outage {
    fn begin(&mut self, cause: &str, telemetry: &Telemetry) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            events::BrokerLost { cause }.emit(telemetry);
        } else {
            tracing::debug!(cause, "still no session with the broker");
        }
    }

    fn end(&mut self) -> Option<u64> {
        self.since.take().map(|since| since.elapsed().as_secs())
    }
}
