//! From a delivery to a request: what is sent where. The wire forms are in the platforms' files.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{dingtalk, keyword, lark, share::Wanted, wecom};
use crate::domain::{
    Content, Delivery, Format, Mentions, Moment, Part, Piece, Platform, Secret, Subscription, TooLong,
};

/// What a message is made of.
pub struct Draft<'a> {
    /// The delivery.
    pub delivery: &'a Delivery,
    /// For whom, opened.
    pub subscription: &'a Subscription,
    /// The time of day, which signatures contain.
    pub now: Moment,
}

/// A request that is ready to be sent.
pub struct Prepared {
    /// Where to. It contains the credential, and the signature where the platform takes it there.
    pub url: Secret,
    /// The JSON body, as UTF-8 without escapes: platforms count bytes.
    pub body: Vec<u8>,
    /// Which part of the text it is: the one to which the delivery has come, or the first if the parts are others now.
    pub part: Part,
}

/// The message cannot be sent to this platform in any way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsendable {
    /// Our code for it: `too_large`, `no_content`, `no_keyword`.
    pub code: &'static str,
    /// What is wrong, in a sentence.
    pub detail: String,
}

/// The text part of a message, ready to be put into a platform's form.
pub(super) struct Words<'a> {
    pub(super) subject: Option<&'a str>,
    pub(super) text: &'a str,
    pub(super) format: Format,
    pub(super) mentions: Mentions,
    pub(super) keyword: Option<&'a str>,
    pub(super) color: Option<&'a str>,
    pub(super) wanted: Wanted,
}

/// A body, and which part of the text it is.
pub(super) type Written = (Map<String, Value>, Part);

/// All by which messages of one event differ before they are signed: what is equal for two robots is written once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// For which platform.
    pub platform: Platform,
    /// The keyword on which the robot insists.
    pub keyword: Option<String>,
    /// Whom the subscription mentions.
    pub mentions: Mentions,
    /// What becomes of a text that is too long.
    pub too_long: TooLong,
    /// Which part of it is wanted.
    pub part: Part,
}

impl Variant {
    /// What this delivery needs.
    #[must_use]
    pub fn of(delivery: &Delivery, subscription: &Subscription) -> Self {
        Self {
            platform: subscription.platform,
            keyword: subscription.keyword.clone(),
            mentions: subscription.mentions.clone(),
            too_long: subscription.options.too_long,
            part: delivery.part,
        }
    }
}

/// A message that is written and not signed yet. It says nothing of where it goes.
#[derive(Clone, Debug)]
pub struct Unsigned(Written);

/// Writes and signs the message.
pub fn prepare(draft: &Draft<'_>) -> Result<Prepared, Unsendable> {
    let unsigned = write(&draft.delivery.event.content, &Variant::of(draft.delivery, draft.subscription))?;
    sign(unsigned, draft)
}

/// Writes the message. With a long text that takes a while.
pub fn write(content: &Content, variant: &Variant) -> Result<Unsigned, Unsendable> {
    let keyword = variant.keyword.as_deref();
    let written = match content.piece_for(variant.platform) {
        Some(Piece::Native(json)) => (native(variant.platform, json, keyword)?, Part { at: 0, of: Some(1) }),
        Some(Piece::Text(passage)) => written(
            variant.platform,
            &Words {
                subject: passage.title.as_deref().or(content.subject.as_deref()),
                text: &passage.text,
                format: passage.format.unwrap_or(content.format),
                mentions: content.mentions.and(&passage.mentions).and(&variant.mentions),
                keyword,
                color: passage.color.as_deref(),
                wanted: Wanted { too_long: variant.too_long, part: variant.part },
            },
        ),
        None => {
            return Err(Unsendable {
                code: "no_content",
                detail: "the event has neither a message nor an entry for this platform".to_owned(),
            });
        }
    };
    Ok(Unsigned(written))
}

/// Signs the message.
pub fn sign(Unsigned((body, part)): Unsigned, draft: &Draft<'_>) -> Result<Prepared, Unsendable> {
    let Draft { delivery, subscription, now } = draft;
    let (endpoint, secret) = (&subscription.endpoint, subscription.secret.as_ref());
    let (url, body) = match subscription.platform {
        Platform::DingTalk | Platform::DingTalkInternal => {
            dingtalk::seal(body, endpoint, secret, *now, repeat_id(delivery, part))
        }
        Platform::Lark => lark::seal(body, endpoint, secret, *now),
        Platform::WeCom => wecom::seal(body, endpoint),
    }?;
    Ok(Prepared { url, body, part })
}

/// A message in the platform's own form was checked when the event was read. Only what the subscription asks for is left: without its keyword the
/// platform would take the message for a breach of the robot's security setting.
fn native(platform: Platform, json: &str, keyword: Option<&str>) -> Result<Map<String, Value>, Unsendable> {
    let body = serde_json::from_str(json).map_err(|_| Unsendable {
        code: "no_content",
        detail: "the event's entry for this platform is no JSON object".to_owned(),
    })?;
    match keyword {
        Some(keyword) if keyword::is_missing(platform, &body, keyword) => Err(Unsendable {
            code: "no_keyword",
            detail: format!(
                "the entry for this platform does not say {keyword:?}, on which the robot insists, where members read it"
            ),
        }),
        _ => Ok(body),
    }
}

fn written(platform: Platform, words: &Words<'_>) -> Written {
    match platform {
        Platform::DingTalk | Platform::DingTalkInternal => dingtalk::write(words),
        Platform::Lark => lark::write(words),
        Platform::WeCom => wecom::write(words),
    }
}

/// By which a platform that can tells a repeated attempt from another message. The same for all attempts of one part of a delivery; another after a redrive, for
/// whoever redrives wants it sent. The body is part of it, because publishers have been seen to use one `message_id` twice.
fn repeat_id(delivery: &Delivery, part: Part) -> Uuid {
    let event = &delivery.event;
    let number = part.at.to_be_bytes();
    let parts: [&[u8]; 7] = [
        event.topic.as_str().as_bytes(),
        &[0],
        event.id.as_str().as_bytes(),
        delivery.subscription.as_bytes(),
        &delivery.generation.to_be_bytes(),
        &event.published.body,
        if part.at > 0 { &number } else { &[] },
    ];
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &parts.concat())
}

/// The body as bytes, if the platform takes so many.
pub(super) fn bounded(body: &Map<String, Value>, bytes_max: usize) -> Result<Vec<u8>, Unsendable> {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    if bytes.len() > bytes_max {
        return Err(Unsendable {
            code: "too_large",
            detail: format!("the message has {} bytes; the platform takes {bytes_max}", bytes.len()),
        });
    }
    Ok(bytes)
}

/// A JSON object from its fields.
pub(super) fn object<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
