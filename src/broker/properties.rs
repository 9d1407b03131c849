//! Converts between lapin's message properties and ours.
//!
//! Owns two rules: what a publisher sent survives every step, and headers that the broker or
//! roomcast added do not accumulate.
//!
//! Not here: the meaning of our headers (`envelope.rs`).

use std::borrow::Cow;

use lapin::{
    BasicProperties,
    types::{AMQPValue, DecimalValue, FieldArray, FieldTable, LongString, ShortString},
};

use crate::domain::{
    DAMAGED, HeaderValue, Headers, LEFT_OUT, NOT_BEFORE, PublishedMessage, RECEIPT, bytes_of,
    fit_headers,
};

/// Headers that the broker adds or interprets. On a republished message they would have an effect.
const BROKERS: [&str; 10] = [
    "x-death",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-last-death-exchange",
    "x-last-death-queue",
    "x-last-death-reason",
    "x-delivery-count",
    "x-acquired-count",
    "x-opt-deaths",
];

/// Headers with our prefix that belong to the publisher.
const PUBLISHERS: [&str; 4] = [DAMAGED, LEFT_OUT, NOT_BEFORE, RECEIPT];

/// The publisher's AMQP priority, kept in a header. As a priority it would have an effect: in a
/// delay tier of RabbitMQ 4.0 to 4.2, less important messages wait behind it, long after their
/// time.
const PRIORITY: &str = "x-roomcast-priority";

/// Which part of the publisher's room one text of ours may take. Only a very small frame makes this
/// shorter than any detail.
const TEXT_SHARE: usize = 8;

/// The prefix of our headers.
pub(super) const INTERNAL_HEADERS: &str = "x-roomcast-";

/// The publisher's user id. Only the publisher may set the property, so a stored message has it in
/// this header.
const USER_ID: &str = "x-roomcast-user-id";

/// Splits a message into the publisher's part and our headers.
pub(super) fn decode_properties(
    routing_key: String,
    body: Vec<u8>,
    properties: &BasicProperties,
) -> (PublishedMessage, Headers) {
    let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
    let mut published = PublishedMessage {
        routing_key,
        body,
        headers: Vec::new(),
        message_id: text(properties.message_id()),
        content_type: text(properties.content_type()),
        content_encoding: text(properties.content_encoding()),
        correlation_id: text(properties.correlation_id()),
        app_id: text(properties.app_id()),
        kind: text(properties.kind()),
        timestamp: *properties.timestamp(),
        priority: *properties.priority(),
        user_id: text(properties.user_id()),
    };
    let mut ours = Vec::new();
    for (name, value) in properties.headers().iter().flat_map(|table| table.inner()) {
        let name = name.as_str();
        if name == USER_ID {
            let said = || from_amqp(value).as_text().map(str::to_owned);
            published.user_id = published.user_id.take().or_else(said);
        } else if name == PRIORITY {
            let kept = from_amqp(value).as_int().and_then(|priority| u8::try_from(priority).ok());
            published.priority = published.priority.or(kept);
        } else if name.starts_with(INTERNAL_HEADERS) && !PUBLISHERS.contains(&name) {
            ours.push((name.to_owned(), from_amqp(value)));
        } else if !BROKERS.contains(&name) && name != "CC" && name != "BCC" {
            published.headers.push((name.to_owned(), from_amqp(value)));
        }
    }
    (published, ours)
}

/// The properties of a message to store: those of the publisher, our headers, and a message id of
/// its own, by which a returned message is matched. The publisher's headers get at most
/// `headers_max` bytes.
pub(super) fn encode_properties(
    published: &PublishedMessage,
    ours: Headers,
    message_id: &str,
    headers_max: usize,
) -> BasicProperties {
    let mut table = FieldTable::default();
    insert(&mut table, &fitting(&published.headers, headers_max));
    for (name, value) in &ours {
        table.insert(short(name), to_amqp(&shortened(value, headers_max / TEXT_SHARE)));
    }
    if let Some(user) = &published.user_id {
        table.insert(USER_ID.into(), to_amqp(&HeaderValue::text(user.as_str())));
    }
    if let Some(priority) = published.priority {
        table.insert(short(PRIORITY), AMQPValue::LongLongInt(priority.into()));
    }
    let mut properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_message_id(short(message_id))
        .with_headers(table);
    for (value, set) in [
        (
            &published.content_type,
            BasicProperties::with_content_type
                as fn(BasicProperties, ShortString) -> BasicProperties,
        ),
        (&published.content_encoding, BasicProperties::with_content_encoding),
        (&published.correlation_id, BasicProperties::with_correlation_id),
        (&published.app_id, BasicProperties::with_app_id),
        (&published.kind, BasicProperties::with_type),
    ] {
        if let Some(value) = value {
            properties = set(properties, short(value));
        }
    }
    if let Some(timestamp) = published.timestamp {
        properties = properties.with_timestamp(timestamp);
    }
    properties
}

/// The headers that fit, with one that names the others.
///
/// An event loses headers that do not fit on arrival, or is refused. So this concerns the dead
/// letter of a refused one, and a broker whose frames became smaller.
fn fitting(headers: &Headers, headers_max: usize) -> Cow<'_, Headers> {
    if bytes_of(headers) <= headers_max {
        return Cow::Borrowed(headers);
    }
    let mut rest = headers.clone();
    fit_headers(&mut rest, headers_max, |_| false);
    Cow::Owned(rest)
}

/// A value of ours. A longer text is cut to this many bytes.
fn shortened(value: &HeaderValue, bytes_max: usize) -> Cow<'_, HeaderValue> {
    match value.as_text() {
        Some(text) if text.len() > bytes_max => {
            let end = text.floor_char_boundary(bytes_max);
            Cow::Owned(HeaderValue::text(format!("{}…", text.get(..end).unwrap_or_default())))
        }
        _ => Cow::Borrowed(value),
    }
}

/// A short string of AMQP, which has at most 255 bytes. Only the routing key of a receipt can be
/// longer and is cut; other texts come from short strings.
pub(super) fn short(text: &str) -> ShortString {
    let end = (0..=text.len().min(255)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    ShortString::try_new(text.get(..end).unwrap_or_default()).unwrap_or_default()
}

/// Headers as an AMQP table.
pub(super) fn table(headers: &Headers) -> FieldTable {
    let mut table = FieldTable::default();
    insert(&mut table, headers);
    table
}

fn insert(table: &mut FieldTable, headers: &Headers) {
    for (name, value) in headers {
        table.insert(short(name), to_amqp(value));
    }
}

fn from_amqp(value: &AMQPValue) -> HeaderValue {
    match value {
        AMQPValue::Boolean(truth) => HeaderValue::Bool(*truth),
        AMQPValue::ShortShortInt(number) => HeaderValue::Int((*number).into()),
        AMQPValue::ShortShortUInt(number) => HeaderValue::Int((*number).into()),
        AMQPValue::ShortInt(number) => HeaderValue::Int((*number).into()),
        AMQPValue::ShortUInt(number) => HeaderValue::Int((*number).into()),
        AMQPValue::LongInt(number) => HeaderValue::Int((*number).into()),
        AMQPValue::LongUInt(number) => HeaderValue::Int((*number).into()),
        AMQPValue::LongLongInt(number) => HeaderValue::Int(*number),
        AMQPValue::Float(number) => HeaderValue::Float((*number).into()),
        AMQPValue::Double(number) => HeaderValue::Float(*number),
        AMQPValue::DecimalValue(decimal) => HeaderValue::Decimal(decimal.scale, decimal.value),
        AMQPValue::ShortString(text) => HeaderValue::Text(text.as_str().as_bytes().to_vec()),
        AMQPValue::LongString(text) => HeaderValue::Text(text.as_bytes().to_vec()),
        AMQPValue::FieldArray(list) => {
            HeaderValue::List(list.as_slice().iter().map(from_amqp).collect())
        }
        AMQPValue::Timestamp(seconds) => HeaderValue::Timestamp(*seconds),
        AMQPValue::FieldTable(table) => HeaderValue::Table(
            table
                .inner()
                .iter()
                .map(|(name, value)| (name.to_string(), from_amqp(value)))
                .collect(),
        ),
        AMQPValue::ByteArray(bytes) => HeaderValue::Bytes(bytes.as_slice().to_vec()),
        AMQPValue::Void => HeaderValue::Void,
    }
}

fn to_amqp(value: &HeaderValue) -> AMQPValue {
    match value {
        HeaderValue::Void => AMQPValue::Void,
        HeaderValue::Bool(truth) => AMQPValue::Boolean(*truth),
        HeaderValue::Int(number) => AMQPValue::LongLongInt(*number),
        HeaderValue::Float(number) => AMQPValue::Double(*number),
        HeaderValue::Decimal(scale, value) => {
            AMQPValue::DecimalValue(DecimalValue { scale: *scale, value: *value })
        }
        HeaderValue::Text(bytes) => AMQPValue::LongString(LongString::from(bytes.as_slice())),
        HeaderValue::Bytes(bytes) => AMQPValue::ByteArray(bytes.as_slice().into()),
        HeaderValue::Timestamp(seconds) => AMQPValue::Timestamp(*seconds),
        HeaderValue::List(list) => {
            AMQPValue::FieldArray(FieldArray::from(list.iter().map(to_amqp).collect::<Vec<_>>()))
        }
        HeaderValue::Table(headers) => AMQPValue::FieldTable(table(headers)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::HEADERS_BYTES_MAX;

    #[test]
    fn a_small_frame_holds_what_is_stored_even_with_a_long_detail() {
        let headers = vec![("large".to_owned(), HeaderValue::Bytes(vec![0; 8_000]))];
        let published = PublishedMessage { headers, ..PublishedMessage::default() };
        let detail = "长".repeat(5_000);
        let ours = vec![("x-roomcast-detail".to_owned(), HeaderValue::text(detail))];
        let stored = encode_properties(&published, ours, "m", 6_144);
        let (again, ours) = decode_properties(String::new(), Vec::new(), &stored);
        assert!(bytes_of(&again.headers) < 6_144);
        let detail = ours[0].1.as_text().unwrap();
        assert!(detail.ends_with("长…") && detail.len() < 800, "{}", detail.len());
    }

    #[test]
    fn headers_of_the_publisher_survive_and_those_of_the_broker_do_not() {
        let headers = vec![
            (
                "deep".to_owned(),
                HeaderValue::Table(vec![(
                    "list".to_owned(),
                    HeaderValue::List(vec![HeaderValue::Int(7), HeaderValue::Void]),
                )]),
            ),
            ("traceparent".to_owned(), HeaderValue::text("00-abc")),
            (NOT_BEFORE.to_owned(), HeaderValue::Timestamp(5)),
            (RECEIPT.to_owned(), HeaderValue::Bool(true)),
        ];
        let published = PublishedMessage {
            routing_key: "t".into(),
            body: b"{}".to_vec(),
            headers,
            message_id: Some("m".into()),
            content_type: Some("application/json".into()),
            app_id: Some("a".into()),
            timestamp: Some(5),
            priority: Some(9),
            user_id: Some("ci".into()),
            ..PublishedMessage::default()
        };
        let mut properties = encode_properties(
            &published,
            vec![("x-roomcast-hops".into(), HeaderValue::Int(1))],
            "m",
            HEADERS_BYTES_MAX,
        );
        assert_eq!(*properties.delivery_mode(), Some(2));
        let mut table = properties.headers().clone().unwrap();
        table.insert("x-death".into(), AMQPValue::Void);
        properties = properties.with_headers(table);
        let (again, ours) = decode_properties("t".into(), b"{}".to_vec(), &properties);
        assert_eq!(again, published);
        assert_eq!(ours, [("x-roomcast-hops".to_owned(), HeaderValue::Int(1))]);
    }

    #[test]
    fn a_priority_is_kept_in_a_header_of_ours_and_is_read_from_either_place() {
        let published = PublishedMessage { priority: Some(9), ..PublishedMessage::default() };
        let stored = encode_properties(&published, Headers::new(), "m", HEADERS_BYTES_MAX);
        assert_eq!(*stored.priority(), None);
        assert_eq!(
            decode_properties(String::new(), Vec::new(), &stored),
            (PublishedMessage { message_id: Some("m".into()), ..published }, vec![])
        );
        let as_older_versions_did = BasicProperties::default().with_priority(4);
        assert_eq!(
            decode_properties(String::new(), Vec::new(), &as_older_versions_did).0.priority,
            Some(4)
        );
    }

    #[test]
    fn of_headers_that_do_not_fit_the_largest_stay_behind_those_of_known_use_last_and_are_named() {
        let bytes = |count| HeaderValue::Bytes(vec![0; count]);
        let headers = vec![
            ("traceparent".to_owned(), bytes(60_000)),
            ("small".to_owned(), bytes(10)),
            ("large".to_owned(), bytes(40_000)),
            ("larger".to_owned(), bytes(50_000)),
        ];
        let published = PublishedMessage { headers, ..PublishedMessage::default() };
        let stored = encode_properties(&published, Headers::new(), "m", HEADERS_BYTES_MAX);
        let table = stored.headers().clone().unwrap();
        let names: Vec<_> = table.inner().keys().map(ToString::to_string).collect();
        assert_eq!(names, ["small", "traceparent", LEFT_OUT]);
        let left_out = table.inner().get(LEFT_OUT).unwrap();
        let words = AMQPValue::LongString("larger (50006 bytes), large (40006 bytes)".into());
        assert_eq!(*left_out, words);

        let many = (0..3000).map(|number| (format!("h{number}"), bytes(100))).collect();
        let stored = encode_properties(
            &PublishedMessage { headers: many, ..PublishedMessage::default() },
            Headers::new(),
            "m",
            HEADERS_BYTES_MAX,
        );
        let (mut again, ours) = decode_properties(String::new(), Vec::new(), &stored);
        let (name, words) = again.headers.pop().unwrap();
        assert!(bytes_of(&again.headers) <= HEADERS_BYTES_MAX && again.headers.len() > 800);
        let words = words.as_text().unwrap();
        assert!(words.ends_with(" more") && words.len() < 1000, "{words}");
        assert_eq!((name.as_str(), ours), (LEFT_OUT, Headers::new()), "it stays with the message");
    }
}
