//! WeCom group robots.
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

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::{
    answer_rule::AnswerRule,
    body::{RenderedBody, TextMessage, Unsendable},
    endpoint::{InvalidEndpoint, WebhookParts},
    field::{Checked, Field},
    id_form::OPEN_ID_PREFIX,
    profile::{DefaultLimits, PlatformProfile, SigningContext, WindowLimit},
    reply::{HttpReply, PlatformReply},
};
use crate::domain::{DeadReason, FeatureSet, Format, Language, Secret};

/// WeCom group robots.
pub(super) struct WeCom;

/// The documented limits of a robot.
const LIMITS: DefaultLimits = DefaultLimits {
    windows: &[WindowLimit { messages: 20, span: Duration::from_secs(60) }],
    penalty_min: Duration::from_secs(60),
    penalty_max: Duration::from_secs(60),
    rate_per_second: 400,
};

impl PlatformProfile for WeCom {
    fn label(&self) -> &'static str {
        "WeCom"
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

    fn takes_secret(&self) -> bool {
        // The URL is the only secret.
        false
    }

    fn default_limits(&self) -> DefaultLimits {
        LIMITS
    }

    fn digest_bytes_max(&self) -> usize {
        1_700
    }

    fn language(&self, _: &str) -> Language {
        Language::Zh
    }

    fn takes_user(&self, id: &str, _: Format) -> bool {
        !id.starts_with(OPEN_ID_PREFIX)
    }

    fn write(&self, text: &TextMessage<'_>) -> RenderedBody {
        message::write(text)
    }

    fn check_native(&self, body: &Field<'_>) -> Checked {
        native::check(body)
    }

    fn text_of(&self, body: &Map<String, Value>) -> Option<(Option<String>, String)> {
        let kind = body.get("msgtype")?.as_str()?;
        Some((None, body.get(kind)?.get("content")?.as_str()?.to_owned()))
    }

    fn omit_mentions(&self, body: &mut Map<String, Value>, omitted: FeatureSet) {
        mentions::omit(body, omitted);
    }

    fn add_note(&self, body: &mut Map<String, Value>, note: &str) {
        mentions::add_note(body, note);
    }

    fn lacks_keyword(&self, _: &Map<String, Value>, _: &str) -> bool {
        // WeCom robots have no keyword.
        false
    }

    fn sign(
        &self,
        body: Map<String, Value>,
        context: &SigningContext<'_>,
    ) -> Result<(Secret, Vec<u8>), Unsendable> {
        message::sign_request(&body, context)
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
