//! Templates: what is possible in one, and what it says with an event's tags. Pure; where they are kept is the store's business.
//!
//! A template has a text for everybody (`default`), and may have others for single platforms. Each is read by one of two engines: `placeholders.rs` is
//! that of Huawei Cloud SMN, `jinja.rs` the richer one.

mod compiled;
mod jinja;
mod placeholders;
mod shelf;
mod tags;

use std::{collections::BTreeMap, sync::Arc};

use self::compiled::Compiled;
use crate::domain::{Audience, Passage, Platform, Template, TemplateName, UnreadableName};

pub use compiled::Unreadable as UnreadableTemplate;
pub use shelf::Shelf;
pub use tags::{BadTag, Tags};

/// SMN's quota of templates, by which the memory they take is bounded.
pub const NAMES_MAX: usize = 100;

/// Every template, ready to be used. A clone is cheap and shares the texts.
#[derive(Clone, Default)]
pub struct Templates(BTreeMap<TemplateName, BTreeMap<Audience, Arc<Compiled>>>);

/// Why templates are not changed as asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateRefused {
    /// The text cannot be a template.
    #[error("template {name} for {audience}: {why}")]
    Unreadable {
        /// The template.
        name: TemplateName,
        /// For whom its text is.
        audience: Audience,
        /// What is wrong with it.
        why: UnreadableTemplate,
    },
    /// There is such a text, and it is another.
    #[error(
        "template {name} has another text for {audience} already: say --replace (`replace` in the API) to put this one in its place"
    )]
    Exists {
        /// The template.
        name: TemplateName,
        /// For whom its text is.
        audience: Audience,
    },
    /// Only a template that everybody can be told from may have texts for single platforms.
    #[error("template {name} has no text for everybody: add that first, without --platform")]
    NoDefault {
        /// The template.
        name: TemplateName,
    },
    /// The text for everybody is needed as long as there are others.
    #[error(
        "template {name} has texts for single platforms, which need the one for everybody: remove those first, or the whole template"
    )]
    DefaultNeeded {
        /// The template.
        name: TemplateName,
    },
    /// There are as many as there may be.
    #[error("there are {NAMES_MAX} templates already: remove one that is not needed any more")]
    TooMany,
    /// There is no such template, or it has no such text.
    #[error("{}", missing(name.as_str(), *audience))]
    Missing {
        /// The template.
        name: TemplateName,
        /// For whom the text should have been; nothing if there is no template of that name.
        audience: Option<Audience>,
    },
}

fn missing(name: &str, audience: Option<Audience>) -> String {
    match audience {
        Some(audience) => format!("template {name} has no text for {audience}"),
        None => format!("there is no template {name}"),
    }
}

/// Why a template says nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritten {
    /// The name is none.
    #[error(transparent)]
    NoName(#[from] UnreadableName),
    /// There is no template of that name.
    #[error("there is no template {0}")]
    Unknown(TemplateName),
    /// A tag is not as it may be.
    #[error(transparent)]
    BadTag(#[from] BadTag),
    /// It fails with these tags.
    #[error("template {name} for {audience}: {why}")]
    Failed {
        /// The template.
        name: TemplateName,
        /// For whom its text is.
        audience: Audience,
        /// Which tag or which line, and what is wrong there.
        why: String,
    },
}

impl Templates {
    /// Takes in what was kept. A text that cannot be read any more stays, and fails when it is used.
    #[must_use]
    pub fn kept(templates: impl IntoIterator<Item = Template>) -> Self {
        let mut all = Self::default();
        templates.into_iter().for_each(|template| all.put(Compiled::of(template)));
        all
    }

    /// These templates with one text more, or another; nothing if the very same is there already.
    pub fn with(&self, template: Template, replace: bool) -> Result<Option<Self>, TemplateRefused> {
        let (name, audience) = (template.name.clone(), template.audience);
        let known = self.0.get(&name);
        match known.and_then(|texts| texts.get(&audience)) {
            Some(old) if Template { written_at: old.template().written_at, ..template.clone() } == *old.template() => {
                return Ok(None);
            }
            Some(_) if !replace => return Err(TemplateRefused::Exists { name, audience }),
            _ => {}
        }
        match known {
            None if self.0.len() >= NAMES_MAX => return Err(TemplateRefused::TooMany),
            None if audience != Audience::Everybody => return Err(TemplateRefused::NoDefault { name }),
            _ => {}
        }
        let compiled = Compiled::of(template);
        if let Some(why) = compiled.broken() {
            return Err(TemplateRefused::Unreadable { name, audience, why: why.clone() });
        }
        let mut changed = self.clone();
        changed.put(compiled);
        Ok(Some(changed))
    }

    /// These templates without a whole one, or without one of its texts; and whose texts are gone.
    pub fn without(
        &self,
        name: &TemplateName,
        audience: Option<Audience>,
    ) -> Result<(Self, Vec<Audience>), TemplateRefused> {
        let texts = self.0.get(name).ok_or_else(|| TemplateRefused::Missing { name: name.clone(), audience: None })?;
        let gone: Vec<_> = match audience {
            None => texts.keys().copied().collect(),
            Some(one) if !texts.contains_key(&one) => {
                return Err(TemplateRefused::Missing { name: name.clone(), audience });
            }
            Some(Audience::Everybody) if texts.len() > 1 => {
                return Err(TemplateRefused::DefaultNeeded { name: name.clone() });
            }
            Some(one) => vec![one],
        };
        let mut changed = self.clone();
        if gone.len() == texts.len() {
            changed.0.remove(name);
        } else if let Some(left) = changed.0.get_mut(name) {
            left.retain(|audience, _| !gone.contains(audience));
        }
        Ok((changed, gone))
    }

    /// Every text, by name, that for everybody first; with what is wrong with it, if anything is.
    pub fn all(&self) -> impl Iterator<Item = (&Template, Option<&UnreadableTemplate>)> {
        self.0.values().flat_map(BTreeMap::values).map(|one| (one.template(), one.broken()))
    }

    /// The texts of one template; none if there is no such template.
    pub fn texts(&self, name: &TemplateName) -> impl Iterator<Item = (&Template, Option<&UnreadableTemplate>)> {
        self.0.get(name).into_iter().flat_map(BTreeMap::values).map(|one| (one.template(), one.broken()))
    }

    /// What a template says to everybody and to single platforms.
    pub fn write(&self, name: &str, tags: &Tags) -> Result<Vec<(Audience, Passage)>, Unwritten> {
        self.named(name)?.values().map(|text| Ok((text.template().audience, text.write(tags)?))).collect()
    }

    /// What a template says on one platform. An internal DingTalk robot without a text of its own hears what is said to DingTalk, as with the
    /// entries of a structure.
    pub fn write_for(&self, platform: Platform, name: &str, tags: &Tags) -> Result<(Audience, Passage), Unwritten> {
        let texts = self.named(name)?;
        let on = |platform| texts.get(&Audience::On(platform));
        let own = match platform {
            Platform::DingTalkInternal => on(platform).or_else(|| on(Platform::DingTalk)),
            _ => on(platform),
        };
        self.written(own.or_else(|| texts.get(&Audience::Everybody)), name, tags)
    }

    /// What a template says to everybody without a text of his own.
    pub fn write_default(&self, name: &str, tags: &Tags) -> Result<(Audience, Passage), Unwritten> {
        self.written(self.named(name)?.get(&Audience::Everybody), name, tags)
    }

    fn written(&self, text: Option<&Arc<Compiled>>, name: &str, tags: &Tags) -> Result<(Audience, Passage), Unwritten> {
        // A template without a text for everybody is never added.
        let text = text
            .map_or_else(|| name.parse().map_err(Unwritten::from).and_then(|name| Err(Unwritten::Unknown(name))), Ok)?;
        Ok((text.template().audience, text.write(tags)?))
    }

    fn named(&self, name: &str) -> Result<&BTreeMap<Audience, Arc<Compiled>>, Unwritten> {
        let name: TemplateName = name.parse()?;
        self.0.get(&name).ok_or(Unwritten::Unknown(name))
    }

    fn put(&mut self, compiled: Compiled) {
        let template = compiled.template();
        self.0.entry(template.name.clone()).or_default().insert(template.audience, Arc::new(compiled));
    }
}

#[cfg(test)]
mod tests;
