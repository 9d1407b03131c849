//! The settings of the pacer.
//!
//! Owns the limits that are not those of one platform or organisation.
//!
//! Not here: the quotas (`quota.rs`), and the organisations (`group_settings.rs`).

use std::{collections::BTreeMap, time::Duration};

use super::{BreakerPolicy, GroupSettings, HealthPolicy, PlatformQuota};
use crate::{
    domain::{GroupName, PlatformMap},
    settings::{duration, number, section, some_duration},
};

section! {
    /// How deliveries wait for their robot's quota.
    pub struct PaceLimits in "pace" {
        /// A delivery whose turn comes within this time waits in memory, others wait in the broker.
        hold_max: Duration = one(some_duration(), "2s"), AtReload;
        /// How early deliveries may return from the tiers. An early one waits in memory for its
        /// slot, if there is room.
        early_max: Duration = one(some_duration(), "90s"), AtReload;
        /// Keeps a robot's messages in order. One leaves when the one before it was answered, or
        /// this long after that left. `0s`: the order does not matter.
        order_gap: Duration = one(duration(), "50ms"), AtReload;
        /// How many attempts of each platform may be in flight at once, at the most. A quarter of
        /// them is kept for urgent deliveries. While a platform is slow or does not answer, the
        /// limit falls, down to 8. A delivery without room within `hold_max` waits in the broker.
        in_flight_max: u32 = one(number(1..=65_536), "256"), AtStart;
        /// How many deliveries of each platform may be in memory at once, and as many urgent ones.
        /// Others wait in the broker.
        held_max: usize = one(number(1..=1_000_000), "10000"), AtStart;
        /// Added to every window, because the network delays messages differently.
        margin: Duration = one(duration(), "500ms"), AtReload;
    }
}

/// The limits of sending.
#[derive(Clone, Debug)]
pub struct PaceSettings {
    /// How deliveries wait.
    pub limits: PaceLimits,
    /// The quota of each platform.
    pub quotas: PlatformMap<PlatformQuota>,
    /// The host of each platform. Platforms at one host share the smallest of their rates.
    pub hosts: PlatformMap<String>,
    /// When a robot that refuses for a reason other than speed is put on hold.
    pub health: HealthPolicy,
    /// When a robot or a platform whose attempts get no usable answer is put on hold.
    pub breaker: BreakerPolicy,
    /// The organisations with a monthly quota.
    pub groups: BTreeMap<GroupName, GroupSettings>,
}
