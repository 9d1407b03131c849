//! Tests of restore and checkpoint.
//!
//! Owns the proof that the next process continues where this one ended.
//!
//! Not here: the files of the records (`store/journal_tests.rs`).

use super::*;

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
async fn a_rewritten_record_has_the_same_meaning() {
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
        reason: WaitReason::RobotQuota,
    };
    after.restore([booked(90), booked(30), booked(30), booked(90)]);
    assert_eq!(
        wait(&after, asking(1).later(&after).await),
        90,
        "two in 60 s: the next is a window behind the first"
    );
}
