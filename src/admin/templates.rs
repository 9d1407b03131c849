//! The commands on templates, for the API and for the command line without a daemon.
//!
//! Owns the checks and the answers for templates.
//!
//! Not here: commands on subscriptions (`subscriptions.rs`), and the rendering of tags (`fanout`).

use super::{
    ApiError, SubscriptionService,
    subscriptions::{invalid, parsed},
    wire::{
        AddTemplate, RemovedTexts, RenderRequest, RenderedTemplate, TemplateAdded, TemplateView,
    },
};
use crate::{
    domain::{Audience, Format, Template, TemplateName, Timestamp},
    fanout::{InvalidTemplate, RenderError, Tags, TemplateError},
    store::StoreError,
};

impl SubscriptionService {
    /// Adds a text of a template. The same text again changes nothing;
    /// another text needs `replace`.
    pub fn add_template(&self, request: AddTemplate) -> Result<TemplateAdded, ApiError> {
        let template = Template {
            name: request.name.parse().map_err(invalid)?,
            audience: parsed(request.platform.as_deref())?.unwrap_or_default(),
            engine: parsed(request.engine.as_deref())?.unwrap_or_default(),
            format: request.format.as_deref().map(format).transpose()?,
            text: request.text,
            // The store sets the time itself.
            written_at: Timestamp::from_unix_millis(0),
        };
        Ok(TemplateAdded { changed: self.store.add_template(template, request.replace)? })
    }

    /// Every text of every template, without the text itself.
    #[must_use]
    pub fn list_templates(&self) -> Vec<TemplateView> {
        let all = self.store.templates().now();
        all.all()
            .map(|(template, broken)| TemplateView { text: None, ..view(template, broken) })
            .collect()
    }

    /// The texts of one template.
    pub fn show_template(&self, name: &str) -> Result<Vec<TemplateView>, ApiError> {
        let (name, all) = (parse_name(name)?, self.store.templates().now());
        let texts: Vec<_> =
            all.texts(&name).map(|(template, broken)| view(template, broken)).collect();
        match texts.is_empty() {
            true => Err(StoreError::from(TemplateError::Missing { name, audience: None }).into()),
            false => Ok(texts),
        }
    }

    /// Removes a template, or one of its texts.
    pub fn remove_template(
        &self,
        name: &str,
        platform: Option<&str>,
    ) -> Result<RemovedTexts, ApiError> {
        let removed = self.store.remove_template(&parse_name(name)?, parsed(platform)?)?;
        Ok(RemovedTexts { removed })
    }

    /// Renders a template with these tags, as for an event that names it.
    pub fn render_template(
        &self,
        name: &str,
        request: RenderRequest,
    ) -> Result<RenderedTemplate, ApiError> {
        let tags = Tags::read(request.tags).map_err(invalid)?;
        let templates = self.store.templates().now();
        let said = match parsed(request.platform.as_deref())?.unwrap_or_default() {
            Audience::Everybody => templates.write_default(name, &tags),
            Audience::On(platform) => templates.write_for(platform, name, &tags),
        };
        let (audience, passage) = said.map_err(|why| match why {
            RenderError::Unknown(_) => ApiError::NotFound(why.to_string()),
            _ => invalid(why),
        })?;
        Ok(RenderedTemplate {
            platform: audience.as_str().to_owned(),
            format: passage.format.map(|format| word(format).to_owned()),
            text: passage.text,
        })
    }
}

fn parse_name(name: &str) -> Result<TemplateName, ApiError> {
    name.parse().map_err(invalid)
}

fn format(text: &str) -> Result<Format, ApiError> {
    match text {
        "text" => Ok(Format::Text),
        "markdown" => Ok(Format::Markdown),
        other => Err(invalid(format!("unknown format {other:?}: use text or markdown"))),
    }
}

const fn word(format: Format) -> &'static str {
    match format {
        Format::Text => "text",
        Format::Markdown => "markdown",
    }
}

fn view(template: &Template, broken: Option<&InvalidTemplate>) -> TemplateView {
    let written = i64::try_from(template.written_at.unix_millis()).unwrap_or(i64::MAX);
    TemplateView {
        name: template.name.to_string(),
        platform: template.audience.as_str().to_owned(),
        engine: template.engine.as_str().to_owned(),
        format: template.format.map(|format| word(format).to_owned()),
        bytes: template.text.len(),
        written_at: jiff::Timestamp::from_millisecond(written)
            .unwrap_or(jiff::Timestamp::MAX)
            .to_string(),
        broken: broken.map(ToString::to_string),
        text: Some(template.text.clone()),
    }
}
