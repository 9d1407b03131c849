//! Renders the message of a dead letter as its platform would get it, without the robot's secrets.
//!
//! Owns that a preview needs no credential.
//!
//! Not here: rendering and splitting of texts (`platforms`), and the search for the subscription
//! (`subscriber.rs`).

use std::sync::Arc;

use serde_json::Value;

use crate::{
    admin::render_target::render_target,
    broker::DeadLetter,
    domain::{Delivery, EventId, RobotId, SubscriptionView, Timestamp, TopicName},
    fanout::{DecodeContext, Decoder},
    platforms::{self, RenderTarget},
};

/// The request body without a signature, or why there is none. If the subscription is unknown, its
/// keyword and mentions are missing.
pub fn render(
    letter: &DeadLetter,
    decoder: &Decoder,
    subscription: Option<&SubscriptionView>,
    now: Timestamp,
) -> Result<Value, String> {
    let (Some(platform), Some(id)) = (letter.platform, letter.subscription) else {
        return Err("it is not a delivery to a platform".to_owned());
    };
    let known = DecodeContext {
        id: EventId::new(&letter.event),
        received_at: now,
        expires_at: None,
        redriven: true,
        urgent: letter.urgent,
        platform: Some(platform),
    };
    let event = decoder
        .decode(letter.published.clone(), known)
        .map_err(|refused| format!("the event cannot be read: {}", refused.1.detail))?;
    let robot = letter.robot.unwrap_or_else(|| RobotId::from_bytes([0; 16]));
    // A letter whose topic cannot be read has no message.
    letter.topic.parse::<TopicName>().map_err(|mistake| format!("the topic: {mistake}"))?;
    // The letter's own platform counts, also if the subscription is another one by now.
    let known = subscription.map(render_target);
    let target =
        RenderTarget { platform, ..known.unwrap_or_else(|| RenderTarget::plain(platform)) };
    let delivery = Delivery {
        generation: letter.generation,
        part: letter.part,
        ..Delivery::fresh(&Arc::new(event), id, platform, robot)
    };
    let preview = platforms::preview(&delivery, &target);
    let body = preview.map_err(|unsendable| unsendable.detail)?.body;
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}
