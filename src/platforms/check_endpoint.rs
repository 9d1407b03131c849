//! Which webhook URLs belong to a platform.
//!
//! Owns the check and the normal form of a URL. Everything else is refused before it is stored: a
//! subscription with any URL could make the daemon call any address.
//!
//! Not here: each platform's hosts and paths (`endpoint.rs` in its folder), and which IP addresses
//! may be called (`send/guard.rs`).

use url::Url;
use zeroize::Zeroizing;

use super::{
    endpoint::{InvalidEndpoint, check_endpoint_length},
    registry::profile,
};
use crate::domain::{Endpoint, Platform};

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
    if !profile(platform).hosts().contains(&host) {
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
    let (path, token) = (profile(platform).webhook_path(), profile(platform).token(url)?);
    // Built at once, so that no shorter copy of the credential stays in memory.
    Ok(Endpoint::new(["https://", host, path, &token].concat()))
}

fn foreign(platform: Platform, host: &str) -> InvalidEndpoint {
    let owner = Platform::ALL.into_iter().find(|one| profile(*one).hosts().contains(&host));
    match owner {
        Some(owner) => InvalidEndpoint::OtherPlatform(owner),
        None => InvalidEndpoint::Host {
            platform,
            found: host.to_owned(),
            expected: profile(platform).hosts().join(" or "),
        },
    }
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
        for host in profile(Platform::Lark).hosts() {
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
