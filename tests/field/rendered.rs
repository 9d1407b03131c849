//! What the library makes of a case for one robot.
//!
//! Owns the steps: decode, render each part, coalesce.
//!
//! Not here: what is right (`case.rs`).

use std::sync::Arc;

use roomcast::{
    domain::{
        Audience, Delivery, Endpoint, Event, EventId, Language, Part, Platform, PrivateOptions,
        RobotId, Subscription, SubscriptionId, SubscriptionOptions, SubscriptionState, Template,
        TemplateEngine, Timestamp,
    },
    fanout::{DecodeContext, Decoder, DecoderSettings, TemplateRegistry, Templates},
    platforms::{RenderInput, digest, main_host, prepare, webhook_path},
    settings::Section as _,
};
use serde_json::Value;

use crate::case::Case;

/// The end of a case for one robot.
pub(crate) enum Outcome {
    Messages(Messages),
    Refused(Refused),
}

/// The mistake that a dead letter would name.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: String,
    pub(crate) detail: String,
}

/// All messages of the event, and its digest.
pub(crate) struct Messages {
    pub(crate) bodies: Vec<Value>,
    /// The text of the digest of the event with itself.
    pub(crate) digest: String,
}

impl Outcome {
    pub(crate) const fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Messages(_) => None,
        }
    }
}

impl Messages {
    /// All texts in the values of the bodies, one below the other.
    pub(crate) fn text(&self) -> String {
        fn add(value: &Value, texts: &mut Vec<String>) {
            match value {
                Value::String(text) => texts.push(text.clone()),
                Value::Array(values) => values.iter().for_each(|value| add(value, texts)),
                Value::Object(fields) => fields.values().for_each(|value| add(value, texts)),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        let mut texts = Vec::new();
        self.bodies.iter().for_each(|body| add(body, &mut texts));
        texts.join("\n")
    }
}

pub(crate) fn render(case: &Case, platform: Platform) -> Outcome {
    match decode(case) {
        Ok(event) => messages(&Arc::new(event), platform),
        Err(refused) => Outcome::Refused(refused),
    }
}

/// The messages of an event.
pub(crate) fn messages(event: &Arc<Event>, platform: Platform) -> Outcome {
    let subscription = subscription(platform);
    let mut delivery = Delivery::fresh(event, subscription.id, platform, subscription.robot);
    let mut bodies = Vec::new();
    loop {
        let input = RenderInput {
            delivery: &delivery,
            subscription: &subscription,
            now: Timestamp::from_unix_millis(0),
        };
        let prepared = match prepare(&input) {
            Ok(prepared) => prepared,
            Err(why) => {
                return Outcome::Refused(Refused { code: why.code.to_owned(), detail: why.detail });
            }
        };
        bodies.push(serde_json::from_slice(&prepared.body).unwrap());
        if !prepared.part.has_next() {
            break;
        }
        delivery.part = Part { index: prepared.part.index + 1, ..prepared.part };
    }
    let coalesced = digest(platform, Language::En, event, &[event]).content.message;
    Outcome::Messages(Messages {
        bodies,
        digest: coalesced.map(|text| text.text).unwrap_or_default(),
    })
}

/// Decodes a body without properties.
pub(crate) fn decode_body(body: Vec<u8>) -> Result<Event, Refused> {
    decode(&Case::of_body(body))
}

fn decode(case: &Case) -> Result<Event, Refused> {
    let settings = DecoderSettings::by_default().unwrap();
    let mut templates = Templates::default();
    for (file, text) in &case.templates {
        let (name, engine) = file.rsplit_once('.').unwrap();
        let template = Template {
            name: name.parse().unwrap(),
            audience: Audience::Everybody,
            engine: if engine == "j2" { TemplateEngine::Jinja } else { TemplateEngine::Tags },
            format: None,
            text: text.clone(),
            written_at: Timestamp::from_unix_millis(0),
        };
        templates = templates.with_text(template, false).unwrap().unwrap();
    }
    let known = DecodeContext::new(EventId::new("e"), Timestamp::from_unix_millis(0));
    let decoder = Decoder::new(settings, TemplateRegistry::new(templates));
    let decoded = decoder.decode(decoder.ensure_message_id(case.published.clone()), known);
    decoded.map_err(|refused| Refused { code: refused.1.code.to_owned(), detail: refused.1.detail })
}

fn subscription(platform: Platform) -> Subscription {
    let token =
        if platform == Platform::WeCom { "693a91f6-7aaa-4bc4-97a0-0ec2afa5aaa1" } else { "T" };
    Subscription {
        id: SubscriptionId::from_bytes([1; 16]),
        topic: "ops".parse().unwrap(),
        platform,
        robot: RobotId::from_bytes([1; 16]),
        endpoint: Endpoint::new(format!(
            "https://{}{}{token}",
            main_host(platform),
            webhook_path(platform)
        )),
        secret: None,
        private: PrivateOptions::default(),
        state: SubscriptionState::Active,
        options: SubscriptionOptions::default(),
        created_at: Timestamp::from_unix_millis(0),
    }
}
