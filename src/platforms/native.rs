//! Messages that a publisher wrote in a platform's own form.
//!
//! Owns the check whether the platform will accept them. It covers the documented refusals, field
//! by field; undocumented fields pass.
//!
//! Such a message is sent unchanged, except for the identity, the signature and the size check of
//! the request (`message.rs`).
//!
//! Not here: the rules of each platform (`native.rs` in its folder), and where the check runs
//! (`fanout/structure.rs`).

use serde_json::Value;

use super::{
    field::{Field, InvalidNativeMessage},
    registry::profile,
};
use crate::domain::Platform;

/// Checks a message in the platform's own form.
pub fn check_native(platform: Platform, body: &Value) -> Result<(), InvalidNativeMessage> {
    profile(platform).check_native(&Field::body(body).into_object()?)
}

#[cfg(test)]
pub(in crate::platforms) mod tests;
