//! Tests of holds, and of organisations whose month is used up.
//!
//! Owns the proof that a robot which refuses gets nothing until its hold ends.
//!
//! Not here: the length of a hold alone (`pace/hold.rs`).

use super::*;

#[tokio::test(start_paused = true)]
async fn a_refusal_for_speed_holds_the_robot_and_each_further_one_twice_as_long() {
    let pace = pace(&[(20, 60)], (60, 200));
    for expected in [60, 120, 200, 200] {
        let changes = asking(1).at(QueuePosition::Head).sent(&pace, THROTTLED).await;
        assert_eq!(changes.held.map(|hold| hold.wait.as_secs()), Some(expected));
        let at = pace.now().after(Duration::from_secs(expected));
        let reason = WaitReason::Hold(HoldCause::Throttled);
        assert_eq!(changes.resume, Some(Resume { at, reason }));
        assert!(wait(&pace, asking(1).later(&pace).await) >= expected);
        assert_eq!(pace.robots()[0].hold.map(|hold| hold.cause), Some(HoldCause::Throttled));
        tokio::time::advance(Duration::from_secs(expected)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_a_platform_requests_stays_within_the_settings_over_restarts_too() {
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
    let hold = Hold { cause: HoldCause::Throttled, since: T0, until, wait };
    after.restore([
        PaceRecord::HoldStarted { robot, platform, at: T0, hold },
        PaceRecord::SlotReserved { robot, platform, slot: until, reason: WaitReason::RobotQuota },
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
    assert!(probe.finish(&answer(Verdict::Delivered), Duration::ZERO).lifted.is_some());
    let _ = second.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hold_moves_the_planned_slots_and_keeps_their_order() {
    let pace = pace(&[(1, 60)], (300, 300));
    let air = asking(1).go(&pace).await;
    let (first, second) = (asking(1).later(&pace).await, asking(1).later(&pace).await);
    let held = air.finish(&answer(THROTTLED), Duration::ZERO).held.unwrap();
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
async fn a_released_robot_is_not_held_any_longer_and_its_waiting_deliveries_leave_at_once() {
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
async fn a_release_reports_the_deliveries_in_the_broker_and_when_they_come_back() {
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
