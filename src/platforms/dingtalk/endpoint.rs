//! The webhook URLs of DingTalk.
//!
//! Owns their hosts, their path, and the place of the token.
//!
//! Not here: the rules that all platforms share (`platforms/endpoint.rs`).

use url::Url;

use crate::platforms::endpoint::{InvalidEndpoint, WebhookParts, parameter};

pub(super) const HOSTS: [&str; 2] = ["oapi.dingtalk.com", "oapi.dingtalk.io"];

pub(super) const PAGE_DOMAINS: [&str; 2] = ["dingtalk.com", "dingtalk.io"];

pub(super) const PATH: &str = "/robot/send?access_token=";

pub(super) fn webhook(url: &Url) -> Result<WebhookParts, InvalidEndpoint> {
    match url.path() {
        "/robot/send" => (),
        "/robot/sendBySession" => {
            return Err(InvalidEndpoint::Unusable(
                "the webhook answers one conversation and expires within hours: \
                 use the robot's own webhook, /robot/send",
            ));
        }
        _ => return Err(InvalidEndpoint::Path("/robot/send")),
    }
    // Users may paste a signed URL. Each attempt has its own signature.
    let token = parameter(url, "access_token", &["timestamp", "sign"])?;
    Ok(WebhookParts { path: PATH, token })
}
