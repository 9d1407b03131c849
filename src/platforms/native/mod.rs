//! Messages that a publisher wrote in a platform's own form: whether the platform will take them.
//!
//! What is checked is what the platforms document as refused, field by field; fields nobody documents pass. Such a message is sent as it is written;
//! only what identifies, signs and bounds a request as a whole is added when it is sent.

mod dingtalk;
mod field;
pub(super) mod lark;
#[cfg(test)]
mod tests;
mod wecom;

use serde_json::Value;

pub use field::{NativeMistake, kind_of};

use crate::domain::Platform;

/// Checks a message in the platform's own form.
pub fn check_native(platform: Platform, body: &Value) -> Result<(), NativeMistake> {
    let body = field::Field::body(body).into_object()?;
    match platform {
        Platform::DingTalk | Platform::DingTalkInternal => dingtalk::check(&body),
        Platform::Lark => lark::check(&body),
        Platform::WeCom => wecom::check(&body),
    }
}

/// The colours that the header of a Lark card can have; nothing else has a header.
#[must_use]
pub fn header_colors() -> &'static [&'static str] {
    &lark::HEADER_COLORS
}
