//! Properties of published data: any message is an event or is refused, and every request for an
//! event is within its platform's limits.
//!
//! Owns the shared checks of a request.
//!
//! Not here: the limits themselves (`src/platforms/`), and whole deliveries (`tests/it/`).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected fails by panicking"
)]

mod frames;
mod properties;
mod targets;
mod work;

use roomcast::{
    domain::{
        Endpoint, Event, EventId, Mentions, Platform, PlatformContent, PrivateOptions, RobotId,
        Secret, Subscription, SubscriptionId, SubscriptionOptions, SubscriptionState, Timestamp,
    },
    fanout::{DecodeContext, Decoder, DecoderSettings, TemplateRegistry},
    platforms::{main_host, webhook_path},
    settings::Section as _,
};
use serde_json::Value;

fn decoder() -> Decoder {
    let declared = DecoderSettings::by_default().unwrap();
    let settings = DecoderSettings { size_max: 1024 * 1024, ..declared };
    Decoder::new(settings, TemplateRegistry::default())
}

fn known() -> DecodeContext {
    DecodeContext::new(EventId::new("e"), Timestamp::from_unix_millis(0))
}

fn subscription(platform: Platform) -> Subscription {
    let endpoint = format!("https://{}{}TOKEN", main_host(platform), webhook_path(platform));
    Subscription {
        id: SubscriptionId::from_bytes([1; 16]),
        topic: "ops".parse().unwrap(),
        platform,
        robot: RobotId::from_bytes([1; 16]),
        endpoint: Endpoint::new(endpoint),
        secret: Some(Secret::new("SECtest".to_owned())),
        private: PrivateOptions {
            keyword: Some("钥匙".to_owned()),
            name: None,
            mentions: Mentions {
                all: true,
                mobiles: vec!["13800000000".to_owned()],
                users: vec!["ann".to_owned()],
            },
        },
        state: SubscriptionState::Active,
        options: SubscriptionOptions::default(),
        created_at: Timestamp::from_unix_millis(0),
    }
}

/// Whether a body contains the keyword, if there is one. WeCom robots have no keyword, so a message
/// in its own form is sent unchanged.
fn says_the_keyword(event: &Event, platform: Platform, body: &[u8]) -> bool {
    let own_form = matches!(event.content.for_platform(platform), Ok(PlatformContent::Native(_)));
    (platform == Platform::WeCom && own_form) || str::from_utf8(body).unwrap().contains("钥匙")
}

/// The size of a body, as the platform counts it.
fn counted(platform: Platform, body: &[u8]) -> (usize, usize) {
    if platform != Platform::WeCom {
        return (body.len(), 20_000);
    }
    let body: Value = serde_json::from_slice(body).unwrap();
    let kind = body["msgtype"].as_str().unwrap();
    (body[kind]["content"].as_str().map_or(0, str::len), if kind == "text" { 2_048 } else { 4_096 })
}
