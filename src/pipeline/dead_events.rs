//! Events that become dead letters as a whole: unreadable ones, and those whose handling failed too
//! often.
//!
//! Owns the ledger entries for such an event, so that a redrive can handle it again.
//!
//! Not here: dead letters of single deliveries (`pipeline.rs`), and the limit of failures
//! (`faults.rs`).

use std::sync::Arc;

use super::Pipeline;
use crate::{
    domain::{DeadCause, DeadReason, DeliveryReceipt, Event, PublishedMessage},
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
        let (event, at) = (&identity.event, self.parts.clock.now());
        events::EventUndecodable {
            published: &published,
            event,
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
        let (at, reason, code) = (self.parts.clock.now(), DeadReason::Poison, "panic");
        let (published, name) = (&event.published, &event.id);
        let topic = event.topic.as_str();
        events::EventGivenUp { event: name, topic, generation, reason, code, at }
            .emit(&self.parts.telemetry);
        let told = self.wants_receipt(published).then(|| {
            let cause = DeadCause { reason, code, detail: &detail };
            DeliveryReceipt::of_unread(published, name, generation, cause, at)
        });
        let step = NextStep::DeadEvent {
            published: Box::new(published.clone()),
            urgent: event.urgent,
            event: name.to_string(),
            generation,
            reason,
            code: code.to_owned(),
            detail,
            at,
        };
        tracker.add_pending();
        tracker.give_up();
        let (job, tracker) = (Arc::clone(self), Arc::clone(tracker));
        self.spawn(async move {
            job.store(Some(step), told).await?;
            tracker.complete_one();
            job.commit_progress(&tracker);
            Ok(())
        });
    }
}
