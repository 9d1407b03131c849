//! Advice for dead letters that only WeCom causes.
//!
//! Owns the mapping from WeCom's codes to sentences.
//!
//! Not here: the general advice (`platforms/advice.rs`).

use crate::{domain::DeadReason, platforms::shared_advice::TOO_LARGE};

pub(super) fn advice(reason: DeadReason, code: &str) -> Option<&'static str> {
    match (reason, code) {
        (DeadReason::Refused, "40058" | "45002") => Some(TOO_LARGE),
        _ => None,
    }
}
