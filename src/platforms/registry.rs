//! The profile of each platform.
//!
//! Owns the mapping from a platform to its folder. The compiler refuses a platform without a
//! profile.
//!
//! Not here: the names of the platforms (`domain/platform.rs`).

use super::{dingtalk, lark, profile::PlatformProfile, wecom};
use crate::domain::Platform;

pub(super) const fn profile(platform: Platform) -> &'static dyn PlatformProfile {
    match platform {
        Platform::DingTalk => &dingtalk::CUSTOM,
        Platform::DingTalkInternal => &dingtalk::INTERNAL,
        Platform::Lark => &lark::Lark,
        Platform::WeCom => &wecom::WeCom,
    }
}
