//! The room as a whole, on tokio's paused clock.

use std::collections::BTreeMap;

use super::*;
use crate::domain::Verdict;

const HOLD_MAX: Duration = Duration::from_secs(2);

fn pace(windows: &[(u32, u64)], penalty: (u64, u64)) -> Arc<Pace> {
    let quota = PlatformQuota {
        windows: windows
            .iter()
            .map(|(max, seconds)| WindowQuota { max: *max, span: Duration::from_secs(*seconds) })
            .collect(),
        margin: Duration::ZERO,
        rate_per_second: None,
        penalty_min: Duration::from_secs(penalty.0),
        penalty_max: Duration::from_secs(penalty.1),
    };
    Arc::new(Pace::new(Settings { hold_max: HOLD_MAX, quotas: std::array::from_fn(|_| quota.clone()) }))
}

const fn ask(robot: u8) -> Ask {
    Ask { robot: RobotId::from_bytes([robot; 16]), platform: Platform::DingTalk, urgent: false, returned: false }
}

async fn go(pace: &Pace, ask: Ask) -> Permit {
    match pace.turn(ask).await {
        Turn::Go(permit) => permit,
        Turn::Later(at) => panic!("later by {:?}", at - Instant::now()),
    }
}

async fn later(pace: &Pace, ask: Ask) -> Duration {
    let now = Instant::now();
    match pace.turn(ask).await {
        Turn::Later(at) => at - now,
        Turn::Go(_) => panic!("it went"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_quota_leaves_at_once_and_the_rest_gets_slots_in_order() {
    let pace = pace(&[(20, 60)], (60, 600));
    for _ in 0..20 {
        let _ = go(&pace, ask(1)).await.finish(Verdict::Delivered);
    }
    let mut slots = BTreeMap::new();
    for _ in 0..50 {
        *slots.entry(later(&pace, ask(1)).await.as_secs()).or_insert(0) += 1;
    }
    assert_eq!(slots, BTreeMap::from([(60, 20), (120, 20), (180, 10)]));
    assert_eq!(pace.robots()[0].waiting, 50);
}

#[tokio::test(start_paused = true)]
async fn two_robots_do_not_wait_for_one_another() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _held = go(&pace, ask(1)).await;
    let _ = go(&pace, ask(2)).await;
    assert!(later(&pace, ask(1)).await >= Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_is_waited_out_in_memory() {
    let pace = pace(&[(5, 1)], (5, 60));
    let start = Instant::now();
    for _ in 0..10 {
        let _ = go(&pace, ask(1)).await.finish(Verdict::Delivered);
    }
    assert_eq!(start.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_has_waited_goes_before_what_has_just_come() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _ = go(&pace, ask(1)).await.finish(Verdict::Delivered);
    let first = later(&pace, ask(1)).await;
    tokio::time::advance(first - Duration::from_millis(1)).await;
    assert!(later(&pace, ask(1)).await > Duration::from_secs(60), "it may not take the slot of the first");
    tokio::time::advance(Duration::from_millis(1)).await;
    let _ = go(&pace, Ask { returned: true, ..ask(1) }).await;
}

#[tokio::test(start_paused = true)]
async fn an_urgent_delivery_overtakes_what_waits() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _ = go(&pace, ask(1)).await.finish(Verdict::Delivered);
    for _ in 0..10 {
        later(&pace, ask(1)).await;
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    let _ = go(&pace, Ask { urgent: true, ..ask(1) }).await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_speed_holds_the_robot_and_each_further_one_twice_as_long() {
    let pace = pace(&[(20, 60)], (60, 200));
    let throttled = Verdict::Throttled { wait: None };
    for expected in [60, 120, 200, 200] {
        let held = go(&pace, Ask { returned: true, ..ask(1) }).await.finish(throttled);
        assert_eq!(held, Some(Duration::from_secs(expected)));
        assert!(later(&pace, ask(1)).await >= Duration::from_secs(expected));
        tokio::time::advance(Duration::from_secs(expected)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_hold_one_message_probes_alone_until_one_gets_through() {
    let pace = pace(&[(20, 60)], (10, 10));
    let held = go(&pace, ask(1)).await.finish(Verdict::Throttled { wait: None });
    tokio::time::advance(held.unwrap()).await;
    let probe = go(&pace, Ask { returned: true, ..ask(1) }).await;
    let second = tokio::spawn({
        let pace = Arc::clone(&pace);
        async move { pace.turn(Ask { returned: true, ..ask(1) }).await }
    });
    tokio::task::yield_now().await;
    assert!(!second.is_finished(), "the second must wait for the probe");
    let _ = probe.finish(Verdict::Delivered);
    assert!(matches!(second.await.unwrap(), Turn::Go(_)));
}

#[tokio::test(start_paused = true)]
async fn a_released_robot_is_not_held_any_longer() {
    let pace = pace(&[(20, 60)], (600, 600));
    let _ = go(&pace, ask(1)).await.finish(Verdict::Throttled { wait: None });
    assert!(pace.release(ask(1).robot));
    let _ = go(&pace, Ask { returned: true, ..ask(1) }).await;
    assert!(!pace.release(ask(9).robot));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_may_have_been_sent_before_a_restart_is_counted() {
    let pace = pace(&[(2, 60)], (60, 600));
    pace.charge(ask(1).robot, Platform::DingTalk, Instant::now());
    let _ = go(&pace, ask(1)).await.finish(Verdict::Delivered);
    assert_eq!(later(&pace, ask(1)).await, Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_permit_dropped_without_an_outcome_counts_as_sent() {
    let pace = pace(&[(1, 60)], (60, 600));
    drop(go(&pace, ask(1)).await);
    assert_eq!(later(&pace, ask(1)).await, Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn an_idle_robot_is_forgotten_and_a_busy_one_is_not() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _ = go(&pace, ask(1)).await.finish(Verdict::Delivered);
    pace.drop_idle();
    assert_eq!(pace.robots().len(), 1);
    tokio::time::advance(Duration::from_secs(60)).await;
    pace.drop_idle();
    assert_eq!(pace.robots().len(), 0);
}
