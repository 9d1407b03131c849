//! Tests of what operators see of robots.
//!
//! Owns the proof that sums and estimates agree with the queues.
//!
//! Not here: the reasons of waits (`wait_reasons.rs`).

use super::*;

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
async fn deliveries_that_wait_for_a_held_robot_are_counted_apart() {
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
