//! Templates: named texts with placeholders for the tags of an event.
//!
//! Owns the shape of a template, and which names are valid.
//!
//! Not here: how templates are parsed and rendered (`fanout/templates/`).

use std::{fmt, str::FromStr, sync::Arc};

use super::{Format, Platform, Timestamp};

/// The name of a template: 1–64 of `A-Z a-z 0-9 - _ .`, starting with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TemplateName(Arc<str>);

/// The text is not a valid name of a template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a name of a template: \
     use 1 to 64 of A-Z a-z 0-9 - _ ., beginning with a letter or digit"
)]
pub struct InvalidTemplateName(pub String);

impl TemplateName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TemplateName {
    type Err = InvalidTemplateName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let possible =
            name.chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.'));
        let begins = name.starts_with(|first: char| first.is_ascii_alphanumeric());
        if possible && begins && name.len() <= 64 {
            return Ok(Self(name.into()));
        }
        // The text may have any length, and the error repeats it.
        Err(InvalidTemplateName(name.chars().take(65).collect()))
    }
}

impl fmt::Display for TemplateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The platforms for which a template's text is meant: one, or all without a text of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Audience {
    /// Every platform without a text of its own.
    #[default]
    Everybody,
    /// This platform.
    On(Platform),
}

impl Audience {
    /// The name on the command line and in the admin API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Everybody => "default",
            Self::On(platform) => platform.as_str(),
        }
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not a platform.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a template has no text for {:?}: use default, {}", .0, Platform::names())]
pub struct UnknownAudience(pub String);

impl FromStr for Audience {
    type Err = UnknownAudience;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "default" => Ok(Self::Everybody),
            other => other.parse().map(Self::On).map_err(|_| UnknownAudience(other.to_owned())),
        }
    }
}

/// The syntax of a template's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemplateEngine {
    /// `{tag}` is replaced by the tag's value, as in Huawei Cloud SMN.
    #[default]
    Tags,
    /// Jinja: conditions, loops, filters.
    Jinja,
}

impl TemplateEngine {
    /// The name on the command line and in the admin API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Jinja => "jinja",
        }
    }
}

impl fmt::Display for TemplateEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not an engine.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown engine {0:?}: use tags or jinja")]
pub struct UnknownTemplateEngine(pub String);

impl FromStr for TemplateEngine {
    type Err = UnknownTemplateEngine;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "tags" => Ok(Self::Tags),
            "jinja" => Ok(Self::Jinja),
            other => Err(UnknownTemplateEngine(other.to_owned())),
        }
    }
}

/// One text of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The name by which events refer to it.
    pub name: TemplateName,
    /// The platforms for which it is meant.
    pub audience: Audience,
    /// The syntax of its text.
    pub engine: TemplateEngine,
    /// The format of the rendered text, if it differs from the event's.
    pub format: Option<Format>,
    /// The text.
    pub text: String,
    /// When it was written.
    pub written_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_characters_of_a_topic_and_at_most_64_of_them() {
        for good in ["a", "0", "disk.full-2_x", &"x".repeat(64)] {
            assert_eq!(
                good.parse::<TemplateName>().map(|name| name.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in ["", ".a", "a b", "a/b", "磁盘", &"x".repeat(65)] {
            assert!(
                bad.parse::<TemplateName>().unwrap_err().to_string().contains("1 to 64"),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_audience_and_an_engine_are_read_back_from_their_names() {
        for audience in Platform::ALL.map(Audience::On).into_iter().chain([Audience::Everybody]) {
            assert_eq!(audience.as_str().parse(), Ok(audience));
        }
        assert_eq!("feishu".parse(), Ok(Audience::On(Platform::Lark)));
        assert!(
            "sms".parse::<Audience>().unwrap_err().to_string().contains("use default, dingtalk")
        );
        for engine in [TemplateEngine::Tags, TemplateEngine::Jinja] {
            assert_eq!(engine.as_str().parse(), Ok(engine));
        }
        assert!("go".parse::<TemplateEngine>().is_err());
    }
}
