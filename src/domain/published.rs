//! What a publisher handed to the broker, as it came.

use super::Headers;

/// The header by which a publisher says before when an event must not be sent. It stays with the message on all its ways.
pub const NOT_BEFORE: &str = "x-roomcast-not-before";

/// The header that says what was wrong with a message before it was mended, so that a client can read it at all. Such a
/// message is not an event. The header stays with it, also when it is redriven: what was mended is not what was sent.
pub const DAMAGED: &str = "x-roomcast-damaged";

/// A message as it was published: the body byte for byte, and everything else that has to survive a
/// republish to a delay tier or a dead queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Published {
    /// The routing key; for an event it is the topic's name.
    pub routing_key: String,
    /// The body, never changed.
    pub body: Vec<u8>,
    /// The headers without those that roomcast and the broker add.
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
    /// `user_id` property, which the broker has checked against the publisher's connection.
    pub user_id: Option<String>,
}
