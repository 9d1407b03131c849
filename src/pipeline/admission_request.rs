//! What a delivery asks of the pacer.
//!
//! Owns which of the subscription's options count for the rest of a message.
//!
//! Not here: the position that it asks for (`delivery.rs`), and the decision (`pace/`).

use crate::{
    domain::{Delivery, OverflowPolicy},
    fanout::Recipient,
    pace::{AdmissionRequest, QueuePosition},
};

/// The request of a delivery for a permit.
pub(super) fn admission_request<'a>(
    delivery: &'a Delivery,
    recipient: &'a Recipient,
    position: QueuePosition,
) -> AdmissionRequest<'a> {
    AdmissionRequest {
        robot: delivery.robot,
        platform: delivery.platform,
        subscription: delivery.subscription,
        // The rest of a message is neither coalesced nor superseded.
        overflow: if delivery.is_begun() {
            OverflowPolicy::Queue
        } else {
            recipient.options.overflow
        },
        group: recipient.options.group.as_ref(),
        event: &delivery.event,
        position,
        waited_for: delivery.wait_reason,
        early: true,
    }
}
