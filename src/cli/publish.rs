//! `roomcast publish`: publishes an event and waits for the broker's confirm.
//!
//! Owns how options become a message; `explain` uses the same function. An event that no daemon
//! could read is not published.
//!
//! Not here: the connection and the confirm (`broker`).

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    args,
    credentials::{read_bytes, read_file},
    exit::Failure,
    output::{print, print_status},
    template::read_tags,
};
use crate::{
    app,
    broker::{self, BrokerError, OutgoingEvent, Topology},
    clock::Clock,
    config::Config,
    domain::{
        self, EventId, HeaderValue, Headers, NOT_BEFORE, PublishedMessage, RECEIPT, TopicName,
    },
    fanout::{DecodeContext, TemplateRegistry, Undecodable},
};

/// The content type of a body that is the JSON of an event.
const JSON: &str = "application/json";

/// The beginning of the headers that are roomcast's own.
const RESERVED: &str = "x-roomcast-";

/// The longest name of a header, in bytes: a limit of AMQP.
const NAME_BYTES_MAX: usize = 255;

/// The mistakes of an event that depend on the daemon's settings, which may not be those of this
/// machine.
const DAEMON_DECIDES: [&str; 2] = ["size", "not_before"];

pub(super) async fn run(config: &Config, publish: args::Publish) -> Result<(), Failure> {
    let EventMessage { topic, mut published, urgent } = event_message(&publish.said)?;
    if publish.receipt {
        published.headers.push((RECEIPT.to_owned(), HeaderValue::Bool(true)));
    }
    published.content_type.get_or_insert_with(|| JSON.to_owned());
    let id = publish
        .message_id
        .map_or_else(|| EventId::from_bytes(EventId::random_bytes()), |id| EventId::new(&id));
    check_readable(config, &published, &id)?;
    let topology = Topology::new(app::topology_settings(config));
    let event = OutgoingEvent {
        topic: &topic,
        id: &id,
        message: &published,
        urgent,
        at: Clock::System.now(),
    };
    broker::publish(&config.broker.address(), &topology, &event, config.broker.confirm_timeout)
        .await
        .map_err(|error| failure(&error, &id))?;
    print(id.as_str());
    Ok(())
}

/// Reads the event as the daemon will. One that is certainly not readable is not published.
fn check_readable(
    config: &Config,
    published: &PublishedMessage,
    id: &EventId,
) -> Result<(), Failure> {
    let decoder = app::decoder(config, TemplateRegistry::default());
    let known = DecodeContext::new(id.clone(), Clock::System.now());
    let Err(refused) = decoder.decode(published.clone(), known) else { return Ok(()) };
    let Undecodable { code, detail } = refused.1;
    // The templates are not on this machine, perhaps.
    if code == "template" {
        return Ok(());
    }
    if DAEMON_DECIDES.contains(&code) {
        print_status(&format!("with the settings of this machine it is a dead letter: {detail}"));
        return Ok(());
    }
    Err(Failure::Usage(format!("nothing was published: it would be a dead letter: {detail}")))
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

fn topic(said: &args::EventArgs) -> Result<TopicName, Failure> {
    said.topic.parse().map_err(|mistake| Failure::Usage(format!("--topic: {mistake}")))
}

/// An event that the options describe, as a message.
pub(super) struct EventMessage {
    pub(super) topic: TopicName,
    pub(super) published: PublishedMessage,
    pub(super) urgent: bool,
}

/// The event of the options. Without a message option, the message is read from standard input.
pub(super) fn event_message(said: &args::EventArgs) -> Result<EventMessage, Failure> {
    let topic = topic(said)?;
    let headers = headers(said)?;
    let body = match &said.event {
        Some(path) => whole_event(path)?,
        None => body(said)?.into_bytes(),
    };
    let published = PublishedMessage {
        routing_key: topic.to_string(),
        body,
        headers,
        content_type: said.content_type.clone(),
        content_encoding: said.content_encoding.clone(),
        ..PublishedMessage::default()
    };
    Ok(EventMessage { topic, published, urgent: said.urgent })
}

/// The body in a file, or in standard input.
fn whole_event(path: &Path) -> Result<Vec<u8>, Failure> {
    let body = read_bytes(path)?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::Usage("--event: the event is empty".to_owned()));
    }
    Ok(body)
}

fn headers(said: &args::EventArgs) -> Result<Headers, Failure> {
    let not_before = said.not_before.as_deref().map(not_before).transpose()?.unwrap_or_default();
    let named = said.header.iter().map(|text| header(text));
    not_before.into_iter().map(Ok).chain(named).collect()
}

/// A header of an option, as NAME=VALUE.
fn header(text: &str) -> Result<(String, HeaderValue), Failure> {
    let wrong = |why: &str| Err(Failure::Usage(format!("--header {text:?}: {why}")));
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        return wrong("use NAME=VALUE");
    };
    if name.len() > NAME_BYTES_MAX {
        return wrong("AMQP allows at most 255 bytes for a name");
    }
    if name.starts_with(RESERVED) && ![NOT_BEFORE, RECEIPT].contains(&name) {
        return wrong("names that begin with x-roomcast- are reserved");
    }
    Ok((name.to_owned(), HeaderValue::text(value)))
}

/// The body of an event with these fields.
fn body(said: &args::EventArgs) -> Result<String, Failure> {
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
    let (mobiles, users) = (&said.mention_mobile, &said.mention_user);
    if said.mention_all || !mobiles.is_empty() || !users.is_empty() {
        let at = json!({"all": said.mention_all, "mobiles": mobiles, "users": users});
        event.insert("at".to_owned(), at);
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
    let now = jiff::Timestamp::now();
    let at = match (text.parse::<jiff::Timestamp>(), domain::duration(text)) {
        (Ok(at), _) => at,
        (_, Ok(span)) => now
            .checked_add(span)
            .map_err(|_| Failure::Usage(format!("--not-before: {text:?} is too far ahead")))?,
        _ => {
            let says = "is neither a time, as in 2026-03-01T08:00:00+08:00, \
                nor a span from now, as in 30m";
            return Err(Failure::Usage(format!("--not-before: {text:?} {says}")));
        }
    };
    if at < now {
        print_status(&format!("--not-before: {text:?} is in the past, so it delays nothing"));
    }
    Ok(vec![(NOT_BEFORE.to_owned(), HeaderValue::text(at.to_string()))])
}
