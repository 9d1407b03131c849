//! Events that become dead letters as a whole: unreadable ones, those whose handling failed too
//! often, and those whose topic has no subscription.
//!
//! Owns the ledger entries for such an event, so that a redrive can handle it again.
//!
//! Not here: dead letters of single deliveries (`pipeline.rs`), and the limit of failures
//! (`faults.rs`).

use std::sync::Arc;

use super::Pipeline;
use crate::{
    domain::{DeadCause, DeadReason, DeliveryReceipt, Event, LetterId, PublishedMessage},
    fanout::Undecodable,
    settle::{AckTag, AckTracker, DedupIdentity, NextStep},
    telemetry::events,
};

impl Pipeline {
    /// Turns an unreadable event into a dead letter.
    pub(super) fn dead_letter_event(
        self: &Arc<Self>,
        published: PublishedMessage,
        urgent: bool,
        identity: DedupIdentity,
        why: Undecodable,
        ack_tag: AckTag,
    ) {
        let (event, at, letter) = (&identity.event, self.parts.clock.now(), LetterId::random());
        events::EventUndecodable {
            published: &published,
            event,
            letter,
            at,
            code: why.code,
            detail: &why.detail,
        }
        .emit(&self.parts.telemetry);
        let generation = identity.generation;
        events::EventGivenUp {
            event,
            topic: &published.routing_key,
            generation,
            reason: why.reason(),
            code: why.code,
            at,
        }
        .emit(&self.parts.telemetry);
        let told = self.wants_receipt(&published).then(|| {
            DeliveryReceipt::of_unread(
                &published,
                event,
                generation,
                DeadCause { reason: why.reason(), code: why.code, detail: &why.detail },
                at,
            )
        });
        let step = NextStep::DeadEvent {
            letter,
            published: Box::new(published),
            urgent,
            event: event.to_string(),
            generation,
            reason: why.reason(),
            code: why.code.to_owned(),
            detail: why.detail,
            at,
        };
        // Nothing was delivered, so nothing is recorded. A redrive or a repeat may be readable,
        // because templates change.
        let named = identity.generated.is_none();
        let identity = match named {
            true => DedupIdentity {
                in_flight_guard: identity.in_flight_guard,
                ..DedupIdentity::unrecorded(identity.event)
            },
            false => identity,
        };
        let job = Arc::clone(self);
        self.spawn(async move {
            job.store(Some(step), told).await?;
            job.finish_empty(identity, ack_tag)
        });
    }

    /// Turns an event whose handling fails into a dead letter, together with the deliveries that
    /// have not started. A redrive makes only those.
    pub(super) fn give_up(
        self: &Arc<Self>,
        event: &Arc<Event>,
        generation: u32,
        tracker: &Arc<AckTracker>,
        detail: String,
    ) {
        tracker.give_up();
        let cause = DeadCause { reason: DeadReason::Poison, code: "panic", detail: &detail };
        self.store_dead_event(event, generation, tracker, cause);
    }

    /// Turns an event whose topic has no subscription into a dead letter. The ledger knows the
    /// event as settled then, so a redrive makes another generation of it.
    pub(super) fn dead_letter_unsubscribed(
        self: &Arc<Self>,
        event: &Arc<Event>,
        generation: u32,
        tracker: &Arc<AckTracker>,
    ) {
        let reason = DeadReason::NoSubscription;
        let detail = format!("the topic {} has no subscription", event.topic);
        let cause = DeadCause { reason, code: reason.as_str(), detail: &detail };
        self.store_dead_event(event, generation, tracker, cause);
    }

    /// Stores a decoded event as a dead letter. Its message is not acknowledged before.
    fn store_dead_event(
        self: &Arc<Self>,
        event: &Arc<Event>,
        generation: u32,
        tracker: &Arc<AckTracker>,
        cause: DeadCause<'_>,
    ) {
        let at = self.parts.clock.now();
        let (published, name) = (&event.published, &event.id);
        let DeadCause { reason, code, .. } = cause;
        let topic = event.topic.as_str();
        events::EventGivenUp { event: name, topic, generation, reason, code, at }
            .emit(&self.parts.telemetry);
        let told = self
            .wants_receipt(published)
            .then(|| DeliveryReceipt::of_unread(published, name, generation, cause, at));
        let step = NextStep::DeadEvent {
            letter: LetterId::random(),
            published: Box::new(published.clone()),
            urgent: event.urgent,
            event: name.to_string(),
            generation,
            reason: cause.reason,
            code: cause.code.to_owned(),
            detail: cause.detail.to_owned(),
            at,
        };
        tracker.add_pending();
        let (job, tracker) = (Arc::clone(self), Arc::clone(tracker));
        self.spawn(async move {
            job.store(Some(step), told).await?;
            tracker.complete_one();
            job.commit_progress(&tracker);
            Ok(())
        });
    }
}
