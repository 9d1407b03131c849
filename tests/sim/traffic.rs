//! The published events.
//!
//! Owns their numbers: every event's text contains its number, so that the oracle finds it in any
//! message.
//!
//! Not here: when events are published (`plans.rs`).

use roomcast::domain::PublishedMessage;

use crate::time::Micros;

/// One event, with its time of publication.
#[derive(Clone, Debug)]
pub struct Publication {
    pub number: u32,
    pub at: Micros,
    pub published: PublishedMessage,
    /// Whether it is published to the urgent exchange.
    pub urgent_exchange: bool,
    pub kind: Kind,
    /// When its own time to live ends, if it has one.
    pub expires_at: Option<Micros>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// The platforms refuse its content.
    Unwelcome,
    /// It cannot be decoded.
    Broken,
}

/// The properties of one event.
#[derive(Clone, Copy, Debug)]
pub struct How {
    pub kind: Kind,
    /// Whether it has a `message_id`.
    pub named: bool,
    pub urgent_exchange: bool,
    pub priority: Option<u8>,
    /// In seconds.
    pub time_to_live: Option<u64>,
}

impl Default for How {
    fn default() -> Self {
        Self {
            kind: Kind::Plain,
            named: true,
            urgent_exchange: false,
            priority: None,
            time_to_live: None,
        }
    }
}

/// The word by which platforms recognise an unwelcome message.
pub const UNWELCOME: &str = "unwelcome";

impl Publication {
    pub fn new(number: u32, at: Micros, topic: &str, how: How) -> Self {
        let life = how
            .time_to_live
            .map(|seconds| format!(",\"time_to_live\":{seconds}"))
            .unwrap_or_default();
        let body = match how.kind {
            Kind::Plain => format!("{{\"message\":\"#{number}#\"{life}}}"),
            Kind::Unwelcome => format!("{{\"message\":\"#{number}# {UNWELCOME}\"{life}}}"),
            Kind::Broken => format!("{{\"message\":\"#{number}#\""),
        };
        let published = PublishedMessage {
            routing_key: topic.to_owned(),
            body: body.into_bytes(),
            message_id: how.named.then(|| format!("event-{number}")),
            // Identifies the receipts of events with and without a `message_id`.
            correlation_id: Some(number.to_string()),
            priority: how.priority,
            ..PublishedMessage::default()
        };
        let expires_at = how.time_to_live.map(|seconds| at + seconds * crate::time::SECOND);
        Self {
            number,
            at,
            published,
            urgent_exchange: how.urgent_exchange,
            kind: how.kind,
            expires_at,
        }
    }
}

/// The numbers of the events in a body.
pub fn names_in(body: &[u8]) -> Vec<u32> {
    let parts = body.split(|byte| *byte == b'#').skip(1).step_by(2);
    parts.filter_map(|part| std::str::from_utf8(part).ok()?.parse().ok()).collect()
}
