//! Templates on their way in and out, and what they say.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /v1/templates`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AddTemplate {
    /// What events call it.
    pub name: String,
    /// For which platform its text is; `default` (or nothing) is for all that have none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// How its text is read: `tags` (the default) or `jinja`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// How what it says is written: `text` or `markdown`; as the event says if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The text.
    pub text: String,
    /// Whether it takes the place of another text.
    #[serde(default)]
    pub replace: bool,
}

/// The answer to an addition.
#[derive(Debug, Deserialize, Serialize)]
pub struct TemplateAdded {
    /// Whether anything changed: the very same text may have been there.
    pub changed: bool,
}

/// One text of a template.
#[derive(Debug, Deserialize, Serialize)]
pub struct TemplateView {
    /// What events call it.
    pub name: String,
    /// For which platform its text is, or `default`.
    pub platform: String,
    /// How its text is read.
    pub engine: String,
    /// How what it says is written; `null` if as the event says.
    pub format: Option<String>,
    /// How long the text is.
    pub bytes: usize,
    /// When it was written, RFC 3339.
    pub written_at: String,
    /// Why it cannot be read any more; `null` if it can.
    pub broken: Option<String>,
    /// The text; not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The answer to a removal.
#[derive(Debug, Deserialize, Serialize)]
pub struct RemovedTexts {
    /// How many texts are gone.
    pub removed: usize,
}

/// `POST /v1/templates/{name}/render`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RenderRequest {
    /// On which platform; `default` (or nothing) is what platforms without a text of their own hear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The tags, as an event has them.
    pub tags: Value,
}

/// What a template says.
#[derive(Debug, Deserialize, Serialize)]
pub struct Rendered {
    /// Whose text was taken: a platform, or `default`.
    pub platform: String,
    /// How it is written; `null` if as the event says.
    pub format: Option<String>,
    /// What it says.
    pub text: String,
}
