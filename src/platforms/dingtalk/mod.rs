//! DingTalk, custom and internal robots: one wire form.
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

/// DingTalk's custom robots.
pub(super) static CUSTOM: DingTalk = DingTalk { label: "DingTalk" };
/// DingTalk's internal robots.
pub(super) static INTERNAL: DingTalk = DingTalk { label: "DingTalk internal" };

/// One kind of DingTalk robot. All kinds have one wire form.
pub(super) struct DingTalk {
    label: &'static str,
}

/// The documented limits of a robot.
const LIMITS: DefaultLimits = DefaultLimits {
    windows: &[WindowLimit { messages: 20, span: Duration::from_secs(60) }],
    penalty_min: Duration::from_secs(60),
    penalty_max: Duration::from_secs(600),
    rate_per_second: 400,
};

impl PlatformProfile for DingTalk {
    fn label(&self) -> &'static str {
        self.label
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
        true
    }

    fn default_limits(&self) -> DefaultLimits {
        LIMITS
    }

    fn digest_bytes_max(&self) -> usize {
        8_000
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
        let message = body.get(kind)?;
        let text = message.get("content").or_else(|| message.get("text"))?.as_str()?;
        Some((None, text.to_owned()))
    }

    fn omit_mentions(&self, body: &mut Map<String, Value>, omitted: FeatureSet) {
        mentions::omit(body, omitted);
    }

    fn add_note(&self, body: &mut Map<String, Value>, note: &str) {
        mentions::add_note(body, note);
    }

    fn lacks_keyword(&self, body: &Map<String, Value>, keyword: &str) -> bool {
        // The documents leave addresses open, so DingTalk itself judges those.
        !keyword::any_value_has(body, keyword)
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
