//! The listing of topics: those with subscriptions, and those of the events so far.
//!
//! Owns how the two are merged, a page at a time.
//!
//! Not here: the counts of events (`fanout/topic_activity.rs`), the subscriptions of a topic
//! (`store/topics.rs`).

use std::collections::BTreeMap;

use super::{
    ApiError, SubscriptionService,
    dead_letters::rfc3339,
    wire::{TopicPage, TopicQuery, TopicView},
};
use crate::{
    domain::{Timestamp, TopicName, TopicSubscriptions},
    fanout::{SeenTopic, TopicActivity},
};

/// The default size of a page.
const PAGE: usize = 100;
/// The largest size of a page, and the number of topics that are read at a time.
const PAGE_MAX: usize = 1000;

/// What a daemon knows of the events at topics.
#[derive(Clone, Copy)]
pub struct CountedTopics<'a> {
    /// The topics of the events.
    pub activity: &'a TopicActivity,
    /// Since when they are counted.
    pub since: Timestamp,
}

impl SubscriptionService {
    /// One page of topics, by name. Without a daemon only those with subscriptions are known.
    pub async fn topics(
        &self,
        query: &TopicQuery,
        counted: Option<CountedTopics<'_>>,
    ) -> Result<TopicPage, ApiError> {
        let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
        let since = counted.map(|counted| rfc3339(counted.since));
        let seen = counted.map(|counted| counted.activity.seen()).unwrap_or_default();
        let (mut topics, mut after) = (Vec::new(), query.after.clone());
        loop {
            let stored = self.store.topics(after.clone(), PAGE_MAX).await?;
            let end = stored.last().filter(|_| stored.len() == PAGE_MAX);
            let end = end.map(|last| last.topic.clone());
            let range = TopicRange { after: after.as_ref(), end: end.as_ref() };
            for view in merged(stored, &seen, range) {
                if !is_wanted(query, &view) {
                    continue;
                }
                if topics.len() == limit {
                    let next = topics.last().map(|last: &TopicView| last.topic.clone());
                    return Ok(TopicPage { topics, since, next });
                }
                let none = counted.map(|_| 0);
                topics.push(TopicView {
                    events: view.events.or(none),
                    events_without_subscription: view.events_without_subscription.or(none),
                    ..view
                });
            }
            if end.is_none() {
                return Ok(TopicPage { topics, since, next: None });
            }
            after = end;
        }
    }
}

/// The topics behind `after`, up to `end` inclusive.
#[derive(Clone, Copy)]
struct TopicRange<'a> {
    after: Option<&'a TopicName>,
    end: Option<&'a TopicName>,
}

impl TopicRange<'_> {
    fn contains(&self, topic: &TopicName) -> bool {
        self.after.is_none_or(|after| topic > after) && self.end.is_none_or(|end| topic <= end)
    }
}

/// The stored topics and the seen ones within a range, each once, by name.
fn merged(
    stored: Vec<TopicSubscriptions>,
    seen: &[SeenTopic],
    range: TopicRange<'_>,
) -> impl Iterator<Item = TopicView> {
    let mut views: BTreeMap<TopicName, TopicView> = BTreeMap::new();
    for TopicSubscriptions { topic, subscriptions, active } in stored {
        views.insert(topic.clone(), TopicView { subscriptions, active, ..unknown(topic) });
    }
    for one in seen.iter().filter(|one| range.contains(&one.topic)) {
        let view = views.entry(one.topic.clone()).or_insert_with(|| unknown(one.topic.clone()));
        view.events = Some(one.events);
        view.events_without_subscription = Some(one.without_subscription);
        view.last_event_at = Some(rfc3339(one.last_at));
        // A topic that has got a subscription meanwhile needs no proposal.
        view.nearest = one.nearest.clone().filter(|_| view.subscriptions == 0);
    }
    views.into_values()
}

/// A topic of which nothing is known yet.
const fn unknown(topic: TopicName) -> TopicView {
    TopicView {
        topic,
        subscriptions: 0,
        active: 0,
        events: None,
        events_without_subscription: None,
        last_event_at: None,
        nearest: None,
    }
}

fn is_wanted(query: &TopicQuery, view: &TopicView) -> bool {
    (!query.without_subscription || view.subscriptions == 0)
        && query.name.as_ref().is_none_or(|part| view.topic.as_str().contains(part.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> TopicName {
        name.parse().unwrap()
    }

    #[test]
    fn a_topic_is_listed_once_with_what_both_sides_know_of_it() {
        let stored =
            |name, active| TopicSubscriptions { topic: topic(name), subscriptions: 2, active };
        let seen = |name, nearest: Option<&str>| SeenTopic {
            topic: topic(name),
            events: 5,
            without_subscription: 3,
            last_at: Timestamp::from_unix_millis(1000),
            nearest: nearest.map(topic),
        };
        let (a, m) = (topic("a"), topic("m"));
        let range = TopicRange { after: Some(&a), end: Some(&m) };
        let seen = [
            seen("a", None),
            seen("alets", Some("alerts")),
            seen("db", Some("dbs")),
            seen("z", None),
        ];
        let views: Vec<_> =
            merged(vec![stored("alerts", 2), stored("db", 0)], &seen, range).collect();
        let names: Vec<_> = views.iter().map(|view| view.topic.as_str()).collect();
        assert_eq!(names, ["alerts", "alets", "db"], "what is outside of the range is left out");
        assert_eq!((views[0].subscriptions, views[0].events), (2, None));
        assert_eq!((views[1].subscriptions, views[1].events), (0, Some(5)));
        assert_eq!(views[1].nearest, Some(topic("alerts")));
        assert_eq!((views[2].active, &views[2].nearest), (0, &None), "it has subscriptions");
        assert_eq!(views[2].last_event_at.as_deref(), Some("1970-01-01T00:00:01Z"));
        let query = |text: &str| serde_json::from_str::<TopicQuery>(text).unwrap();
        for (text, wanted) in [
            ("{}", [true, true, true]),
            (r#"{"without_subscription": true}"#, [false, true, false]),
            (r#"{"name": "ale"}"#, [true, true, false]),
        ] {
            let found: Vec<_> = views.iter().map(|view| is_wanted(&query(text), view)).collect();
            assert_eq!(found, wanted, "{text}");
        }
    }
}
