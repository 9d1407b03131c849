//! The four chat platforms.
//!
//! Owns their names and their order.
//!
//! Not here: each platform's wire form (`platforms/`).

use std::{fmt, str::FromStr};

/// A chat platform whose group robots roomcast can post to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Platform {
    /// DingTalk custom robot, made in the group's settings.
    DingTalk,
    /// DingTalk internal robot, made in the developer console and added to a group of the same
    /// organisation.
    DingTalkInternal,
    /// Lark and Feishu custom bot.
    Lark,
    /// WeCom group robot.
    WeCom,
}

impl Platform {
    /// Every platform, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::DingTalk, Self::DingTalkInternal, Self::Lark, Self::WeCom];

    /// The name in configuration, queue names, headers, metrics and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DingTalk => "dingtalk",
            Self::DingTalkInternal => "dingtalk_internal",
            Self::Lark => "lark",
            Self::WeCom => "wecom",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not the name of a platform.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown platform {0:?}: use dingtalk, dingtalk_internal, lark or wecom")]
pub struct UnknownPlatform(pub String);

impl FromStr for Platform {
    type Err = UnknownPlatform;

    /// Reads a platform's name. The names of Huawei Cloud SMN are accepted as aliases.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "dingtalk" | "dingding" => Ok(Self::DingTalk),
            "dingtalk_internal" => Ok(Self::DingTalkInternal),
            "lark" | "feishu" => Ok(Self::Lark),
            "wecom" | "wechat" => Ok(Self::WeCom),
            other => Err(UnknownPlatform(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_is_read_back_from_its_own_name() {
        for platform in Platform::ALL {
            assert_eq!(platform.as_str().parse(), Ok(platform));
        }
    }

    #[test]
    fn the_names_of_smn_are_aliases() {
        assert_eq!("dingding".parse(), Ok(Platform::DingTalk));
        assert_eq!("feishu".parse(), Ok(Platform::Lark));
        assert_eq!("wechat".parse(), Ok(Platform::WeCom));
        assert_eq!("slack".parse::<Platform>(), Err(UnknownPlatform("slack".into())));
    }
}
