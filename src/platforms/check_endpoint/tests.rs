//! Tests of webhooks: which are taken, and what is said of the others.
//!
//! Owns the table of near misses.
//!
//! Not here: the form of a pasted text (`pasted_webhook.rs`).

use super::*;
use crate::domain::PlatformMap;

fn check(platform: Platform, text: &str) -> Result<String, InvalidEndpoint> {
    let checked = check_endpoint(platform, text, &WebhookHosts::default());
    checked.map(|endpoint| endpoint.expose().to_owned())
}

#[test]
fn one_robot_has_one_form_however_its_webhook_was_copied() {
    let ding = "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef";
    for text in [
        ding,
        " https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef \n",
        "oapi.dingtalk.com/robot/send?access_token=0123456789abcdef",
        "//OAPI.dingtalk.com/robot/send?access_token=0123456789abcdef",
        "\"https:\\/\\/oapi.dingtalk.com\\/robot\\/send?access_token\\u003d0123456789abcdef\",",
        "<https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef>",
        "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef\
         &amp;timestamp=1&amp;sign=x",
        "https%3A%2F%2Foapi.dingtalk.com%2Frobot%2Fsend%3Faccess_token%3D0123456789abcdef",
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
        (ding, "", M::NotUrl { form: form(ding) }),
        (ding, "http://oapi.dingtalk.com/robot/send?access_token=12345678", M::NotHttps("http")),
        (ding, "file:///etc/passwd", M::NotHttps("file")),
        (ding, "https://evil.example/robot/send?access_token=12345678", foreign("evil.example")),
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
        (ding, "https://oapi.dingtalk.com:8443/robot/send?access_token=12345678", M::Extra("port")),
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
        (Platform::Lark, "https://open.feishu.cn/open-apis/bot/v2/hook/", M::TokenForm("token")),
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
fn a_near_miss_is_answered_with_the_whole_form_of_the_webhook() {
    let (ding, lark, wecom) = (Platform::DingTalk, Platform::Lark, Platform::WeCom);
    let token = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let uuid = "1bd8b1a2-1111-2222-3333-444455556666";
    let forms = [
        (ding, "https://oapi.dingtalk.com/robot/send?access_token=…"),
        (lark, "https://open.feishu.cn/open-apis/bot/v2/hook/…"),
        (wecom, "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…"),
    ];
    for (platform, text, says) in [
        (ding, token.to_owned(), "this is the access_token alone"),
        (ding, format!("access_token={token}"), "this is the access_token alone"),
        (ding, format!("?access_token={token}\n"), "this is the access_token alone"),
        (lark, format!("\"{uuid}\""), "this is the token alone"),
        (wecom, uuid.to_owned(), "this is the key alone"),
        (wecom, format!("key={uuid}"), "this is the key alone"),
        (ding, format!("SEC{token}"), "this is a signing secret"),
        (ding, format!("/robot/send?access_token={token}"), "is not a URL"),
        (lark, format!("hook/{uuid}"), "is not a URL"),
        (wecom, "我的机器人".to_owned(), "is not a URL"),
        (wecom, "https://".to_owned(), "is not a URL"),
        (
            wecom,
            format!("https：//qyapi.weixin.qq.com/cgi-bin/webhook/send?key={uuid}"),
            "is not a URL",
        ),
        (wecom, format!("key: {uuid}"), "give the URL alone"),
        (
            wecom,
            format!("curl 'https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={uuid}' -d x"),
            "give the URL alone",
        ),
        (
            ding,
            format!("https://oapi.dingtalk.com/robot/send?access_token={token}\nSEC{token}"),
            "give the URL alone",
        ),
        (ding, format!("{{\"webhook\":\"{token}\"}}"), "give the URL alone"),
        (ding, "https://open-dev.dingtalk.com/fe/app#/corp/robot".to_owned(), "pages for people"),
        (lark, "https://tenant.feishu.cn/docx/abc".to_owned(), "pages for people"),
        (lark, "https://www.larksuite.com/hc/en-US".to_owned(), "pages for people"),
        (wecom, "https://work.weixin.qq.com/wework_admin/frame".to_owned(), "pages for people"),
    ] {
        let says_form = forms.iter().find(|(one, _)| *one == platform).unwrap().1;
        let Err(mistake) = check(platform, &text) else { panic!("{text}") };
        let words = mistake.to_string();
        assert!(words.contains(says) && words.contains(says_form), "{text}: {words}");
        assert!(!words.contains("0123456789") && !words.contains("1bd8"), "{words}");
    }
    for (platform, text, says) in [
        (lark, "https://open.feishu.cn/app/cli_0123", "not the address of a page"),
        (
            lark,
            "https://www.feishu.cn/flow/api/trigger-webhook/0123456789abcdef",
            "platforms.lark.hosts = [\"www.feishu.cn\"]",
        ),
        (
            lark,
            "https://open.lark.test/open-apis/bot/v2/hook/0123456789abcdef",
            "the operator allows the host of a private deployment in platforms.lark.hosts",
        ),
        (ding, "https://hooks.slack.com/services/T0/B0/0123456789abcdef", "hooks.slack.com"),
        (ding, "dingtalk://dingtalkclient/page/link?url=x", "begins with dingtalk://"),
        (
            wecom,
            "https://oapi.dingtalk.com/robot/send?access_token=0123456789",
            "--platform dingtalk",
        ),
    ] {
        let Err(mistake) = check(platform, text) else { panic!("{text}") };
        assert!(mistake.to_string().contains(says), "{text}: {mistake}");
        assert!(!mistake.to_string().contains("0123456789"), "{mistake}");
    }
}

#[test]
fn a_host_that_the_operator_allows_is_one_of_its_platform_alone() {
    let mut allowed = PlatformMap::from_fn(|_| Vec::new());
    *allowed.get_mut(Platform::Lark) =
        ["open.lark.test", "lark.test:8443", "www.feishu.cn"].map(str::to_owned).to_vec();
    let hosts = WebhookHosts::new(allowed);
    let check = |platform, text: &str| {
        let checked = check_endpoint(platform, text, &hosts);
        checked.map(|endpoint| endpoint.expose().to_owned())
    };
    for good in [
        "https://open.lark.test/open-apis/bot/v2/hook/12345678",
        "https://lark.test:8443/open-apis/bot/v2/hook/12345678",
        "https://www.feishu.cn/flow/api/trigger-webhook/12345678",
        "https://open.feishu.cn/open-apis/bot/v2/hook/12345678",
    ] {
        assert_eq!(check(Platform::Lark, good).as_deref(), Ok(good));
    }
    use InvalidEndpoint as M;
    for (platform, text, mistake) in [
        (
            Platform::WeCom,
            "https://open.lark.test/cgi-bin/webhook/send?key=12345678",
            M::OtherPlatform(Platform::Lark),
        ),
        (
            Platform::Lark,
            "https://open.lark.test:444/open-apis/bot/v2/hook/12345678",
            M::Extra("port"),
        ),
        (
            Platform::Lark,
            "https://open.lark.test/other/12345678",
            M::Path("/open-apis/bot/v2/hook/…"),
        ),
    ] {
        assert_eq!(check(platform, text), Err(mistake), "{text}");
    }
    for text in [
        "https://x.open.lark.test/open-apis/bot/v2/hook/12345678",
        "https://lark.test/open-apis/bot/v2/hook/12345678",
    ] {
        assert!(matches!(check(Platform::Lark, text), Err(M::Host { .. })), "{text}");
    }
}

#[test]
fn no_mistake_repeats_the_token() {
    for text in [
        "https://TOPSECRET-TOPSECRET",
        "https://TOPSECRET-TOPSECRET-TOPSECRET.example/x",
        "topsecret://x",
        "TOPSECRET.TOPSECRET",
        "SECTOPSECRETTOPSECRET",
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
