//! The commands on templates, for the API and for the command line without a daemon.
//!
//! Owns the checks and the answers for templates.
//!
//! Not here: commands on subscriptions (`subscriptions.rs`), and the rendering of tags (`fanout`).

use super::{
    ApiError, SubscriptionService,
    dead_letters::rfc3339,
    ports::{StoreFailure, StoreRefusal},
    subscriptions::invalid,
    wire::{
        AddTemplate, RemovedTexts, RenderRequest, RenderedTemplate, TemplateAdded, TemplateView,
    },
};
use crate::{
    domain::{Audience, Template, TemplateName, Timestamp},
    fanout::{InvalidTemplate, RenderError, Tags, TemplateError},
};

impl SubscriptionService {
    /// Adds a text of a template. The same text again changes nothing;
    /// another text needs `replace`.
    pub async fn add_template(&self, request: AddTemplate) -> Result<TemplateAdded, ApiError> {
        let template = Template {
            name: request.name,
            audience: request.platform.unwrap_or_default(),
            engine: request.engine.unwrap_or_default(),
            format: request.format,
            text: request.text,
            // The store sets the time itself.
            written_at: Timestamp::from_unix_millis(0),
        };
        Ok(TemplateAdded { changed: self.store.add_template(template, request.replace).await? })
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
    pub fn show_template(&self, name: &TemplateName) -> Result<Vec<TemplateView>, ApiError> {
        let all = self.store.templates().now();
        let texts: Vec<_> =
            all.texts(name).map(|(template, broken)| view(template, broken)).collect();
        match texts.is_empty() {
            true => {
                let name = name.clone();
                let missing = StoreRefusal::from(TemplateError::Missing { name, audience: None });
                Err(StoreFailure::from(missing).into())
            }
            false => Ok(texts),
        }
    }

    /// Removes a template, or one of its texts.
    pub async fn remove_template(
        &self,
        name: &TemplateName,
        audience: Option<Audience>,
    ) -> Result<RemovedTexts, ApiError> {
        Ok(RemovedTexts { removed: self.store.remove_template(name, audience).await? })
    }

    /// Renders a template with these tags, as for an event that names it.
    pub fn render_template(
        &self,
        name: &TemplateName,
        request: RenderRequest,
    ) -> Result<RenderedTemplate, ApiError> {
        let tags = Tags::read(request.tags).map_err(invalid)?;
        let name = name.as_str();
        let templates = self.store.templates().now();
        let said = match request.platform.unwrap_or_default() {
            Audience::Everybody => templates.render_default(name, &tags),
            Audience::On(platform) => templates.render_for(platform, name, &tags),
        };
        let (audience, passage) = said.map_err(|why| match why {
            RenderError::Unknown(_) => ApiError::NotFound(why.to_string()),
            _ => invalid(why),
        })?;
        Ok(RenderedTemplate { platform: audience, format: passage.format, text: passage.text })
    }
}

fn view(template: &Template, broken: Option<&InvalidTemplate>) -> TemplateView {
    TemplateView {
        name: template.name.clone(),
        platform: template.audience,
        engine: template.engine,
        format: template.format,
        bytes: template.text.len(),
        written_at: rfc3339(template.written_at),
        broken: broken.map(ToString::to_string),
        text: Some(template.text.clone()),
    }
}
