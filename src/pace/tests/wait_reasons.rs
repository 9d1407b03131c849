//! Tests of the reason that each decision of the pacer names.
//!
//! Owns the proof that the reason is that of the longest wait.
//!
//! Not here: how long the waits are (`tests.rs`).

use super::*;

/// Uses the whole quota of robot 1: one message in 600 s.
async fn used_up(settings: PaceSettings) -> Pace {
    let pace = with(settings);
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    pace
}

fn one_in_600_s() -> PaceSettings {
    settings(&[(1, 600)], (60, 3600))
}

#[tokio::test(start_paused = true)]
async fn a_new_delivery_behind_a_used_up_window_waits_for_the_robots_quota() {
    let pace = used_up(one_in_600_s()).await;
    assert_eq!(asking(1).later(&pace).await.reason, WaitReason::RobotQuota);
    for position in [QueuePosition::Head, QueuePosition::AtSlot(T0), QueuePosition::After(T0)] {
        assert_eq!(
            asking(1).at(position).later(&pace).await.reason,
            WaitReason::RobotQuota,
            "{position:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_robot_is_held_its_deliveries_wait_for_the_hold_and_its_cause_is_named() {
    for (verdict, cause) in [
        (THROTTLED, HoldCause::Throttled),
        (Verdict::BudgetSpent { wait: Duration::from_secs(900) }, HoldCause::Budget),
        (Verdict::Security, HoldCause::Security),
        (Verdict::RobotGone, HoldCause::RobotGone),
        (Verdict::TryAgain { wait: None }, HoldCause::Failing),
    ] {
        let probe = Duration::from_secs(600);
        let health = HealthPolicy { after: 1, probe_min: probe, probe_max: probe };
        let breaker = BreakerPolicy {
            after: 1,
            probe_min: probe,
            probe_max: probe,
            ..BreakerPolicy::by_default().unwrap()
        };
        let pace = with(PaceSettings { health, breaker, ..settings(&[(20, 60)], (600, 3600)) });
        let _ = asking(1).sent(&pace, verdict).await;
        for position in [QueuePosition::Tail, QueuePosition::Head, QueuePosition::AtSlot(T0)] {
            assert_eq!(
                asking(1).at(position).later(&pace).await.reason,
                WaitReason::Hold(cause),
                "{cause:?} {position:?}"
            );
        }
        assert_eq!(pace.robots()[0].wait_reason, Some(WaitReason::Hold(cause)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_delivery_waits_for_what_is_really_held_and_is_counted_so() {
    let spent = Verdict::BudgetSpent { wait: Duration::from_secs(900) };
    let held_before = Some(Verdict::RobotGone);
    let group = Some("acme".parse::<GroupName>().unwrap());
    for (before, verdict, group, reason) in [
        (None, THROTTLED, None, WaitReason::Hold(HoldCause::Throttled)),
        (None, spent, None, WaitReason::Hold(HoldCause::Budget)),
        (None, spent, group, WaitReason::MonthlyBudget),
        (held_before, THROTTLED, None, WaitReason::Hold(HoldCause::RobotGone)),
        (held_before, spent, None, WaitReason::Hold(HoldCause::RobotGone)),
    ] {
        let health = HealthPolicy { after: 1, ..HealthPolicy::by_default().unwrap() };
        let pace = with(PaceSettings { health, ..settings(&[(2, 600)], (600, 3600)) });
        let refused = Asking { group, ..asking(1) }.go(&pace).await;
        let other = asking(1).go(&pace).await;
        let _ = before.map(|verdict| other.finish(&answer(verdict), Duration::ZERO));
        let changes = refused.finish(&answer(verdict), Duration::ZERO);
        assert_eq!(changes.resume.map(|resume| resume.reason), Some(reason), "{verdict:?}");
        // A robot shows its counts as long as it has a slot.
        let behind = asking(1).later(&pace).await;
        let mut waits = WaitCounts::default();
        waits[reason] += 1;
        waits[behind.reason] += 1;
        assert_eq!(pace.robots()[0].waits, waits, "{verdict:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_begins_while_a_delivery_waits_in_memory_is_its_reason() {
    let pace = with(settings(&[(2, 60)], (600, 3600)));
    let first = asking(1).go(&pace).await;
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    tokio::time::advance(Duration::from_secs(59)).await;
    let waiting = {
        let pace = pace.clone();
        tokio::spawn(async move { asking(1).later(&pace).await })
    };
    settle().await;
    let _ = first.finish(&answer(THROTTLED), Duration::ZERO);
    assert_eq!(waiting.await.unwrap().reason, WaitReason::Hold(HoldCause::Throttled));
}

#[tokio::test(start_paused = true)]
async fn a_used_up_month_is_the_reason_for_its_organisation_alone() {
    let name: GroupName = "acme".parse().unwrap();
    let one_a_month = GroupSettings { monthly: Some(1), ..GroupSettings::by_default().unwrap() };
    let groups = BTreeMap::from([(name.clone(), one_a_month)]);
    let pace = with(PaceSettings { groups, ..one_in_600_s() });
    let of_group = |robot| {
        let month = Duration::from_secs(40 * 86_400);
        let asking = asking(robot).event(|event| event.expires_at = T0.after(month));
        Asking { group: Some(name.clone()), ..asking }
    };
    let _ = of_group(1).sent(&pace, Verdict::Delivered).await;
    assert_eq!(of_group(1).later(&pace).await.reason, WaitReason::MonthlyBudget);
    assert_eq!(of_group(2).later(&pace).await.reason, WaitReason::MonthlyBudget);
    assert_eq!(asking(1).later(&pace).await.reason, WaitReason::RobotQuota);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_without_memory_and_one_at_a_busy_host_say_so() {
    let pace = with(settings(&[(20, 60)], (60, 600)));
    let ask = asking(1);
    let request = ask.enqueue();
    let ticket = pace.put_off(&request, pace.enqueue(&request));
    let turn = pace.wait_for_permit(&request, ticket, &CancellationToken::new()).await;
    let PaceDecision::Deferred(later) = turn else { panic!("there is no memory for it") };
    assert_eq!(later.reason, WaitReason::MemoryFull);

    let mut slow = settings(&[(1000, 60)], (60, 600));
    slow.quotas.values_mut().for_each(|quota| quota.rate_per_second = Some(1));
    let pace = with(slow);
    let tickets: Vec<_> = (0..20).map(|robot| pace.enqueue(&asking(robot).enqueue())).collect();
    let reasons: Vec<_> = tickets
        .iter()
        .filter_map(|ticket| match &ticket.first {
            TicketState::Decided(PaceDecision::Deferred(later)) => Some(later.reason),
            _ => None,
        })
        .collect();
    assert!(
        !reasons.is_empty() && reasons.iter().all(|one| *one == WaitReason::HostRate),
        "{reasons:?}"
    );

    let pace = with(PaceSettings {
        limits: PaceLimits { in_flight_max: 8, ..limits() },
        ..settings(&[(1000, 60)], (60, 600))
    });
    let mut unanswered = Vec::new();
    for robot in 0..20 {
        let ask = asking(robot);
        let request = ask.enqueue();
        match pace
            .wait_for_permit(&request, pace.enqueue(&request), &CancellationToken::new())
            .await
        {
            PaceDecision::Granted(mut permit, _) => {
                permit.mark_sent(false).await.unwrap();
                unanswered.push(permit);
            }
            PaceDecision::Deferred(later) => {
                assert_eq!(later.reason, WaitReason::InFlightLimit);
                return;
            }
            _ => panic!("neither now nor later"),
        }
    }
    panic!("{} attempts are in flight", unanswered.len());
}

#[tokio::test(start_paused = true)]
async fn a_robot_and_an_estimate_name_the_reason_of_a_wait() {
    let pace = used_up(one_in_600_s()).await;
    assert_eq!(pace.robots()[0].wait_reason, None);
    let _ = asking(1).later(&pace).await;
    assert_eq!(pace.robots()[0].wait_reason, Some(WaitReason::RobotQuota));
    let estimate =
        pace.send_estimate(RobotId::from_bytes([1; 16]), Platform::DingTalk, None, false, 1);
    assert_eq!(estimate.reason, Some(WaitReason::RobotQuota));
    let free = pace.send_estimate(RobotId::from_bytes([2; 16]), Platform::DingTalk, None, false, 1);
    assert_eq!(free.reason, None);
}

#[tokio::test(start_paused = true)]
async fn a_robot_counts_its_waiting_deliveries_by_reason_and_names_the_most_frequent() {
    let name: GroupName = "acme".parse().unwrap();
    let one_a_month = GroupSettings { monthly: Some(1), ..GroupSettings::by_default().unwrap() };
    let groups = BTreeMap::from([(name.clone(), one_a_month)]);
    let pace = with(PaceSettings { groups, ..one_in_600_s() });
    let of_group = || {
        let month = Duration::from_secs(40 * 86_400);
        let asking = asking(1).event(|event| event.expires_at = T0.after(month));
        Asking { group: Some(name.clone()), ..asking }
    };
    let _ = of_group().sent(&pace, Verdict::Delivered).await;
    let _ = asking(1).later(&pace).await;
    let (first, second) = (of_group().later(&pace).await, of_group().later(&pace).await);
    let counts = |quota, month| {
        let mut counts = WaitCounts::default();
        counts[WaitReason::RobotQuota] = quota;
        counts[WaitReason::MonthlyBudget] = month;
        counts
    };
    let robot = pace.robots().remove(0);
    // The third one waits longer for the window than for the next month.
    assert_eq!((robot.waiting, robot.waits), (3, counts(2, 1)));
    assert_eq!(robot.wait_reason, Some(WaitReason::RobotQuota));

    // Both come back and are deferred again, one for another reason.
    let back = |later: Deferral, asking: Asking| Asking {
        waited_for: Some(later.reason),
        ..asking.at(QueuePosition::AtSlot(later.slot.unwrap()))
    };
    let _ = back(first, Asking { group: None, ..of_group() }).later(&pace).await;
    let _ = back(second, of_group()).later(&pace).await;
    let robot = pace.robots().remove(0);
    assert_eq!((robot.waiting, robot.waits.values().sum::<u32>()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_robot_that_is_restored_counts_its_deliveries_by_the_reasons_that_were_recorded() {
    let records = Notes::default();
    let name: GroupName = "acme".parse().unwrap();
    let one_a_month = GroupSettings { monthly: Some(1), ..GroupSettings::by_default().unwrap() };
    let groups = BTreeMap::from([(name.clone(), one_a_month)]);
    let settings = PaceSettings { groups, ..settings(&[(3, 600)], (60, 3600)) };
    let before = Pace::new(settings.clone(), Arc::new(records.clone()), timeline(T0));
    let of_group = || {
        let month = Duration::from_secs(40 * 86_400);
        let asking = asking(1).event(|event| event.expires_at = T0.after(month));
        Asking { group: Some(name.clone()), ..asking }
    };
    let _ = of_group().sent(&before, Verdict::Delivered).await;
    let _ = of_group().later(&before).await;
    let _ = of_group().later(&before).await;
    let told = before.robots()[0].waits;
    assert_eq!((told[WaitReason::MonthlyBudget], told.values().sum::<u32>()), (1, 2));
    let restored = |records: Vec<PaceRecord>| {
        let after = Pace::new(settings.clone(), Arc::new(Notes::default()), timeline(T0));
        after.restore(records);
        after.robots()[0].waits
    };
    assert_eq!(restored(records.0.lock().unwrap().clone()), told);
    records.0.lock().unwrap().clear();
    let _ = before.checkpoint().unwrap();
    assert_eq!(restored(records.0.lock().unwrap().clone()), told, "also from a checkpoint");
}

#[tokio::test(start_paused = true)]
async fn a_permit_knows_why_its_delivery_waited_in_memory() {
    let pace = with(settings(&[(1, 1)], (60, 600)));
    assert_eq!(asking(1).go(&pace).await.waited_for(), None, "it got the permit at once");
    let _ = asking(2).sent(&pace, Verdict::Delivered).await;
    assert_eq!(asking(2).go(&pace).await.waited_for(), Some(WaitReason::RobotQuota));

    let mut slow = settings(&[(1000, 60)], (60, 600));
    slow.quotas.values_mut().for_each(|quota| quota.rate_per_second = Some(1));
    let pace = with(slow);
    let mut reasons = Vec::new();
    for robot in 0..3 {
        reasons.push(asking(robot).go(&pace).await.waited_for());
    }
    assert_eq!(reasons.last(), Some(&Some(WaitReason::HostRate)), "{reasons:?}");
}
