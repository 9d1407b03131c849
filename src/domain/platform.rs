//! The chat platforms.
//!
//! Owns the one list of them: a platform's name, its aliases, its number on the disk, and their
//! order.
//!
//! Not here: each platform's wire form, limits and advice (`platforms/`).

use std::{fmt, str::FromStr};

/// Declares [`Platform`] from one line for each platform: variant, number, name, aliases, and the
/// platform of which it is a variant.
macro_rules! platforms {
    ($(
        $(#[$doc:meta])*
        $variant:ident = $number:literal, $name:literal,
        aliases: [$($alias:literal),*] $(, variant_of: $base:ident)?;
    )+) => {
        /// A chat platform whose group robots roomcast can post to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Platform {
            $($(#[$doc])* $variant,)+
        }

        impl Platform {
            /// The number of platforms.
            pub const COUNT: usize = [$($name),+].len();

            /// Every platform, in the order in which they are shown.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant),+];

            /// The name in configuration, queue names, headers, metrics and on the command line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Other names that are read as this platform: those of Huawei Cloud SMN.
            #[must_use]
            pub const fn aliases(self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => &[$($alias),*],)+
                }
            }

            /// The number in stored records. It never changes, and the number of a removed platform
            /// is not used again.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self {
                    $(Self::$variant => $number,)+
                }
            }

            /// The platform of which this one is a variant. A variant without content of its own
            /// gets the content for that platform: publishers of SMN know one name for both.
            #[must_use]
            pub const fn variant_of(self) -> Option<Self> {
                match self {
                    $(Self::$variant => platforms!(@base $($base)?),)+
                }
            }
        }
    };
    (@base) => { None };
    (@base $base:ident) => { Some(Self::$base) };
}

platforms! {
    /// DingTalk custom robot, made in the group's settings.
    DingTalk = 1, "dingtalk", aliases: ["dingding"];
    /// DingTalk internal robot, made in the developer console and added to a group of the same
    /// organisation.
    DingTalkInternal = 2, "dingtalk_internal", aliases: [], variant_of: DingTalk;
    /// Lark and Feishu custom bot.
    Lark = 3, "lark", aliases: ["feishu"];
    /// WeCom group robot.
    WeCom = 4, "wecom", aliases: ["wechat"];
}

impl Platform {
    /// The platform with this number in stored records.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|platform| platform.number() == number)
    }

    /// All names as a list in a sentence.
    #[must_use]
    pub fn names() -> String {
        let [others @ .., last] = Self::ALL.map(Self::as_str);
        format!("{} or {last}", others.join(", "))
    }

    /// The position in [`Platform::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not the name of a platform.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown platform {:?}: use {}", .0, Platform::names())]
pub struct UnknownPlatform(pub String);

impl FromStr for Platform {
    type Err = UnknownPlatform;

    /// Reads a platform's name or one of its aliases.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.as_str() == name || platform.aliases().contains(&name))
            .ok_or_else(|| UnknownPlatform(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_platform_is_read_back_from_its_names_and_its_number() {
        for (index, platform) in Platform::ALL.into_iter().enumerate() {
            for name in platform.aliases().iter().chain(&[platform.as_str()]) {
                assert_eq!(name.parse(), Ok(platform));
            }
            assert_eq!(Platform::from_number(platform.number()), Some(platform));
            assert_eq!(platform.index(), index);
        }
        assert_eq!(Platform::from_number(0), None);
    }

    #[test]
    fn no_two_platforms_share_a_name_or_a_number_and_no_name_has_another_meaning() {
        let names = Platform::ALL
            .into_iter()
            .flat_map(|platform| platform.aliases().iter().copied().chain([platform.as_str()]));
        let names: Vec<_> = names.chain(["default", "event", "all"]).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        let numbers: BTreeSet<_> = Platform::ALL.map(Platform::number).into();
        assert_eq!(numbers.len(), Platform::COUNT);
    }

    #[test]
    fn the_numbers_of_stored_records_have_not_changed() {
        let numbers = Platform::ALL.map(|platform| (platform.number(), platform.as_str()));
        for known in [(1, "dingtalk"), (2, "dingtalk_internal"), (3, "lark"), (4, "wecom")] {
            assert!(numbers.contains(&known), "{known:?}");
        }
    }

    #[test]
    fn the_names_of_smn_are_aliases() {
        assert_eq!("dingding".parse(), Ok(Platform::DingTalk));
        assert_eq!("feishu".parse(), Ok(Platform::Lark));
        assert_eq!("wechat".parse(), Ok(Platform::WeCom));
        let says = "slack".parse::<Platform>().unwrap_err().to_string();
        assert!(says.starts_with(r#"unknown platform "slack": use dingtalk, "#), "{says}");
        assert!(Platform::ALL.iter().all(|platform| says.contains(platform.as_str())), "{says}");
    }

    #[test]
    fn a_variant_of_a_platform_has_no_variants_itself() {
        assert_eq!(Platform::DingTalkInternal.variant_of(), Some(Platform::DingTalk));
        for base in Platform::ALL.into_iter().filter_map(Platform::variant_of) {
            assert_eq!(base.variant_of(), None);
        }
    }
}
