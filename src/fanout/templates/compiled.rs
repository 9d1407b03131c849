//! One text of a template, compiled by its engine.
//!
//! Owns the limits of texts and of their results.
//!
//! Not here: the engines (`placeholders.rs`, `jinja.rs`).

use super::{
    RenderError, Tags,
    invalid_template::{InvalidTemplate, TEXT_BYTES_MAX},
    jinja::Jinja,
    placeholders::Placeholders,
};
use crate::domain::{Template, TemplateEngine, TextBody, is_blank};

/// The longest result, in bytes. The rest is cut. No event is larger by default.
const SAID_BYTES_MAX: usize = 256 * 1024;

/// A text with its compiled form, or with the reason why it has none.
pub(super) struct CompiledTemplate {
    template: Template,
    form: Result<CompiledBody, InvalidTemplate>,
}

enum CompiledBody {
    Tags(Placeholders),
    Jinja(Box<Jinja>),
}

impl CompiledTemplate {
    /// Compiles a text. An invalid one reports its mistake when it is rendered.
    pub(super) fn of(template: Template) -> Self {
        let form = read(&template);
        Self { template, form }
    }

    pub(super) const fn template(&self) -> &Template {
        &self.template
    }

    /// The mistake in it, if any.
    pub(super) fn broken(&self) -> Option<&InvalidTemplate> {
        self.form.as_ref().err()
    }

    /// Renders it with these tags.
    pub(super) fn write(&self, tags: &Tags) -> Result<TextBody, RenderError> {
        let Template { name, audience, format, .. } = &self.template;
        let failed = |why| RenderError::Failed { name: name.clone(), audience: *audience, why };
        let said = match &self.form {
            Ok(CompiledBody::Tags(placeholders)) => placeholders.fill(&self.template.text, tags),
            Ok(CompiledBody::Jinja(jinja)) => jinja.fill(tags),
            Err(unreadable) => Err(unreadable.to_string()),
        };
        let mut text = said.map_err(failed)?;
        // No platform shows as much, and what it leaves out it says.
        text.truncate(text.floor_char_boundary(SAID_BYTES_MAX));
        if is_blank(&text) {
            return Err(failed("it renders nothing with these tags".to_owned()));
        }
        Ok(TextBody { format: *format, text, ..TextBody::default() })
    }
}

fn read(template: &Template) -> Result<CompiledBody, InvalidTemplate> {
    let text = &template.text;
    match template.engine {
        _ if text.trim().is_empty() => Err(InvalidTemplate::Empty),
        _ if text.len() > TEXT_BYTES_MAX => Err(InvalidTemplate::TooLong(text.len())),
        TemplateEngine::Tags => Placeholders::of(text).map(CompiledBody::Tags),
        TemplateEngine::Jinja => Jinja::of(text).map(|jinja| CompiledBody::Jinja(Box::new(jinja))),
    }
}
