//! Which hosts the webhooks of a platform may have: its own, and those that the operator allows for
//! private deployments and flows.
//!
//! Owns the comparison. A host is written as in a URL: in lower case, with its port unless that is
//! 443.
//!
//! Not here: each platform's own hosts (`endpoint.rs` in its folder), the setting
//! (`config/platforms.rs`), and which IP addresses may be called (`send/guard.rs`).

use super::registry::profile;
use crate::domain::{Endpoint, Platform, PlatformMap};

/// The hosts that the operator allows, besides each platform's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookHosts(PlatformMap<Vec<String>>);

impl WebhookHosts {
    /// These hosts, besides the platforms' own.
    #[must_use]
    pub const fn new(allowed: PlatformMap<Vec<String>>) -> Self {
        Self(allowed)
    }

    /// All hosts of a platform, its own first.
    pub fn of(&self, platform: Platform) -> impl Iterator<Item = &str> {
        let own = profile(platform).hosts().iter().copied();
        own.chain(self.0.get(platform).iter().map(String::as_str))
    }

    /// Whether a webhook of this platform may have this host.
    #[must_use]
    pub fn allows(&self, platform: Platform, host: &str) -> bool {
        self.of(platform).any(|one| one == host)
    }

    /// The host of a stored webhook, if the platform's webhooks may not have it any more.
    #[must_use]
    pub fn not_allowed<'e>(&self, platform: Platform, endpoint: &'e Endpoint) -> Option<&'e str> {
        let host = host_of(endpoint);
        (!self.allows(platform, host)).then_some(host)
    }
}

/// The host of a webhook in its normal form, with its port if there is one.
fn host_of(endpoint: &Endpoint) -> &str {
    let rest = endpoint.expose().strip_prefix("https://").unwrap_or_default();
    rest.split('/').next().unwrap_or_default()
}

/// Whether a webhook, masked or not, starts a flow of the platform and is not a robot's.
#[must_use]
pub fn is_flow(platform: Platform, webhook: &str) -> bool {
    let rest = webhook.strip_prefix("https://").unwrap_or_default();
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default();
    profile(platform).is_flow(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str) -> Endpoint {
        Endpoint::new(format!("https://{host}/open-apis/bot/v2/hook/12345678"))
    }

    #[test]
    fn a_stored_webhook_is_at_a_host_of_its_platform_or_at_one_that_is_allowed_for_it() {
        let mut allowed = PlatformMap::from_fn(|_| Vec::new());
        *allowed.get_mut(Platform::Lark) = vec!["open.lark.test:8443".to_owned()];
        let hosts = WebhookHosts::new(allowed);
        for (platform, host, expected) in [
            (Platform::Lark, "open.feishu.cn", None),
            (Platform::Lark, "open.lark.test:8443", None),
            (Platform::Lark, "open.lark.test", Some("open.lark.test")),
            (Platform::Lark, "x.open.lark.test:8443", Some("x.open.lark.test:8443")),
            (Platform::WeCom, "open.lark.test:8443", Some("open.lark.test:8443")),
            (Platform::WeCom, "open.feishu.cn", Some("open.feishu.cn")),
        ] {
            assert_eq!(hosts.not_allowed(platform, &at(host)), expected, "{platform} {host}");
        }
        let damaged = Endpoint::new("ftp://open.feishu.cn/x".to_owned());
        assert_eq!(hosts.not_allowed(Platform::Lark, &damaged), Some(""));
    }

    #[test]
    fn a_flow_is_known_by_its_path_also_when_its_token_is_masked() {
        for (platform, webhook, expected) in [
            (Platform::Lark, "https://www.feishu.cn/flow/api/trigger-webhook/****cdef", true),
            (Platform::Lark, "https://t.feishu.cn/base/automation/webhook/event/****", true),
            (Platform::Lark, "https://open.feishu.cn/open-apis/bot/v2/hook/****cdef", false),
            (Platform::WeCom, "https://www.feishu.cn/flow/api/trigger-webhook/****cdef", false),
            (Platform::Lark, "the record is damaged", false),
        ] {
            assert_eq!(is_flow(platform, webhook), expected, "{webhook}");
        }
    }
}
