//! By what name the ledger knows a message. Owns the rule that tells a repeat from another message of the same content.

use sha2::{Digest, Sha256};

use super::{Done, InHand, said::said_by};
use crate::{
    domain::{Delivery, EventId, Published, SubscriptionId},
    store::{Ledger, LedgerKey},
};

/// How a message is known to the ledger, and what the ledger knows of it.
pub struct Identity {
    /// The ledger's key.
    pub key: LedgerKey,
    /// The event's name.
    pub event: EventId,
    /// How often the event was redriven as a whole.
    pub generation: u32,
    /// What recognises the message when it comes back, where the publisher gave no `message_id`.
    pub made: Option<Made>,
    /// What is done of it already.
    pub done: Done,
    /// That its name is in hand, as long as this is there.
    pub in_hand: Option<InHand>,
}

/// The identity of an event whose publisher gave it no name.
#[derive(Clone, Copy)]
pub struct Made {
    /// The hash of what it says.
    pub fingerprint: [u8; 16],
    /// The bytes of the name it was given.
    pub name: [u8; 16],
}

impl Identity {
    /// Of an event.
    ///
    /// With a `message_id` the event is the same if topic, id and all that it says are, whether the broker hands it over again or its publisher, who had
    /// no confirm, published it again; and redriving it as a whole is not what was done before. Without one, two messages of equal content are two
    /// events, so it gets a name at random. When such a message is redelivered it takes over an unfinished entry of equal content, if the ledger
    /// has one: that entry's message was never acked, so it is coming back, and equal copies are interchangeable.
    ///
    /// What earlier versions recorded they knew by less than is looked at today. So only what the broker hands over again is looked for under their keys.
    #[must_use]
    pub fn of_event(published: &Published, urgent: bool, generation: u32, redelivered: bool, ledger: &Ledger) -> Self {
        let topic = published.routing_key.as_bytes();
        if let Some(id) = published.message_id.as_deref().filter(|id| !id.is_empty()) {
            let said = said_by(published, id, urgent);
            let today = LedgerKey(digest(b"event.2", &[&said, &generation.to_be_bytes()]));
            let key = known(ledger, redelivered, today, || {
                let parts: [&[u8]; 4] = [topic, id.as_bytes(), &published.body, &generation.to_be_bytes()];
                // One that was never redriven is known as versions knew it that could not tell.
                digest(b"event", if generation == 0 { parts.split_at(3).0 } else { parts.as_slice() })
            });
            let (event, done) = (EventId::new(id), ledger.done(key).into());
            return Self { key, event, generation, made: None, done, in_hand: None };
        }
        let fingerprint = digest(b"content.2", &[&said_by(published, "", urgent)]);
        let before = || digest(b"content", &[topic, &published.body]);
        if redelivered && let Some(adopted) = ledger.adopt(fingerprint).or_else(|| ledger.adopt(before())) {
            let made = Made { fingerprint, name: adopted.event };
            let event = EventId::from_bytes(made.name);
            let done = adopted.done.into();
            return Self { key: adopted.key, event, generation, made: Some(made), done, in_hand: None };
        }
        let name = EventId::random_bytes();
        Self {
            key: LedgerKey(name),
            event: EventId::from_bytes(name),
            generation,
            made: Some(Made { fingerprint, name }),
            done: Done::default(),
            in_hand: None,
        }
    }

    /// Of a message of which nothing is to be recorded, because nothing is settled by what is done about it.
    #[must_use]
    pub fn redundant(event: EventId) -> Self {
        let name = EventId::random_bytes();
        let made = Some(Made { fingerprint: [0; 16], name });
        Self { key: LedgerKey(name), event, generation: 0, made, done: Done::default(), in_hand: None }
    }

    /// Of a delivery that travels alone, on this line.
    #[must_use]
    pub fn of_delivery(delivery: &Delivery, line: &Line, redelivered: bool, ledger: &Ledger) -> Self {
        let step = line.step(delivery.hops);
        let key = known(ledger, redelivered, step.key(), || {
            let counts = [delivery.generation.to_be_bytes(), delivery.hops.to_be_bytes()].concat();
            let event = &delivery.event;
            let (topic, id) = (event.topic.as_str().as_bytes(), event.id.as_str().as_bytes());
            digest(b"delivery", &[topic, id, &event.published.body, delivery.subscription.as_bytes(), &counts])
        });
        let (event, generation) = (delivery.event.id.clone(), delivery.generation);
        let mut done = ledger.done(key);
        done.extend(ledger.done(step.progress_key()));
        Self { key, event, generation, made: None, done: done.into(), in_hand: None }
    }

    /// The same, which keeps its name in hand.
    #[must_use]
    pub fn holding(self, in_hand: InHand) -> Self {
        Self { in_hand: Some(in_hand), ..self }
    }
}

/// One delivery on all its ways through the tiers. Every hop is a message of its own, a step of the line; so is every redrive a line of its own, so that
/// one that was put back twice, because its redriving was interrupted, is delivered once. What is said is part of it, because publishers have been seen to
/// use one `message_id` twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line([u8; 16]);

impl Line {
    /// The line of a delivery; `said` is [`said_by`] its event.
    #[must_use]
    pub fn new(said: &[u8; 16], subscription: SubscriptionId, generation: u32) -> Self {
        Self(digest(b"line", &[said, subscription.as_bytes(), &generation.to_be_bytes()]))
    }

    /// By what the line is known to be in hand.
    #[must_use]
    pub const fn key(&self) -> LedgerKey {
        LedgerKey(self.0)
    }

    /// The delivery after so many hops.
    #[must_use]
    pub const fn step(&self, hops: u32) -> Step {
        Step { line: self.0, hops }
    }
}

/// A delivery after a number of hops: one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    line: [u8; 16],
    hops: u32,
}

impl Step {
    /// The key of its message.
    #[must_use]
    pub fn key(&self) -> LedgerKey {
        self.digest(b"step")
    }

    /// The key of what the step before it has done while this one was possibly stored already. Its own key would say
    /// that this one is there.
    #[must_use]
    pub fn progress_key(&self) -> LedgerKey {
        self.digest(b"progress")
    }

    fn digest(&self, kind: &[u8]) -> LedgerKey {
        LedgerKey(digest(kind, &[&self.line, &self.hops.to_be_bytes()]))
    }
}

/// The key under which a message is known: today's, or an earlier version's if that is what the ledger has of a message that comes back.
fn known(ledger: &Ledger, redelivered: bool, today: LedgerKey, before: impl FnOnce() -> [u8; 16]) -> LedgerKey {
    if !redelivered || ledger.knows(today) {
        return today;
    }
    Some(LedgerKey(before())).filter(|key| ledger.knows(*key)).unwrap_or(today)
}

pub(super) fn digest(kind: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new_with_prefix(kind);
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let full = hash.finalize();
    let mut short = [0; 16];
    short.iter_mut().zip(full).for_each(|(to, from)| *to = from);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{HeaderValue, Moment},
        store::{Entry, LedgerSettings},
    };

    const T0: Moment = Moment::from_unix_millis(1_700_000_000_000);

    fn ledger(dir: &std::path::Path) -> Ledger {
        let settings = LedgerSettings { dir: dir.join("ledger"), window: std::time::Duration::from_secs(600) };
        Ledger::open(settings, T0).unwrap()
    }

    fn event(id: &str, headers: &[(&str, &str)]) -> Published {
        Published {
            routing_key: "ops".into(),
            body: b"{\"message\":\"m\"}".to_vec(),
            headers: headers.iter().map(|(name, value)| ((*name).into(), HeaderValue::text(*value))).collect(),
            message_id: Some(id.into()).filter(|id: &String| !id.is_empty()),
            ..Published::default()
        }
    }

    #[test]
    fn where_one_part_ends_and_the_next_begins_matters() {
        assert_ne!(digest(b"k", &[b"ab", b"c"]), digest(b"k", &[b"a", b"bc"]));
        assert_ne!(digest(b"k", &[b"a"]), digest(b"l", &[b"a"]));
        assert_eq!(digest(b"k", &[b"a"]), digest(b"k", &[b"a"]));
    }

    #[test]
    fn an_event_repeated_with_other_attributes_is_another_event() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(dir.path());
        let key = |published: &Published, urgent| Identity::of_event(published, urgent, 0, false, &ledger).key;
        let first = event("1", &[("severity", "warning"), ("host", "a")]);
        ledger.append(&[Entry::Closed { key: key(&first, false) }], T0).unwrap();
        let is_known = |published: &Published, urgent| ledger.is_closed(key(published, urgent));
        assert!(is_known(&first, false));
        assert!(is_known(&event("1", &[("host", "a"), ("severity", "warning")]), false), "in whatever order");
        assert!(!is_known(&event("1", &[("severity", "critical"), ("host", "a")]), false));
        assert!(!is_known(&first, true), "or urgent");
        assert!(!is_known(&Published { user_id: Some("other".into()), ..first.clone() }, false));
    }

    #[test]
    fn what_an_earlier_version_recorded_is_known_when_the_broker_hands_it_over_again_and_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(dir.path());
        let published = event("1", &[("severity", "warning")]);
        let before = LedgerKey(digest(b"event", &[b"ops", b"1", &published.body]));
        let fingerprint = digest(b"content", &[b"ops", &published.body]);
        let unnamed = Entry::Partial { key: LedgerKey([7; 16]), fingerprint, event: [7; 16], done: Vec::new() };
        ledger.append(&[Entry::Closed { key: before }, unnamed], T0).unwrap();
        ledger.begin_session(T0).unwrap();
        assert_eq!(Identity::of_event(&published, false, 0, true, &ledger).key, before);
        assert_ne!(Identity::of_event(&published, false, 0, false, &ledger).key, before);
        assert_eq!(Identity::of_event(&event("", &[]), false, 0, true, &ledger).key, LedgerKey([7; 16]));
    }
}
