//! The shapes of templates.
//!
//! Owns their names and forms.
//!
//! Not here: the commands (`admin/templates.rs`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{Audience, Format, TemplateEngine, TemplateName};

/// `POST /v1/templates`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AddTemplate {
    /// The name that events use.
    pub name: TemplateName,
    /// The platform of its text; `default` (or nothing) is for
    /// platforms without a text of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Audience>,
    /// The syntax of its text: `tags` (the default) or `jinja`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<TemplateEngine>,
    /// The format of the rendered text: `text` or `markdown`; without it, the event's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The text.
    pub text: String,
    /// Whether it replaces another text.
    #[serde(default)]
    pub replace: bool,
}

/// The answer to an addition.
#[derive(Debug, Deserialize, Serialize)]
pub struct TemplateAdded {
    /// Whether anything changed; the same text may already have existed.
    pub changed: bool,
}

/// One text of a template.
#[derive(Debug, Deserialize, Serialize)]
pub struct TemplateView {
    /// The name that events use.
    pub name: TemplateName,
    /// The platform of its text, or `default`.
    pub platform: Audience,
    /// The syntax of its text.
    pub engine: TemplateEngine,
    /// The format of the rendered text; `null` for the event's own.
    pub format: Option<Format>,
    /// The size of the text, in bytes.
    pub bytes: usize,
    /// When it was written, RFC 3339.
    pub written_at: String,
    /// Why it cannot be used any more; `null` if it can.
    pub broken: Option<String>,
    /// The text; not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The answer to a removal.
#[derive(Debug, Deserialize, Serialize)]
pub struct RemovedTexts {
    /// How many texts were removed.
    pub removed: usize,
}

/// `POST /v1/templates/{name}/render`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RenderRequest {
    /// The platform; `default` (or nothing) renders the text for
    /// platforms without one of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Audience>,
    /// The tags, in the form that an event has them.
    pub tags: Value,
}

/// A rendered template.
#[derive(Debug, Deserialize, Serialize)]
pub struct RenderedTemplate {
    /// The platform of the text that was used, or `default`.
    pub platform: Audience,
    /// Its format; `null` for the event's own.
    pub format: Option<Format>,
    /// The rendered text.
    pub text: String,
}
