//! From a delivery to a request.
//!
//! Owns the two steps: render once for equal variants, sign for each robot.
//!
//! Not here: the wire forms (the platforms' folders), and the reuse of rendered
//! messages (`send/render_cache.rs`).

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    body::{RenderedBody, TextMessage, Unsendable},
    chunk::ChunkRequest,
    facts::{self, main_host},
    profile::SigningContext,
    registry::profile,
};
use crate::domain::{
    Delivery, Endpoint, EventContent, Language, LongTextPolicy, Mentions, Part, Platform,
    PlatformContent, PrivateOptions, Secret, Subscription, SubscriptionOptions, Timestamp,
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
        }
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
}

impl Variant {
    /// The variant that this delivery needs.
    #[must_use]
    pub fn of(delivery: &Delivery, subscription: &Subscription) -> Self {
        Self { target: RenderTarget::of(subscription), part: delivery.part }
    }
}

/// A rendered message without a signature. It does not contain its target.
#[derive(Clone, Debug)]
pub struct UnsignedBody(RenderedBody);

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
    let variant = Variant { target: target.clone(), part: delivery.part };
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
    let Variant { target, part } = variant;
    let keyword = target.keyword.as_deref();
    let written = match content.for_platform(target.platform) {
        Ok(PlatformContent::Native(json)) => {
            (native(target.platform, json, keyword)?, Part { index: 0, total: Some(1) })
        }
        Ok(PlatformContent::Text(passage)) => profile(target.platform).write(&TextMessage {
            subject: passage.title.as_deref().or(content.subject.as_deref()),
            text: &passage.text,
            format: passage.format.unwrap_or(content.format),
            mentions: content.mentions.and(&passage.mentions).and(&target.mentions),
            keyword,
            color: passage.color.as_deref(),
            wanted: ChunkRequest {
                too_long: target.too_long,
                part: *part,
                language: target.language,
            },
        }),
        Err(why) => return Err(Unsendable { code: why.code(), detail: why.to_string() }),
    };
    Ok(UnsignedBody(written))
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
    let UnsignedBody((body, part)) = unsigned;
    let SignTarget { platform, endpoint, secret } = *to;
    let repeat_id = &|| repeat_id(delivery, part);
    let context = SigningContext { endpoint, secret, now, repeat_id };
    let (url, body) = profile(platform).sign(body, &context)?;
    Ok(SignedRequest { url, body, part })
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
                "the entry for this platform does not say {keyword:?}, on which the robot insists, where members read it"
            ),
        }),
        _ => Ok(body),
    }
}

/// The id by which a platform can recognise a repeated attempt. All attempts of one part of a
/// delivery share it. A redrive changes it, because the operator wants the message sent again. It
/// covers the body, because some publishers use one `message_id` for two messages.
fn repeat_id(delivery: &Delivery, part: Part) -> Uuid {
    let event = &delivery.event;
    let number = part.index.to_be_bytes();
    let parts: [&[u8]; 7] = [
        event.topic.as_str().as_bytes(),
        &[0],
        event.id.as_str().as_bytes(),
        delivery.subscription.as_bytes(),
        &delivery.generation.to_be_bytes(),
        &event.published.body,
        if part.index > 0 { &number } else { &[] },
    ];
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &parts.concat())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_message_in_its_own_form_a_platform_counts_what_members_read() {
        let post = |node| json!({"msg_type": "post", "content": {"post": {"zh_cn": {"content": [[node]]}}}});
        let card = |text: &str| json!({"msg_type": "interactive", "card": {"elements": [{"tag": "markdown", "content": text}]}});
        for (platform, body, lacks) in [
            (
                Platform::Lark,
                post(json!({"tag": "a", "text": "it", "href": "https://ops.test"})),
                true,
            ),
            (
                Platform::Lark,
                post(json!({"tag": "a", "text": "ops", "href": "https://x.test"})),
                false,
            ),
            (Platform::Lark, card("see [it](https://ops.test)"), true),
            (Platform::Lark, card("see [ops](https://x.test)"), false),
            (Platform::Lark, json!({"msg_type": "text", "content": {"text": "x"}, "ops": 1}), true),
            (
                Platform::DingTalk,
                json!({"msgtype": "link", "link": {"title": "t", "messageUrl": "https://ops.test"}}),
                false,
            ),
            (
                Platform::DingTalk,
                json!({"msgtype": "link", "link": {"title": "t"}, "ops": 1}),
                true,
            ),
            (
                Platform::DingTalk,
                json!({"msgtype": "link", "link": {"title": "ops", "messageUrl": "https://x.test"}}),
                false,
            ),
            (
                Platform::Lark,
                json!({"msg_type": "interactive", "card": {"type": "template", "data": {"template_id": "AAqk1"}}}),
                false,
            ),
            (Platform::WeCom, json!({"msgtype": "text", "text": {"content": "x"}}), false),
        ] {
            assert_eq!(
                profile(platform).lacks_keyword(body.as_object().unwrap(), "ops"),
                lacks,
                "{body}"
            );
        }
    }
}
