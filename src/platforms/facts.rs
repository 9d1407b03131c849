//! Facts about a platform that other rooms need.
//!
//! Owns no fact itself: each stands in the platform's profile.
//!
//! Not here: the platforms' names (`domain/platform.rs`).

use std::collections::BTreeSet;

use super::{profile::DefaultLimits, registry::profile};
use crate::domain::{Language, Platform, SubscriptionOptions};

/// The platform's name for people.
#[must_use]
pub fn label(platform: Platform) -> &'static str {
    profile(platform).label()
}

/// The host that stands for all hosts of a platform. Two platforms with the same main host are
/// called at the same addresses.
#[must_use]
pub fn main_host(platform: Platform) -> &'static str {
    profile(platform).hosts().first().copied().unwrap_or_default()
}

/// What stands between the host and the token of the platform's webhooks.
#[must_use]
pub fn webhook_path(platform: Platform) -> &'static str {
    profile(platform).webhook_path()
}

/// The language of the texts that roomcast itself writes into the chat of a subscription. Of the
/// webhook only the host counts, so a masked one is enough.
#[must_use]
pub fn language(platform: Platform, webhook: &str, options: &SubscriptionOptions) -> Language {
    options.language.unwrap_or_else(|| usual_language(platform, webhook))
}

fn usual_language(platform: Platform, webhook: &str) -> Language {
    let behind_scheme = webhook.split_once("://").map_or("", |(_, rest)| rest);
    let host = behind_scheme.split(['/', '?', '#', ':']).next().unwrap_or_default();
    profile(platform).language(host)
}

/// Whether the platform's robots may have a signing secret.
#[must_use]
pub fn takes_secret(platform: Platform) -> bool {
    profile(platform).takes_secret()
}

/// The colours that the header of a message may have on any platform. A platform without coloured
/// headers ignores them.
pub fn header_colors() -> impl Iterator<Item = &'static str> {
    let mut known = BTreeSet::new();
    Platform::ALL
        .into_iter()
        .flat_map(|platform| profile(platform).header_colors().iter().copied())
        .filter(move |color| known.insert(*color))
}

/// The limits of the platform's robots that hold without configuration.
#[must_use]
pub fn default_limits(platform: Platform) -> DefaultLimits {
    profile(platform).default_limits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_at_larksuite_gets_english_and_every_other_one_chinese_unless_it_names_its_own() {
        let none = SubscriptionOptions::default();
        let own = SubscriptionOptions { language: Some(Language::En), ..none.clone() };
        for (platform, webhook, language) in [
            (Platform::Lark, "https://open.larksuite.com/open-apis/bot/v2/hook/T", Language::En),
            (Platform::Lark, "https://open.larksuite.com:443/x", Language::En),
            (Platform::Lark, "https://open.feishu.cn/open-apis/bot/v2/hook/****6666", Language::Zh),
            (Platform::Lark, "https://open.larkoffice.com/x", Language::Zh),
            (Platform::Lark, "https://open.feishu.cn/larksuite.com", Language::Zh),
            (Platform::Lark, "https://notlarksuite.com/", Language::Zh),
            (Platform::Lark, "the record is damaged", Language::Zh),
            (Platform::DingTalk, "https://oapi.dingtalk.com/robot/send", Language::Zh),
            (Platform::DingTalkInternal, "https://oapi.dingtalk.io/robot/send", Language::Zh),
            (Platform::WeCom, "https://qyapi.weixin.qq.com/", Language::Zh),
        ] {
            assert_eq!(super::language(platform, webhook, &none), language, "{webhook}");
            assert_eq!(super::language(platform, webhook, &own), Language::En);
        }
    }
}
