//! The webhook URLs of WeCom.
//!
//! Owns their hosts, their path, and the place of the token.
//!
//! Not here: the rules that all platforms share (`platforms/endpoint.rs`).

use url::Url;

use crate::platforms::endpoint::{InvalidEndpoint, WebhookParts, parameter};

pub(super) const HOSTS: [&str; 1] = ["qyapi.weixin.qq.com"];

pub(super) const PAGE_DOMAINS: [&str; 2] = ["weixin.qq.com", "wecom.work"];

pub(super) const PATH: &str = "/cgi-bin/webhook/send?key=";

pub(super) fn webhook(url: &Url) -> Result<WebhookParts, InvalidEndpoint> {
    match url.path() {
        "/cgi-bin/webhook/send" => (),
        "/cgi-bin/webhook/upload_media" => {
            return Err(InvalidEndpoint::Unusable(
                "the webhook is the one for uploads: \
                 use the one for messages, /cgi-bin/webhook/send",
            ));
        }
        _ => return Err(InvalidEndpoint::Path("/cgi-bin/webhook/send")),
    }
    Ok(WebhookParts { path: PATH, token: parameter(url, "key", &[])? })
}
