//! Advice for dead letters that only Lark causes.
//!
//! Owns the mapping from Lark's codes to sentences.
//!
//! Not here: the general advice (`platforms/advice.rs`).

use crate::{
    domain::DeadReason,
    platforms::shared_advice::{SWITCHED_OFF, TOO_LARGE},
};

pub(super) fn advice(reason: DeadReason, code: &str) -> Option<&'static str> {
    match (reason, code) {
        (DeadReason::Security, "19021") => Some(
            "the signature does not fit: \
             check the signing secret of the subscription and this machine's clock, redrive",
        ),
        (DeadReason::Security, "19024") => Some(
            "the bot insists on a keyword: \
             `roomcast subscription update ID --keyword WORD`, redrive",
        ),
        (DeadReason::RobotGone, "19007") => Some(SWITCHED_OFF),
        (DeadReason::Refused, "19036") => Some(TOO_LARGE),
        _ => None,
    }
}
