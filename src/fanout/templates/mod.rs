//! Templates: their rules, and how an event's tags become a text. Pure.
//!
//! A template has a text for all platforms (`default`), and may have others for single platforms.
//! Each text uses one of two engines: Huawei Cloud SMN's placeholders, or Jinja.
//!
//! Owns which text serves which platform, and which changes to the set of templates are allowed.
//!
//! Not here: their storage (`store/templates.rs`), and the engines (`placeholders.rs`, `jinja.rs`).

mod compiled;
mod invalid_template;
mod jinja;
mod placeholders;
mod registry;
mod tags;

use std::{collections::BTreeMap, sync::Arc};

use self::compiled::CompiledTemplate;
use crate::domain::{Audience, InvalidTemplateName, Platform, Template, TemplateName, TextBody};

pub use invalid_template::InvalidTemplate;
pub use registry::TemplateRegistry;
pub use tags::{InvalidTag, Tags};

/// The most templates. It is SMN's quota, and bounds their memory.
pub const NAMES_MAX: usize = 100;

/// All templates, compiled. A clone is cheap and shares the texts.
#[derive(Clone, Default)]
pub struct Templates(BTreeMap<TemplateName, BTreeMap<Audience, Arc<CompiledTemplate>>>);

/// Why a change of templates is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text is not a valid template.
    #[error("template {name} for {audience}: {why}")]
    Unreadable {
        /// The template.
        name: TemplateName,
        /// The audience of the text.
        audience: Audience,
        /// The mistake.
        why: InvalidTemplate,
    },
    /// There is another text for this audience.
    #[error(
        "template {name} has another text for {audience} already: \
         use --replace (`replace` in the API) to replace it"
    )]
    Exists {
        /// The template.
        name: TemplateName,
        /// The audience of the text.
        audience: Audience,
    },
    /// A text for a single platform requires a text for all platforms.
    #[error("template {name} has no text for all platforms: add that first, without --platform")]
    NoDefault {
        /// The template.
        name: TemplateName,
    },
    /// The text for all platforms is required as long as there are others.
    #[error(
        "template {name} has texts for single platforms, which need the one for all platforms: \
         remove those first, or the whole template"
    )]
    DefaultNeeded {
        /// The template.
        name: TemplateName,
    },
    /// There are already [`NAMES_MAX`] templates.
    #[error("there are {NAMES_MAX} templates already: remove one that is not needed any more")]
    TooMany,
    /// There is no such template, or it has no such text.
    #[error("{}", missing(name.as_str(), *audience))]
    Missing {
        /// The template.
        name: TemplateName,
        /// The audience of the missing text; `None` if the template itself is missing.
        audience: Option<Audience>,
    },
}

fn missing(name: &str, audience: Option<Audience>) -> String {
    match audience {
        Some(audience) => format!("template {name} has no text for {audience}"),
        None => format!("there is no template {name}"),
    }
}

/// Why a template cannot be rendered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The name is invalid.
    #[error(transparent)]
    InvalidName(#[from] InvalidTemplateName),
    /// There is no template of that name.
    #[error("there is no template {0}")]
    Unknown(TemplateName),
    /// A tag is invalid.
    #[error(transparent)]
    BadTag(#[from] InvalidTag),
    /// The rendering fails with these tags.
    #[error("template {name} for {audience}: {why}")]
    Failed {
        /// The template.
        name: TemplateName,
        /// The audience of the text.
        audience: Audience,
        /// The tag or the line, and the mistake there.
        why: String,
    },
}

/// One text of a template, rendered for an event.
#[derive(Debug, PartialEq, Eq)]
pub struct RenderedText {
    /// The audience of the text.
    pub audience: Audience,
    /// The text, or the mistake.
    pub text: Result<TextBody, RenderError>,
}

impl Templates {
    /// Compiles stored templates. An invalid text stays, and fails when it is rendered.
    #[must_use]
    pub fn kept(templates: impl IntoIterator<Item = Template>) -> Self {
        let mut all = Self::default();
        templates.into_iter().for_each(|template| all.put(CompiledTemplate::of(template)));
        all
    }

    /// A copy of these templates with this text added or replaced; `None` if an equal text is
    /// already there.
    ///
    /// # Errors
    ///
    /// The text is invalid, or the change is not allowed.
    pub fn with_text(
        &self,
        template: Template,
        replace: bool,
    ) -> Result<Option<Self>, TemplateError> {
        let (name, audience) = (template.name.clone(), template.audience);
        let known = self.0.get(&name);
        match known.and_then(|texts| texts.get(&audience)) {
            Some(old)
                if Template { written_at: old.template().written_at, ..template.clone() }
                    == *old.template() =>
            {
                return Ok(None);
            }
            Some(_) if !replace => return Err(TemplateError::Exists { name, audience }),
            _ => {}
        }
        match known {
            None if self.0.len() >= NAMES_MAX => return Err(TemplateError::TooMany),
            None if audience != Audience::Everybody => {
                return Err(TemplateError::NoDefault { name });
            }
            _ => {}
        }
        let compiled = CompiledTemplate::of(template);
        if let Some(why) = compiled.broken() {
            return Err(TemplateError::Unreadable { name, audience, why: why.clone() });
        }
        let mut changed = self.clone();
        changed.put(compiled);
        Ok(Some(changed))
    }

    /// A copy of these templates without a whole template or one of its texts, and the audiences of
    /// the removed texts.
    ///
    /// # Errors
    ///
    /// There is no such text, or it is still required.
    pub fn without(
        &self,
        name: &TemplateName,
        audience: Option<Audience>,
    ) -> Result<(Self, Vec<Audience>), TemplateError> {
        let texts = self
            .0
            .get(name)
            .ok_or_else(|| TemplateError::Missing { name: name.clone(), audience: None })?;
        let gone: Vec<_> = match audience {
            None => texts.keys().copied().collect(),
            Some(one) if !texts.contains_key(&one) => {
                return Err(TemplateError::Missing { name: name.clone(), audience });
            }
            Some(Audience::Everybody) if texts.len() > 1 => {
                return Err(TemplateError::DefaultNeeded { name: name.clone() });
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

    /// All texts with their mistakes, if any: sorted by name, the text for all platforms first.
    pub fn all(&self) -> impl Iterator<Item = (&Template, Option<&InvalidTemplate>)> {
        self.0.values().flat_map(BTreeMap::values).map(|one| (one.template(), one.broken()))
    }

    /// The texts of one template; empty if there is no such template.
    pub fn texts(
        &self,
        name: &TemplateName,
    ) -> impl Iterator<Item = (&Template, Option<&InvalidTemplate>)> {
        self.0
            .get(name)
            .into_iter()
            .flat_map(BTreeMap::values)
            .map(|one| (one.template(), one.broken()))
    }

    /// Renders all texts of a template. A text that fails concerns only its audience.
    ///
    /// # Errors
    ///
    /// The template is missing, or all of its texts fail.
    pub fn write(&self, name: &str, tags: &Tags) -> Result<Vec<RenderedText>, RenderError> {
        let texts: Vec<_> = self
            .named(name)?
            .iter()
            .map(|(audience, text)| RenderedText { audience: *audience, text: text.write(tags) })
            .collect();
        if texts.iter().any(|one| one.text.is_ok()) {
            return Ok(texts);
        }
        texts.into_iter().find_map(|one| one.text.err()).map_or_else(|| Ok(Vec::new()), Err)
    }

    /// Renders a template for one platform. A variant of a platform without a text of its own uses
    /// that platform's text, as in the entries of a structure.
    ///
    /// # Errors
    ///
    /// The template is missing, or its text fails.
    pub fn render_for(
        &self,
        platform: Platform,
        name: &str,
        tags: &Tags,
    ) -> Result<(Audience, TextBody), RenderError> {
        let texts = self.named(name)?;
        let on = |platform| texts.get(&Audience::On(platform));
        let own = on(platform).or_else(|| platform.variant_of().and_then(on));
        self.written(own.or_else(|| texts.get(&Audience::Everybody)), name, tags)
    }

    /// Renders the text for platforms without one of their own.
    ///
    /// # Errors
    ///
    /// The template is missing, or its text fails.
    pub fn render_default(
        &self,
        name: &str,
        tags: &Tags,
    ) -> Result<(Audience, TextBody), RenderError> {
        self.written(self.named(name)?.get(&Audience::Everybody), name, tags)
    }

    fn written(
        &self,
        text: Option<&Arc<CompiledTemplate>>,
        name: &str,
        tags: &Tags,
    ) -> Result<(Audience, TextBody), RenderError> {
        // A template without a text for all platforms cannot be added, so only the template itself
        // can be missing.
        let text = text.map_or_else(
            || {
                name.parse()
                    .map_err(RenderError::from)
                    .and_then(|name| Err(RenderError::Unknown(name)))
            },
            Ok,
        )?;
        Ok((text.template().audience, text.write(tags)?))
    }

    fn named(&self, name: &str) -> Result<&BTreeMap<Audience, Arc<CompiledTemplate>>, RenderError> {
        let name: TemplateName = name.parse()?;
        self.0.get(&name).ok_or(RenderError::Unknown(name))
    }

    fn put(&mut self, compiled: CompiledTemplate) {
        let template = compiled.template();
        self.0
            .entry(template.name.clone())
            .or_default()
            .insert(template.audience, Arc::new(compiled));
    }
}

#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod tests;
