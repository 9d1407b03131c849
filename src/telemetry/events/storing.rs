//! The events of storing: next steps and receipts on the broker, settlements in the ledger.
//!
//! Owns that a queue which refuses every receipt is logged once, until it takes one.
//!
//! Not here: the end of a delivery (`events.rs`), and the session (`broker.rs`).

use std::{sync::atomic::Ordering, time::Duration};

use super::Telemetry;
use crate::telemetry::log_limit::LimitedLine;

/// The broker confirmed a delivery receipt. It does not keep a receipt if no queue is bound.
pub struct ReceiptStored;

impl ReceiptStored {
    /// Counts the receipt.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.receipts.inc();
        telemetry.receipts_are_refused.store(false, Ordering::Relaxed);
    }
}

/// A queue refused a next step, which is tried again.
pub struct StepRefused<'a> {
    /// The cause, with the exchange and the routing key.
    pub why: &'a str,
}

impl StepRefused<'_> {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.steps_refused.inc();
        if telemetry.lines.allow(LimitedLine::StepRefused) {
            tracing::warn!(
                why = self.why,
                "a queue does not take a delivery's next step; it is asked again"
            );
        }
    }
}

/// A queue bound by a receiver did not accept a delivery receipt. The delivery is settled
/// nevertheless.
pub struct ReceiptRefused<'a> {
    /// The reason.
    pub why: &'a str,
}

impl ReceiptRefused<'_> {
    /// Counts and logs the refusal.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.receipts_refused.inc();
        // A full queue refuses each receipt, so only the first refusal after a success is logged.
        if telemetry.receipts_are_refused.swap(true, Ordering::Relaxed)
            || !telemetry.lines.allow(LimitedLine::ReceiptRefused)
        {
            tracing::debug!(why = self.why, "a queue did not take a delivery receipt");
        } else {
            tracing::warn!(
                why = self.why,
                "a queue that somebody has bound to the exchange for receipts does not take them; \
                 they are lost to it"
            );
        }
    }
}

/// A group of settlements is durable in the ledger.
pub struct LedgerCommitted {
    /// The duration of the write.
    pub took: Duration,
}

impl LedgerCommitted {
    /// Observes the duration.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.recorded_seconds.observe(self.took.as_secs_f64());
    }
}

/// The ledger cannot be written. No message is acknowledged until it can.
pub struct LedgerFailed<'a> {
    /// The cause.
    pub cause: &'a str,
}

impl LedgerFailed<'_> {
    /// Counts and logs the failure.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.ledger_failures.inc();
        tracing::error!(
            cause = self.cause,
            "the ledger cannot be written: nothing is acked until it can"
        );
    }
}
