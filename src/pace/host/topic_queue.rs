//! The topic queues of messages that wait for one host, and the round robin among them.
//!
//! Owns the order of waiting messages: by arrival within a topic, one message from each topic in
//! turn.
//!
//! Not here: when a message may leave (`queue.rs`).

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{sync::Notify, time::Instant};

use crate::domain::TopicName;

/// The wake-up handle of a waiting message.
#[derive(Default)]
pub(super) struct HostWaitHandle {
    pub(super) call: Notify,
    granted: AtomicBool,
}

impl HostWaitHandle {
    /// Grants the permit and wakes the message.
    pub(super) fn grant(&self) {
        self.granted.store(true, Ordering::Release);
        self.call.notify_one();
    }

    pub(super) fn is_granted(&self) -> bool {
        self.granted.load(Ordering::Acquire)
    }
}

/// The waiting messages of one topic, and when its deferred messages come back.
#[derive(Default)]
pub(super) struct TopicQueue {
    waiting: BTreeMap<u64, Arc<HostWaitHandle>>,
    /// When the last message comes back that was deferred on arrival.
    put_off: Option<Instant>,
    /// When the last message comes back that was deferred repeatedly.
    put_off_again: Option<Instant>,
}

impl TopicQueue {
    /// When the last deferred message comes back.
    pub(super) fn horizon(&self) -> Option<Instant> {
        self.put_off.max(self.put_off_again)
    }

    /// When the last message comes back that was deferred repeatedly.
    pub(super) const fn again(&self) -> Option<Instant> {
        self.put_off_again
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn is_over(&self, now: Instant) -> bool {
        self.waiting.is_empty() && self.horizon().is_none_or(|at| at <= now)
    }
}

/// The topic queues of one priority class of one platform.
#[derive(Default)]
pub(super) struct TopicRoundRobin {
    lines: HashMap<TopicName, TopicQueue>,
    /// The topics with waiting messages, in round-robin order.
    turns: VecDeque<TopicName>,
    waiting: usize,
}

impl TopicRoundRobin {
    /// Enqueues a message.
    pub(super) fn wait(&mut self, topic: &TopicName, position: u64, handle: Arc<HostWaitHandle>) {
        let line = self.lines.entry(topic.clone()).or_default();
        if line.waiting.is_empty() {
            self.turns.push_back(topic.clone());
        }
        line.waiting.insert(position, handle);
        self.waiting += 1;
    }

    /// Removes a message from its queue.
    pub(super) fn leave(&mut self, now: Instant, topic: &TopicName, position: u64) {
        let Some(line) = self.lines.get_mut(topic) else { return };
        if line.waiting.remove(&position).is_none() {
            return;
        }
        self.waiting -= 1;
        if line.waiting.is_empty() {
            self.turns.retain(|other| other != topic);
        }
        if line.is_over(now) {
            self.lines.remove(topic);
        }
    }

    /// Takes the next message, in round-robin order.
    pub(super) fn next(&mut self) -> Option<(u64, Arc<HostWaitHandle>)> {
        let topic = self.turns.pop_front()?;
        let line = self.lines.get_mut(&topic)?;
        let (sequence, handle) = line.waiting.pop_first()?;
        self.waiting -= 1;
        if line.waiting.is_empty() {
            if line.horizon().is_none() {
                self.lines.remove(&topic);
            }
        } else {
            self.turns.push_back(topic);
        }
        Some((sequence, handle))
    }

    /// The message that probably waits longest from now on.
    pub(super) fn last(&self) -> Option<&Arc<HostWaitHandle>> {
        self.lines.get(self.turns.back()?)?.waiting.last_key_value().map(|(_, handle)| handle)
    }

    /// Records that a deferred message of this topic comes back at `until`.
    pub(super) fn put_off(&mut self, topic: &TopicName, fresh: bool, until: Instant) {
        let line = self.lines.entry(topic.clone()).or_default();
        *if fresh { &mut line.put_off } else { &mut line.put_off_again } = Some(until);
    }

    /// The number of topics other than `own` that have deferred messages coming back after `at`.
    pub(super) fn coming_after(&self, at: Instant, own: Option<&TopicName>) -> usize {
        let others = self.lines.iter().filter(|(topic, line)| {
            Some(*topic) != own && line.horizon().is_some_and(|last| last > at)
        });
        others.count()
    }

    pub(super) fn line(&self, topic: &TopicName) -> Option<&TopicQueue> {
        self.lines.get(topic)
    }

    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// The number of topics with waiting messages.
    pub(super) fn topics_waiting(&self) -> usize {
        self.turns.len()
    }

    /// Removes topics that have neither waiting nor deferred messages.
    pub(super) fn forget(&mut self, now: Instant) {
        self.lines.retain(|_, line| !line.is_over(now));
    }
}
