//! `roomcast publish`: publishes an event and waits for the broker's confirm.
//!
//! Owns how options become a body and headers; `explain` uses the same functions.
//!
//! Not here: the connection and the confirm (`broker`).

use std::path::Path;

use serde_json::{Map, Value};

use super::{args, credentials::read_file, exit::Failure, output::print, template::read_tags};
use crate::{
    app,
    broker::{self, BrokerError, OutgoingEvent, Topology},
    clock::Clock,
    config::Config,
    domain::{self, EventId, HeaderValue, Headers, NOT_BEFORE, RECEIPT, TopicName},
};

pub(super) async fn run(config: &Config, publish: args::Publish) -> Result<(), Failure> {
    let topic = topic(&publish.said)?;
    let mut headers = headers(&publish.said)?;
    if publish.receipt {
        headers.push((RECEIPT.to_owned(), HeaderValue::Bool(true)));
    }
    let body = body(&publish.said)?;
    let id = publish
        .message_id
        .map_or_else(|| EventId::from_bytes(EventId::random_bytes()), |id| EventId::new(&id));
    let topology = Topology::new(app::topology_settings(config));
    let (urgent, at) = (publish.said.urgent, Clock::System.now());
    let event = OutgoingEvent {
        topic: &topic,
        id: &id,
        body: body.as_bytes(),
        headers: &headers,
        urgent,
        at,
    };
    broker::publish(&config.broker.address(), &topology, &event, config.broker.confirm_timeout)
        .await
        .map_err(|error| failure(&error, &id))?;
    print(id.as_str());
    Ok(())
}

/// Without a confirm, the broker may still have taken the event. Publishing it again with the same
/// id is safe: it is sent once.
fn failure(error: &BrokerError, id: &EventId) -> Failure {
    match error {
        BrokerError::Blocked { .. } | BrokerError::Unconfirmed { .. } => {
            Failure::Unavailable(format!(
                "{error}; it may still take the event: \
                 publish it again with --message-id {}, so that it is sent once",
                id.as_str()
            ))
        }
        error => super::broker_failure(error),
    }
}

pub(super) fn topic(said: &args::EventArgs) -> Result<TopicName, Failure> {
    said.topic.parse().map_err(|mistake| Failure::Usage(format!("--topic: {mistake}")))
}

pub(super) fn headers(said: &args::EventArgs) -> Result<Headers, Failure> {
    Ok(said.not_before.as_deref().map(not_before).transpose()?.unwrap_or_default())
}

/// The event's body. Without a message option, the message is read from standard input.
pub(super) fn body(said: &args::EventArgs) -> Result<String, Failure> {
    let mut event = Map::new();
    if let Some(subject) = &said.subject {
        event.insert("subject".to_owned(), Value::String(subject.clone()));
    }
    match &said.template {
        Some(name) => {
            event.insert("message_template_name".to_owned(), Value::String(name.clone()));
            event.insert("tags".to_owned(), Value::Object(read_tags(&said.tags)?));
        }
        None => {
            event.insert("message".to_owned(), Value::String(message(said.message.as_deref())?));
        }
    }
    if matches!(said.format, args::Format::Markdown) {
        event.insert("format".to_owned(), Value::String("markdown".to_owned()));
    }
    if let Some(seconds) = said.time_to_live {
        event.insert("time_to_live".to_owned(), seconds.into());
    }
    Ok(Value::Object(event).to_string())
}

/// The message of the options, else standard input.
fn message(named: Option<&str>) -> Result<String, Failure> {
    let message = match named {
        Some(message) if message != "-" => message.to_owned(),
        _ => read_file(Path::new("-"))?,
    };
    if domain::is_blank(&message) {
        return Err(Failure::Usage("the message is empty".to_owned()));
    }
    Ok(message)
}

/// The header that delays an event until a time, or for a span.
fn not_before(text: &str) -> Result<Headers, Failure> {
    let at = match (text.parse::<jiff::Timestamp>(), domain::duration(text)) {
        (Ok(at), _) => at,
        (_, Ok(span)) => jiff::Timestamp::now()
            .checked_add(span)
            .map_err(|_| Failure::Usage(format!("--not-before: {text:?} is too far ahead")))?,
        _ => {
            let says = "is neither a time, as in 2026-03-01T08:00:00+08:00, \
                nor a span from now, as in 30m";
            return Err(Failure::Usage(format!("--not-before: {text:?} {says}")));
        }
    };
    Ok(vec![(NOT_BEFORE.to_owned(), HeaderValue::text(at.to_string()))])
}
