//! WeCom's refusals of a message's fields.
//!
//! Owns their codes and texts.
//!
//! Not here: which field is needed (`wecom.rs`, `wecom_card.rs`).

use crate::dialect::Refusal;

/// The refusal of a missing field.
pub(crate) fn missing(kind: &str, name: &str) -> Refusal {
    Refusal::new(40_058, format!("missing field {kind}.{name}"))
}

/// The refusal of a field with a wrong value.
pub(crate) fn invalid() -> Refusal {
    Refusal::new(40_035, "invalid parameter")
}
