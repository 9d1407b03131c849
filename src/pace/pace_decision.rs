//! The decision of the pacer about a delivery.
//!
//! Owns its closed list.
//!
//! Not here: the request (`admission_request.rs`), and how the decision is made
//! (`robot_queue/admission.rs`, `host/queue.rs`).

use tokio::sync::oneshot;

use super::{
    admission_request::{CoalescedDelivery, CoalescedOutcome, Deferral},
    permit::Permit,
};

/// The decision about a delivery.
pub enum PaceDecision {
    /// It may be sent now. Its message also covers the given coalesced deliveries.
    Granted(Permit, Vec<CoalescedDelivery>),
    /// It is deferred, because its wait is too long for memory.
    Deferred(Deferral),
    /// It is coalesced into another delivery's message. The receiver gets the result; a receive
    /// error means that nothing was sent.
    Coalesced(oneshot::Receiver<CoalescedOutcome>),
    /// A newer message of its subscription replaces it.
    Superseded,
    /// The organisation's monthly quota is used up, and `at_end = "dead"` forbids a wait for the
    /// next month.
    BudgetExhausted,
    /// The wait was cancelled.
    Cancelled,
}
