//! Tests of one host with all its parts, on tokio's paused clock.
//!
//! Owns the proof that topics and platforms share a host fairly, and never above its rate.
//!
//! Not here: the tests of each part (in the part's file), and the whole pacer (`pace/tests.rs`).

use std::time::Duration;

use tokio::task::JoinHandle;

use super::*;
use crate::domain::TopicName;

const LIMITS: HostLimits =
    HostLimits { rate_per_second: Some(10), in_flight_max: 256, hold_max: Duration::from_secs(2) };
const QUICK: Answered = Answered { took: Duration::from_millis(50), heard: true };

/// A new message of this topic, for the platform with this index in [`Platform::ALL`].
struct Message(&'static str, usize);

impl Message {
    fn acquire(&self, host: &Host, change: impl FnOnce(&mut HostRequest<'_>)) -> HostDecision {
        let topic: TopicName = self.0.parse().unwrap();
        let platform = Platform::ALL[self.1];
        let mut entry = HostRequest { platform, urgent: false, topic: &topic, fresh: true };
        change(&mut entry);
        host.acquire(&entry)
    }

    fn comes(&self, host: &Host) -> HostDecision {
        self.acquire(host, |_| ())
    }
}

/// Sends with an immediate answer, so that only the rate limits.
fn sends(departure: HostDecision) -> JoinHandle<Option<Duration>> {
    let start = Instant::now();
    tokio::spawn(async move {
        let departure = match departure {
            HostDecision::Queued(wait) => {
                wait.wait_for_permit(&CancellationToken::new()).await.unwrap()
            }
            other => other,
        };
        let HostDecision::Granted(mut permit) = departure else { return None };
        permit.mark_sent();
        permit.finish(QUICK);
        Some(start.elapsed())
    })
}

fn go(departure: HostDecision) -> HostPermit {
    let HostDecision::Granted(mut permit) = departure else { panic!("there is time and room") };
    permit.mark_sent();
    permit
}

fn later(departure: HostDecision) -> Duration {
    let HostDecision::Deferred(HostDeferral { wait, .. }) = departure else {
        panic!("it is far away")
    };
    wait
}

#[tokio::test(start_paused = true)]
async fn the_event_of_another_topic_leaves_after_one_of_a_large_one() {
    let host = Host::new(LIMITS);
    let large: Vec<_> = (0..100).map(|_| Message("large", 0).comes(&host)).collect();
    let (mut now, mut waiting, mut waits) = (0, Vec::new(), Vec::new());
    for departure in large {
        match departure {
            HostDecision::Granted(_) => now += 1,
            HostDecision::Queued(_) => waiting.push(sends(departure)),
            HostDecision::Deferred(HostDeferral { wait, .. }) => waits.push(wait.as_millis()),
        }
    }
    assert_eq!(
        (now, waiting.len()),
        (10, 20),
        "a second's worth at once, and what leaves within hold_max"
    );
    // The other messages come back one after the other, at the rate, directly behind those in
    // memory.
    assert!(waits.windows(2).all(|two| two[1] - two[0] == 100), "{waits:?}");
    assert!((2000..2300).contains(&waits[0]), "{waits:?}");
    let small = sends(Message("small", 3).comes(&host));
    let other = sends(Message("other", 0).comes(&host));
    for one in [small, other] {
        let took = one.await.unwrap().expect("it leaves");
        assert!(took <= Duration::from_millis(301), "{took:?}");
    }
    for one in waiting {
        assert!(one.await.unwrap().is_some_and(|took| took <= Duration::from_millis(2200)));
    }
}

#[tokio::test(start_paused = true)]
async fn at_no_time_leaves_more_than_the_rate_allows_and_nothing_of_it_is_wasted() {
    let host = Host::new(LIMITS);
    let mut sent = Vec::new();
    // Each deferred message comes back half a second before its time.
    let mut coming: Vec<(Duration, bool)> = (0..200).map(|_| (Duration::ZERO, true)).collect();
    let start = Instant::now();
    let mut running = Vec::new();
    while !coming.is_empty() || !running.is_empty() {
        coming.sort_unstable_by_key(|(at, _)| *at);
        while coming.first().is_some_and(|(at, _)| *at <= start.elapsed()) {
            let (_, fresh) = coming.remove(0);
            match Message("large", 1).acquire(&host, |entry| entry.fresh = fresh) {
                HostDecision::Deferred(HostDeferral { wait, .. }) => {
                    coming.push((start.elapsed() + wait, false))
                }
                departure => running.push(sends(departure)),
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        for done in running.extract_if(.., |one| one.is_finished()) {
            match done.await.unwrap() {
                Some(_) => sent.push(start.elapsed().as_millis()),
                None => coming.push((start.elapsed(), false)),
            }
        }
    }
    assert_eq!(sent.len(), 200);
    assert!(
        sent.windows(21).all(|some| some[20] - some[0] >= 999),
        "more than a second's worth and the rate: {sent:?}"
    );
    assert!(*sent.last().unwrap() < 20_500, "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_delivery_stays_behind_the_deferred_ones_of_its_topic_alone() {
    let host = Host::new(LIMITS);
    let mut last = Duration::ZERO;
    for _ in 0..100 {
        match Message("large", 0).comes(&host) {
            HostDecision::Deferred(HostDeferral { wait, .. }) => last = wait,
            departure => drop(sends(departure)),
        }
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    // No message waits in memory by now.
    let behind = later(Message("large", 0).comes(&host));
    assert!(
        behind > last.saturating_sub(Duration::from_secs(4)),
        "{behind:?} where the last comes back in {last:?}"
    );
    go(Message("large", 0).acquire(&host, |entry| entry.fresh = false)).finish(QUICK);
    go(Message("small", 0).comes(&host)).finish(QUICK);
    tokio::time::sleep(behind).await;
    go(Message("large", 0).comes(&host)).finish(QUICK);
    host.evict_idle();
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_does_not_answer_takes_no_time_and_no_room_from_another_at_the_same_host() {
    let host = Host::new(HostLimits { in_flight_max: 8, ..LIMITS });
    let hanging: Vec<_> = (0..6).map(|_| go(Message("a", 0).comes(&host))).collect();
    let waits: Vec<_> = (0..10).map(|_| sends(Message("a", 0).comes(&host))).collect();
    tokio::task::yield_now().await;
    // A share is reserved for urgent messages.
    let urgent = go(Message("a", 0).acquire(&host, |entry| entry.urgent = true));
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        go(Message("b", 3).comes(&host)).finish(QUICK);
    }
    for one in waits {
        assert!(one.await.unwrap().is_none(), "there was no room within hold_max");
    }
    let first = later(Message("a", 0).comes(&host));
    for permit in hanging {
        permit.finish(Answered { took: Duration::from_secs(15), heard: false });
    }
    urgent.finish(QUICK);
    assert!(first > Duration::from_secs(2));
    go(Message("other", 0).comes(&host)).finish(QUICK);
}

#[tokio::test(start_paused = true)]
async fn the_longer_a_platform_does_not_answer_the_later_deferred_deliveries_come_back() {
    let host = Host::new(HostLimits { rate_per_second: None, ..LIMITS });
    let mut waits = Vec::new();
    for topic in ["a", "b", "c"] {
        let hanging: Vec<_> = (0..8)
            .map(|_| go(Message("x", 0).acquire(&host, |entry| entry.urgent = true)))
            .collect();
        while let HostDecision::Granted(mut permit) =
            Message("x", 0).acquire(&host, |entry| entry.fresh = false)
        {
            permit.mark_sent();
            permit.finish(Answered { took: Duration::from_secs(15), heard: false });
        }
        let HostDecision::Queued(wait) = Message(topic, 0).comes(&host) else {
            panic!("there is no room")
        };
        let Some(HostDecision::Deferred(HostDeferral { wait, .. })) =
            wait.wait_for_permit(&CancellationToken::new()).await
        else {
            panic!("it hangs")
        };
        waits.push(wait.as_secs());
        hanging.into_iter().for_each(|permit| permit.finish(QUICK));
    }
    assert_eq!(waits[0], 30, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn unused_room_comes_back() {
    let host = Host::new(HostLimits { in_flight_max: 1, ..LIMITS });
    for _ in 0..100 {
        let HostDecision::Granted(unused) = Message("a", 0).comes(&host) else {
            panic!("the one before is back")
        };
        drop(unused);
    }
    let used = go(Message("a", 0).comes(&host));
    let waits = Message("a", 0).comes(&host);
    let next = Message("a", 0).comes(&host);
    drop(used);
    // The first waiting message has been granted the permit, and no longer wants it.
    drop(waits);
    assert_eq!(sends(next).await.unwrap(), Some(Duration::ZERO));
}
