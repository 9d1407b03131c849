//! Which webhook URLs belong to a platform.
//!
//! Owns the rules and the normal form of each platform's URLs. Everything else is refused before it
//! is stored: a subscription with any URL could make the daemon call any address.
//!
//! Not here: which IP addresses may be called (`send/guard.rs`).

use url::Url;
use zeroize::Zeroizing;

use crate::domain::{Endpoint, Platform};

/// Why a text is not an endpoint of the platform. The message never repeats the text, which may
/// contain a credential.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// It is longer than any robot's URL.
    #[error(
        "the webhook has {0} bytes, and no robot's has more than {ENDPOINT_BYTES_MAX}: copy it from the robot's settings, it begins with https://"
    )]
    TooLong(usize),
    /// It is not a URL.
    #[error("the webhook is not a URL: copy it from the robot's settings, it begins with https://")]
    NotUrl,
    /// Its scheme is not https.
    #[error("the webhook begins with {0}://: only https:// is accepted")]
    NotHttps(String),
    /// Its host is not one of the platform's.
    #[error("the webhook's host {found} is not one of {platform}: expected {expected}")]
    Host {
        /// The platform for which it was given.
        platform: Platform,
        /// Its host.
        found: String,
        /// The platform's hosts.
        expected: String,
    },
    /// It belongs to another platform.
    #[error("the webhook is one of {0}: say --platform {0}")]
    OtherPlatform(Platform),
    /// It has a user, a port or a fragment.
    #[error("the webhook has a {0}: copy it from the robot's settings as it is")]
    Extra(&'static str),
    /// Its path is not the platform's.
    #[error("the webhook's path is not {0}")]
    Path(&'static str),
    /// A kind of URL that looks valid but cannot be used.
    #[error("{0}")]
    Unusable(&'static str),
    /// The token is missing or occurs twice.
    #[error("the webhook has no {0}, or more than one")]
    Token(&'static str),
    /// The token is malformed.
    #[error("the webhook's {0} is malformed: 8 to 256 letters, digits, - or _")]
    TokenForm(&'static str),
    /// It has a parameter that the platform's URLs do not have.
    #[error("the webhook has a parameter besides {0}: copy it from the robot's settings as it is")]
    Parameter(&'static str),
}

/// The most bytes of a webhook. A host, a path and a token of at most 256 characters are far
/// shorter.
const ENDPOINT_BYTES_MAX: usize = 2048;

const DINGTALK_HOSTS: [&str; 2] = ["oapi.dingtalk.com", "oapi.dingtalk.io"];
const LARK_HOSTS: [&str; 3] = ["open.feishu.cn", "open.larksuite.com", "open.larkoffice.com"];
const WECOM_HOSTS: [&str; 1] = ["qyapi.weixin.qq.com"];

const fn hosts(platform: Platform) -> &'static [&'static str] {
    match platform {
        Platform::DingTalk | Platform::DingTalkInternal => &DINGTALK_HOSTS,
        Platform::Lark => &LARK_HOSTS,
        Platform::WeCom => &WECOM_HOSTS,
    }
}

/// Checks that a text is short enough for a webhook of any platform.
pub fn check_endpoint_length(text: &str) -> Result<(), InvalidEndpoint> {
    match text.trim().len() {
        bytes if bytes > ENDPOINT_BYTES_MAX => Err(InvalidEndpoint::TooLong(bytes)),
        _ => Ok(()),
    }
}

/// The host that stands for all hosts of a platform. Two platforms with the same main host are
/// called at the same addresses.
#[must_use]
pub const fn main_host(platform: Platform) -> &'static str {
    match hosts(platform) {
        [first, ..] => first,
        [] => "",
    }
}

/// Checks a webhook URL against its platform and normalises it, so that all spellings of one URL
/// are one robot.
pub fn check_endpoint(platform: Platform, text: &str) -> Result<Endpoint, InvalidEndpoint> {
    check_endpoint_length(text)?;
    let url = Url::parse(text.trim()).map_err(|_| InvalidEndpoint::NotUrl)?;
    let endpoint = normal_form(platform, &url);
    // The parsed copy contains the credential, so it is wiped.
    drop(Zeroizing::new(String::from(url)));
    endpoint
}

fn normal_form(platform: Platform, url: &Url) -> Result<Endpoint, InvalidEndpoint> {
    if url.scheme() != "https" {
        let scheme = if url.scheme().len() <= 8 { url.scheme() } else { "something" };
        return Err(InvalidEndpoint::NotHttps(scheme.to_owned()));
    }
    let host = url.host_str().unwrap_or_default();
    if !hosts(platform).contains(&host) {
        return Err(foreign(platform, host));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidEndpoint::Extra("user or password"));
    }
    if url.port().is_some() {
        return Err(InvalidEndpoint::Extra("port"));
    }
    if url.fragment().is_some() {
        return Err(InvalidEndpoint::Extra("fragment (#)"));
    }
    let (base, token) = match platform {
        Platform::DingTalk | Platform::DingTalkInternal => {
            ("/robot/send?access_token=", dingtalk(url)?)
        }
        Platform::Lark => ("/open-apis/bot/v2/hook/", lark(url)?),
        Platform::WeCom => ("/cgi-bin/webhook/send?key=", wecom(url)?),
    };
    // Built at once, so that no shorter copy of the credential stays in memory.
    Ok(Endpoint::new(["https://", host, base, &token].concat()))
}

fn foreign(platform: Platform, host: &str) -> InvalidEndpoint {
    let owner = [Platform::DingTalk, Platform::Lark, Platform::WeCom]
        .into_iter()
        .find(|one| hosts(*one).contains(&host));
    match owner {
        Some(owner) => InvalidEndpoint::OtherPlatform(owner),
        None => InvalidEndpoint::Host {
            platform,
            found: host.to_owned(),
            expected: hosts(platform).join(" or "),
        },
    }
}

fn dingtalk(url: &Url) -> Result<Zeroizing<String>, InvalidEndpoint> {
    match url.path() {
        "/robot/send" => (),
        "/robot/sendBySession" => {
            return Err(InvalidEndpoint::Unusable(
                "the webhook answers one conversation and expires within hours: use the robot's own webhook, /robot/send",
            ));
        }
        _ => return Err(InvalidEndpoint::Path("/robot/send")),
    }
    // Users may paste a signed URL. Each attempt has its own signature.
    parameter(url, "access_token", &["timestamp", "sign"])
}

fn lark(url: &Url) -> Result<Zeroizing<String>, InvalidEndpoint> {
    if url.path().starts_with("/open-apis/bot/hook/") {
        return Err(InvalidEndpoint::Unusable(
            "the webhook is one of the old kind (V1), which takes other messages: add a new custom bot to the group",
        ));
    }
    let token = url
        .path()
        .strip_prefix("/open-apis/bot/v2/hook/")
        .ok_or(InvalidEndpoint::Path("/open-apis/bot/v2/hook/…"))?;
    let token = well_formed(token.strip_suffix('/').unwrap_or(token), "token")?;
    if url.query().is_some_and(|query| !query.is_empty()) {
        return Err(InvalidEndpoint::Parameter("the token"));
    }
    Ok(token.to_owned().into())
}

fn wecom(url: &Url) -> Result<Zeroizing<String>, InvalidEndpoint> {
    match url.path() {
        "/cgi-bin/webhook/send" => (),
        "/cgi-bin/webhook/upload_media" => {
            return Err(InvalidEndpoint::Unusable(
                "the webhook is the one for uploads: use the one for messages, /cgi-bin/webhook/send",
            ));
        }
        _ => return Err(InvalidEndpoint::Path("/cgi-bin/webhook/send")),
    }
    parameter(url, "key", &[])
}

/// The only parameter with that name. Other parameters are errors, unless they are among the
/// `dropped`.
fn parameter(
    url: &Url,
    name: &'static str,
    dropped: &[&str],
) -> Result<Zeroizing<String>, InvalidEndpoint> {
    let (mine, others): (Vec<_>, Vec<_>) = url.query_pairs().partition(|(found, _)| found == name);
    if others.iter().any(|(found, _)| !dropped.contains(&found.as_ref())) {
        return Err(InvalidEndpoint::Parameter(name));
    }
    match mine.as_slice() {
        [(_, value)] => well_formed(value.trim(), name).map(|token| token.to_owned().into()),
        _ => Err(InvalidEndpoint::Token(name)),
    }
}

fn well_formed<'a>(token: &'a str, name: &'static str) -> Result<&'a str, InvalidEndpoint> {
    let good = (8..=256).contains(&token.len())
        && token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if good { Ok(token) } else { Err(InvalidEndpoint::TokenForm(name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(platform: Platform, text: &str) -> Result<String, InvalidEndpoint> {
        check_endpoint(platform, text).map(|endpoint| endpoint.expose().to_owned())
    }

    #[test]
    fn one_robot_has_one_form_however_its_webhook_was_copied() {
        let ding = "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef";
        for text in [
            ding,
            " https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef \n",
            "HTTPS://OAPI.DingTalk.com:443/robot/send?access_token=0123456789abcdef",
            "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef&timestamp=1&sign=x%3D",
        ] {
            assert_eq!(check(Platform::DingTalk, text).as_deref(), Ok(ding));
            assert_eq!(check(Platform::DingTalkInternal, text).as_deref(), Ok(ding));
        }
        let lark = "https://open.larksuite.com/open-apis/bot/v2/hook/1bd8b1a2-1111";
        assert_eq!(check(Platform::Lark, &format!("{lark}/")).as_deref(), Ok(lark));
        let wecom = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6-7xxx";
        assert_eq!(check(Platform::WeCom, wecom).as_deref(), Ok(wecom));
        for host in LARK_HOSTS {
            assert!(
                check(Platform::Lark, &format!("https://{host}/open-apis/bot/v2/hook/12345678"))
                    .is_ok()
            );
        }
        assert!(
            check(Platform::DingTalk, "https://oapi.dingtalk.io/robot/send?access_token=12345678")
                .is_ok()
        );
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        use InvalidEndpoint as M;
        let ding = Platform::DingTalk;
        let foreign = |found: &str| M::Host {
            platform: ding,
            found: found.to_owned(),
            expected: "oapi.dingtalk.com or oapi.dingtalk.io".to_owned(),
        };
        for (platform, text, mistake) in [
            (ding, "", M::NotUrl),
            (ding, "oapi.dingtalk.com/robot/send?access_token=12345678", M::NotUrl),
            (
                ding,
                "http://oapi.dingtalk.com/robot/send?access_token=12345678",
                M::NotHttps("http".to_owned()),
            ),
            (ding, "file:///etc/passwd", M::NotHttps("file".to_owned())),
            (
                ding,
                "https://evil.example/robot/send?access_token=12345678",
                foreign("evil.example"),
            ),
            (
                ding,
                "https://oapi.dingtalk.com.evil.example/robot/send?access_token=12345678",
                foreign("oapi.dingtalk.com.evil.example"),
            ),
            (ding, "https://127.0.0.1/robot/send?access_token=12345678", foreign("127.0.0.1")),
            (
                ding,
                "https://open.feishu.cn/open-apis/bot/v2/hook/12345678",
                M::OtherPlatform(Platform::Lark),
            ),
            (
                ding,
                "https://user@oapi.dingtalk.com/robot/send?access_token=12345678",
                M::Extra("user or password"),
            ),
            (
                ding,
                "https://oapi.dingtalk.com:8443/robot/send?access_token=12345678",
                M::Extra("port"),
            ),
            (
                ding,
                "https://oapi.dingtalk.com/robot/send?access_token=12345678#x",
                M::Extra("fragment (#)"),
            ),
            (
                ding,
                "https://oapi.dingtalk.com/robot/other?access_token=12345678",
                M::Path("/robot/send"),
            ),
            (ding, "https://oapi.dingtalk.com/robot/send", M::Token("access_token")),
            (
                ding,
                "https://oapi.dingtalk.com/robot/send?access_token=12345678&access_token=12345678",
                M::Token("access_token"),
            ),
            (
                ding,
                "https://oapi.dingtalk.com/robot/send?access_token=123",
                M::TokenForm("access_token"),
            ),
            (
                ding,
                "https://oapi.dingtalk.com/robot/send?access_token=12345678%20x",
                M::TokenForm("access_token"),
            ),
            (
                ding,
                "https://oapi.dingtalk.com/robot/send?access_token=12345678&x=1",
                M::Parameter("access_token"),
            ),
            (
                Platform::Lark,
                "https://open.feishu.cn/open-apis/bot/v2/hook/",
                M::TokenForm("token"),
            ),
            (
                Platform::Lark,
                "https://open.feishu.cn/open-apis/bot/v2/hook/12345678/x",
                M::TokenForm("token"),
            ),
            (
                Platform::Lark,
                "https://open.feishu.cn/other/12345678",
                M::Path("/open-apis/bot/v2/hook/…"),
            ),
            (
                Platform::WeCom,
                "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=12345678&debug=1",
                M::Parameter("key"),
            ),
        ] {
            assert_eq!(check(platform, text), Err(mistake), "{text}");
        }
        let long =
            format!("{}12345678", "https://oapi.dingtalk.com/robot/send?access_token=".repeat(50));
        assert_eq!(check(ding, &long), Err(M::TooLong(50 * 50 + 8)));
        for (platform, text) in [
            (ding, "https://oapi.dingtalk.com/robot/sendBySession?session=12345678"),
            (Platform::Lark, "https://open.feishu.cn/open-apis/bot/hook/12345678"),
            (
                Platform::WeCom,
                "https://qyapi.weixin.qq.com/cgi-bin/webhook/upload_media?key=12345678&type=file",
            ),
        ] {
            assert!(matches!(check(platform, text), Err(M::Unusable(_))), "{text}");
        }
    }

    #[test]
    fn no_mistake_repeats_the_token() {
        for text in [
            "http://oapi.dingtalk.com/robot/send?access_token=TOPSECRET",
            "https://evil.example/robot/send?access_token=TOPSECRET",
            "https://oapi.dingtalk.com/robot/send?access_token=TOPSECRET!",
            "TOPSECRET",
            "topsecret-topsecret:x",
        ] {
            let Err(mistake) = check(Platform::DingTalk, text) else { panic!("{text}") };
            assert!(!mistake.to_string().to_lowercase().contains("topsecret"), "{mistake}");
        }
    }
}
