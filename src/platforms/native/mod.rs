//! Messages that a publisher wrote in a platform's own form.
//!
//! Owns the check whether the platform will accept them. It covers the documented refusals, field
//! by field; undocumented fields pass.
//!
//! Such a message is sent unchanged, except for the identity, the signature and the size check of
//! the request (`platforms/message.rs`).
//!
//! Not here: where the check runs (`fanout/structure.rs`).

mod dingtalk;
mod field;
pub(super) mod lark;
#[cfg(test)]
mod tests;
mod wecom;

use serde_json::Value;

pub use field::{InvalidNativeMessage, kind_of};

use crate::domain::Platform;

/// Checks a message in the platform's own form.
pub fn check_native(platform: Platform, body: &Value) -> Result<(), InvalidNativeMessage> {
    let body = field::Field::body(body).into_object()?;
    match platform {
        Platform::DingTalk | Platform::DingTalkInternal => dingtalk::check(&body),
        Platform::Lark => lark::check(&body),
        Platform::WeCom => wecom::check(&body),
    }
}

/// The colours for the header of a Lark card. No other platform has such a header.
#[must_use]
pub fn header_colors() -> &'static [&'static str] {
    &lark::HEADER_COLORS
}
