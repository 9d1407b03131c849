//! A publisher's message, unchanged.
//!
//! Owns which properties of a message survive every republish.
//!
//! Not here: the decoded event (`event.rs`).

use super::Headers;

/// The header with the time before which an event must not be sent. Every republish keeps it.
pub const NOT_BEFORE: &str = "x-roomcast-not-before";

/// The header that lists the damage which the frame guard repaired, so that the AMQP client could
/// parse the message. Such a message is not an event, because the repaired message may differ from
/// the sent one. Every republish keeps the header, also a redrive.
pub const DAMAGED: &str = "x-roomcast-damaged";

/// A message as it was published: the body byte for byte, and all properties that have to survive a
/// republish to a delay tier or a dead queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublishedMessage {
    /// The routing key. For an event it is the topic's name.
    pub routing_key: String,
    /// The body, never changed.
    pub body: Vec<u8>,
    /// The headers, without those that roomcast and the broker add.
    pub headers: Headers,
    /// `message_id` property.
    pub message_id: Option<String>,
    /// `content_type` property.
    pub content_type: Option<String>,
    /// `content_encoding` property.
    pub content_encoding: Option<String>,
    /// `correlation_id` property.
    pub correlation_id: Option<String>,
    /// `app_id` property.
    pub app_id: Option<String>,
    /// `type` property.
    pub kind: Option<String>,
    /// `timestamp` property, in seconds since the epoch.
    pub timestamp: Option<u64>,
    /// `priority` property.
    pub priority: Option<u8>,
    /// `user_id` property, which the broker checks against the publisher's connection.
    pub user_id: Option<String>,
}
