//! In which order messages begin, and large events take their turns.
//!
//! Each queue's messages begin one after the other, in the order in which they came. An event's
//! first page is expanded at once; its other pages take turns with other events, so that the event
//! of another topic waits for a page and not for all of them. The events of one topic are expanded
//! one after the other.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tokio::sync::mpsc;

use super::{Pipeline, expansion::Expansion};
use crate::{broker::Message, domain::TopicName};

/// The events of one queue that are not expanded to their end yet.
struct Turns<E> {
    /// Those whose turn comes, each of another topic.
    turns: VecDeque<(TopicName, E)>,
    /// Those that wait for the end of another one of their topic, for each topic that is under way.
    behind: HashMap<TopicName, VecDeque<E>>,
}

impl<E> Default for Turns<E> {
    fn default() -> Self {
        Self { turns: VecDeque::new(), behind: HashMap::new() }
    }
}

impl<E> Turns<E> {
    /// An event has come: it is given back if it may begin.
    fn begin(&mut self, topic: &TopicName, event: E) -> Option<E> {
        if let Some(behind) = self.behind.get_mut(topic) {
            behind.push_back(event);
            return None;
        }
        self.behind.insert(topic.clone(), VecDeque::new());
        Some(event)
    }

    /// An event of this topic has had its turn; what is left of it has another.
    fn took(&mut self, topic: TopicName, rest: Option<E>) {
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
    /// Begins with one message after the other; what is left when it is time to leave comes back.
    /// How many may wait is bounded by what the broker hands over: `broker.prefetch` events,
    /// `broker.prefetch_delivery` deliveries of each platform.
    pub(super) fn in_turn(self: &Arc<Self>) -> mpsc::UnboundedSender<Message> {
        let (sender, messages) = mpsc::unbounded_channel();
        self.tasks.spawn(Arc::clone(self).take_turns(messages));
        sender
    }

    async fn take_turns(self: Arc<Self>, mut messages: mpsc::UnboundedReceiver<Message>) {
        let mut turns = Turns::default();
        while !self.leave.is_cancelled() {
            let message = match turns.turns.is_empty() {
                true => match self.leave.run_until_cancelled(messages.recv()).await {
                    Some(Some(message)) => Some(message),
                    Some(None) | None => break,
                },
                false => messages.try_recv().ok(),
            };
            if let Some(message) = message {
                let job = Arc::clone(&self);
                let event = Arc::clone(&self).watched(async move { job.message(message).await }).await;
                if let Some((topic, event)) = event.map(|event| (event.topic().clone(), event))
                    && let Some(event) = turns.begin(&topic, event)
                {
                    self.turn_of(topic, event, &mut turns).await;
                }
            }
            if let Some((topic, event)) = turns.next() {
                self.turn_of(topic, event, &mut turns).await;
            }
        }
    }

    /// One page of an event.
    async fn turn_of(self: &Arc<Self>, topic: TopicName, event: Expansion, turns: &mut Turns<Expansion>) {
        let job = Arc::clone(self);
        let rest = Arc::clone(self).watched(async move { job.expand(event).await }).await;
        turns.took(topic, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event of some pages: what is left of it after one.
    fn page((name, pages): (&'static str, u32)) -> Option<(&'static str, u32)> {
        (pages > 1).then(|| (name, pages - 1))
    }

    #[test]
    fn large_events_take_turns_with_others_and_those_of_one_topic_come_one_after_the_other() {
        let (mut turns, mut pages) = (Turns::default(), Vec::new());
        let coming =
            [("large", "l1", 4), ("large", "l2", 2), ("small", "s1", 1), ("other", "o1", 2), ("small", "s2", 1)];
        for (topic, name, count) in coming {
            let topic: TopicName = topic.parse().unwrap();
            if let Some(event) = turns.begin(&topic, (name, count)) {
                pages.push(event.0);
                turns.took(topic, page(event));
            }
            if let Some((topic, event)) = turns.next() {
                pages.push(event.0);
                turns.took(topic, page(event));
            }
        }
        while let Some((topic, event)) = turns.next() {
            pages.push(event.0);
            turns.took(topic, page(event));
        }
        // An event of one page never waits for more than a page of another; l2 waits for the whole of l1.
        assert_eq!(pages, ["l1", "l1", "l1", "s1", "l1", "o1", "l2", "s2", "o1", "l2"]);
        assert!(turns.behind.is_empty(), "nothing is left of topics that are done");
    }
}
