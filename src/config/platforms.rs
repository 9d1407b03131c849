//! `[platforms.…]`: what each platform allows a robot, and a gateway in its place.
//!
//! Owns the keys of these sections.
//!
//! Not here: the documented quotas, which are their defaults (`platforms/`), and the other
//! sections, which their rooms declare.

use std::{num::NonZeroU32, time::Duration};

use url::Url;

use super::reader::Reader;
use crate::{
    domain::{self, Platform},
    pace::{PlatformQuota, WindowQuota},
    platforms::{DefaultLimits, default_limits},
    settings::{DefaultValue, Form, Section, http_address, number, section, some_duration},
};

section! {
    /// What a platform allows a robot. After a refusal for speed, a robot is held.
    pub struct PlatformSettings in "platforms.<platform>" {
        /// Sends to a gateway instead. It takes the place of scheme, host and port of the webhooks.
        base_url: Option<Url> = optional(origin(), "https://gateway.example"), AtStart;
        /// How many messages a robot may send in a span of time. Every window applies at once; `[]`
        /// means no limit.
        windows: Vec<WindowQuota> = many(window(), &[]), AtReload;
        /// How many messages a second all robots of the platform may send together, as platforms
        /// ban addresses that call too often. 0 means no limit. Platforms at one host share the
        /// smallest of their rates that is not 0. `dingtalk` and `dingtalk_internal` share a host,
        /// and so do all with a `base_url` of one host.
        rate_per_second: u32 = one(number(0..=1_000_000), "400"), AtReload;
        /// How long a robot is held after a refusal for speed. Each further refusal doubles it, up
        /// to `penalty_max`.
        penalty_min: Duration = one(some_duration(), "60s"), AtReload;
        /// The longest hold after a refusal for speed. A longer wait requested by the platform
        /// counts instead of `penalty_min`, but never beyond this.
        penalty_max: Duration = one(some_duration(), "10m"), AtReload;
    }
}

impl PlatformSettings {
    /// The section of a platform.
    pub(super) fn of(r: &mut Reader<'_>, platform: Platform) -> Option<Self> {
        Self::read(r, &format!("platforms.{platform}"), &defaults(platform))
    }

    /// The quota of a robot. `margin` is added to each window.
    #[must_use]
    pub fn quota(&self, margin: Duration) -> PlatformQuota {
        PlatformQuota {
            windows: self.windows.clone(),
            margin,
            rate_per_second: (self.rate_per_second > 0).then_some(self.rate_per_second),
            penalty_min: self.penalty_min,
            penalty_max: self.penalty_max,
        }
    }
}

/// The documented quotas of a platform (`platforms/`), which differ from the declared defaults.
pub(super) fn defaults(platform: Platform) -> Vec<(&'static str, DefaultValue)> {
    let DefaultLimits { windows, penalty_min, penalty_max, rate_per_second } =
        default_limits(platform);
    let windows = windows.iter().map(|window| format!("{}/{}", window.messages, span(window.span)));
    vec![
        ("windows", DefaultValue::Many(windows.collect())),
        ("rate_per_second", DefaultValue::One(rate_per_second.to_string())),
        ("penalty_min", DefaultValue::One(span(penalty_min))),
        ("penalty_max", DefaultValue::One(span(penalty_max))),
    ]
}

/// A span of whole seconds as the configuration writes it; minutes from two of them on.
fn span(length: Duration) -> String {
    match length.as_secs() {
        seconds if seconds > 60 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// A window such as `20/60s`: at most 10,000 messages in a span.
fn window() -> Form<WindowQuota> {
    Form::new("messages/span", "1 to 10000 messages", |text| {
        let expected = || {
            format!(
                "{text:?} is not a window: write it like 20/60s, which is 20 messages in 60 seconds"
            )
        };
        let (max, span) = text.split_once('/').ok_or_else(expected)?;
        let max: NonZeroU32 = max.trim().parse().map_err(|_| expected())?;
        let span = domain::duration(span.trim()).ok().filter(|span| !span.is_zero());
        let span = span.ok_or_else(expected)?;
        if max.get() > 10_000 {
            return Err(format!(
                "{text:?} allows more than 10000 messages in a window, which limits nothing: leave the window out"
            ));
        }
        Ok(WindowQuota { max: max.get(), span })
    })
}

/// The scheme, host and port of a gateway.
fn origin() -> Form<Url> {
    http_address(|url| {
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(
                "only scheme, host and port belong here: path and query are those of the webhook"
                    .to_owned(),
            );
        }
        Ok(url)
    })
}
