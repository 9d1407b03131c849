//! The webhook URLs of Lark.
//!
//! Owns their hosts, their path, the place of the token, and the usual language behind a host.
//!
//! Not here: the rules that all platforms share (`platforms/endpoint.rs`).

use url::Url;
use zeroize::Zeroizing;

use crate::{
    domain::Language,
    platforms::endpoint::{InvalidEndpoint, well_formed},
};

pub(super) const HOSTS: [&str; 3] = ["open.feishu.cn", "open.larksuite.com", "open.larkoffice.com"];

pub(super) const PATH: &str = "/open-apis/bot/v2/hook/";

/// The domain of the organisations outside of China. Feishu, which is the platform inside of China,
/// has all other hosts.
const DOMAIN_ABROAD: &str = "larksuite.com";

pub(super) fn language(host: &str) -> Language {
    let is_abroad = host
        .strip_suffix(DOMAIN_ABROAD)
        .is_some_and(|subdomain| subdomain.is_empty() || subdomain.ends_with('.'));
    if is_abroad { Language::En } else { Language::Zh }
}

pub(super) fn token(url: &Url) -> Result<Zeroizing<String>, InvalidEndpoint> {
    if url.path().starts_with("/open-apis/bot/hook/") {
        return Err(InvalidEndpoint::Unusable(
            "the webhook is one of the old kind (V1), which takes other messages: add a new custom bot to the group",
        ));
    }
    let token =
        url.path().strip_prefix(PATH).ok_or(InvalidEndpoint::Path("/open-apis/bot/v2/hook/…"))?;
    let token = well_formed(token.strip_suffix('/').unwrap_or(token), "token")?;
    if url.query().is_some_and(|query| !query.is_empty()) {
        return Err(InvalidEndpoint::Parameter("the token"));
    }
    Ok(token.to_owned().into())
}
