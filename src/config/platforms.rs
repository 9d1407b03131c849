//! `[platforms.…]`: what each platform allows a robot, and a gateway in its place.
//!
//! Owns the keys of these sections.
//!
//! Not here: the documented quotas, which are their defaults (`platforms/`), and the other
//! sections, which their rooms declare.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

use super::reader::Reader;
use crate::{
    domain::{self, Platform},
    pace::{PlatformQuota, WindowQuota},
    platforms::{DefaultLimits, default_limits},
    send::{PlatformProxy, platform_proxy},
    settings::{DefaultValue, Form, Section, http_address, number, path, section, some_duration},
};

section! {
    /// What a platform allows a robot. After a refusal for speed, a robot is held.
    pub struct PlatformSettings in "platforms.<platform>" {
        /// Sends to a gateway instead. It takes the place of scheme, host and port of the webhooks.
        base_url: Option<Url> = optional(origin(), "https://gateway.example"), AtStart;
        /// Hosts that webhooks of the platform may have besides the platform's own: private
        /// deployments, and flows (`www.feishu.cn`). With a port if that is not 443.
        hosts: Vec<String> = many(webhook_host(), &[]), AtStart;
        /// Private networks in which the hosts in `hosts` may be, such as `10.20.0.0/16`. Without
        /// them no private address is called.
        private_networks: Vec<IpNet> = many(private_network(), &[]), AtStart;
        /// The proxy for this platform in place of `send.proxy`; `direct` for none.
        proxy: Option<PlatformProxy> =
            optional(platform_proxy(), "http://proxy.example:3128"), AtStart;
        /// A file with `user:password` for this proxy (chmod 600).
        proxy_auth_file: Option<PathBuf> = optional(path(), "/etc/roomcast/proxy.auth"), AtStart;
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
                "{text:?} allows more than 10000 messages in a window, which limits nothing: \
                 leave the window out"
            ));
        }
        Ok(WindowQuota { max: max.get(), span })
    })
}

/// The host of a webhook, as it is in a webhook's normal form.
fn webhook_host() -> Form<String> {
    Form::new("host, or host:port", "", |text| {
        let expected = "write a host name like chat.example, or with its port";
        let url = Url::parse(&format!("https://{text}/")).map_err(|_| expected.to_owned())?;
        let plain = !text.contains(['/', '@', '?', '#', '*']);
        match url.host() {
            Some(Host::Domain(name)) if plain => Ok(match url.port() {
                Some(port) => format!("{name}:{port}"),
                None => name.to_owned(),
            }),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => {
                Err(format!("an address has no certificate: {expected}"))
            }
            _ => Err(expected.to_owned()),
        }
    })
}

/// A network that may be called though it is private. Networks that hold link-local addresses are
/// refused, because clouds give out credentials there.
fn private_network() -> Form<IpNet> {
    Form::new("network", "at most a /8, or a /32 of IPv6", |text| {
        let expected = || format!("{text:?} is not a network: write it like 10.20.0.0/16");
        let network: IpNet = text.trim().parse().map_err(|_| expected())?;
        let (narrowest, link_local): (u8, IpNet) = match network {
            IpNet::V4(_) => (8, Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16).into()),
            IpNet::V6(_) => {
                (32, Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10).into())
            }
        };
        if network.prefix_len() < narrowest && !network.addr().is_loopback() {
            return Err(format!("{text:?} is wider than a /{narrowest}: name the network itself"));
        }
        if network.contains(&link_local) || link_local.contains(&network) {
            return Err(format!("{text:?} has link-local addresses, which are never called"));
        }
        Ok(network.trunc())
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
