//! CloudEvents 1.0 over AMQP. In binary mode the attributes are headers of the message; in
//! structured mode the body holds everything.
//!
//! Owns how a CloudEvent is recognised, and which part of it becomes which part of the event. Its
//! data is an event, plain text, or markdown.
//!
//! Not here: the JSON of an event (`wire.rs`), and the limits of attributes (`attributes.rs`).

#[cfg(test)]
mod tests;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    body::text_of,
    json,
    undecodable::{Undecodable, mistake},
    wire::EventWire,
};
use crate::{
    domain::{Attribute, Format, HeaderValue, PublishedMessage},
    platforms::kind_of,
};

/// The prefixes of attribute names in CloudEvents' AMQP binding. The second serves clients that
/// cannot send a colon.
const PREFIXES: [&str; 2] = ["cloudEvents:", "cloudEvents_"];
const STRUCTURED: &str = "application/cloudevents";
/// The extension that names the template for data of any shape.
const TEMPLATE: &str = "roomcasttemplate";
/// The tag with data that is not an object.
const DATA_TAG: &str = "data";
/// The longest `message_id` in AMQP, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// What a body is.
pub(super) enum Unwrapped {
    /// The JSON of an event.
    Event(Map<String, Value>),
    /// An unwrapped CloudEvent.
    CloudEvent(CloudEvent),
}

/// An unwrapped CloudEvent.
pub(super) struct CloudEvent {
    /// Its subject.
    pub(super) subject: Option<String>,
    /// Its type, source, subject and extensions.
    pub(super) attributes: Vec<Attribute>,
    /// Its content.
    pub(super) data: Data,
}

/// The data of a CloudEvent.
pub(super) enum Data {
    /// JSON that must be an event.
    Event(Map<String, Value>),
    /// Text in this format.
    Text(Format, String),
    /// The tags of a template that the CloudEvent names.
    Template {
        /// The name of the template.
        name: String,
        /// The tags.
        tags: Map<String, Value>,
    },
}

/// Sets the `message_id` of a CloudEvent without one to `source#id`, so that a repeat is
/// recognised. A body of more than `size_max` bytes is not read.
pub(super) fn ensure_message_id(
    mut published: PublishedMessage,
    size_max: usize,
) -> PublishedMessage {
    if published.message_id.as_ref().is_some_and(|id| !id.is_empty()) {
        return published;
    }
    // A panic here happens again when the event is decoded, and is handled there.
    let context = std::panic::catch_unwind(|| context_of(&published, size_max)).ok().flatten();
    let name = context.and_then(|own| Some(format!("{}#{}", own.get("source")?, own.get("id")?)));
    if let Some(name) = name {
        let short = name.len() <= NAME_BYTES_MAX;
        published.message_id = Some(if short {
            name
        } else {
            Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
        });
    }
    published
}

/// The attributes of a CloudEvent as text. There are none if the message is not a readable
/// CloudEvent.
struct Context(Vec<(String, String)>);

impl Context {
    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }
}

fn is_structured(published: &PublishedMessage) -> bool {
    published
        .content_type
        .as_ref()
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with(STRUCTURED))
}

fn context_of(published: &PublishedMessage, size_max: usize) -> Option<Context> {
    if let Some(context) = context_in_headers(published).filter(|_| !is_structured(published)) {
        return Some(context);
    }
    let text = text_of(published, size_max).ok().filter(|_| published.body.len() <= size_max)?;
    // Most bodies are not CloudEvents, and need no parser to say so.
    if !is_structured(published) && !text.contains("specversion") {
        return None;
    }
    let body = json::object_of_body(&text).ok()?;
    (is_structured(published) || is_cloudevent(&body)).then(|| context_in(&body))
}

/// The attributes of binary mode, if there are any.
fn context_in_headers(published: &PublishedMessage) -> Option<Context> {
    let attributes: Vec<_> = published
        .headers
        .iter()
        .filter_map(|(name, value)| Some((bare(name)?, said(value)?)))
        .collect();
    (!attributes.is_empty()).then_some(Context(attributes))
}

/// Whether an object is a CloudEvent by its attributes. Some publishers, such as Dapr, send another
/// content type.
fn is_cloudevent(body: &Map<String, Value>) -> bool {
    let has = |name: &str| body.contains_key(name);
    has("specversion") && (has("data") || has("data_base64") || !EventWire::has_content(body))
}

fn context_in(body: &Map<String, Value>) -> Context {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let own =
        body.iter().filter(|(name, _)| !name.starts_with("data") || *name == "datacontenttype");
    Context(own.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect())
}

fn bare(name: &str) -> Option<String> {
    PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).map(str::to_owned)
}

fn said(value: &HeaderValue) -> Option<String> {
    match value {
        HeaderValue::Int(number) => Some(number.to_string()),
        HeaderValue::Bool(truth) => Some(truth.to_string()),
        other => other.as_text().map(str::to_owned),
    }
}

/// Unwraps a CloudEvent. `text` is the body.
pub(super) fn unwrap(published: &PublishedMessage, text: &str) -> Result<Unwrapped, Undecodable> {
    if is_structured(published) {
        return structured_body(published, text).map(Unwrapped::CloudEvent);
    }
    if let Some(context) = context_in_headers(published) {
        check(&context)?;
        let kind = context.get("datacontenttype").or(published.content_type.as_deref());
        let data = match (media_type(kind), context.get(TEMPLATE)) {
            (MediaType::Json, None) => Data::Event(json::object_of_body(text).map_err(unread)?),
            (MediaType::Json, Some(name)) => template(name, json::parse(text).map_err(unread)?),
            (kind, name) => shown(kind, name, text.to_owned())?,
        };
        return Ok(Unwrapped::CloudEvent(CloudEvent::of(context, data)));
    }
    let body = json::object_of_body(text).map_err(unread)?;
    match is_cloudevent(&body) {
        true => structured(body).map(Unwrapped::CloudEvent),
        false => Ok(Unwrapped::Event(body)),
    }
}

/// The mistake of a body that is not the JSON of an event.
fn unread(detail: String) -> Undecodable {
    Undecodable { code: "json", detail }
}

fn structured_body(published: &PublishedMessage, text: &str) -> Result<CloudEvent, Undecodable> {
    let kind = published.content_type.as_deref().unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("application/cloudevents-batch") {
        return Err(wrong("a batch is not taken: publish each event as a message of its own"));
    }
    structured(json::object_of_body(text).map_err(|why| wrong(&why))?)
}

fn structured(mut body: Map<String, Value>) -> Result<CloudEvent, Undecodable> {
    let context = context_in(&body);
    check(&context)?;
    let (kind, name) = (context.get("datacontenttype"), context.get(TEMPLATE));
    let (data, encoded) = (body.remove("data"), body.remove("data_base64"));
    let data = match (data.filter(|data| !data.is_null()), encoded) {
        (None, Some(Value::String(encoded))) => {
            let bytes = BASE64_STANDARD
                .decode(encoded)
                .map_err(|_| wrong("data_base64 is not written in base64"))?;
            let text = String::from_utf8(bytes).map_err(|_| wrong("the data is not UTF-8"))?;
            in_text(media_type(kind), name, text)?
        }
        (Some(Value::String(text)), _) => in_text(
            kind.map_or(MediaType::Text(Format::Text), |kind| media_type(Some(kind))),
            name,
            text,
        )?,
        (Some(data), _) if name.is_some() => template(name.unwrap_or_default(), data),
        (Some(Value::Object(event)), _) => Data::Event(event),
        (Some(other), _) => {
            return Err(wrong(&format!("its data is {}: {NEEDED}", kind_of(&other))));
        }
        (None, _) => return Err(wrong(&format!("it has no data: {NEEDED}"))),
    };
    Ok(CloudEvent::of(context, data))
}

/// What the data may be.
const NEEDED: &str =
    "it must be an event or text, or the extension roomcasttemplate names a template for it";

/// Data that is text in a structured CloudEvent. JSON in it is an event, and other text of the type
/// JSON is a text.
fn in_text(
    kind: MediaType<'_>,
    template_name: Option<&str>,
    text: String,
) -> Result<Data, Undecodable> {
    let MediaType::Json = kind else { return shown(kind, template_name, text) };
    let whole = json::trimmed(&text).trim();
    match (json::parse(whole), template_name) {
        (Ok(data), Some(name)) => Ok(template(name, data)),
        (Ok(Value::Object(event)), None) => Ok(Data::Event(event)),
        (Ok(Value::String(text)), None) => Ok(Data::Text(Format::Text, text)),
        // It was meant as an event, and members cannot read it.
        (Err(mistake), None) if whole.starts_with('{') => Err(wrong(&format!("data: {mistake}"))),
        _ => shown(MediaType::Text(Format::Text), template_name, text),
    }
}

/// Text for members, or for a template.
fn shown(
    kind: MediaType<'_>,
    template_name: Option<&str>,
    text: String,
) -> Result<Data, Undecodable> {
    match (kind, template_name) {
        (_, Some(name)) => Ok(template(name, Value::String(text))),
        (MediaType::Text(format), None) => Ok(Data::Text(format, text)),
        (MediaType::Json, None) => Ok(Data::Text(Format::Text, text)),
        (MediaType::Other(other), None) => Err(wrong(&format!(
            "datacontenttype is {other}: use application/json, text/plain or text/markdown"
        ))),
    }
}

/// Data for a template: an object gives the tags, and other data is one tag.
fn template(name: &str, data: Value) -> Data {
    let tags = match data {
        Value::Object(tags) => tags,
        other => Map::from_iter([(DATA_TAG.to_owned(), other)]),
    };
    Data::Template { name: name.to_owned(), tags }
}

impl CloudEvent {
    fn of(context: Context, data: Data) -> Self {
        let subject = context.get("subject").map(str::to_owned);
        Self { subject, attributes: attributes_of(context), data }
    }
}

fn check(context: &Context) -> Result<(), Undecodable> {
    match context.get("specversion") {
        Some("1.0") => {}
        Some(other) => return Err(wrong(&format!("specversion is {other}: only 1.0 is taken"))),
        None => return Err(wrong("specversion is missing")),
    }
    match ["id", "source", "type"].into_iter().find(|name| context.get(name).is_none()) {
        Some(name) => Err(wrong(&format!("{name} is missing"))),
        None => Ok(()),
    }
}

/// The media type of data.
#[derive(Clone, Copy)]
enum MediaType<'a> {
    Json,
    Text(Format),
    Other(&'a str),
}

/// The media type with this name. JSON is the default of CloudEvents.
fn media_type(kind: Option<&str>) -> MediaType<'_> {
    let kind = kind.unwrap_or("application/json").split(';').next().unwrap_or_default().trim();
    match kind.to_ascii_lowercase().as_str() {
        "text/plain" => MediaType::Text(Format::Text),
        "text/markdown" => MediaType::Text(Format::Markdown),
        json if json.ends_with("/json") || json.ends_with("+json") => MediaType::Json,
        _ => MediaType::Other(kind),
    }
}

/// The attributes that filters may use: all except those that describe the envelope or the single
/// event.
fn attributes_of(context: Context) -> Vec<Attribute> {
    let told = |name: &str| {
        !matches!(name, "specversion" | "id" | "time" | "datacontenttype" | "dataschema" | TEMPLATE)
    };
    let named = context.0.into_iter().filter(|(name, value)| told(name) && !value.is_empty());
    named.map(|(name, value)| Attribute { name, values: vec![value] }).collect()
}

fn wrong(why: &str) -> Undecodable {
    mistake(format!("CloudEvent: {why}"))
}
