//! Settlement of deliveries: decide from the verdict, store the next step, record it, acknowledge.
//!
//! It knows neither the broker nor the platforms.
//!
//! Owns the order of these steps, and so the promise that no message is lost. The broker confirms
//! the next step, then the ledger entry is durable, then the ack is sent.
//!
//! Not here: which step runs when (`pipeline.rs`), and the meaning of an answer (`platforms/`).

mod ack_tracker;
mod content_digest;
mod decide;
mod digest;
mod group_commit;
mod identity;
mod in_flight;
mod ledger;
mod progress_mark;
mod schedule;
mod step_publisher;

pub use ack_tracker::{AckTracker, CommitProgress, CommitReport, InFlightDelivery};
pub use content_digest::content_digest;
pub use decide::{
    ResumePosition, counts_as_attempt, decide, defer, defer_failing, expire, out_of_attempts,
    out_of_budget, poison, supersede, unreadable, without_content,
};
pub use group_commit::{CommitQueue, GroupCommitter, RecordError};
pub use identity::{DedupIdentity, DeliveryLineage, LineageStep};
pub use in_flight::{AlreadyInFlight, InFlightGuard, InFlightRegistry};
pub use ledger::{
    ClaimedMessage, Ledger, LedgerKey, LedgerMark, LedgerRecord, LedgerUnavailable, RecordedMessage,
};
pub use progress_mark::{CompletedMarks, DeliveryTarget, ProgressMark};
pub use schedule::RetryPolicy;
pub use step_publisher::{AckTag, NextStep, SessionEnded, StepPublishError, StepPublisher};
