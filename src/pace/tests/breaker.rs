//! Tests of the circuit breaker: robots and platforms whose attempts get no usable answer.
//!
//! Owns the proof that what was not tried waits in its order, and that probes are few.
//!
//! Not here: the decision alone (`robot_health.rs`, `breaker.rs`, `outage.rs`), hours of mixed
//! traffic (`tests/sim/outages.rs`).

use super::*;

const AGAIN: Verdict = Verdict::TryAgain { wait: None };

/// A retry: it asks for the head of the queue.
fn retry(robot: u8) -> Asking {
    asking(robot).at(QueuePosition::Head)
}

fn held(pace: &Pace, robot: u8) -> Option<(HoldCause, u64)> {
    let id = asking(robot).robot;
    let robot = pace.robots().into_iter().find(|one| one.robot == id)?;
    let left = robot.held_for.map_or(0, |left| left.as_secs());
    robot.hold.map(|hold| (hold.cause, left))
}

/// Lets a robot fail until its breaker opens.
async fn open(pace: &Pace, robot: u8) -> PaceChanges {
    for _ in 0..2 {
        assert_eq!(retry(robot).sent(pace, AGAIN).await.held, None);
    }
    retry(robot).sent(pace, AGAIN).await
}

#[tokio::test(start_paused = true)]
async fn a_robot_that_fails_is_held_after_a_few_failures_in_a_row_and_probed_with_growing_waits() {
    let pace = pace(&[(20, 60)], (60, 600));
    let _ = retry(1).sent(&pace, AGAIN).await;
    let _ = retry(1).sent(&pace, AGAIN).await;
    assert_eq!(retry(1).sent(&pace, Verdict::Refused).await.held, None, "it was answered");
    let mut changes = open(&pace, 1).await;
    for expected in [10, 20, 40, 80, 160, 300, 300] {
        let hold = changes.held.unwrap();
        assert_eq!((hold.cause, hold.wait.as_secs()), (HoldCause::Failing, expected));
        assert_eq!((hold.since, changes.was_held), (T0, expected > 10), "since the first failure");
        assert!(wait(&pace, asking(1).later(&pace).await) >= expected, "nothing new is sent");
        tokio::time::advance(hold.wait).await;
        changes = retry(1).sent(&pace, AGAIN).await;
    }
    tokio::time::advance(Duration::from_secs(300)).await;
    let ended = retry(1).sent(&pace, Verdict::Delivered).await;
    assert_eq!(ended.lifted.map(|hold| hold.cause), Some(HoldCause::Failing));
    assert_eq!(ended.failed.map(|run| (run.since, run.failures)), Some((T0, 10)));
    assert_eq!(held(&pace, 1), None);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_a_platform_requests_is_respected_within_the_bounds() {
    for (asked, expected) in [(1, 10), (120, 120), (86_400, 300)] {
        let pace = pace(&[(20, 60)], (60, 600));
        let wait = Some(Duration::from_secs(asked));
        let mut changes = PaceChanges::default();
        for _ in 0..3 {
            changes = retry(1).sent(&pace, Verdict::TryAgain { wait }).await;
        }
        assert_eq!(changes.held.map(|hold| hold.wait.as_secs()), Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_tried_leaves_in_its_order_after_the_robot_has_recovered() {
    let pace = pace(&[(20, 60)], (60, 600));
    let hold = open(&pace, 1).await.held.unwrap();
    let first = asking(1).later(&pace).await;
    let second = asking(1).later(&pace).await;
    assert!(first.slot < second.slot && first.due >= hold.until);
    assert_eq!(first.reason, WaitReason::Hold(HoldCause::Failing));
    // They come back, a probe fails meanwhile, and they wait for the longer hold.
    tokio::time::advance(hold.wait).await;
    let longer = retry(1).sent(&pace, AGAIN).await.held.unwrap();
    let back = |one: Deferral| asking(1).at(QueuePosition::AtSlot(one.slot.unwrap()));
    let wait_for = |one: Asking| {
        let pace = pace.clone();
        tokio::spawn(async move { one.go(&pace).await.position() })
    };
    let (second, first) = (wait_for(back(second)), wait_for(back(first)));
    settle().await;
    assert!(!first.is_finished() && !second.is_finished());
    tokio::time::advance(longer.wait + Duration::from_millis(100)).await;
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert!(first < second, "in the order in which they came");
}

#[tokio::test(start_paused = true)]
async fn a_robot_that_answers_with_a_refusal_does_not_fail_any_more() {
    let pace = pace(&[(20, 60)], (60, 600));
    let hold = open(&pace, 1).await.held.unwrap();
    tokio::time::advance(hold.wait).await;
    let throttled = retry(1).sent(&pace, THROTTLED).await;
    assert_eq!(throttled.lifted.map(|hold| hold.cause), Some(HoldCause::Failing));
    assert!(!throttled.was_held, "the hold for speed is reported");
    assert_eq!(held(&pace, 1), Some((HoldCause::Throttled, 60)));
}

#[tokio::test(start_paused = true)]
async fn when_most_robots_fail_their_platform_is_held_once_and_one_message_at_a_time_probes() {
    let pace = pace(&[(20, 60)], (60, 600));
    for robot in 1..=20 {
        assert_eq!(retry(robot).sent(&pace, AGAIN).await.held, None);
    }
    let _ = retry(1).sent(&pace, AGAIN).await;
    let began = retry(1).sent(&pace, AGAIN).await;
    let Some(OutageChange::Began { hold, failing: 20, tried: 20 }) = began.outage else {
        panic!("{began:?}")
    };
    assert_eq!((began.held, began.resume), (None, Some(Resume::from(hold))));
    // No other robot is held for itself, and none is tried.
    for robot in 2..=30 {
        let later = asking(robot).later(&pace).await;
        assert_eq!(later.reason, WaitReason::Hold(HoldCause::Failing));
    }
    assert_eq!(held(&pace, 7), Some((HoldCause::Failing, 10)));
    let summary = pace.evict_idle_and_summarise();
    assert!(summary.get(Platform::DingTalk).outage && !summary.get(Platform::Lark).outage);
    let probing: Vec<_> = (1..=20)
        .map(|robot| {
            let pace = pace.clone();
            tokio::spawn(async move { retry(robot).sent(&pace, AGAIN).await })
        })
        .collect();
    let mut probes = Vec::new();
    for _ in 0..=70 {
        settle().await;
        let gone = probing.iter().filter(|one| one.is_finished()).count();
        probes.push(gone);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let at = |second: usize| probes[second];
    assert_eq!((at(9), at(11), at(29), at(31), at(69)), (0, 1, 1, 2, 2), "{probes:?}");
    for one in probing {
        one.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_ends_an_outage_for_every_robot_and_wakes_what_waits() {
    let pace = pace(&[(20, 60)], (60, 600));
    for robot in 1..=5 {
        let _ = retry(robot).sent(&pace, AGAIN).await;
    }
    let _ = retry(1).sent(&pace, AGAIN).await;
    assert!(retry(1).sent(&pace, AGAIN).await.outage.is_some());
    tokio::time::advance(Duration::from_secs(10)).await;
    let probe = retry(2).go(&pace).await;
    let waiting = tokio::spawn({
        let pace = pace.clone();
        async move { retry(3).go(&pace).await }
    });
    settle().await;
    assert!(!waiting.is_finished(), "another robot's message probes");
    let ended = probe.finish(&answer(Verdict::Delivered), Duration::ZERO);
    let Some(OutageChange::Ended { lasted, .. }) = ended.outage else { panic!("{ended:?}") };
    assert_eq!(lasted.as_secs(), 10);
    let start = Instant::now();
    let _ = waiting.await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    let _ = asking(9).go(&pace).await;
}

#[tokio::test(start_paused = true)]
async fn a_robot_that_probed_in_vain_lets_other_robots_probe_before_it_probes_again() {
    let pace = pace(&[(20, 60)], (60, 600));
    for robot in 1..=5 {
        let _ = retry(robot).sent(&pace, AGAIN).await;
    }
    let _ = retry(1).sent(&pace, AGAIN).await;
    assert!(retry(1).sent(&pace, AGAIN).await.outage.is_some());
    // Robot 1 fails for a reason of its own, and its messages are always the first to ask.
    let broken: Vec<_> = (0..5)
        .map(|_| {
            let pace = pace.clone();
            tokio::spawn(async move { retry(1).sent(&pace, AGAIN).await })
        })
        .collect();
    settle().await;
    let healthy = tokio::spawn({
        let pace = pace.clone();
        async move { retry(2).sent(&pace, Verdict::Delivered).await }
    });
    for _ in 0..=35 {
        settle().await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert!(healthy.is_finished(), "the second probe is that of another robot");
    let ended = healthy.await.unwrap();
    assert!(matches!(ended.outage, Some(OutageChange::Ended { .. })), "{ended:?}");
    for one in broken {
        one.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_platform_is_probed_also_if_only_the_robot_that_probed_in_vain_has_messages() {
    let pace = pace(&[(20, 60)], (60, 600));
    for robot in 1..=5 {
        let _ = retry(robot).sent(&pace, AGAIN).await;
    }
    let _ = retry(1).sent(&pace, AGAIN).await;
    assert!(retry(1).sent(&pace, AGAIN).await.outage.is_some());
    for waited in [10, 22, 42] {
        let asked = Instant::now();
        let _ = retry(1).sent(&pace, AGAIN).await;
        assert_eq!(asked.elapsed().as_secs(), waited);
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_during_an_outage_lets_the_next_message_probe() {
    let pace = pace(&[(20, 60)], (60, 600));
    for robot in 1..=5 {
        let _ = retry(robot).sent(&pace, AGAIN).await;
    }
    let _ = retry(1).sent(&pace, AGAIN).await;
    assert!(retry(1).sent(&pace, AGAIN).await.outage.is_some());
    let _ = asking(2).later(&pace).await;
    let ended = pace.release(asking(2).robot).unwrap();
    assert_eq!((ended.hold.cause, ended.waiting_in_broker), (HoldCause::Failing, 1));
    let probe = retry(2).go(&pace).await;
    assert_eq!(held(&pace, 3), Some((HoldCause::Failing, 0)), "the platform is held until then");
    assert!(probe.finish(&answer(Verdict::Delivered), Duration::ZERO).outage.is_some());
    assert_eq!(held(&pace, 3), None);
}

#[tokio::test(start_paused = true)]
async fn a_few_failing_robots_among_answering_ones_are_held_each_for_itself() {
    let pace = pace(&[(20, 60)], (60, 600));
    for robot in 1..=6 {
        let _ = retry(robot).sent(&pace, AGAIN).await;
        let _ = retry(robot).sent(&pace, AGAIN).await;
    }
    for robot in 10..=12 {
        let _ = asking(robot).sent(&pace, Verdict::Delivered).await;
    }
    for robot in 1..=6 {
        let changes = retry(robot).sent(&pace, AGAIN).await;
        assert!(changes.held.is_some() && changes.outage.is_none(), "{changes:?}");
    }
    let _ = asking(10).go(&pace).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_comes_after_knows_failing_robots_and_outages_also_from_a_checkpoint() {
    let records = Notes::default();
    let before =
        Pace::new(settings(&[(20, 60)], (60, 600)), Arc::new(records.clone()), timeline(T0));
    let _ = asking(9).sent(&before, Verdict::Delivered).await;
    let _ = open(&before, 9).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    for robot in 1..=7 {
        let _ = retry(robot).sent(&before, AGAIN).await;
    }
    let _ = retry(1).sent(&before, AGAIN).await;
    assert!(retry(1).sent(&before, AGAIN).await.outage.is_some());
    let written = records.0.lock().unwrap().clone();
    records.0.lock().unwrap().clear();
    let _ = before.checkpoint().unwrap();
    let checkpoint = records.0.lock().unwrap().clone();
    for records in [written, checkpoint] {
        let after = pace(&[(20, 60)], (60, 600));
        after.restore(records);
        let nine = after.robots().into_iter().find(|one| one.robot == asking(9).robot).unwrap();
        let (health, hold) = (nine.health.unwrap(), nine.hold.unwrap());
        assert_eq!((health.failures(), health.last_success), (3, Some(T0)));
        assert_eq!((nine.success_share, hold.cause), (Some(0.25), HoldCause::Failing));
        assert_eq!((nine.held_for.unwrap().as_secs(), hold.since), (10, T0));
        let later = asking(30).later(&after).await;
        assert_eq!(later.reason, WaitReason::Hold(HoldCause::Failing), "the outage lasts");
        tokio::time::advance(Duration::from_secs(11)).await;
        let ended = retry(4).sent(&after, Verdict::Delivered).await;
        assert!(matches!(ended.outage, Some(OutageChange::Ended { .. })), "{ended:?}");
        assert_eq!(ended.failed.map(|run| run.failures), Some(1));
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_gets_through_the_time_to_drain_is_unknown_and_retries_count_as_waiting() {
    let pace = pace(&[(20, 60)], (60, 600));
    let drained = || {
        let robot = pace.robots().remove(0);
        (robot.waiting, robot.drained_in.map(|left| left.as_secs()))
    };
    let _ = retry(1).sent(&pace, AGAIN).await;
    assert_eq!(drained(), (0, Some(0)));
    let due = pace.now().after(Duration::from_secs(5));
    pace.count_retry(asking(1).robot, due, WaitReason::Retry);
    assert_eq!(drained(), (1, Some(5)), "until the retry");
    assert_eq!(pace.robots()[0].wait_reason, Some(WaitReason::Retry));
    let back = Asking { waited_for: Some(WaitReason::Retry), ..retry(1) };
    let _ = back.sent(&pace, AGAIN).await;
    assert_eq!(drained().0, 0, "it has come back");
    let resume = retry(1).sent(&pace, AGAIN).await.resume.unwrap();
    let failing = WaitReason::Hold(HoldCause::Failing);
    assert_eq!(resume.reason, failing);
    let _ = asking(1).later(&pace).await;
    assert_eq!(drained(), (1, None), "nothing gets through");
    pace.count_retry(asking(1).robot, resume.at, resume.reason);
    assert_eq!(pace.robots()[0].waits[failing], 2, "a retry that the hold defers counts as held");
    let back = Asking { waited_for: Some(failing), early: false, ..retry(1) };
    assert_eq!((back.later(&pace).await.slot, drained().0), (None, 2), "it is deferred once more");
    tokio::time::advance(Duration::from_secs(10)).await;
    let _ = retry(1).sent(&pace, Verdict::Delivered).await;
    assert!(drained().1.is_some());
}

#[tokio::test(start_paused = true)]
async fn deliveries_that_expired_in_the_broker_are_not_counted_for_ever() {
    let pace = pace(&[(20, 60)], (60, 600));
    let _ = open(&pace, 1).await;
    for _ in 0..3 {
        let _ = asking(1).later(&pace).await;
    }
    assert_eq!(pace.robots()[0].waiting, 3);
    tokio::time::advance(Duration::from_secs(3600)).await;
    pace.evict_idle_and_summarise();
    let _ = retry(1).sent(&pace, AGAIN).await;
    let _ = asking(1).later(&pace).await;
    assert_eq!(pace.robots()[0].waiting, 1, "only the new one waits");
}

#[tokio::test(start_paused = true)]
async fn the_health_of_a_robot_is_forgotten_after_a_day_without_attempts() {
    let pace = pace(&[(20, 60)], (60, 600));
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    let known = || {
        let mut known = 0;
        pace.0.retain_known(|_, _| {
            known += 1;
            true
        });
        known
    };
    tokio::time::advance(Duration::from_secs(86_400)).await;
    pace.evict_idle_and_summarise();
    assert_eq!((known(), pace.robots().len()), (1, 0), "the queue is gone long before");
    tokio::time::advance(Duration::from_secs(1)).await;
    pace.evict_idle_and_summarise();
    assert_eq!(known(), 0);
}
