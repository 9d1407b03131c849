//! The topics to which events were published since the start: how many events, when, and how many
//! of them had no subscription.
//!
//! Owns that this memory is bounded whatever publishers send. The topics that were seen least
//! recently are forgotten first. Topics without subscriptions have a bound of their own, so that
//! wrong names never displace the others.
//!
//! Not here: which topics have subscriptions (`store/`), and the log line about a topic without
//! one (`app/topic_watch.rs`).

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lru::LruCache;
use tokio::sync::Notify;

use crate::{
    domain::{Timestamp, TopicName},
    settings::{one_of, section},
};

/// How many topics with subscriptions are remembered.
const TOPICS_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// How many topics without a subscription are remembered.
const WITHOUT_SUBSCRIPTION_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// After this time a topic without a subscription is reported again.
const REPORT_AGAIN: Duration = Duration::from_secs(3600);

/// What becomes of an event whose topic has no subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutSubscription {
    /// It is counted and acknowledged.
    Drop,
    /// It becomes a dead letter.
    Dead,
}

section! {
    /// Topics without a subscription.
    pub struct TopicSettings in "topics" {
        /// What becomes of an event whose topic has no subscription, active or paused. `drop`: it
        /// is counted, and one line an hour names the topic. `dead`: it becomes a dead letter
        /// `no_subscription` too, which can be redriven once the topic has a subscription.
        without_subscription: WithoutSubscription = one(
            one_of(&[("drop", WithoutSubscription::Drop), ("dead", WithoutSubscription::Dead)]),
            "drop"
        ), AtStart;
    }
}

/// An event that arrived at a topic.
#[derive(Clone, Copy, Debug)]
pub struct TopicEvent {
    /// When.
    pub at: Timestamp,
    /// Whether the topic has a subscription, active or paused.
    pub has_subscription: bool,
}

/// What is known of one topic since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenTopic {
    /// The topic.
    pub topic: TopicName,
    /// How many events were published to it.
    pub events: u64,
    /// How many of them found no subscription.
    pub without_subscription: u64,
    /// When the last one was received.
    pub last_at: Timestamp,
    /// A topic with subscriptions and a similar name, if the last event found no subscription and
    /// there is one.
    pub nearest: Option<TopicName>,
}

/// A topic to report: its events find no subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubscribedTopic {
    /// The topic.
    pub topic: TopicName,
    /// How many events found no subscription since the last report.
    pub events: u64,
}

struct Entry {
    events: u64,
    without_subscription: u64,
    last_at: Timestamp,
    /// The count at the last report, and its time.
    reported: u64,
    reported_at: Option<Timestamp>,
    nearest: Option<TopicName>,
}

impl Entry {
    /// Whether its events without a subscription are to be reported.
    fn is_due(&self, now: Timestamp) -> bool {
        self.without_subscription > self.reported
            && self.reported_at.is_none_or(|at| now.since(at) >= REPORT_AGAIN)
    }

    fn seen(&self, topic: &TopicName) -> SeenTopic {
        SeenTopic {
            topic: topic.clone(),
            events: self.events,
            without_subscription: self.without_subscription,
            last_at: self.last_at,
            nearest: self.nearest.clone(),
        }
    }
}

/// A topic is in one of the two.
struct Topics {
    /// Those of which an event found a subscription.
    subscribed: LruCache<TopicName, Entry>,
    unsubscribed: LruCache<TopicName, Entry>,
}

impl Topics {
    fn get_mut(&mut self, topic: &TopicName) -> Option<&mut Entry> {
        match self.subscribed.get_mut(topic) {
            Some(entry) => Some(entry),
            None => self.unsubscribed.get_mut(topic),
        }
    }

    fn all(&self) -> impl Iterator<Item = (&TopicName, &Entry)> {
        self.subscribed.iter().chain(self.unsubscribed.iter())
    }
}

/// The topics since the start.
pub struct TopicActivity {
    topics: Mutex<Topics>,
    due: Notify,
}

impl Default for TopicActivity {
    fn default() -> Self {
        let topics = Topics {
            subscribed: LruCache::new(TOPICS_MAX),
            unsubscribed: LruCache::new(WITHOUT_SUBSCRIPTION_MAX),
        };
        Self { topics: Mutex::new(topics), due: Notify::new() }
    }
}

impl TopicActivity {
    /// Counts an event.
    pub fn count(&self, topic: &TopicName, event: TopicEvent) {
        let TopicEvent { at, has_subscription } = event;
        let mut topics = self.topics();
        if has_subscription && let Some(entry) = topics.unsubscribed.pop(topic) {
            topics.subscribed.put(topic.clone(), entry);
        }
        if topics.get_mut(topic).is_none() {
            let (last_at, reported_at, nearest) = (at, None, None);
            let new = Entry {
                events: 0,
                without_subscription: 0,
                last_at,
                reported: 0,
                reported_at,
                nearest,
            };
            match has_subscription {
                true => topics.subscribed.put(topic.clone(), new),
                false => topics.unsubscribed.put(topic.clone(), new),
            };
        }
        let Some(entry) = topics.get_mut(topic) else { return };
        entry.events += 1;
        entry.last_at = at;
        if has_subscription {
            entry.nearest = None;
        } else {
            entry.without_subscription += 1;
            if entry.is_due(at) {
                self.due.notify_one();
            }
        }
    }

    /// Waits until a topic may be due.
    pub async fn wait_for_due(&self) {
        self.due.notified().await;
    }

    /// Up to `limit` topics that are to be reported now. Each is due again after an hour.
    pub fn take_due(&self, now: Timestamp, limit: usize) -> Vec<UnsubscribedTopic> {
        let mut topics = self.topics();
        let due: Vec<_> = topics
            .all()
            .filter(|(_, entry)| entry.is_due(now))
            .map(|(topic, _)| topic.clone())
            .take(limit + 1)
            .collect();
        if due.len() > limit {
            self.due.notify_one();
        }
        let mut taken = Vec::new();
        for topic in due.into_iter().take(limit) {
            if let Some(entry) = topics.get_mut(&topic) {
                let events = entry.without_subscription - entry.reported;
                (entry.reported, entry.reported_at) = (entry.without_subscription, Some(now));
                taken.push(UnsubscribedTopic { topic, events });
            }
        }
        taken
    }

    /// Remembers the similar name of a topic without a subscription.
    pub fn set_nearest(&self, topic: &TopicName, nearest: Option<TopicName>) {
        if let Some(entry) = self.topics().get_mut(topic) {
            entry.nearest = nearest;
        }
    }

    /// What is known of a topic.
    #[must_use]
    pub fn of(&self, topic: &TopicName) -> Option<SeenTopic> {
        let topics = self.topics();
        let entry = topics.subscribed.peek(topic).or_else(|| topics.unsubscribed.peek(topic))?;
        Some(entry.seen(topic))
    }

    /// All topics that are remembered, by name.
    #[must_use]
    pub fn seen(&self) -> Vec<SeenTopic> {
        let mut seen: Vec<_> =
            self.topics().all().map(|(topic, entry)| entry.seen(topic)).collect();
        seen.sort_unstable_by(|one, other| one.topic.cmp(&other.topic));
        seen
    }

    fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn topic(name: &str) -> TopicName {
        name.parse().unwrap()
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_millis(millis)
    }

    fn count(activity: &TopicActivity, name: &str, millis: u64, has_subscription: bool) {
        activity.count(&topic(name), TopicEvent { at: at(millis), has_subscription });
    }

    fn due(activity: &TopicActivity, millis: u64) -> Vec<(String, u64)> {
        let due = activity.take_due(at(millis), 10).into_iter();
        due.map(|one| (one.topic.to_string(), one.events)).collect()
    }

    #[test]
    fn a_topic_without_a_subscription_is_reported_once_an_hour_with_its_events() {
        let activity = TopicActivity::default();
        count(&activity, "ops", 1, true);
        count(&activity, "alets", 1, false);
        count(&activity, "alets", 2, false);
        assert_eq!(due(&activity, 2), [("alets".to_owned(), 2)]);
        count(&activity, "alets", 3, false);
        assert_eq!(due(&activity, HOUR), [], "it was reported less than an hour ago");
        assert_eq!(due(&activity, HOUR + 2), [("alets".to_owned(), 1)]);
        assert_eq!(due(&activity, 9 * HOUR), [], "no event came meanwhile");
    }

    #[test]
    fn a_topic_that_gets_a_subscription_keeps_its_counts_and_its_report() {
        let activity = TopicActivity::default();
        count(&activity, "ops", 1, false);
        activity.set_nearest(&topic("ops"), Some(topic("ops.db")));
        assert_eq!(activity.of(&topic("ops")).unwrap().nearest, Some(topic("ops.db")));
        assert_eq!(due(&activity, 1).len(), 1);
        count(&activity, "ops", 2, true);
        count(&activity, "ops", 3, false);
        let seen = activity.of(&topic("ops")).unwrap();
        assert_eq!((seen.events, seen.without_subscription, seen.last_at), (3, 2, at(3)));
        assert_eq!(seen.nearest, None, "it had a subscription in between");
        assert_eq!(due(&activity, 3), [], "still the same hour");
        assert_eq!(activity.seen(), [seen]);
    }

    #[test]
    fn wrong_names_are_bounded_and_displace_no_topic_with_subscriptions() {
        let activity = TopicActivity::default();
        count(&activity, "ops", 1, true);
        for number in 0..5000 {
            count(&activity, &format!("wrong-{number}"), 2, false);
        }
        assert_eq!(activity.seen().len(), 1 + WITHOUT_SUBSCRIPTION_MAX.get());
        assert!(activity.of(&topic("ops")).is_some());
        assert!(activity.of(&topic("wrong-4999")).is_some());
        for number in 0..20_000 {
            count(&activity, &format!("good-{number}"), 3, true);
        }
        assert_eq!(activity.seen().len(), TOPICS_MAX.get() + WITHOUT_SUBSCRIPTION_MAX.get());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_at_once_is_announced_again() {
        let activity = TopicActivity::default();
        for number in 0..12 {
            count(&activity, &format!("wrong-{number}"), 1, false);
        }
        let mut found = 0;
        while found < 12 {
            activity.wait_for_due().await;
            found += due(&activity, 1).len();
        }
        let waiting = tokio::time::timeout(Duration::from_secs(1), activity.wait_for_due());
        assert!(waiting.await.is_err(), "nothing is due");
    }
}
