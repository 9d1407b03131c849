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
    domain::{DeadReason, DeliveryReceipt, Event, Published},
    fanout::Undecodable,
    settle::{AckTag, Identity, NextStep, Tally},
    telemetry::events,
};

impl Pipeline {
    /// Turns an unreadable event into a dead letter.
    pub(super) fn bury(
        self: &Arc<Self>,
        published: Published,
        urgent: bool,
        identity: Identity,
        why: Undecodable,
        ack_tag: AckTag,
    ) {
        let (event, at) = (&identity.event, self.parts.clock.now());
        events::EventUndecodable { published: &published, event, at, code: why.code, detail: &why.detail }
            .emit(&self.parts.telemetry);
        let generation = identity.generation;
        let told = self.is_told(&published).then(|| {
            DeliveryReceipt::of_unread(&published, event, generation, (why.reason(), why.code, &why.detail), at)
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
        let named = identity.made.is_none();
        let identity = match named {
            true => Identity { in_hand: identity.in_hand, ..Identity::redundant(identity.event) },
            false => identity,
        };
        let job = Arc::clone(self);
        self.beside(async move {
            job.store(Some(step), told).await?;
            job.close(identity, ack_tag)
        });
    }

    /// Turns an event whose handling fails into a dead letter, together with the deliveries that
    /// have not started. A redrive makes only those.
    pub(super) fn give_up(self: &Arc<Self>, event: &Arc<Event>, generation: u32, tally: &Arc<Tally>, detail: String) {
        let (at, reason, code) = (self.parts.clock.now(), DeadReason::Poison, "panic");
        let (published, name) = (&event.published, &event.id);
        let told = self
            .is_told(published)
            .then(|| DeliveryReceipt::of_unread(published, name, generation, (reason, code, &detail), at));
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
        tally.opened();
        tally.give_up();
        let (job, tally) = (Arc::clone(self), Arc::clone(tally));
        self.beside(async move {
            job.store(Some(step), told).await?;
            tally.ended();
            job.progressed(&tally);
            Ok(())
        });
    }
}
