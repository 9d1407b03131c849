//! The port that writes templates.
//!
//! Owns the order of a change: first durable, then visible to events.
//!
//! Not here: the compiled templates (`fanout/templates/`).

use async_trait::async_trait;

use super::StoreFailure;
use crate::{
    domain::{Audience, Template, TemplateName},
    fanout::TemplateRegistry,
};

/// Writes templates. A change is durable before the registry has it, and the registry has it before
/// the future ends.
#[async_trait]
pub trait TemplateStore: Send + Sync {
    /// The compiled templates in memory. Every change updates them.
    fn templates(&self) -> TemplateRegistry;

    /// Adds a text of a template, or replaces it with `replace`. Sets the time of writing.
    ///
    /// Returns whether anything changed: adding the same text again is not an error.
    async fn add_template(&self, template: Template, replace: bool) -> Result<bool, StoreFailure>;

    /// Removes a template, or one of its texts. Returns the number of removed texts.
    async fn remove_template(
        &self,
        name: &TemplateName,
        audience: Option<Audience>,
    ) -> Result<usize, StoreFailure>;
}
