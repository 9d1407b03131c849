//! The lines in which messages wait for one host, one for each topic, and whose turn it is among
//! them.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{sync::Notify, time::Instant};

use crate::domain::TopicName;

/// Where a message that waits is called.
#[derive(Default)]
pub(super) struct Seat {
    pub(super) call: Notify,
    granted: AtomicBool,
}

impl Seat {
    /// Its turn has come.
    pub(super) fn grant(&self) {
        self.granted.store(true, Ordering::Release);
        self.call.notify_one();
    }

    pub(super) fn is_granted(&self) -> bool {
        self.granted.load(Ordering::Acquire)
    }
}

/// What waits for one topic, and until when what was put off of it comes back.
#[derive(Default)]
pub(super) struct Line {
    waiting: BTreeMap<u64, Arc<Seat>>,
    /// When the last of those comes back that were put off when they had just come.
    put_off: Option<Instant>,
    /// When the last of those comes back that were put off once more.
    put_off_again: Option<Instant>,
}

impl Line {
    /// When the last of what was put off comes back.
    pub(super) fn horizon(&self) -> Option<Instant> {
        self.put_off.max(self.put_off_again)
    }

    /// When the last of those comes back that were put off once more.
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

/// The lines of one class of one platform.
#[derive(Default)]
pub(super) struct Class {
    lines: HashMap<TopicName, Line>,
    /// The topics of which something waits, in the order of their turns.
    turns: VecDeque<TopicName>,
    waiting: usize,
}

impl Class {
    /// A message waits from now on.
    pub(super) fn wait(&mut self, topic: &TopicName, place: u64, seat: Arc<Seat>) {
        let line = self.lines.entry(topic.clone()).or_default();
        if line.waiting.is_empty() {
            self.turns.push_back(topic.clone());
        }
        line.waiting.insert(place, seat);
        self.waiting += 1;
    }

    /// A message does not wait any longer.
    pub(super) fn leave(&mut self, now: Instant, topic: &TopicName, place: u64) {
        let Some(line) = self.lines.get_mut(topic) else { return };
        if line.waiting.remove(&place).is_none() {
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

    /// Whose turn it is.
    pub(super) fn next(&mut self) -> Option<(u64, Arc<Seat>)> {
        let topic = self.turns.pop_front()?;
        let line = self.lines.get_mut(&topic)?;
        let (sequence, seat) = line.waiting.pop_first()?;
        self.waiting -= 1;
        if line.waiting.is_empty() {
            if line.horizon().is_none() {
                self.lines.remove(&topic);
            }
        } else {
            self.turns.push_back(topic);
        }
        Some((sequence, seat))
    }

    /// The one that stays longest, as far as is known.
    pub(super) fn last(&self) -> Option<&Arc<Seat>> {
        self.lines.get(self.turns.back()?)?.waiting.last_key_value().map(|(_, seat)| seat)
    }

    /// A message of this topic comes back then.
    pub(super) fn put_off(&mut self, topic: &TopicName, fresh: bool, until: Instant) {
        let line = self.lines.entry(topic.clone()).or_default();
        *if fresh { &mut line.put_off } else { &mut line.put_off_again } = Some(until);
    }

    /// Of how many topics, not counting `own`, something comes back after that time.
    pub(super) fn coming_after(&self, at: Instant, own: Option<&TopicName>) -> usize {
        let others = self
            .lines
            .iter()
            .filter(|(topic, line)| Some(*topic) != own && line.horizon().is_some_and(|last| last > at));
        others.count()
    }

    pub(super) fn line(&self, topic: &TopicName) -> Option<&Line> {
        self.lines.get(topic)
    }

    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Of how many topics something waits.
    pub(super) fn topics_waiting(&self) -> usize {
        self.turns.len()
    }

    /// Forgets topics of which nothing waits and nothing comes back any more.
    pub(super) fn forget(&mut self, now: Instant) {
        self.lines.retain(|_, line| !line.is_over(now));
    }
}
