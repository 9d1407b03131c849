//! CloudEvents 1.0 over AMQP. In binary mode the attributes are headers of the message; in
//! structured mode the body holds everything.
//!
//! Owns how a CloudEvent is recognised, and which part of it becomes which part of the event. Its
//! data is an event, plain text, or markdown.
//!
//! Not here: the JSON of an event (`wire.rs`), and the limits of attributes (`attributes.rs`).

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::undecodable::{Undecodable, mistake};
use crate::domain::{Attribute, Format, HeaderValue, PublishedMessage};

/// The prefixes of attribute names in CloudEvents' AMQP binding. The second serves clients that
/// cannot send a colon.
const PREFIXES: [&str; 2] = ["cloudEvents:", "cloudEvents_"];
const STRUCTURED: &str = "application/cloudevents";
/// The longest `message_id` in AMQP, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// An unwrapped CloudEvent.
pub(super) struct CloudEvent<'a> {
    /// Its subject.
    pub(super) subject: Option<String>,
    /// Its type, source, subject and extensions.
    pub(super) attributes: Vec<Attribute>,
    /// Its content.
    pub(super) data: Data<'a>,
}

/// The data of a CloudEvent.
pub(super) enum Data<'a> {
    /// JSON that must be an event.
    Json(Cow<'a, [u8]>),
    /// Text in this format.
    Text(Format, String),
}

/// Sets the `message_id` of a CloudEvent without one to `source#id`, so that a repeat is
/// recognised.
#[must_use]
pub fn ensure_message_id(mut published: PublishedMessage) -> PublishedMessage {
    if published.message_id.as_ref().is_some_and(|id| !id.is_empty()) {
        return published;
    }
    // A panic here happens again when the event is decoded, and is handled there.
    let context = std::panic::catch_unwind(|| context_of(&published)).ok().flatten();
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

fn context_of(published: &PublishedMessage) -> Option<Context> {
    if is_structured(published) {
        let body: Map<String, Value> = serde_json::from_slice(&published.body).ok()?;
        return Some(context_in(&body));
    }
    let attributes: Vec<_> = published
        .headers
        .iter()
        .filter_map(|(name, value)| Some((bare(name)?, said(value)?)))
        .collect();
    (!attributes.is_empty()).then_some(Context(attributes))
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

/// Unwraps a CloudEvent; `None` if the message is not one.
pub(super) fn unwrap(published: &PublishedMessage) -> Result<Option<CloudEvent<'_>>, Undecodable> {
    if is_structured(published) {
        return structured(published).map(Some);
    }
    let Some(context) = context_of(published) else {
        return Ok(None);
    };
    check(&context)?;
    let kind = context.get("datacontenttype").or(published.content_type.as_deref());
    let data = data_of(kind, Cow::Borrowed(published.body.as_slice()))?;
    Ok(Some(CloudEvent {
        subject: context.get("subject").map(str::to_owned),
        attributes: attributes_of(context),
        data,
    }))
}

fn structured(published: &PublishedMessage) -> Result<CloudEvent<'_>, Undecodable> {
    let kind = published.content_type.as_deref().unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("application/cloudevents-batch") {
        return Err(wrong("a batch is not taken: publish each event as a message of its own"));
    }
    let body: Map<String, Value> = serde_json::from_slice(&published.body)
        .map_err(|error| wrong(&format!("the body is not a JSON object: {error}")))?;
    let context = context_in(&body);
    check(&context)?;
    let kind = context.get("datacontenttype");
    let data = match (body.get("data"), body.get("data_base64")) {
        (None | Some(Value::Null), Some(Value::String(encoded))) => {
            let bytes = BASE64_STANDARD
                .decode(encoded)
                .map_err(|error| wrong(&format!("data_base64: {error}")))?;
            data_of(kind, Cow::Owned(bytes))?
        }
        (Some(Value::String(text)), _) => {
            data_of(kind.or(Some("text/plain")), Cow::Owned(text.clone().into_bytes()))?
        }
        (Some(json @ Value::Object(_)), _) => Data::Json(Cow::Owned(json.to_string().into_bytes())),
        _ => return Err(wrong("it has no data: an event, or text")),
    };
    Ok(CloudEvent {
        subject: context.get("subject").map(str::to_owned),
        attributes: attributes_of(context),
        data,
    })
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

fn data_of<'a>(kind: Option<&str>, bytes: Cow<'a, [u8]>) -> Result<Data<'a>, Undecodable> {
    let kind = kind
        .unwrap_or("application/json")
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let format = match kind.as_str() {
        "text/plain" => Format::Text,
        "text/markdown" => Format::Markdown,
        kind if kind.ends_with("/json") || kind.ends_with("+json") => return Ok(Data::Json(bytes)),
        other => {
            return Err(wrong(&format!(
                "datacontenttype is {other}: use application/json, text/plain or text/markdown"
            )));
        }
    };
    let text = String::from_utf8(bytes.into_owned()).map_err(|_| wrong("the data is not UTF-8"))?;
    Ok(Data::Text(format, text))
}

/// The attributes that filters may use: all except those that describe the envelope or the single
/// event.
fn attributes_of(context: Context) -> Vec<Attribute> {
    let told = |name: &str| {
        !matches!(name, "specversion" | "id" | "time" | "datacontenttype" | "dataschema")
    };
    let named = context.0.into_iter().filter(|(name, value)| told(name) && !value.is_empty());
    named.map(|(name, value)| Attribute { name, values: vec![value] }).collect()
}

fn wrong(why: &str) -> Undecodable {
    mistake(format!("CloudEvent: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn binary(headers: &[(&str, &str)], content_type: &str, body: &str) -> PublishedMessage {
        PublishedMessage {
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), HeaderValue::text(*value)))
                .collect(),
            content_type: Some(content_type.to_owned()).filter(|kind| !kind.is_empty()),
            body: body.as_bytes().to_vec(),
            ..PublishedMessage::default()
        }
    }

    fn whole(body: &Value) -> PublishedMessage {
        binary(&[], "application/cloudevents+json; charset=utf-8", &body.to_string())
    }

    const HEADERS: [(&str, &str); 6] = [
        ("cloudEvents:specversion", "1.0"),
        ("cloudEvents:id", "7"),
        ("cloudEvents:source", "/db"),
        ("cloudEvents_type", "db.down"),
        ("cloudEvents:subject", "db-1"),
        ("traceparent", "00-a-b-01"),
    ];

    fn unwrapped(published: &PublishedMessage) -> (Option<String>, Vec<(String, String)>, String) {
        let event = unwrap(published).unwrap().unwrap();
        let data = match event.data {
            Data::Json(bytes) => format!("json {}", String::from_utf8_lossy(&bytes)),
            Data::Text(format, text) => format!("{format:?} {text}"),
        };
        let attributes = event.attributes.into_iter().map(|one| (one.name, one.values.concat()));
        (event.subject, attributes.collect(), data)
    }

    #[test]
    fn both_modes_say_the_same() {
        let attributes = [("source", "/db"), ("type", "db.down"), ("subject", "db-1")];
        let attributes: Vec<_> =
            attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let expected = (Some("db-1".to_owned()), attributes, r#"json {"message":"x"}"#.to_owned());
        assert_eq!(
            unwrapped(&binary(&HEADERS, "application/json", r#"{"message":"x"}"#)),
            expected
        );
        assert_eq!(unwrapped(&binary(&HEADERS, "", r#"{"message":"x"}"#)), expected);
        let body = json!({"specversion": "1.0", "id": "7", "source": "/db", "type": "db.down", "subject": "db-1",
                          "time": "2026-01-01T00:00:00Z", "data": {"message": "x"}});
        assert_eq!(unwrapped(&whole(&body)), expected);
    }

    #[test]
    fn data_may_be_text_or_markdown_and_in_base64() {
        let base = json!({"specversion": "1.0", "id": "7", "source": "/db", "type": "t"});
        for (more, data) in [
            (json!({"data": "hello"}), "Text hello"),
            (json!({"data": "*x*", "datacontenttype": "text/markdown"}), "Markdown *x*"),
            (
                json!({"data_base64": "aGVsbG8=", "datacontenttype": "text/plain; charset=utf-8"}),
                "Text hello",
            ),
            (json!({"data_base64": "e30="}), "json {}"),
            (json!({"data": "{}", "datacontenttype": "application/vnd.x+json"}), "json {}"),
        ] {
            let mut body = base.clone();
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            assert_eq!(unwrapped(&whole(&body)).2, data, "{more}");
        }
        assert_eq!(unwrapped(&binary(&HEADERS, "text/markdown", "**x**")).2, "Markdown **x**");
    }

    #[test]
    fn what_is_no_good_cloudevent_says_why() {
        let body = |more: Value| {
            let mut body =
                json!({"specversion": "1.0", "id": "7", "source": "/db", "type": "t", "data": "x"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            whole(&body)
        };
        for (published, says) in [
            (
                body(json!({"specversion": "0.3"})),
                "CloudEvent: specversion is 0.3: only 1.0 is taken",
            ),
            (body(json!({"id": ""})), "CloudEvent: id is missing"),
            (body(json!({"data": [1]})), "CloudEvent: it has no data: an event, or text"),
            (
                body(json!({"datacontenttype": "image/png"})),
                "CloudEvent: datacontenttype is image/png: use application/json, text/plain or text/markdown",
            ),
            (binary(&HEADERS[1..], "", "{}"), "CloudEvent: specversion is missing"),
            (binary(&HEADERS[..3], "", "{}"), "CloudEvent: type is missing"),
            (
                binary(&[], "application/cloudevents+json", "{"),
                "CloudEvent: the body is not a JSON object: EOF while parsing an object at line 1 column 1",
            ),
            (
                binary(&[], "application/cloudevents-batch+json", "[]"),
                "CloudEvent: a batch is not taken: publish each event as a message of its own",
            ),
        ] {
            assert_eq!(
                unwrap(&published).err().map(|undecodable| undecodable.detail).as_deref(),
                Some(says)
            );
        }
        assert!(
            unwrap(&binary(&[("traceparent", "x")], "application/json", "{}")).unwrap().is_none()
        );
    }

    #[test]
    fn a_cloudevent_without_a_message_id_is_named_by_source_and_id() {
        let name = |published: PublishedMessage| ensure_message_id(published).message_id;
        assert_eq!(name(binary(&HEADERS, "", "{}")).as_deref(), Some("/db#7"));
        let body = json!({"specversion": "1.0", "id": "7", "source": "/db", "type": "t"});
        assert_eq!(name(whole(&body)).as_deref(), Some("/db#7"));
        assert_eq!(
            name(PublishedMessage { message_id: Some("own".into()), ..whole(&body) }).as_deref(),
            Some("own")
        );
        assert_eq!(name(binary(&HEADERS[..2], "", "{}")), None);
        assert_eq!(name(binary(&[], "application/json", "{}")), None);
        let long = json!({"id": "x".repeat(300), "source": "/db"});
        assert_eq!(name(whole(&long)).map(|name| name.len()), Some(36));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_unwrapping_panic(body: Vec<u8>, kind in "application/cloudevents[+a-z-]{0,12}") {
            let published = PublishedMessage { body, content_type: Some(kind), ..binary(&HEADERS, "", "") };
            let _ = unwrap(&published);
            let _ = ensure_message_id(published);
        }
    }
}
