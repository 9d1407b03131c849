//! Advice for dead letters that only DingTalk causes.
//!
//! Owns the mapping from DingTalk's codes to sentences.
//!
//! Not here: the general advice (`platforms/advice.rs`).

use crate::{
    domain::DeadReason,
    platforms::shared_advice::{SWITCHED_OFF, TOO_LARGE},
};

pub(super) fn advice(reason: DeadReason, code: &str) -> Option<&'static str> {
    match (reason, code) {
        (DeadReason::Security, _) => Some(
            "the robot's security setting refuses us: \
             compare keyword, signing secret and address list with the detail, \
             give the subscription the right secret or keyword (`roomcast subscription update`; \
             one added anew has another id, and letters of the old one are dropped), redrive",
        ),
        (DeadReason::RobotGone, "400102") => Some(SWITCHED_OFF),
        (DeadReason::Refused, "460101") => Some(TOO_LARGE),
        (DeadReason::Refused, "430101" | "430102" | "430103" | "430104") => Some(
            "DingTalk's content review refuses the text: publish it in other words, discard this",
        ),
        (DeadReason::Exhausted, "310000") => Some(
            "DingTalk calls the signature's time invalid: set this machine's clock right, redrive",
        ),
        _ => None,
    }
}
