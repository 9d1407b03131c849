//! Which webhook URLs belong to a platform.
//!
//! Owns the check and the normal form of a URL. Everything else is refused before it is stored: a
//! subscription with any URL could make the daemon call any address.
//!
//! Not here: each platform's hosts and paths (`endpoint.rs` in its folder), further hosts
//! (`webhook_hosts.rs`), pasted texts (`pasted_webhook.rs`), and which IP addresses may be called
//! (`send/guard.rs`).

#[cfg(test)]
mod tests;

use url::Url;
use zeroize::Zeroizing;

use super::{
    endpoint::{InvalidEndpoint, WebhookParts, check_endpoint_length, well_formed},
    pasted_webhook::{is_more_than_a_url, unwrap},
    registry::profile,
    webhook_hosts::WebhookHosts,
};
use crate::domain::{Endpoint, Platform};

/// The schemes that an error names. Any other text before a colon may be a credential.
const KNOWN_SCHEMES: [&str; 10] =
    ["http", "ws", "wss", "ftp", "file", "dingtalk", "lark", "feishu", "wxwork", "mailto"];

/// Checks a webhook URL against its platform and normalises it, so that all spellings of one URL
/// are one robot. `hosts` has the hosts that the operator allows besides the platform's own.
pub fn check_endpoint(
    platform: Platform,
    text: &str,
    hosts: &WebhookHosts,
) -> Result<Endpoint, InvalidEndpoint> {
    check_endpoint_length(text)?;
    let mut bare = unwrap(text);
    if is_more_than_a_url(&bare) {
        return Err(InvalidEndpoint::NotAlone { form: form(platform) });
    }
    if !bare.contains("://") {
        bare = with_scheme(&bare, hosts).ok_or_else(|| not_url(platform, &bare))?;
    }
    let url = Url::parse(&bare).map_err(|_| InvalidEndpoint::NotUrl { form: form(platform) })?;
    let endpoint = normal_form(platform, &url, hosts);
    // The parsed copy contains the credential, so it is wiped.
    drop(Zeroizing::new(String::from(url)));
    endpoint
}

/// The form of a platform's webhooks, for people.
fn form(platform: Platform) -> String {
    let (host, path) = (profile(platform).hosts().first(), profile(platform).webhook_path());
    format!("https://{}{path}…", host.copied().unwrap_or_default())
}

/// The text with its scheme, if only that is missing: it begins with a known host.
fn with_scheme(text: &str, hosts: &WebhookHosts) -> Option<Zeroizing<String>> {
    let rest = text.trim_start_matches('/');
    let host = rest.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let known = Platform::ALL.into_iter().any(|platform| hosts.allows(platform, &host));
    known.then(|| Zeroizing::new(["https://", rest].concat()))
}

/// What a text without scheme and host is: a token, a signing secret, or anything.
fn not_url(platform: Platform, text: &str) -> InvalidEndpoint {
    let form = form(platform);
    let name = profile(platform).webhook_path().trim_end_matches('=').rsplit(['?', '/']).next();
    let name = name.filter(|name| !name.is_empty()).unwrap_or("token");
    let value = text.trim_start_matches('?').strip_prefix(name).unwrap_or(text);
    let value = value.strip_prefix('=').unwrap_or(value);
    if text.starts_with("SEC") && well_formed(text, name).is_ok() {
        return InvalidEndpoint::SigningSecret { form };
    }
    match well_formed(value, name) {
        Ok(_) => InvalidEndpoint::TokenAlone { name, form },
        Err(_) => InvalidEndpoint::NotUrl { form },
    }
}

fn normal_form(
    platform: Platform,
    url: &Url,
    hosts: &WebhookHosts,
) -> Result<Endpoint, InvalidEndpoint> {
    if url.scheme() != "https" {
        let known = KNOWN_SCHEMES.into_iter().find(|known| *known == url.scheme());
        return Err(InvalidEndpoint::NotHttps(known.unwrap_or("something")));
    }
    let name = url.host_str().unwrap_or_default();
    let host = match url.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    };
    if !hosts.allows(platform, &host) {
        return Err(if url.port().is_some() && hosts.allows(platform, name) {
            InvalidEndpoint::Extra("port")
        } else {
            foreign(platform, url, &host, hosts)
        });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidEndpoint::Extra("user or password"));
    }
    if url.fragment().is_some() {
        return Err(InvalidEndpoint::Extra("fragment (#)"));
    }
    let WebhookParts { path, token } = profile(platform).webhook(url)?;
    // Built at once, so that no shorter copy of the credential stays in memory.
    Ok(Endpoint::new(["https://", &host, path, &token].concat()))
}

/// What a URL is whose host is not one of the platform's.
fn foreign(platform: Platform, url: &Url, host: &str, hosts: &WebhookHosts) -> InvalidEndpoint {
    let owner = Platform::ALL.into_iter().find(|one| hosts.allows(*one, host));
    if let Some(owner) = owner {
        return InvalidEndpoint::OtherPlatform(owner);
    }
    if profile(platform).is_flow(url.path()) {
        return InvalidEndpoint::Flow { platform, host: shown(host) };
    }
    let has_pages = |one: &Platform| {
        let domains = profile(*one).page_domains().iter();
        domains.copied().any(|domain| {
            let before = host.strip_suffix(domain);
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        })
    };
    match Platform::ALL.into_iter().find(has_pages) {
        Some(_) => InvalidEndpoint::Page { host: shown(host), form: form(platform) },
        None => InvalidEndpoint::Host {
            platform,
            found: shown(host),
            expected: profile(platform).hosts().join(" or "),
        },
    }
}

/// The host, for an error. A part that could be a credential is left out.
fn shown(host: &str) -> String {
    const LABEL_MAX: usize = 24;
    let is_name = host.contains('.') || host.len() < 16;
    let parts = host.split('.').map(|part| match part.len() {
        0..=LABEL_MAX if is_name => part,
        _ => "…",
    });
    parts.collect::<Vec<_>>().join(".")
}
