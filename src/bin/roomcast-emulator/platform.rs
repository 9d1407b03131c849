//! The emulated platforms.
//!
//! Owns their names, and the dialect of each.
//!
//! Not here: the dialects (`dingtalk.rs`, `lark.rs`, `wecom.rs`).

use serde::{Deserialize, Serialize};

use crate::dialect::Dialect;
use crate::dingtalk::DingTalk;
use crate::lark::Lark;
use crate::wecom::WeCom;

/// A chat platform, named as in the control interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Platform {
    /// DingTalk custom robot.
    #[serde(rename = "dingtalk")]
    DingTalk,
    /// DingTalk application robot: the same endpoint, another kind of robot.
    #[serde(rename = "dingtalk_internal")]
    DingTalkInternal,
    /// Lark or Feishu custom bot.
    Lark,
    /// WeCom group robot.
    #[serde(rename = "wecom")]
    WeCom,
}

impl Platform {
    /// Every platform, in the order in which they are listed.
    pub(crate) const ALL: [Self; 4] =
        [Self::DingTalk, Self::DingTalkInternal, Self::Lark, Self::WeCom];

    /// The name in the control interface.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::DingTalk => "dingtalk",
            Self::DingTalkInternal => "dingtalk_internal",
            Self::Lark => "lark",
            Self::WeCom => "wecom",
        }
    }

    /// The platform with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|platform| platform.name() == name)
    }

    /// The rules and error codes of this platform.
    pub(crate) fn dialect(self) -> &'static dyn Dialect {
        match self {
            Self::DingTalk | Self::DingTalkInternal => &DingTalk,
            Self::Lark => &Lark,
            Self::WeCom => &WeCom,
        }
    }

    /// The other kind of robot at the same endpoint. A token has one kind only.
    pub(crate) const fn twin(self) -> Option<Self> {
        match self {
            Self::DingTalk => Some(Self::DingTalkInternal),
            Self::DingTalkInternal => Some(Self::DingTalk),
            Self::Lark | Self::WeCom => None,
        }
    }
}
