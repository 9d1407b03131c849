//! Tests of the whole pacer, on tokio's paused clock.
//!
//! Owns the proof that windows, order, holds, quotas and overflow work together, also over a
//! restart.
//!
//! Not here: tests of single parts (in their files), and hours of mixed traffic (`tests/sim/`).

mod breaker;
mod holds;
mod order;
mod overflow;
mod restart;
mod status;
mod wait_reasons;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::*;
use crate::clock::Clock;
use crate::domain::{
    AttemptOutcome, Event, EventContent, EventId, GroupName, HoldCause, HoldCounts, OverflowPolicy,
    PlatformMap, PublishedMessage, RobotId, SubscriptionId, Verdict, WaitCounts,
};
use crate::port::{PortFuture, at_once};
use crate::settings::Section as _;

const T0: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);
const THROTTLED: Verdict = Verdict::Throttled { wait: None };

/// Keeps records in memory, as the next process would read them.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<PaceRecord>>>);

#[async_trait]
impl PaceLog for Notes {
    fn append(&self, record: &PaceRecord) -> PortFuture<'static, Result<(), AppendFailed>> {
        self.0.lock().unwrap().push(record.clone());
        at_once(Ok(()))
    }

    async fn sync(self: Arc<Self>) -> Result<(), PaceLogUnavailable> {
        Ok(())
    }

    async fn begin_checkpoint(
        self: Arc<Self>,
    ) -> Result<Option<CheckpointDue>, PaceLogUnavailable> {
        Ok(None)
    }

    async fn complete_checkpoint(
        self: Arc<Self>,
        _: CheckpointDue,
    ) -> Result<(), PaceLogUnavailable> {
        Ok(())
    }

    fn remember(&self, _: Duration) {}
}

fn timeline(now: Timestamp) -> MonotonicWallClock {
    MonotonicWallClock::starting(Clock::from(now))
}

fn settings(windows: &[(u32, u64)], penalty: (u64, u64)) -> PaceSettings {
    let seconds = Duration::from_secs;
    let quota = PlatformQuota {
        windows: windows
            .iter()
            .map(|(max, span)| WindowQuota { max: *max, span: seconds(*span) })
            .collect(),
        margin: Duration::ZERO,
        rate_per_second: None,
        penalty_min: seconds(penalty.0),
        penalty_max: seconds(penalty.1),
    };
    PaceSettings {
        limits: limits(),
        quotas: PlatformMap::from_fn(|_| quota.clone()),
        hosts: PlatformMap::from_fn(|platform| platform.to_string()),
        health: HealthPolicy { probe_max: seconds(240), ..HealthPolicy::by_default().unwrap() },
        breaker: BreakerPolicy::by_default().unwrap(),
        groups: BTreeMap::new(),
    }
}

fn limits() -> PaceLimits {
    PaceLimits { order_gap: Duration::ZERO, ..PaceLimits::by_default().unwrap() }
}

fn answer(verdict: Verdict) -> AttemptOutcome {
    AttemptOutcome::new(verdict, "code", "detail")
}

fn with(settings: PaceSettings) -> Pace {
    Pace::new(settings, Arc::new(Notes::default()), timeline(T0))
}

fn pace(windows: &[(u32, u64)], penalty: (u64, u64)) -> Pace {
    with(settings(windows, penalty))
}

/// A delivery and its request.
#[derive(Clone)]
struct Asking {
    robot: RobotId,
    subscription: SubscriptionId,
    overflow: OverflowPolicy,
    group: Option<GroupName>,
    event: Arc<Event>,
    position: QueuePosition,
    waited_for: Option<WaitReason>,
    early: bool,
}

fn asking(robot: u8) -> Asking {
    let event = Event {
        id: EventId::from_bytes(EventId::random_bytes()),
        topic: "ops".parse().unwrap(),
        content: EventContent::default(),
        urgent: false,
        received_at: T0,
        expires_at: T0.after(Duration::from_secs(86_400)),
        published: PublishedMessage::default(),
    };
    Asking {
        robot: RobotId::from_bytes([robot; 16]),
        subscription: SubscriptionId::from_bytes([robot; 16]),
        overflow: OverflowPolicy::Queue,
        group: None,
        event: Arc::new(event),
        position: QueuePosition::Tail,
        waited_for: None,
        early: true,
    }
}

impl Asking {
    fn at(mut self, position: QueuePosition) -> Self {
        self.position = position;
        self
    }

    fn overflowing(mut self, overflow: OverflowPolicy) -> Self {
        self.overflow = overflow;
        self
    }

    fn event(mut self, change: impl FnOnce(&mut Event)) -> Self {
        change(Arc::make_mut(&mut self.event));
        self
    }

    fn without_room(mut self) -> Self {
        self.early = false;
        self
    }

    fn urgent(self) -> Self {
        self.event(|event| event.urgent = true)
    }

    fn enqueue(&self) -> AdmissionRequest<'_> {
        AdmissionRequest {
            robot: self.robot,
            platform: Platform::DingTalk,
            subscription: self.subscription,
            overflow: self.overflow,
            group: self.group.as_ref(),
            event: &self.event,
            position: self.position,
            waited_for: self.waited_for,
            early: self.early,
        }
    }

    async fn wait_for_permit(&self, pace: &Pace) -> PaceDecision {
        let ask = self.enqueue();
        pace.wait_for_permit(&ask, pace.enqueue(&ask), &CancellationToken::new()).await
    }

    async fn go(&self, pace: &Pace) -> Permit {
        match self.wait_for_permit(pace).await {
            PaceDecision::Granted(mut permit, _) => {
                permit.mark_sent(false).await.unwrap();
                permit
            }
            PaceDecision::Deferred(later) => panic!("later by {:?}", later.due.since(pace.now())),
            _ => panic!("neither now nor later"),
        }
    }

    async fn sent(&self, pace: &Pace, verdict: Verdict) -> PaceChanges {
        self.go(pace).await.finish(&answer(verdict), Duration::ZERO)
    }

    async fn later(&self, pace: &Pace) -> Deferral {
        match self.wait_for_permit(pace).await {
            PaceDecision::Deferred(later) => later,
            PaceDecision::Granted(..) => panic!("it went"),
            _ => panic!("neither now nor later"),
        }
    }
}

fn wait(pace: &Pace, later: Deferral) -> u64 {
    later.due.since(pace.now()).as_secs()
}

async fn until(pace: &Pace, at: Timestamp) {
    tokio::time::advance(at.since(pace.now())).await;
}

/// Runs all tasks that are ready.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
