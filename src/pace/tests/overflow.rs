//! Tests of the overflow policies `digest` and `latest`.
//!
//! Owns the proof that waiting deliveries are coalesced or superseded, and none is lost.
//!
//! Not here: the text of a digest (`platforms/digest.rs`).

use super::*;

#[tokio::test(start_paused = true)]
async fn waiting_deliveries_of_a_digest_share_one_slot_and_leave_as_one() {
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
                        .send(CoalescedOutcome::Sent(SendOutcome {
                            answer,
                            resume: Resume { at: T0, reason: WaitReason::Order },
                            omitted: crate::domain::FeatureSet::EMPTY,
                        }))
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
