//! Tests of slots, positions and windows: which delivery leaves when.
//!
//! Owns the proof that the order is kept and no window is exceeded.
//!
//! Not here: holds (`holds.rs`), and overflow (`overflow.rs`).

use tokio::task::JoinSet;

use super::*;

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
async fn waiting_deliveries_leave_before_new_ones_and_in_the_order_of_their_slots() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    let (first, second) = (asking(1).later(&pace).await, asking(1).later(&pace).await);
    until(&pace, first.due.before(Duration::from_millis(1))).await;
    assert!(
        wait(&pace, asking(1).later(&pace).await) > 60,
        "it may not take the slot of the first"
    );
    // The second came back too early. The first came back after it, and still leaves first.
    let (order, mut sent) = (Arc::new(Mutex::new(Vec::new())), JoinSet::new());
    for (name, later) in [("second", second), ("first", first)] {
        let (pace, order) = (pace.clone(), Arc::clone(&order));
        sent.spawn(async move {
            let _ = asking(1)
                .at(QueuePosition::AtSlot(later.slot.unwrap()))
                .sent(&pace, Verdict::Delivered)
                .await;
            order.lock().unwrap().push(name);
        });
        settle().await;
    }
    sent.join_all().await;
    assert_eq!(*order.lock().unwrap(), ["first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_comes_back_for_its_slot_leaves_at_once() {
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
async fn a_delivery_without_room_to_wait_comes_back_to_its_position() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    let first = asking(1).later(&pace).await;
    let at = QueuePosition::AtSlot(first.slot.unwrap());
    until(&pace, first.due.before(Duration::from_secs(30))).await;
    assert_eq!(asking(1).at(at).without_room().later(&pace).await, first);
    let again = asking(1).at(QueuePosition::Head).without_room().later(&pace).await;
    assert_eq!((wait(&pace, again), again.slot), (30, None), "it goes before all others as before");
    assert_eq!(pace.robots()[0].waiting, 2, "both wait in the broker");
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
async fn an_urgent_delivery_overtakes_the_waiting_ones() {
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
        first.finish(&answer(Verdict::Delivered), Duration::ZERO),
        second.finish(&answer(Verdict::Delivered), Duration::ZERO),
    );
    let _ = third.await.unwrap();
    assert_eq!(start.elapsed().as_millis(), 50, "both were answered: the third leaves at once");
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_cannot_leave_in_time_is_rejected_and_takes_no_slot() {
    let pace = pace(&[(1, 60)], (60, 600));
    let _ = asking(1).sent(&pace, Verdict::Delivered).await;
    let hasty = asking(1).event(|event| event.expires_at = T0.after(Duration::from_secs(30)));
    assert_eq!(hasty.later(&pace).await.slot, None);
    assert_eq!(wait(&pace, asking(1).later(&pace).await), 60, "the slot is still free");
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_another_reason_than_the_quota_ends_in_time_and_delays_no_other() {
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
async fn a_cancelled_wait_passes_its_permit_to_the_next() {
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
                waited_for: None,
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
async fn a_wait_has_its_beginning() {
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
async fn new_limits_hold_for_later_deliveries() {
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
async fn the_next_part_leaves_right_behind_the_one_before_whatever_else_waits() {
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
    let _ = first.finish(&answer(Verdict::Delivered), Duration::ZERO);
    let PaceDecision::Granted(mut second, _) =
        pace.wait_for_permit(&behind.enqueue(), asked, &CancellationToken::new()).await
    else {
        panic!("the part has its turn");
    };
    assert!(!waits.is_finished(), "who came later waits");
    second.mark_sent(false).await.unwrap();
    let position = second.position();
    let _ = second.finish(&answer(Verdict::Delivered), Duration::ZERO);
    assert!(waits.await.unwrap() > position);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_has_to_wait_keeps_its_position_before_later_plans() {
    let pace = pace(&[(1, 60)], (60, 600));
    let message = asking(1);
    let first = message.go(&pace).await;
    let position = first.position();
    let _ = first.finish(&answer(Verdict::Delivered), Duration::ZERO);
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
    let _ = second.finish(&answer(Verdict::Delivered), Duration::ZERO);
    settle().await;
    assert!(!waits.is_finished(), "the window belongs to the part");
    assert!(waits.await.unwrap() > position);
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
