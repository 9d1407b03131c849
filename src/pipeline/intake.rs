//! The order in which messages start, and the round robin among large events.
//!
//! The messages of one queue start one after the other, in order of arrival. An event's first page
//! is expanded at once. Its other pages alternate with other events, so an event of another topic
//! waits for one page, not for all.
//!
//! Owns the rule that the events of one topic are expanded one after the other.
//!
//! Not here: the expansion of one page (`expansion.rs`), and the order among waiting deliveries
//! (`pace/`).

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tokio::sync::mpsc;

use super::{Pipeline, expansion::Expansion};
use crate::{broker::Message, domain::TopicName};

/// The events of one queue whose expansion is not complete.
struct FairQueue<E> {
    /// The events that expand in turn, each of another topic.
    turns: VecDeque<(TopicName, E)>,
    /// The events that wait for an earlier one of their topic, for each topic in expansion.
    behind: HashMap<TopicName, VecDeque<E>>,
}

impl<E> Default for FairQueue<E> {
    fn default() -> Self {
        Self { turns: VecDeque::new(), behind: HashMap::new() }
    }
}

impl<E> FairQueue<E> {
    /// Adds an event. Returns it if it may start now.
    fn begin(&mut self, topic: &TopicName, event: E) -> Option<E> {
        if let Some(behind) = self.behind.get_mut(topic) {
            behind.push_back(event);
            return None;
        }
        self.behind.insert(topic.clone(), VecDeque::new());
        Some(event)
    }

    /// Records that an event of this topic has expanded a page; `rest` is the event if pages
    /// remain.
    fn requeue(&mut self, topic: TopicName, rest: Option<E>) {
        if let Some(next) = rest.or_else(|| self.behind.get_mut(&topic)?.pop_front()) {
            self.turns.push_back((topic, next));
        } else {
            self.behind.remove(&topic);
        }
    }

    fn next(&mut self) -> Option<(TopicName, E)> {
        self.turns.pop_front()
    }
}

impl Pipeline {
    /// Starts a worker that handles messages one after the other. Unhandled messages stay
    /// unacknowledged when the session ends. The prefetch bounds how many may wait:
    /// `broker.prefetch` events, and `broker.prefetch_delivery` deliveries for each platform.
    pub(super) fn start_sequential_worker(self: &Arc<Self>) -> mpsc::UnboundedSender<Message> {
        let (sender, messages) = mpsc::unbounded_channel();
        self.tasks.spawn(Arc::clone(self).run_worker(messages));
        sender
    }

    async fn run_worker(self: Arc<Self>, mut messages: mpsc::UnboundedReceiver<Message>) {
        let mut turns = FairQueue::default();
        while !self.stop_waiting.is_cancelled() {
            let message = match turns.turns.is_empty() {
                true => match self.stop_waiting.run_until_cancelled(messages.recv()).await {
                    Some(Some(message)) => Some(message),
                    Some(None) | None => break,
                },
                false => messages.try_recv().ok(),
            };
            if let Some(message) = message {
                let job = Arc::clone(&self);
                let event = Arc::clone(&self)
                    .supervise(async move { job.dispatch_message(message).await })
                    .await;
                if let Some((topic, event)) = event.map(|event| (event.topic().clone(), event))
                    && let Some(event) = turns.begin(&topic, event)
                {
                    self.expand_page(topic, event, &mut turns).await;
                }
            }
            if let Some((topic, event)) = turns.next() {
                self.expand_page(topic, event, &mut turns).await;
            }
        }
    }

    /// Expands one page of an event.
    async fn expand_page(
        self: &Arc<Self>,
        topic: TopicName,
        event: Expansion,
        turns: &mut FairQueue<Expansion>,
    ) {
        let job = Arc::clone(self);
        let rest = Arc::clone(self).supervise(async move { job.expand(event).await }).await;
        turns.requeue(topic, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event with this many pages: the rest of it after one page.
    fn page((name, pages): (&'static str, u32)) -> Option<(&'static str, u32)> {
        (pages > 1).then(|| (name, pages - 1))
    }

    #[test]
    fn large_events_take_turns_with_others_and_those_of_one_topic_come_one_after_the_other() {
        let (mut turns, mut pages) = (FairQueue::default(), Vec::new());
        let coming = [
            ("large", "l1", 4),
            ("large", "l2", 2),
            ("small", "s1", 1),
            ("other", "o1", 2),
            ("small", "s2", 1),
        ];
        for (topic, name, count) in coming {
            let topic: TopicName = topic.parse().unwrap();
            if let Some(event) = turns.begin(&topic, (name, count)) {
                pages.push(event.0);
                turns.requeue(topic, page(event));
            }
            if let Some((topic, event)) = turns.next() {
                pages.push(event.0);
                turns.requeue(topic, page(event));
            }
        }
        while let Some((topic, event)) = turns.next() {
            pages.push(event.0);
            turns.requeue(topic, page(event));
        }
        // An event of one page waits for at most one page of another. `l2` waits for all of `l1`.
        assert_eq!(pages, ["l1", "l1", "l1", "s1", "l1", "o1", "l2", "s2", "o1", "l2"]);
        assert!(turns.behind.is_empty(), "nothing is left of topics that are done");
    }
}
