//! Lark and Feishu custom bots.
//!
//! Owns what is particular to it; each file holds one aspect.
//!
//! Not here: what all platforms share (`platforms/`).

mod advice;
mod answer;
mod endpoint;
pub(super) mod markdown;
mod mentions;
mod message;
mod native;
#[cfg(test)]
mod native_tests;
mod signature;

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::{
    answer_rule::AnswerRule,
    body::{RenderedBody, TextMessage, Unsendable},
    endpoint::{InvalidEndpoint, WebhookParts},
    field::{Checked, Field},
    id_form::OPEN_ID_PREFIX,
    keyword,
    profile::{DefaultLimits, PlatformProfile, SigningContext, WindowLimit},
    reply::{HttpReply, PlatformReply},
};
use crate::domain::{DeadReason, FeatureSet, Format, Language, Secret};

/// Lark and Feishu custom bots.
pub(super) struct Lark;

/// The documented limits of a robot.
const LIMITS: DefaultLimits = DefaultLimits {
    windows: &[
        WindowLimit { messages: 100, span: Duration::from_secs(60) },
        WindowLimit { messages: 5, span: Duration::from_secs(1) },
    ],
    penalty_min: Duration::from_secs(5),
    penalty_max: Duration::from_secs(60),
    rate_per_second: 400,
};

impl PlatformProfile for Lark {
    fn label(&self) -> &'static str {
        "Lark / Feishu"
    }

    fn hosts(&self) -> &'static [&'static str] {
        &endpoint::HOSTS
    }

    fn webhook_path(&self) -> &'static str {
        endpoint::PATH
    }

    fn page_domains(&self) -> &'static [&'static str] {
        &endpoint::PAGE_DOMAINS
    }

    fn webhook(&self, url: &Url) -> Result<WebhookParts, InvalidEndpoint> {
        endpoint::webhook(url)
    }

    fn is_flow(&self, path: &str) -> bool {
        endpoint::is_flow(path)
    }

    fn takes_secret(&self) -> bool {
        true
    }

    fn default_limits(&self) -> DefaultLimits {
        LIMITS
    }

    fn header_colors(&self) -> &'static [&'static str] {
        &native::HEADER_COLORS
    }

    fn digest_bytes_max(&self) -> usize {
        8_000
    }

    fn language(&self, host: &str) -> Language {
        endpoint::language(host)
    }

    fn takes_user(&self, id: &str, format: Format) -> bool {
        // A card is refused for any other id; a text shows it without effect.
        format == Format::Text || id.starts_with(OPEN_ID_PREFIX)
    }

    fn write(&self, text: &TextMessage<'_>) -> RenderedBody {
        message::write(text)
    }

    fn check_native(&self, body: &Field<'_>) -> Checked {
        native::check(body)
    }

    fn text_of(&self, body: &Map<String, Value>) -> Option<(Option<String>, String)> {
        if let Some(text) = body.get("content").and_then(|content| content.get("text")) {
            return Some((None, text.as_str()?.to_owned()));
        }
        let card = body.get("card")?;
        let title = card.pointer("/header/title/content").and_then(Value::as_str);
        let text = card.pointer("/body/elements/0/content")?.as_str()?;
        Some((title.map(str::to_owned), text.to_owned()))
    }

    fn omit_mentions(&self, body: &mut Map<String, Value>, omitted: FeatureSet) {
        mentions::omit(body, omitted);
    }

    fn add_note(&self, body: &mut Map<String, Value>, note: &str) {
        mentions::add_note(body, note);
    }

    fn lacks_keyword(&self, body: &Map<String, Value>, keyword: &str) -> bool {
        // Lark itself judges a card whose text is in a template.
        !native::is_template(body) && !keyword::any_field_says(body, keyword)
    }

    fn sign(
        &self,
        body: Map<String, Value>,
        context: &SigningContext<'_>,
    ) -> Result<(Secret, Vec<u8>), Unsendable> {
        signature::sign_request(body, context)
    }

    fn answer_rules(&self) -> &'static [AnswerRule] {
        answer::RULES
    }

    fn read(&self, reply: &HttpReply<'_>) -> PlatformReply {
        answer::read(reply)
    }

    fn advice(&self, reason: DeadReason, code: &str) -> Option<&'static str> {
        advice::advice(reason, code)
    }
}
