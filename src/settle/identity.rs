//! The keys by which the ledger recognises messages.
//!
//! Owns the rule that distinguishes a repeated message from another message with the same content.
//!
//! Not here: which properties of a message count as content (`content_digest.rs`), and the progress
//! recorded under a key (`progress_mark.rs`).

use super::{
    CompletedMarks, InFlightGuard, Ledger, LedgerKey, LedgerUnavailable, RecordedMessage,
    content_digest::content_digest, digest::digest,
};
use crate::domain::{Delivery, EventId, PublishedMessage, SubscriptionId};

/// The key of a message, and its recorded progress.
pub struct DedupIdentity {
    /// The ledger's key.
    pub key: LedgerKey,
    /// The event's id.
    pub event: EventId,
    /// How often the event was redriven as a whole.
    pub generation: u32,
    /// What identifies the message on redelivery if its publisher set no `message_id`.
    pub generated: Option<GeneratedId>,
    /// Whether the message is recorded as settled.
    pub is_closed: bool,
    /// The recorded progress of the message.
    pub done: CompletedMarks,
    /// Keeps the key registered as in flight; `None` if it is not registered.
    pub in_flight_guard: Option<InFlightGuard>,
}

/// The identity of an event without a `message_id`.
#[derive(Clone, Copy)]
pub struct GeneratedId {
    /// The hash of its content.
    pub fingerprint: [u8; 16],
    /// The bytes of its generated id.
    pub name: [u8; 16],
}

impl DedupIdentity {
    /// The identity of an event.
    ///
    /// With a `message_id`, two messages are the same event if topic, id and content are equal. So
    /// a redelivery by the broker and a repeat by the publisher are both recognised. A redrive of
    /// the whole event counts as a new event.
    ///
    /// Without one, two messages with equal content are two events, so each gets a random id. A
    /// redelivered message takes over an unfinished ledger entry of equal content, if there is one.
    /// The message of that entry was never acknowledged, so it is redelivered too, and equal copies
    /// are interchangeable.
    ///
    /// Keys of earlier versions cover fewer properties of a message. So they are looked up for
    /// redelivered messages only.
    ///
    /// With a `message_id`, the progress is not read yet. [`Self::register`] reads it, once no
    /// other message can record progress under the key.
    pub async fn of_event(
        published: &PublishedMessage,
        urgent: bool,
        generation: u32,
        redelivered: bool,
        ledger: &dyn Ledger,
    ) -> Result<Self, LedgerUnavailable> {
        let topic = published.routing_key.as_bytes();
        if let Some(id) = published.message_id.as_deref().filter(|id| !id.is_empty()) {
            let said = content_digest(published, id, urgent);
            let today = LedgerKey(digest(b"event.2", &[&said, &generation.to_be_bytes()]));
            let before = || {
                let parts: [&[u8]; 4] =
                    [topic, id.as_bytes(), &published.body, &generation.to_be_bytes()];
                // Earlier versions that did not know redrives computed the key without the
                // generation.
                digest(
                    b"event",
                    if generation == 0 { parts.split_at(3).0 } else { parts.as_slice() },
                )
            };
            let key = match redelivered {
                true => known(ledger, today, before).await?.0,
                false => today,
            };
            return Ok(Self::of(key, EventId::new(id), generation, RecordedMessage::default()));
        }
        let fingerprint = digest(b"content.2", &[&content_digest(published, "", urgent)]);
        let before = || digest(b"content", &[topic, &published.body]);
        if redelivered
            && let Some(claimed) = match ledger.claim_unfinished(fingerprint).await? {
                None => ledger.claim_unfinished(before()).await?,
                claimed => claimed,
            }
        {
            let generated = GeneratedId { fingerprint, name: claimed.event };
            let event = EventId::from_bytes(generated.name);
            let done = claimed.done.into();
            return Ok(Self {
                key: claimed.key,
                event,
                generation,
                generated: Some(generated),
                is_closed: false,
                done,
                in_flight_guard: None,
            });
        }
        let name = EventId::random_bytes();
        let event = EventId::from_bytes(name);
        let new = Self::of(LedgerKey(name), event, generation, RecordedMessage::default());
        Ok(Self { generated: Some(GeneratedId { fingerprint, name }), ..new })
    }

    fn of(key: LedgerKey, event: EventId, generation: u32, recorded: RecordedMessage) -> Self {
        let RecordedMessage { is_closed, done } = recorded;
        let (generated, done) = (None, done.into());
        Self { key, event, generation, generated, is_closed, done, in_flight_guard: None }
    }

    /// The identity of a message for which nothing is recorded, because its handling settles
    /// nothing.
    #[must_use]
    pub fn unrecorded(event: EventId) -> Self {
        let name = EventId::random_bytes();
        let generated = Some(GeneratedId { fingerprint: [0; 16], name });
        Self { generated, ..Self::of(LedgerKey(name), event, 0, RecordedMessage::default()) }
    }

    /// The identity of a delivery that was stored on the broker, on this line. The line is
    /// registered as in flight.
    pub async fn of_delivery(
        delivery: &Delivery,
        line: &DeliveryLineage,
        redelivered: bool,
        ledger: &dyn Ledger,
    ) -> Result<Self, LedgerUnavailable> {
        let step = line.step(delivery.hops);
        let before = || {
            let counts = [delivery.generation.to_be_bytes(), delivery.hops.to_be_bytes()].concat();
            let event = &delivery.event;
            let (topic, id) = (event.topic.as_str().as_bytes(), event.id.as_str().as_bytes());
            digest(
                b"delivery",
                &[topic, id, &event.published.body, delivery.subscription.as_bytes(), &counts],
            )
        };
        let (key, mut recorded) = match redelivered {
            true => known(ledger, step.key(), before).await?,
            false => (step.key(), ledger.lookup(step.key()).await?.unwrap_or_default()),
        };
        let progress = ledger.lookup(step.progress_key()).await?.unwrap_or_default();
        recorded.done.extend(progress.done);
        Ok(Self::of(key, delivery.event.id.clone(), delivery.generation, recorded))
    }

    /// Adds the registration of the key, which lasts as long as this value, and reads the progress
    /// recorded under the key.
    pub async fn register(
        self,
        in_flight_guard: InFlightGuard,
        ledger: &dyn Ledger,
    ) -> Result<Self, LedgerUnavailable> {
        let RecordedMessage { is_closed, done } =
            ledger.lookup(self.key).await?.unwrap_or_default();
        let in_flight_guard = Some(in_flight_guard);
        Ok(Self { in_flight_guard, is_closed, done: done.into(), ..self })
    }
}

/// All messages of one delivery. Each hop through a tier is a message of its own, a step of the
/// line. Each redrive starts a line of its own, so a delivery that an interrupted redrive put back
/// twice is sent once. The line includes the event's content, because publishers have been seen to
/// use one `message_id` twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryLineage([u8; 16]);

impl DeliveryLineage {
    /// The line of a delivery; `said` is the result of [`content_digest`] for its event.
    #[must_use]
    pub fn new(said: &[u8; 16], subscription: SubscriptionId, generation: u32) -> Self {
        Self(digest(b"line", &[said, subscription.as_bytes(), &generation.to_be_bytes()]))
    }

    /// The key that registers the whole line as in flight.
    #[must_use]
    pub const fn key(&self) -> LedgerKey {
        LedgerKey(self.0)
    }

    /// The step of this line after `hops` hops.
    #[must_use]
    pub const fn step(&self, hops: u32) -> LineageStep {
        LineageStep { line: self.0, hops }
    }
}

/// A delivery after a number of hops: one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineageStep {
    line: [u8; 16],
    hops: u32,
}

impl LineageStep {
    /// The key of this step's message.
    #[must_use]
    pub fn key(&self) -> LedgerKey {
        self.digest(b"step")
    }

    /// The key for progress of the step before this one, made when this one may already have been
    /// stored. Recording it under [`Self::key`] would claim that this step is stored.
    #[must_use]
    pub fn progress_key(&self) -> LedgerKey {
        self.digest(b"progress")
    }

    fn digest(&self, kind: &[u8]) -> LedgerKey {
        LedgerKey(digest(kind, &[&self.line, &self.hops.to_be_bytes()]))
    }
}

/// The key of a redelivered message, and what is recorded under it. It is an earlier version's key,
/// if the ledger knows only that.
async fn known(
    ledger: &dyn Ledger,
    today: LedgerKey,
    before: impl FnOnce() -> [u8; 16],
) -> Result<(LedgerKey, RecordedMessage), LedgerUnavailable> {
    if let Some(recorded) = ledger.lookup(today).await? {
        return Ok((today, recorded));
    }
    let earlier = LedgerKey(before());
    Ok(match ledger.lookup(earlier).await? {
        Some(recorded) => (earlier, recorded),
        None => (today, RecordedMessage::default()),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::settle::{InFlightRegistry, ProgressMark};
    use crate::{
        domain::{HeaderValue, Timestamp},
        settle::LedgerRecord,
        store::{FileLedger, LedgerSettings},
    };

    const T0: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

    fn ledger(dir: &std::path::Path) -> Arc<FileLedger> {
        let settings =
            LedgerSettings { dir: dir.join("ledger"), window: std::time::Duration::from_secs(600) };
        Arc::new(FileLedger::open(settings, T0).unwrap())
    }

    async fn identity(
        published: &PublishedMessage,
        urgent: bool,
        redelivered: bool,
        ledger: &Arc<FileLedger>,
    ) -> DedupIdentity {
        let identity =
            DedupIdentity::of_event(published, urgent, 0, redelivered, &**ledger).await.unwrap();
        let guard = InFlightRegistry::default().register(identity.key).ok().unwrap();
        match identity.generated {
            Some(_) => identity,
            None => identity.register(guard, &**ledger).await.unwrap(),
        }
    }

    fn event(id: &str, headers: &[(&str, &str)]) -> PublishedMessage {
        PublishedMessage {
            routing_key: "ops".into(),
            body: b"{\"message\":\"m\"}".to_vec(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).into(), HeaderValue::text(*value)))
                .collect(),
            message_id: Some(id.into()).filter(|id: &String| !id.is_empty()),
            ..PublishedMessage::default()
        }
    }

    #[test]
    fn where_one_part_ends_and_the_next_begins_matters() {
        assert_ne!(digest(b"k", &[b"ab", b"c"]), digest(b"k", &[b"a", b"bc"]));
        assert_ne!(digest(b"k", &[b"a"]), digest(b"l", &[b"a"]));
        assert_eq!(digest(b"k", &[b"a"]), digest(b"k", &[b"a"]));
    }

    #[tokio::test]
    async fn an_event_repeated_with_other_attributes_is_another_event() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(dir.path());
        let first = event("1", &[("severity", "warning"), ("host", "a")]);
        let key = identity(&first, false, false, &ledger).await.key;
        Arc::clone(&ledger).append(vec![LedgerRecord::Closed { key }], T0).await.unwrap();
        let is_known = async |published: &PublishedMessage, urgent| {
            identity(published, urgent, false, &ledger).await.is_closed
        };
        assert!(is_known(&first, false).await);
        let swapped = event("1", &[("host", "a"), ("severity", "warning")]);
        assert!(is_known(&swapped, false).await, "in whatever order");
        let other = event("1", &[("severity", "critical"), ("host", "a")]);
        assert!(!is_known(&other, false).await);
        assert!(!is_known(&first, true).await, "or urgent");
        let other = PublishedMessage { user_id: Some("other".into()), ..first.clone() };
        assert!(!is_known(&other, false).await);
    }

    #[tokio::test]
    async fn progress_recorded_just_before_a_copy_is_registered_counts_for_the_copy() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(dir.path());
        let published = event("1", &[]);
        let copy = DedupIdentity::of_event(&published, false, 0, true, &*ledger).await.unwrap();
        let mark = ProgressMark::Settled(SubscriptionId::from_bytes([1; 16]));
        let partial = LedgerRecord::Partial {
            key: copy.key,
            fingerprint: [0; 16],
            event: [0; 16],
            done: vec![mark.into()],
        };
        Arc::clone(&ledger).append(vec![partial], T0).await.unwrap();
        let guard = InFlightRegistry::default().register(copy.key).ok().unwrap();
        let copy = copy.register(guard, &*ledger).await.unwrap();
        assert!(copy.done.contains(mark) && !copy.is_closed);
    }

    #[tokio::test]
    async fn a_record_of_an_earlier_version_is_known_at_a_redelivery_and_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(dir.path());
        let published = event("1", &[("severity", "warning")]);
        let before = LedgerKey(digest(b"event", &[b"ops", b"1", &published.body]));
        let fingerprint = digest(b"content", &[b"ops", &published.body]);
        let unnamed = LedgerRecord::Partial {
            key: LedgerKey([7; 16]),
            fingerprint,
            event: [7; 16],
            done: Vec::new(),
        };
        let records = vec![LedgerRecord::Closed { key: before }, unnamed];
        Arc::clone(&ledger).append(records, T0).await.unwrap();
        Arc::clone(&ledger).begin_session(T0).await.unwrap();
        assert_eq!(identity(&published, false, true, &ledger).await.key, before);
        assert_ne!(identity(&published, false, false, &ledger).await.key, before);
        assert_eq!(identity(&event("", &[]), false, true, &ledger).await.key, LedgerKey([7; 16]));
    }
}
