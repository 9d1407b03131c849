//! Tests of the whole pacer, on tokio's paused clock.
//!
//! Owns the proof that windows, order, holds, quotas and overflow work together, also over a
//! restart.
//!
//! Not here: tests of single parts (in their files), and hours of mixed traffic (`tests/sim/`).

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
    PublishedMessage, RobotId, SubscriptionId, Verdict,
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
        groups: BTreeMap::new(),
    }
}

fn limits() -> PaceLimits {
    PaceLimits { order_gap: Duration::ZERO, ..PaceLimits::by_default().unwrap() }
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
        self.go(pace).await.finish(verdict, Duration::ZERO)
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

#[tokio::test(start_paused = true)]
async fn the_whole_quota_leaves_at_once_and_the_rest_gets_slots_in_order() {
    let pace = pace(&[(20, 60)], (60, 600));
    for _ in 0..20 {
        let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    }
    let (mut slots, mut last) = (BTreeMap::new(), T0);
    for _ in 0..50 {
        let later = asking(1).later(&pace).await;
        *slots.entry(wait(&pace, later)).or_insert(0) += 1;
        assert!(later.slot.unwrap() > last, "no two slots are the same");
        last = later.slot.unwrap();
    }
    assert_eq!(slots, BTreeMap::from([(60, 20), (120, 20), (180, 10)]));
    assert_eq!(pace.robots()[0].waiting, 50);
}

#[tokio::test(start_paused = true)]
async fn two_robots_do_not_wait_for_one_another() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _held = asking(1).go(&pace).await;
    let _ = asking(2).go(&pace).await;
    assert!(wait(&pace, asking(1).later(&pace).await) >= 60);
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_is_waited_out_in_memory() {
    let pace = pace(&[(5, 1)], (5, 60));
    let start = Instant::now();
    for _ in 0..10 {
        let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    }
    assert_eq!(start.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_has_waited_goes_before_what_has_just_come_and_in_the_order_of_its_slots() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    let (first, second) = (asking(1).later(&pace).await, asking(1).later(&pace).await);
    until(&pace, first.due.before(Duration::from_millis(1))).await;
    assert!(
        wait(&pace, asking(1).later(&pace).await) > 60,
        "it may not take the slot of the first"
    );
    // The second came back too early. The first came back after it, and still leaves first.
    let order = Arc::new(Mutex::new(Vec::new()));
    for (name, later) in [("second", second), ("first", first)] {
        let (pace, order) = (pace.clone(), Arc::clone(&order));
        tokio::spawn(async move {
            let _ = asking(1)
                .at(QueuePosition::AtSlot(later.slot.unwrap()))
                .sent(&pace, Verdict::Delivered)
                .await;
            order.lock().unwrap().push(name);
        });
        settle().await;
    }
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(*order.lock().unwrap(), ["first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_for_its_slot_goes_straight_out() {
    let pace = pace(&[(20, 60)], (60, 600));
    for _ in 0..20 {
        let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    }
    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(asking(1).later(&pace).await);
    }
    for later in waiting {
        // The tiers bring it back this early.
        let early = later.due.before(Duration::from_secs(80)).max(pace.now());
        until(&pace, early).await;
        let (began, slot) = (pace.now(), later.slot.unwrap());
        let _ = asking(1).at(QueuePosition::AtSlot(slot)).sent(&pace, Verdict::Delivered).await;
        assert!(
            pace.now().since(later.due) < Duration::from_secs(1),
            "{:?} late",
            pace.now().since(later.due)
        );
        assert!(pace.now() >= began);
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_no_room_to_wait_for_long_comes_back_to_its_place() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    let first = asking(1).later(&pace).await;
    let at = QueuePosition::AtSlot(first.slot.unwrap());
    until(&pace, first.due.before(Duration::from_secs(30))).await;
    assert_eq!(asking(1).at(at).without_room().later(&pace).await, first);
    let again = asking(1).at(QueuePosition::Head).without_room().later(&pace).await;
    assert_eq!((wait(&pace, again), again.slot), (30, None), "it goes before all others as before");
    assert_eq!(pace.robots()[0].waiting, 1);
    // Close to its slot it waits in memory, until a hold makes the wait long.
    until(&pace, first.due.before(Duration::from_secs(1))).await;
    let waiting = tokio::spawn({
        let pace = pace.clone();
        async move { asking(1).at(at).without_room().later(&pace).await }
    });
    settle().await;
    assert!(!waiting.is_finished());
    let _ = asking(1).at(QueuePosition::Head).sent(&pace, THROTTLED).await;
    let later = waiting.await.unwrap();
    assert_eq!((wait(&pace, later), later.slot), (60, first.slot));
}

#[tokio::test(start_paused = true)]
async fn an_urgent_delivery_overtakes_what_waits() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    for _ in 0..10 {
        asking(1).later(&pace).await;
    }
    let urgent = asking(1).urgent().later(&pace).await;
    assert_eq!(wait(&pace, urgent), 60, "it waits for the window, and for nobody else");
    until(&pace, urgent.due).await;
    let _ = asking(1).urgent().at(QueuePosition::AtSlot(urgent.slot.unwrap())).go(&pace).await;
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_robot_leave_one_after_the_other_so_that_they_arrive_in_order() {
    let pace = with(PaceSettings {
        limits: PaceLimits { order_gap: Duration::from_millis(50), ..limits() },
        ..settings(&[(20, 60)], (60, 600))
    });
    let start = Instant::now();
    let first = asking(1).go(&pace).await;
    let second = asking(1).go(&pace).await;
    assert_eq!(
        start.elapsed().as_millis(),
        50,
        "the first was not answered: the second leaves a little later"
    );
    let third = tokio::spawn({
        let pace = pace.clone();
        async move { asking(1).go(&pace).await }
    });
    settle().await;
    assert!(!third.is_finished());
    let _ = (
        first.finish(Verdict::Delivered, Duration::ZERO),
        second.finish(Verdict::Delivered, Duration::ZERO),
    );
    let _ = third.await.unwrap();
    assert_eq!(start.elapsed().as_millis(), 50, "both were answered: the third leaves at once");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_speed_holds_the_robot_and_each_further_one_twice_as_long() {
    let pace = pace(&[(20, 60)], (60, 200));
    for expected in [60, 120, 200, 200] {
        let changes = asking(1).at(QueuePosition::Head).sent(&pace, THROTTLED).await;
        assert_eq!(changes.held.map(|hold| hold.wait.as_secs()), Some(expected));
        assert_eq!(changes.resume, Some(pace.now().after(Duration::from_secs(expected))));
        assert!(wait(&pace, asking(1).later(&pace).await) >= expected);
        assert_eq!(pace.robots()[0].hold.map(|hold| hold.cause), Some(HoldCause::Throttled));
        tokio::time::advance(Duration::from_secs(expected)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_platform_asks_for_holds_no_robot_longer_or_shorter_than_the_settings_over_restarts_too()
 {
    for (asked, expected) in [(864_000, 600), (0, 60), (90, 90)] {
        let records = Notes::default();
        let before =
            Pace::new(settings(&[(20, 60)], (60, 600)), Arc::new(records.clone()), timeline(T0));
        let wait = Some(Duration::from_secs(asked));
        let changes = asking(1).sent(&before, Verdict::Throttled { wait }).await;
        assert_eq!(changes.held.map(|hold| hold.wait.as_secs()), Some(expected));
        let after = pace(&[(20, 60)], (60, 600));
        after.restore(records.0.lock().unwrap().clone());
        assert_eq!(after.robots()[0].held_for.map(|left| left.as_secs()), Some(expected));
    }
    // The records of an earlier version.
    let (robot, platform, until) =
        (asking(1).robot, Platform::DingTalk, T0.after(Duration::from_secs(864_000)));
    let after = pace(&[(20, 60)], (60, 600));
    let wait = Duration::from_secs(864_000);
    after.restore([
        PaceRecord::HoldStarted {
            robot,
            platform,
            at: T0,
            cause: HoldCause::Throttled,
            until,
            wait,
        },
        PaceRecord::SlotReserved { robot, platform, slot: until },
    ]);
    assert_eq!(after.robots()[0].held_for.map(|left| left.as_secs()), Some(600));
    let next = asking(1).later(&after).await;
    assert!(
        next.due.since(T0) <= Duration::from_secs(700),
        "behind what waits, which leaves when the hold ends"
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_hold_one_message_probes_alone_until_one_gets_through() {
    let pace = pace(&[(20, 60)], (10, 10));
    let held = asking(1).sent(&pace, THROTTLED).await.held.unwrap();
    tokio::time::advance(held.wait).await;
    let probe = asking(1).at(QueuePosition::Head).go(&pace).await;
    let second = tokio::spawn({
        let pace = pace.clone();
        async move { asking(1).at(QueuePosition::Head).go(&pace).await }
    });
    settle().await;
    assert!(!second.is_finished(), "the second must wait for the probe");
    assert!(probe.finish(Verdict::Delivered, Duration::ZERO).lifted.is_some());
    let _ = second.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hold_moves_what_is_planned_and_keeps_its_order() {
    let pace = pace(&[(1, 60)], (300, 300));
    let air = asking(1).go(&pace).await;
    let (first, second) = (asking(1).later(&pace).await, asking(1).later(&pace).await);
    let held = air.finish(THROTTLED, Duration::ZERO).held.unwrap();
    let third = asking(1).later(&pace).await;
    assert!(third.due > held.until && third.slot > second.slot);
    until(&pace, first.due).await;
    let first = asking(1).at(QueuePosition::AtSlot(first.slot.unwrap())).later(&pace).await;
    assert!(first.due >= held.until, "it waits out the hold");
    until(&pace, second.due).await;
    let second = asking(1).at(QueuePosition::AtSlot(second.slot.unwrap())).later(&pace).await;
    assert!(first.slot < second.slot && second.slot < third.slot);
    assert!(second.due.since(first.due).as_secs() >= 60 && third.due > second.due);
}

#[tokio::test(start_paused = true)]
async fn a_released_robot_is_not_held_any_longer_and_who_waits_goes_at_once() {
    let pace = pace(&[(20, 60)], (60, 60));
    let _ = asking(1).sent(&pace, THROTTLED).await;
    let waiting = tokio::spawn({
        let pace = pace.clone();
        async move { asking(1).at(QueuePosition::Head).go(&pace).await }
    });
    settle().await;
    assert!(!waiting.is_finished());
    assert!(pace.release(asking(1).robot).is_some());
    let start = Instant::now();
    let _ = waiting.await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(pace.release(asking(9).robot).is_none());
}

#[tokio::test(start_paused = true)]
async fn whoever_releases_a_robot_hears_what_waits_in_the_broker_all_the_same_and_how_long() {
    let pace = pace(&[(1, 60)], (300, 300));
    let throttled = asking(1).sent(&pace, THROTTLED).await;
    assert!(throttled.held.is_some());
    let mut last = Timestamp::default();
    for _ in 0..3 {
        last = asking(1).later(&pace).await.due;
    }
    tokio::time::advance(Duration::from_secs(100)).await;
    let ended = pace.release(asking(1).robot).unwrap();
    assert_eq!(
        (ended.waiting_in_broker, ended.back_within),
        (4, last.since(pace.now())),
        "the throttled one comes back too"
    );
    assert!(ended.back_within >= Duration::from_secs(200 + 2 * 60), "{ended:?}");
    let _ = asking(2).sent(&pace, THROTTLED).await;
    tokio::time::advance(Duration::from_secs(300)).await;
    let ended = pace.release(asking(2).robot).unwrap();
    assert_eq!(
        (ended.waiting_in_broker, ended.back_within),
        (0, Duration::ZERO),
        "what was to come back is back"
    );
}

#[tokio::test(start_paused = true)]
async fn refusals_for_another_reason_hold_the_robot_after_a_few_in_a_row_and_a_probe_lifts_it() {
    let pace = pace(&[(20, 60)], (60, 600));
    for _ in 0..2 {
        assert_eq!(asking(1).sent(&pace, Verdict::Security).await.held, None);
    }
    assert_eq!(asking(1).sent(&pace, Verdict::Delivered).await.held, None, "not in a row");
    for _ in 0..2 {
        assert_eq!(asking(1).sent(&pace, Verdict::Security).await.held, None);
    }
    for expected in [60, 120, 240, 240] {
        let held =
            asking(1).at(QueuePosition::Head).sent(&pace, Verdict::Security).await.held.unwrap();
        assert_eq!((held.cause, held.wait.as_secs()), (HoldCause::Security, expected));
        assert!(
            wait(&pace, asking(1).later(&pace).await) >= expected,
            "deliveries park instead of burning attempts"
        );
        tokio::time::advance(held.wait).await;
    }
    assert!(
        asking(1).at(QueuePosition::Head).sent(&pace, Verdict::Delivered).await.lifted.is_some()
    );
    assert_eq!(pace.robots()[0].hold, None);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_cannot_leave_in_time_is_told_so_and_takes_no_slot() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    let hasty = asking(1).event(|event| event.expires_at = T0.after(Duration::from_secs(30)));
    assert_eq!(hasty.later(&pace).await.slot, None);
    assert_eq!(wait(&pace, asking(1).later(&pace).await), 60, "the slot is still free");
}

#[tokio::test(start_paused = true)]
async fn what_waits_of_a_digesting_subscription_shares_one_slot_and_leaves_as_one() {
    let pace = pace(&[(1, 60)], (60, 600));
    let digesting = || asking(1).overflowing(OverflowPolicy::Digest);
    let _ = digesting().sent(&pace, Verdict::Delivered).await;
    let mut bundle = Vec::new();
    for _ in 0..30 {
        bundle.push(digesting().later(&pace).await);
    }
    assert!(bundle.iter().all(|later| *later == bundle[0]), "one slot for all");
    assert!(
        wait(&pace, asking(1).later(&pace).await) >= 120,
        "another subscription has a slot of its own"
    );
    let mut back: Vec<_> = Vec::new();
    for later in &bundle {
        let (pace, slot) = (pace.clone(), later.slot.unwrap());
        back.push(tokio::spawn(async move { digesting_turn(slot, &pace).await }));
    }
    settle().await;
    until(&pace, bundle[0].due).await;
    let (mut leaders, mut coalesced, mut heard) = (Vec::new(), 0, 0);
    for one in back {
        match one.await.unwrap() {
            PaceDecision::Granted(permit, spoken) => {
                coalesced += spoken.len();
                leaders.push(permit);
                for one in spoken {
                    let answer = AttemptOutcome::new(Verdict::Delivered, "0", "");
                    one.notify
                        .send(CoalescedOutcome::Sent(SendOutcome { answer, resume: T0 }))
                        .unwrap();
                }
            }
            PaceDecision::Coalesced(hear) => {
                let Ok(CoalescedOutcome::Sent(outcome)) = hear.await else {
                    panic!("nothing was sent")
                };
                assert_eq!(outcome.answer.verdict, Verdict::Delivered);
                heard += 1;
            }
            _ => panic!("neither leader nor spoken for"),
        }
    }
    assert_eq!((leaders.len(), coalesced, heard), (1, 29, 29));
}

#[tokio::test(start_paused = true)]
async fn a_digest_speaks_for_younger_ones_that_only_wait_for_the_message_before_it() {
    let mut settings = settings(&[(10, 60)], (60, 600));
    settings.limits.order_gap = Duration::from_millis(50);
    let pace = with(settings);
    until(&pace, T0.after(Duration::from_secs(1))).await;
    let PaceDecision::Granted(mut before, _) = asking(1).wait_for_permit(&pace).await else {
        panic!("the lane is empty")
    };
    before.mark_sent(false).await.unwrap();
    let younger = asking(1).overflowing(OverflowPolicy::Digest);
    let younger = tokio::spawn({
        let pace = pace.clone();
        async move { younger.wait_for_permit(&pace).await }
    });
    settle().await;
    let PaceDecision::Granted(_, spoken) = digesting_turn(T0, &pace).await else {
        panic!("its slot has come")
    };
    assert_eq!(spoken.len(), 1);
    assert!(matches!(younger.await.unwrap(), PaceDecision::Coalesced(_)));
}

async fn digesting_turn(slot: Timestamp, pace: &Pace) -> PaceDecision {
    asking(1)
        .overflowing(OverflowPolicy::Digest)
        .at(QueuePosition::AtSlot(slot))
        .wait_for_permit(pace)
        .await
}

#[tokio::test(start_paused = true)]
async fn of_a_subscription_that_wants_the_latest_only_the_newest_waits() {
    let pace = pace(&[(1, 60)], (60, 600));
    let received = |seconds: u64| {
        let at = T0.after(Duration::from_secs(seconds));
        asking(1).overflowing(OverflowPolicy::Latest).event(|event| event.received_at = at)
    };
    let _ = received(0).sent(&pace, Verdict::Delivered).await;
    let older = received(1);
    let waiting_in_broker = older.later(&pace).await;
    let newer = received(2);
    let newest = newer.later(&pace).await;
    assert_eq!(waiting_in_broker.slot, newest.slot, "it takes over the slot");
    until(&pace, waiting_in_broker.due).await;
    assert!(matches!(
        older
            .clone()
            .at(QueuePosition::AtSlot(waiting_in_broker.slot.unwrap()))
            .wait_for_permit(&pace)
            .await,
        PaceDecision::Superseded
    ));
    let _ = newer
        .clone()
        .at(QueuePosition::AtSlot(newest.slot.unwrap()))
        .sent(&pace, Verdict::Delivered)
        .await;
    // The same in memory.
    until(&pace, pace.now().after(Duration::from_millis(59_000))).await;
    let waiting = tokio::spawn({
        let (pace, waiting) = (pace.clone(), received(120));
        async move { waiting.wait_for_permit(&pace).await }
    });
    settle().await;
    let _ = received(121).go(&pace).await;
    assert!(matches!(waiting.await.unwrap(), PaceDecision::Superseded));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_another_reason_than_the_quota_leaves_at_its_time_and_holds_up_nobody_before()
 {
    let pace = pace(&[(20, 60)], (60, 600));
    let due = T0.after(Duration::from_secs(2));
    let waiting = |overflow: OverflowPolicy, subscription: u8, received: u64| {
        let mut one = asking(1).overflowing(overflow).at(QueuePosition::NotBefore(due));
        one.subscription = SubscriptionId::from_bytes([subscription; 16]);
        let one = one.event(|event| event.received_at = T0.after(Duration::from_millis(received)));
        let pace = pace.clone();
        tokio::spawn(async move {
            let turn = one.wait_for_permit(&pace).await;
            let coalesced = match &turn {
                PaceDecision::Granted(_, coalesced) => Some(coalesced.len()),
                _ => None,
            };
            (coalesced, matches!(turn, PaceDecision::Superseded), pace.now())
        })
    };
    let digest: Vec<_> = (0..3).map(|_| waiting(OverflowPolicy::Digest, 2, 1)).collect();
    let latest: Vec<_> = (0..3).map(|number| waiting(OverflowPolicy::Latest, 3, number)).collect();
    let queue = waiting(OverflowPolicy::Queue, 4, 1);
    settle().await;
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    assert_eq!(pace.now(), T0, "what has just come does not wait for them");
    until(&pace, due).await;
    let mut gone = Vec::new();
    let mut superseded = 0;
    for one in digest.into_iter().chain(latest).chain([queue]) {
        match one.await.unwrap() {
            (Some(coalesced), _, at) => {
                assert_eq!(at, due);
                gone.push(coalesced);
            }
            (None, true, _) => superseded += 1,
            (None, false, _) => (),
        }
    }
    assert_eq!((gone, superseded), (vec![2, 0, 0], 2));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_comes_after_a_crash_knows_windows_slots_and_holds() {
    let records = Notes::default();
    let before =
        Pace::new(settings(&[(3, 60)], (600, 600)), Arc::new(records.clone()), timeline(T0));
    let _ = asking(1).sent(&before, Verdict::Delivered).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    std::mem::forget((asking(1).go(&before).await, asking(1).go(&before).await));
    let waiting_in_broker = asking(1).later(&before).await;
    let _ = asking(2).sent(&before, THROTTLED).await;
    let _ = asking(3).sent(&before, THROTTLED).await;
    assert!(before.release(asking(3).robot).is_some());
    tokio::time::advance(Duration::from_secs(5)).await;
    let crash = before.now();

    let after =
        Pace::new(settings(&[(3, 60)], (600, 600)), Arc::new(Notes::default()), timeline(crash));
    after.restore(records.0.lock().unwrap().clone());
    let next = asking(1).later(&after).await;
    assert!(next.slot > waiting_in_broker.slot, "behind what waits in the broker");
    // The first permit returns 60 s after its answer. The two unanswered ones return 60 s after the
    // crash.
    let first = asking(1).urgent().later(&after).await;
    assert_eq!(first.due.since(T0).as_secs(), 60);
    let second = asking(1).urgent().later(&after).await;
    assert_eq!(second.due.since(crash).as_secs(), 60);
    assert!(wait(&after, asking(2).later(&after).await) >= 590);
    let _ = asking(3).go(&after).await;
    let _ = asking(4).go(&after).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_written_down_again_says_the_same() {
    let records = Notes::default();
    let before =
        Pace::new(settings(&[(3, 60)], (600, 600)), Arc::new(records.clone()), timeline(T0));
    let _in_the_air =
        [asking(1).go(&before).await, asking(1).go(&before).await, asking(1).go(&before).await];
    let waiting_in_broker = asking(1).later(&before).await;
    let _ = asking(2).sent(&before, THROTTLED).await;
    let after = pace(&[(3, 60)], (600, 600));
    records.0.lock().unwrap().clear();
    let _ = before.checkpoint().unwrap();
    after.restore(records.0.lock().unwrap().clone());
    assert!(asking(1).later(&after).await.slot > waiting_in_broker.slot);
    assert!(wait(&after, asking(2).later(&after).await) >= 599);
}

#[tokio::test(start_paused = true)]
async fn a_used_up_month_stops_every_robot_of_its_organisation_and_no_other() {
    let name: GroupName = "acme".parse().unwrap();
    let group = GroupSettings {
        monthly: Some(2),
        warn_at: 1.0,
        time_zone: jiff::tz::TimeZone::UTC,
        ..GroupSettings::by_default().unwrap()
    };
    let pace = with(PaceSettings {
        groups: BTreeMap::from([(name.clone(), group)]),
        ..settings(&[(20, 60)], (60, 600))
    });
    let of_group = |robot| Asking { group: Some(name.clone()), ..asking(robot) };
    let _ = of_group(1).sent(&pace, Verdict::Delivered).await;
    let last = of_group(2).sent(&pace, Verdict::Delivered).await;
    assert_eq!(last.budget_warning, Some((name.clone(), 2, 2)));
    let month_ends = pace.groups()[0].month_ends;
    assert_eq!(
        of_group(3)
            .event(|event| event.expires_at = month_ends.after(Duration::from_secs(1)))
            .later(&pace)
            .await
            .due,
        month_ends
    );
    let _ = asking(4).go(&pace).await;
}

#[tokio::test(start_paused = true)]
async fn a_permit_dropped_without_an_outcome_counts_as_sent_only_if_its_message_left() {
    let pace = pace(&[(1, 60)], (60, 600));
    let PaceDecision::Granted(permit, _) = asking(1).wait_for_permit(&pace).await else {
        panic!("later")
    };
    drop(permit);
    drop(asking(1).go(&pace).await);
    assert_eq!(wait(&pace, asking(1).later(&pace).await), 60);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_any_longer_leaves_its_turn_to_the_next() {
    let pace = pace(&[(1, 1)], (60, 600));
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    let leave = CancellationToken::new();
    let impatient = tokio::spawn({
        let (pace, leave, one) = (pace.clone(), leave.clone(), asking(1));
        async move {
            let ask = AdmissionRequest {
                robot: one.robot,
                platform: Platform::DingTalk,
                subscription: one.subscription,
                overflow: one.overflow,
                group: None,
                event: &one.event,
                position: QueuePosition::Head,
                early: true,
            };
            pace.wait_for_permit(&ask, pace.enqueue(&ask), &leave).await
        }
    });
    settle().await;
    let start = Instant::now();
    let patient = tokio::spawn({
        let pace = pace.clone();
        async move { asking(1).at(QueuePosition::Head).go(&pace).await }
    });
    settle().await;
    leave.cancel();
    assert!(matches!(impatient.await.unwrap(), PaceDecision::Cancelled));
    let _ = patient.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_robot_is_forgotten_and_a_busy_one_is_not() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    pace.evict_idle_and_summarise();
    assert_eq!(pace.robots().len(), 1);
    tokio::time::advance(Duration::from_millis(60_001)).await;
    pace.evict_idle_and_summarise();
    assert_eq!(pace.robots().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_says_how_much_waits_on_each_platform_and_for_how_long() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    let ask = asking(1);
    for _ in 0..3 {
        assert!(matches!(ask.wait_for_permit(&pace).await, PaceDecision::Deferred(_)));
    }
    let summary = pace.evict_idle_and_summarise();
    let dingtalk = summary.get(Platform::DingTalk);
    assert_eq!((dingtalk.waiting, dingtalk.drained_in.as_secs()), (3, 180));
    assert_eq!(dingtalk.held, HoldCounts::default());
    for (_, other) in summary.iter().filter(|(platform, _)| *platform != Platform::DingTalk) {
        let idle = PlatformSummary { in_flight_limit: 256, ..PlatformSummary::default() };
        assert_eq!(*other, idle);
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_robot_that_is_held_is_told_apart() {
    let pace = pace(&[(20, 60)], (60, 600));
    let _ = asking(1).sent(&pace, Verdict::Throttled { wait: None }).await;
    let (held, free) = (asking(1), asking(2));
    for _ in 0..3 {
        assert!(matches!(held.wait_for_permit(&pace).await, PaceDecision::Deferred(_)));
    }
    for _ in 0..20 {
        let _ = free.sent(&pace, Verdict::Delivered).await;
    }
    assert!(matches!(free.wait_for_permit(&pace).await, PaceDecision::Deferred(_)));
    let summary = pace.evict_idle_and_summarise();
    let dingtalk = summary.get(Platform::DingTalk);
    let throttled =
        |count| HoldCounts::from_fn(|one| count * u64::from(one == HoldCause::Throttled));
    // The refused delivery waits as well.
    assert_eq!(
        (dingtalk.held, dingtalk.waiting_held, dingtalk.waiting),
        (throttled(1), throttled(4), 1)
    );
}

#[tokio::test(start_paused = true)]
async fn who_waits_knows_since_when() {
    let pace = pace(&[(1, 1)], (60, 600));
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    let (next, began) = (asking(1), pace.now());
    let asked = pace.enqueue(&next.enqueue());
    let at = asked.at();
    let turn = pace.wait_for_permit(&next.enqueue(), asked, &CancellationToken::new()).await;
    assert!(matches!(turn, PaceDecision::Granted(..)));
    assert_eq!((at, pace.now().since(at).as_secs()), (began, 1));
}

#[tokio::test(start_paused = true)]
async fn new_limits_hold_for_what_comes_from_then_on() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    pace.configure(settings(&[(2, 60)], (60, 600)));
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    assert_eq!(wait(&pace, asking(1).later(&pace).await), 60);
}

#[tokio::test(start_paused = true)]
async fn a_platforms_budget_is_shared_fairly_between_its_robots() {
    let mut settings = settings(&[(100, 60)], (60, 600));
    settings.limits.order_gap = Duration::from_millis(50);
    settings.quotas.values_mut().for_each(|quota| quota.rate_per_second = Some(10));
    let pace = with(settings);
    let send = |robot: u8| {
        let pace = pace.clone();
        tokio::spawn(async move {
            let _ = asking(robot).sent(&pace, Verdict::Delivered).await;
        })
    };
    let greedy: Vec<_> = (0..80).map(|_| send(1)).collect();
    settle().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let start = Instant::now();
    for robot in 2..5 {
        send(robot).await.unwrap();
    }
    assert!(
        start.elapsed() <= Duration::from_secs(1),
        "behind one message of the other: {:?}",
        start.elapsed()
    );
    assert!(
        !greedy.iter().all(tokio::task::JoinHandle::is_finished),
        "the other robot still has much to send"
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_the_newer_of_two_that_came_in_one_millisecond_is_still_known() {
    for newer_first in [true, false] {
        let pace = pace(&[(1, 60)], (60, 600));
        let _ = asking(1).sent(&pace, Verdict::Delivered).await;
        // Created one after the other, so their ids sort. The pacer knows only what their messages
        // carry.
        let (older, newer) = (
            asking(1).overflowing(OverflowPolicy::Latest),
            asking(1).overflowing(OverflowPolicy::Latest),
        );
        let back =
            |one: &Asking| one.clone().at(QueuePosition::AtSlot(T0.after(Duration::from_secs(60))));
        let (first, second) =
            if newer_first { (back(&newer), back(&older)) } else { (back(&older), back(&newer)) };
        let sits = tokio::spawn({
            let pace = pace.clone();
            async move { first.wait_for_permit(&pace).await }
        });
        settle().await;
        if newer_first {
            assert!(matches!(second.wait_for_permit(&pace).await, PaceDecision::Superseded));
            tokio::time::advance(Duration::from_secs(61)).await;
            assert!(matches!(sits.await.unwrap(), PaceDecision::Granted(..)));
        } else {
            let _ = second.go(&pace).await;
            assert!(matches!(sits.await.unwrap(), PaceDecision::Superseded));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_while_it_recalls_leaves_the_next_one_as_wise() {
    let records = Notes::default();
    let first = Pace::new(settings(&[(1, 60)], (60, 600)), Arc::new(records.clone()), timeline(T0));
    std::mem::forget(asking(1).go(&first).await);
    let noted = |more: &[PaceRecord]| {
        [
            &[PaceRecord::SegmentStart],
            records.0.lock().unwrap().as_slice(),
            &[PaceRecord::SegmentStart],
            more,
        ]
        .concat()
    };
    // The second process has begun its segment without any record.
    let third = pace(&[(1, 60)], (60, 600));
    third.restore(noted(&[]));
    assert_eq!(wait(&third, asking(1).later(&third).await), 60);
    // A checkpoint lists the open messages again. Messages left open before it no longer count.
    let fourth = pace(&[(1, 60)], (60, 600));
    fourth.restore(noted(&[PaceRecord::Checkpoint]));
    let _ = asking(1).go(&fourth).await;
}

#[tokio::test(start_paused = true)]
async fn slots_that_were_noted_twice_or_out_of_order_count_once() {
    let after = pace(&[(2, 60)], (60, 600));
    let booked = |seconds: u64| PaceRecord::SlotReserved {
        robot: asking(1).robot,
        platform: Platform::DingTalk,
        slot: T0.after(Duration::from_secs(seconds)),
    };
    after.restore([booked(90), booked(30), booked(30), booked(90)]);
    assert_eq!(
        wait(&after, asking(1).later(&after).await),
        90,
        "two in 60 s: the next is a window behind the first"
    );
}

#[tokio::test(start_paused = true)]
async fn the_next_part_leaves_right_behind_the_one_before_whoever_waits() {
    let pace = with(PaceSettings {
        limits: PaceLimits { order_gap: Duration::from_millis(50), ..limits() },
        ..settings(&[(5, 60)], (60, 600))
    });
    let (message, other) = (asking(1), asking(1));
    let PaceDecision::Granted(mut first, _) = message.wait_for_permit(&pace).await else {
        panic!("nobody is before it")
    };
    first.mark_sent(true).await.unwrap();
    let waits = tokio::spawn({
        let (pace, other) = (pace.clone(), other.clone());
        async move { other.go(&pace).await.position() }
    });
    tokio::time::advance(Duration::from_secs(1)).await;
    settle().await;
    let behind = message.clone().at(QueuePosition::After(first.position()));
    let asked = pace.enqueue(&behind.enqueue());
    let _ = first.finish(Verdict::Delivered, Duration::ZERO);
    let PaceDecision::Granted(mut second, _) =
        pace.wait_for_permit(&behind.enqueue(), asked, &CancellationToken::new()).await
    else {
        panic!("the part has its turn");
    };
    assert!(!waits.is_finished(), "who came later waits");
    second.mark_sent(false).await.unwrap();
    let position = second.position();
    let _ = second.finish(Verdict::Delivered, Duration::ZERO);
    assert!(waits.await.unwrap() > position);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_has_to_wait_keeps_its_place_before_what_was_planned_meanwhile() {
    let pace = pace(&[(1, 60)], (60, 600));
    let message = asking(1);
    let first = message.go(&pace).await;
    let position = first.position();
    let _ = first.finish(Verdict::Delivered, Duration::ZERO);
    let part = message.clone().at(QueuePosition::After(position)).later(&pace).await;
    assert_eq!((wait(&pace, part), part.slot), (60, Some(position)));
    let other = asking(1).later(&pace).await;
    until(&pace, part.due.before(Duration::from_millis(500))).await;
    let waits = tokio::spawn({
        let (pace, other) =
            (pace.clone(), asking(1).at(QueuePosition::AtSlot(other.slot.unwrap())));
        async move { other.go(&pace).await.position() }
    });
    settle().await;
    let second = message.at(QueuePosition::After(position)).go(&pace).await;
    let _ = second.finish(Verdict::Delivered, Duration::ZERO);
    settle().await;
    assert!(!waits.is_finished(), "the window belongs to the part");
    assert!(waits.await.unwrap() > position);
}

#[tokio::test(start_paused = true)]
async fn an_outlook_says_when_messages_would_leave_and_plans_nothing() {
    let pace = pace(&[(2, 60)], (60, 600));
    let robot = RobotId::from_bytes([1; 16]);
    let send_estimate = |messages| {
        let send_estimate = pace.send_estimate(robot, Platform::DingTalk, None, false, messages);
        (send_estimate.first_in.as_secs(), send_estimate.last_in.as_secs())
    };
    assert_eq!(
        (send_estimate(1), send_estimate(3)),
        ((0, 0), (0, 60)),
        "nobody knows this robot yet"
    );
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    assert_eq!(
        (send_estimate(1), send_estimate(5), send_estimate(1)),
        ((60, 60), (60, 180), (60, 60))
    );
    assert_eq!(wait(&pace, asking(1).later(&pace).await), 60);
    let _ = asking(2).sent(&pace, THROTTLED).await;
    let held = pace.send_estimate(RobotId::from_bytes([2; 16]), Platform::DingTalk, None, false, 1);
    assert_eq!(
        (held.first_in.as_secs(), held.reason),
        (60, Some(WaitReason::Hold(HoldCause::Throttled)))
    );
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_how_long_deliveries_wait_in_memory() {
    let pace = with(settings(&[(2, 60)], (60, 600)));
    let waits =
        |pace: &Pace| [false, true].map(|early| pace.wait_max(Platform::Lark, early).as_secs());
    assert_eq!(waits(&pace), [2, 90]);
    let seconds = Duration::from_secs;
    pace.configure(PaceSettings {
        limits: PaceLimits { hold_max: seconds(5), early_max: seconds(7), ..limits() },
        ..settings(&[(2, 60)], (60, 600))
    });
    assert_eq!(waits(&pace), [5, 7]);
}
