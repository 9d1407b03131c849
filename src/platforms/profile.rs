//! What roomcast must know about a platform.
//!
//! Owns the trait that each platform implements, and the types of its methods.
//!
//! Not here: which platforms there are (`domain/platform.rs`, `registry.rs`).

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use super::{
    answer_rule::AnswerRule,
    body::{RenderedBody, TextMessage, Unsendable},
    endpoint::{InvalidEndpoint, WebhookParts},
    field::{Checked, Field},
    reply::{HttpReply, PlatformReply},
};
use crate::domain::{DeadReason, Endpoint, FeatureSet, Format, Language, Secret, Timestamp};

/// A platform: its facts, its wire form, and the meaning of its answers. All methods are pure.
pub(super) trait PlatformProfile: Sync {
    /// The name for people.
    fn label(&self) -> &'static str;

    /// The hosts of its webhooks; at least one. The first stands for all of them.
    fn hosts(&self) -> &'static [&'static str];

    /// What stands between the host and the token of its webhooks.
    fn webhook_path(&self) -> &'static str;

    /// The domains under which it has its pages for people.
    fn page_domains(&self) -> &'static [&'static str];

    /// The path and the token of a webhook at one of its hosts.
    ///
    /// # Errors
    ///
    /// The URL is not a webhook of this platform.
    fn webhook(&self, url: &Url) -> Result<WebhookParts, InvalidEndpoint>;

    /// Whether a webhook with this path starts a flow, and is not a robot.
    fn is_flow(&self, _path: &str) -> bool {
        false
    }

    /// Whether its robots may have a signing secret.
    fn takes_secret(&self) -> bool;

    /// The limits that hold without configuration: those that the platform documents.
    fn default_limits(&self) -> DefaultLimits;

    /// The colours that the header of a message may have; empty if its messages have no header.
    fn header_colors(&self) -> &'static [&'static str] {
        &[]
    }

    /// The most bytes of a digest's text. It leaves room for mentions, keyword and escapes.
    fn digest_bytes_max(&self) -> usize;

    /// The usual language of the chats whose webhooks have this host.
    fn language(&self, host: &str) -> Language;

    /// Whether an id has the form of its members' ids, in a message of this format.
    fn takes_user(&self, id: &str, format: Format) -> bool;

    /// Renders text or markdown.
    fn write(&self, text: &TextMessage<'_>) -> RenderedBody;

    /// Checks a message in the platform's own form.
    ///
    /// # Errors
    ///
    /// The platform would refuse it.
    fn check_native(&self, body: &Field<'_>) -> Checked;

    /// The title, if the form has one, and the text of a message that [`Self::write`] rendered.
    fn text_of(&self, body: &Map<String, Value>) -> Option<(Option<String>, String)>;

    /// Removes these mentions from a message in its own form.
    fn omit_mentions(&self, body: &mut Map<String, Value>, omitted: FeatureSet);

    /// Adds a note to a message in its own form, where there is a place for one.
    fn add_note(&self, body: &mut Map<String, Value>, note: &str);

    /// Whether the platform would certainly refuse a message in its own form, because it lacks the
    /// keyword.
    fn lacks_keyword(&self, body: &Map<String, Value>, keyword: &str) -> bool;

    /// Signs a message. Returns the target URL and the body.
    ///
    /// # Errors
    ///
    /// The body is larger than the platform takes.
    fn sign(
        &self,
        body: Map<String, Value>,
        context: &SigningContext<'_>,
    ) -> Result<(Secret, Vec<u8>), Unsendable>;

    /// The table of its answers.
    fn answer_rules(&self) -> &'static [AnswerRule];

    /// The meaning of an answer.
    fn read(&self, reply: &HttpReply<'_>) -> PlatformReply;

    /// The platform's own advice for a dead letter; `None` if the general advice fits.
    fn advice(&self, reason: DeadReason, code: &str) -> Option<&'static str>;
}

/// The limits of a platform's robots that hold without configuration.
#[derive(Clone, Copy, Debug)]
pub struct DefaultLimits {
    /// The windows of each robot; a message counts in all of them.
    pub windows: &'static [WindowLimit],
    /// The shortest hold after a refusal for speed.
    pub penalty_min: Duration,
    /// The longest hold after repeated refusals for speed.
    pub penalty_max: Duration,
    /// The most messages a second to the platform's host.
    pub rate_per_second: u32,
}

/// The most messages in any span of this length.
#[derive(Clone, Copy, Debug)]
pub struct WindowLimit {
    /// The number of messages.
    pub messages: u32,
    /// The length of the span.
    pub span: Duration,
}

/// What a signature depends on.
pub(super) struct SigningContext<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) secret: Option<&'a Secret>,
    /// The platform's time of day.
    pub(super) now: Timestamp,
    /// Computes the id by which the platform can recognise a repeated attempt.
    pub(super) repeat_id: &'a dyn Fn() -> Uuid,
}

#[cfg(test)]
impl<'a> SigningContext<'a> {
    /// A context at the beginning of 1970.
    pub(super) fn new(endpoint: &'a Endpoint, secret: Option<&'a Secret>) -> Self {
        Self { endpoint, secret, now: Timestamp::default(), repeat_id: &Uuid::nil }
    }
}
