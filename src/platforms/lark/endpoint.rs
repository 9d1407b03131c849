//! The webhook URLs of Lark: those of robots, and those that start a flow.
//!
//! Owns their hosts, their paths, the place of the token, and the usual language behind a host.
//!
//! Not here: the rules that all platforms share (`platforms/endpoint.rs`), and the hosts that an
//! operator allows (`platforms/webhook_hosts.rs`). Flows are at such hosts only.

use url::Url;

use crate::{
    domain::Language,
    platforms::endpoint::{InvalidEndpoint, WebhookParts, well_formed},
};

pub(super) const HOSTS: [&str; 3] = ["open.feishu.cn", "open.larksuite.com", "open.larkoffice.com"];

pub(super) const PAGE_DOMAINS: [&str; 4] =
    ["feishu.cn", "larksuite.com", "larkoffice.com", "feishu.net"];

pub(super) const PATH: &str = "/open-apis/bot/v2/hook/";

/// The webhooks of flows, and of the automations of a Base.
const FLOW_PATHS: [&str; 2] = ["/flow/api/trigger-webhook/", "/base/automation/webhook/event/"];

/// The domain of the organisations outside of China. Feishu, which is the platform inside of China,
/// has all other hosts.
const DOMAIN_ABROAD: &str = "larksuite.com";

pub(super) fn language(host: &str) -> Language {
    let is_abroad = host
        .strip_suffix(DOMAIN_ABROAD)
        .is_some_and(|subdomain| subdomain.is_empty() || subdomain.ends_with('.'));
    if is_abroad { Language::En } else { Language::Zh }
}

pub(super) fn is_flow(path: &str) -> bool {
    FLOW_PATHS.into_iter().any(|flow| path.starts_with(flow))
}

pub(super) fn webhook(url: &Url) -> Result<WebhookParts, InvalidEndpoint> {
    if url.path().starts_with("/open-apis/bot/hook/") {
        return Err(InvalidEndpoint::Unusable(
            "the webhook is one of the old kind (V1), which takes other messages: \
             add a new custom bot to the group",
        ));
    }
    let mut paths = [PATH].into_iter().chain(FLOW_PATHS);
    let found = paths.find_map(|path| Some((path, url.path().strip_prefix(path)?)));
    let (path, token) = found.ok_or(InvalidEndpoint::Path("/open-apis/bot/v2/hook/…"))?;
    let token = well_formed(token.strip_suffix('/').unwrap_or(token), "token")?;
    if url.query().is_some_and(|query| !query.is_empty()) {
        return Err(InvalidEndpoint::Parameter("the token"));
    }
    Ok(WebhookParts { path, token: token.to_owned().into() })
}
