//! From a delivery to a request.
//!
//! Owns the two steps: render once for equal variants, sign for each robot.
//!
//! Not here: the wire forms (the platforms' folders), and the reuse of rendered
//! messages (`send/render_cache.rs`).

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    body::Unsendable,
    chat_phrases::ChatPhrase,
    chunk::ChunkRequest,
    facts::{self, main_host},
    plainer::{Passage, words_of},
    profile::SigningContext,
    registry::profile,
    webhook_hosts::is_flow,
};
use crate::domain::{
    Delivery, Endpoint, EventContent, FeatureSet, Format, Language, LongTextPolicy, Mentions,
    MessageFeature, Part, Platform, PlatformContent, PrivateOptions, Secret, Subscription,
    SubscriptionOptions, TextBody, Timestamp,
};

/// The input of a message.
pub struct RenderInput<'a> {
    /// The delivery.
    pub delivery: &'a Delivery,
    /// The decrypted subscription.
    pub subscription: &'a Subscription,
    /// The wall-clock time, which signatures contain.
    pub now: Timestamp,
}

/// A request that is ready to send.
pub struct SignedRequest {
    /// The target URL. It contains the credential, and the signature if the platform expects it
    /// there.
    pub url: Secret,
    /// The JSON body, as UTF-8 without escapes, because platforms count bytes.
    pub body: Vec<u8>,
    /// The part of the text that it contains: the delivery's current part, or the first if the text
    /// is split differently now.
    pub part: Part,
    /// The message that it is, if the part without the features that it leaves out needs several.
    pub plain_part: Option<Part>,
}

/// What a rendering needs to know about a subscription. It contains no credential, so a preview can
/// have one too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderTarget {
    /// The platform.
    pub platform: Platform,
    /// The keyword that the robot requires.
    pub keyword: Option<String>,
    /// The members that the subscription mentions.
    pub mentions: Mentions,
    /// What happens to a text that is too long.
    pub too_long: LongTextPolicy,
    /// The language of what roomcast itself writes.
    pub language: Language,
    /// Whether the webhook starts a flow, which reads the text of a plain message.
    pub is_flow: bool,
}

impl RenderTarget {
    /// A robot of this platform without keyword, mentions and options.
    #[must_use]
    pub fn plain(platform: Platform) -> Self {
        let webhook = format!("https://{}", main_host(platform));
        Self::new(platform, &webhook, &PrivateOptions::default(), &SubscriptionOptions::default())
    }

    /// The target that a subscription with these options is. The webhook may be masked.
    #[must_use]
    pub fn new(
        platform: Platform,
        webhook: &str,
        private: &PrivateOptions,
        options: &SubscriptionOptions,
    ) -> Self {
        Self {
            platform,
            keyword: private.keyword.clone(),
            mentions: private.mentions.clone(),
            too_long: options.too_long,
            language: facts::language(platform, webhook, options),
            is_flow: is_flow(platform, webhook),
        }
    }

    /// The request for one message of a text.
    pub(super) const fn chunk(&self, part: Part) -> ChunkRequest {
        ChunkRequest { too_long: self.too_long, part, language: self.language }
    }

    /// The target that a decrypted subscription is.
    #[must_use]
    pub fn of(subscription: &Subscription) -> Self {
        let Subscription { platform, endpoint, private, options, .. } = subscription;
        Self::new(*platform, endpoint.expose(), private, options)
    }
}

/// Everything that distinguishes unsigned messages of one event. Robots with equal variants share
/// one rendered message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The robot, as far as the rendering depends on it.
    pub target: RenderTarget,
    /// The wanted part of the text.
    pub part: Part,
    /// The features that the part leaves out, because the platform refused it.
    pub omitted: FeatureSet,
    /// The wanted message, if the part without these features needs several.
    pub plain_part: Part,
}

impl Variant {
    /// The variant that this delivery needs.
    #[must_use]
    pub fn of(delivery: &Delivery, subscription: &Subscription) -> Self {
        Self {
            target: RenderTarget::of(subscription),
            part: delivery.part,
            omitted: delivery.degradation.omitted,
            plain_part: delivery.degradation.plain_part,
        }
    }
}

/// A rendered message without a signature. It does not contain its target.
#[derive(Clone, Debug)]
pub struct UnsignedBody {
    body: Map<String, Value>,
    part: Part,
    plain_part: Option<Part>,
}

/// Renders and signs the message.
pub fn prepare(draft: &RenderInput<'_>) -> Result<SignedRequest, Unsendable> {
    let unsigned =
        write(&draft.delivery.event.content, &Variant::of(draft.delivery, draft.subscription))?;
    sign(unsigned, draft)
}

/// A message that is shown instead of sent.
pub struct Preview {
    /// The JSON body, without a signature.
    pub body: Vec<u8>,
    /// The part of the text that it contains.
    pub part: Part,
}

/// Renders the message for a preview, which needs no credential.
pub fn preview(delivery: &Delivery, target: &RenderTarget) -> Result<Preview, Unsendable> {
    let variant = Variant {
        target: target.clone(),
        part: delivery.part,
        omitted: delivery.degradation.omitted,
        plain_part: delivery.degradation.plain_part,
    };
    let unsigned = write(&delivery.event.content, &variant)?;
    // A signature changes only the URL or two fields of the body. Without a secret there is none.
    let no_endpoint = Endpoint::new(String::new());
    let to = SignTarget { platform: target.platform, endpoint: &no_endpoint, secret: None };
    let SignedRequest { body, part, .. } = sign_for(unsigned, delivery, &to, Timestamp::default())?;
    Ok(Preview { body, part })
}

/// Renders the message. It takes time in proportion to the text, so long texts do not belong on an
/// async thread.
pub fn write(content: &EventContent, variant: &Variant) -> Result<UnsignedBody, Unsendable> {
    let Variant { target, part, omitted, plain_part } = variant;
    let keyword = target.keyword.as_deref();
    let wanted = |part| target.chunk(part);
    Ok(match draft(content, variant)? {
        Draft::Native(mut body) => {
            if !omitted.is_empty() {
                profile(target.platform).omit_mentions(&mut body, *omitted);
                let note = native_note(*omitted, target.language);
                profile(target.platform).add_note(&mut body, &note);
            }
            UnsignedBody { body, part: ONE_PART, plain_part: None }
        }
        Draft::Text(passage, _) if omitted.is_empty() => {
            let (body, part) =
                profile(target.platform).write(&passage.message(keyword, wanted(*part)));
            UnsignedBody { body, part, plain_part: None }
        }
        Draft::Text(passage, part) => {
            let passage = passage.without(*omitted);
            let (body, plain_part) =
                profile(target.platform).write(&passage.message(keyword, wanted(*plain_part)));
            UnsignedBody { body, part, plain_part: Some(plain_part) }
        }
    })
}

/// The features of the message for which the platform may have refused it. It takes as long as
/// [`write()`].
#[must_use]
pub fn features(content: &EventContent, variant: &Variant) -> FeatureSet {
    let platform = variant.target.platform;
    match draft(content, variant) {
        Err(_) => FeatureSet::default(),
        Ok(Draft::Text(passage, _)) => passage.without(variant.omitted).features(),
        Ok(Draft::Native(body)) => {
            let mentions = [MessageFeature::MentionAll, MessageFeature::Mentions];
            let has = |feature: &MessageFeature| {
                let mut without = body.clone();
                profile(platform).omit_mentions(&mut without, FeatureSet::default().with(*feature));
                without != body
            };
            let has_text = content.message.is_some() || !words_of(&body).trim().is_empty();
            let markup = has_text.then_some(MessageFeature::Markup);
            mentions.into_iter().filter(has).chain(markup).collect()
        }
    }
}

/// A message that is not split.
const ONE_PART: Part = Part { index: 0, total: Some(1) };

/// What is rendered.
enum Draft<'a> {
    /// The platform's own form.
    Native(Map<String, Value>),
    /// A text, and the part of the whole message that it is.
    Text(Passage<'a>, Part),
}

/// What is rendered for a variant. A message in the platform's own form becomes text without its
/// markup: the event's own text, or else its words. Of a message in several parts, only the part
/// that was refused is rendered anew; it ends where it ended before, because the next part begins
/// there.
fn draft<'a>(content: &'a EventContent, variant: &Variant) -> Result<Draft<'a>, Unsendable> {
    let Variant { target, part, omitted, .. } = variant;
    let platform = target.platform;
    let whole = |own: &'a TextBody| {
        let passage = Passage {
            subject: own.title.as_deref().or(content.subject.as_deref()).map(Cow::from),
            text: own.text.as_str().into(),
            format: own.format.unwrap_or(content.format),
            color: own.color.as_deref(),
            ..Passage::plain(String::new())
        };
        // A flow finds the text at one place, and no member reads it there.
        if target.is_flow {
            return Passage { format: Format::Text, ..passage };
        }
        let mentions = content.mentions_on(platform).and(&own.mentions).and(&target.mentions);
        passage.mentioning(platform, mentions)
    };
    match content.for_platform(platform) {
        Err(why) => Err(Unsendable { code: why.code(), detail: why.to_string() }),
        Ok(PlatformContent::Native(json)) => {
            let keyword = target.keyword.as_deref();
            if !omitted.contains(MessageFeature::Markup) {
                return Ok(Draft::Native(native(platform, json, keyword)?));
            }
            let text = match &content.message {
                Some(own) => whole(own),
                None => Passage::plain(words_of(&native(platform, json, None)?)),
            };
            Ok(Draft::Text(text, ONE_PART))
        }
        Ok(PlatformContent::Text(own)) => {
            let whole = whole(own);
            if omitted.is_empty() || part.total.is_none_or(|of| of <= 1) {
                return Ok(Draft::Text(whole, ONE_PART));
            }
            let message = whole.message(target.keyword.as_deref(), target.chunk(*part));
            let (mut body, part) = profile(platform).write(&message);
            profile(platform).omit_mentions(&mut body, *omitted);
            let text = profile(platform).text_of(&body).filter(|_| part != ONE_PART);
            let Some((subject, text)) = text else { return Ok(Draft::Text(whole, part)) };
            let mentions = if part.index == 0 { whole.mentions } else { Mentions::default() };
            let (subject, text) = (subject.map(Cow::from), text.into());
            Ok(Draft::Text(Passage { subject, text, mentions, ..whole }, part))
        }
    }
}

/// The note of a message in the platform's own form that leaves out mentions.
fn native_note(omitted: FeatureSet, language: Language) -> String {
    format!("\n{}", ChatPhrase::LeftOut(omitted).text(language))
}

/// Signs the message.
pub fn sign(unsigned: UnsignedBody, draft: &RenderInput<'_>) -> Result<SignedRequest, Unsendable> {
    let RenderInput { delivery, subscription, now } = draft;
    let to = SignTarget {
        platform: subscription.platform,
        endpoint: &subscription.endpoint,
        secret: subscription.secret.as_ref(),
    };
    sign_for(unsigned, delivery, &to, *now)
}

/// The robot for which a message is signed.
struct SignTarget<'a> {
    platform: Platform,
    endpoint: &'a Endpoint,
    secret: Option<&'a Secret>,
}

fn sign_for(
    unsigned: UnsignedBody,
    delivery: &Delivery,
    to: &SignTarget<'_>,
    now: Timestamp,
) -> Result<SignedRequest, Unsendable> {
    let UnsignedBody { body, part, plain_part } = unsigned;
    let SignTarget { platform, endpoint, secret } = *to;
    let repeat_id = &|| repeat_id(delivery, part, plain_part);
    let context = SigningContext { endpoint, secret, now, repeat_id };
    let (url, body) = profile(platform).sign(body, &context)?;
    Ok(SignedRequest { url, body, part, plain_part })
}

/// A message in the platform's own form; it was checked when the event was decoded. Only the
/// subscription's keyword remains to be checked. Without it the platform would report a breach of
/// the robot's security setting.
fn native(
    platform: Platform,
    json: &str,
    keyword: Option<&str>,
) -> Result<Map<String, Value>, Unsendable> {
    let body = serde_json::from_str(json).map_err(|_| Unsendable {
        code: "no_content",
        detail: "the event's entry for this platform is not a JSON object".to_owned(),
    })?;
    match keyword {
        Some(keyword) if profile(platform).lacks_keyword(&body, keyword) => Err(Unsendable {
            code: "no_keyword",
            detail: format!(
                "the entry for this platform does not say {keyword:?}, on which the robot insists, \
                 where members read it"
            ),
        }),
        _ => Ok(body),
    }
}

/// The id by which a platform can recognise a repeated attempt. All attempts of one part of a
/// delivery share it. A redrive changes it, because the operator wants the message sent again. It
/// covers the body, because some publishers use one `message_id` for two messages. It covers what
/// the message leaves out, because a plainer message is not a repeat of the refused one.
fn repeat_id(delivery: &Delivery, part: Part, plain_part: Option<Part>) -> Uuid {
    let event = &delivery.event;
    let number = part.index.to_be_bytes();
    let omitted = delivery.degradation.omitted;
    let plain_part = plain_part.map_or(0, |plain| plain.index);
    let plainer =
        if omitted.is_empty() { String::new() } else { format!("{omitted} {plain_part}") };
    let parts: [&[u8]; 8] = [
        event.topic.as_str().as_bytes(),
        &[0],
        event.id.as_str().as_bytes(),
        delivery.subscription.as_bytes(),
        &delivery.generation.to_be_bytes(),
        &event.published.body,
        if part.index > 0 { &number } else { &[] },
        plainer.as_bytes(),
    ];
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &parts.concat())
}
