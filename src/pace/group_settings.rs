//! The settings of an organisation with a monthly quota.
//!
//! Owns what happens when the quota is used up.
//!
//! Not here: the count of calls (`monthly_quota.rs`).

use jiff::tz::TimeZone;

use crate::settings::{Form, number_of, one_of, ratio, section};

/// The policy for deliveries once the monthly quota is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtEnd {
    /// They wait for the next month, as long as their time to live allows.
    #[default]
    Hold,
    /// They become dead letters.
    Dead,
    /// They are sent, and the platform decides.
    Ignore,
}

section! {
    /// An organisation whose robots share a monthly quota. Subscriptions name it with `--group`.
    /// One section for each.
    pub struct GroupSettings in "groups.<name>" {
        /// How many calls a month it may make. Without it, calls are only counted.
        monthly: Option<u64> = optional(
            number_of("calls", 1..=u64::MAX).with_range("at least 1"),
            "3000"
        ), AtReload;
        /// What happens when they are used up. `hold`: deliveries wait for the next month. `dead`:
        /// they become dead letters (`exhausted`). `ignore`: the platform decides.
        at_end: AtEnd = one(
            one_of(&[("hold", AtEnd::Hold), ("dead", AtEnd::Dead), ("ignore", AtEnd::Ignore)]),
            "hold"
        ), AtReload;
        /// The used share of them at which a warning is logged.
        warn_at: f64 = one(ratio(), "0.8"), AtReload;
        /// The time zone in which its months begin. DingTalk counts by the months of China.
        time_zone: TimeZone = one(time_zone(), "Asia/Shanghai"), AtReload;
    }
}

/// A time zone such as `Asia/Shanghai` or `UTC`.
fn time_zone() -> Form<TimeZone> {
    Form::new("time zone", "", |text| {
        TimeZone::get(text)
            .map_err(|_| format!("{text:?} is not a time zone: write it like Asia/Shanghai or UTC"))
    })
}
