//! Facts about a platform that other rooms need.
//!
//! Owns no fact itself: each stands in the platform's profile.
//!
//! Not here: the platforms' names (`domain/platform.rs`).

use super::{profile::DefaultLimits, registry::profile};
use crate::domain::Platform;

/// The platform's name for people.
#[must_use]
pub fn label(platform: Platform) -> &'static str {
    profile(platform).label()
}

/// The host that stands for all hosts of a platform. Two platforms with the same main host are
/// called at the same addresses.
#[must_use]
pub fn main_host(platform: Platform) -> &'static str {
    profile(platform).hosts().first().copied().unwrap_or_default()
}

/// What stands between the host and the token of the platform's webhooks.
#[must_use]
pub fn webhook_path(platform: Platform) -> &'static str {
    profile(platform).webhook_path()
}

/// Whether the platform's robots may have a signing secret.
#[must_use]
pub fn takes_secret(platform: Platform) -> bool {
    profile(platform).takes_secret()
}

/// The limits of the platform's robots that hold without configuration.
#[must_use]
pub fn default_limits(platform: Platform) -> DefaultLimits {
    profile(platform).default_limits()
}
