//! The content hash of a message. It distinguishes a publisher's repeat from another message.
//!
//! Owns which properties belong to the content of a message, and which only describe its transport.
//!
//! Not here: the keys built from the hash (`identity.rs`).

use sha2::{Digest, Sha256};

use crate::domain::{HeaderValue, Headers, PublishedMessage};

/// Headers that brokers, shovels and federation write. They differ between two copies of one
/// message.
const BROKERS: [&str; 9] = [
    "x-death",
    "x-delivery-count",
    "x-acquired-count",
    "x-received-from",
    "x-shovelled",
    "x-shovelled-timestamp",
    "x-routed-by",
    "x-message-timestamp",
    "timestamp_in_ms",
];
/// The prefixes of such headers.
const BROKERS_BEGIN: [&str; 3] = ["x-first-death-", "x-last-death-", "x-opt-"];

/// Headers that name the trace in which a message was published. A repeat has another trace.
const TRACES: [&str; 7] = [
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "uber-trace-id",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
];
/// The prefixes of such headers.
const TRACES_BEGIN: [&str; 2] = ["x-b3-", "x-datadog-"];

/// The hash of an event's content: topic, id, body, attributes, urgency, and the publisher's
/// properties. The publish time and the trace are not included.
#[must_use]
pub fn content_digest(published: &PublishedMessage, id: &str, urgent: bool) -> [u8; 16] {
    let mut hash = Hash(Sha256::new_with_prefix(b"said"));
    hash.bytes(published.routing_key.as_bytes());
    hash.bytes(id.as_bytes());
    hash.bytes(&published.body);
    hash.bytes(&[u8::from(urgent)]);
    for text in
        [&published.content_type, &published.content_encoding, &published.kind, &published.user_id]
    {
        hash.bytes(&[u8::from(text.is_some())]);
        hash.bytes(text.as_deref().unwrap_or_default().as_bytes());
    }
    hash.headers(&published.headers, is_said);
    let full = hash.0.finalize();
    let mut short = [0; 16];
    short.iter_mut().zip(full).for_each(|(to, from)| *to = from);
    short
}

/// Whether a header with this name belongs to the content.
fn is_said(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // CloudEvents carry their trace in attributes, whose names have a prefix.
    let own = name
        .strip_prefix("cloudevents:")
        .or_else(|| name.strip_prefix("cloudevents_"))
        .unwrap_or(&name);
    let begins = |those: &[&str]| those.iter().any(|one| name.starts_with(one));
    !(BROKERS.contains(&name.as_str())
        || TRACES.contains(&own)
        || begins(&BROKERS_BEGIN)
        || begins(&TRACES_BEGIN))
}

struct Hash(Sha256);

impl Hash {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(bytes);
    }

    /// Headers are sorted, because tables have no order.
    fn headers(&mut self, headers: &Headers, is_meant: fn(&str) -> bool) {
        let mut meant: Vec<_> = headers.iter().filter(|(name, _)| is_meant(name)).collect();
        meant.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.0.update(u64::try_from(meant.len()).unwrap_or(u64::MAX).to_be_bytes());
        for (name, value) in meant {
            self.bytes(name.as_bytes());
            self.value(value);
        }
    }

    fn value(&mut self, value: &HeaderValue) {
        match value {
            HeaderValue::Void => self.0.update([0]),
            HeaderValue::Bool(truth) => self.0.update([1, u8::from(*truth)]),
            HeaderValue::Int(number) => self.kind(2, &number.to_be_bytes()),
            HeaderValue::Float(number) => self.kind(3, &number.to_bits().to_be_bytes()),
            HeaderValue::Decimal(scale, value) => {
                self.0.update([4, *scale]);
                self.0.update(value.to_be_bytes());
            }
            HeaderValue::Text(text) => self.kind(5, text),
            HeaderValue::Bytes(bytes) => self.kind(6, bytes),
            HeaderValue::Timestamp(seconds) => self.kind(7, &seconds.to_be_bytes()),
            HeaderValue::List(list) => {
                self.kind(8, &u64::try_from(list.len()).unwrap_or(u64::MAX).to_be_bytes());
                list.iter().for_each(|one| self.value(one));
            }
            HeaderValue::Table(table) => {
                self.0.update([9]);
                self.headers(table, |_| true);
            }
        }
    }

    fn kind(&mut self, kind: u8, bytes: &[u8]) {
        self.0.update([kind]);
        self.bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(headers: &[(&str, HeaderValue)]) -> PublishedMessage {
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        PublishedMessage {
            routing_key: "ops".into(),
            body: b"m".to_vec(),
            headers,
            ..PublishedMessage::default()
        }
    }

    fn said(headers: &[(&str, HeaderValue)]) -> [u8; 16] {
        content_digest(&published(headers), "1", false)
    }

    #[test]
    fn the_digest_of_content_ignores_order_and_routing() {
        let (warning, host) =
            (("severity", HeaderValue::text("warning")), ("host", HeaderValue::text("a")));
        let first = said(&[warning.clone(), host.clone()]);
        assert_eq!(said(&[host.clone(), warning.clone()]), first);
        let inner = |names: [&str; 2]| {
            HeaderValue::Table(names.map(|name| (name.to_owned(), HeaderValue::Int(1))).to_vec())
        };
        assert_eq!(said(&[("t", inner(["a", "b"]))]), said(&[("t", inner(["b", "a"]))]));
        for way in [
            "x-death",
            "x-delivery-count",
            "x-acquired-count",
            "x-first-death-queue",
            "traceparent",
        ]
        .into_iter()
        .chain([
            "Tracestate",
            "cloudEvents:traceparent",
            "cloudEvents_tracestate",
            "X-B3-TraceId",
            "x-opt-any",
        ]) {
            assert_eq!(
                said(&[warning.clone(), host.clone(), (way, HeaderValue::Int(1))]),
                first,
                "{way}"
            );
        }
        for other in [
            vec![warning.clone()],
            vec![("severity", HeaderValue::text("critical")), host.clone()],
            vec![
                warning.clone(),
                host.clone(),
                ("x-roomcast-not-before", HeaderValue::text("2026-12-06T00:00:00Z")),
            ],
            vec![warning.clone(), host.clone(), ("x-roomcast-receipt", HeaderValue::Bool(true))],
            vec![warning.clone(), ("hos", HeaderValue::text("ta"))],
            vec![warning.clone(), ("host", HeaderValue::Bytes(b"a".to_vec()))],
        ] {
            assert_ne!(said(&other), first, "{other:?}");
        }
    }

    #[test]
    fn each_property_that_says_something_is_part_and_those_of_its_way_are_not() {
        let plain = published(&[]);
        let text = || Some("x".to_owned());
        let said = |published: &PublishedMessage| content_digest(published, "1", false);
        for other in [
            PublishedMessage { routing_key: "x".into(), ..plain.clone() },
            PublishedMessage { body: b"x".to_vec(), ..plain.clone() },
            PublishedMessage { content_type: text(), ..plain.clone() },
            PublishedMessage { content_encoding: text(), ..plain.clone() },
            PublishedMessage { kind: text(), ..plain.clone() },
            PublishedMessage { user_id: text(), ..plain.clone() },
        ] {
            assert_ne!(said(&other), said(&plain), "{other:?}");
        }
        assert_ne!(content_digest(&plain, "2", false), said(&plain));
        assert_ne!(content_digest(&plain, "1", true), said(&plain));
        for same in [
            PublishedMessage { timestamp: Some(1), ..plain.clone() },
            PublishedMessage { priority: Some(1), ..plain.clone() },
            PublishedMessage { correlation_id: text(), app_id: text(), ..plain.clone() },
        ] {
            assert_eq!(said(&same), said(&plain), "{same:?}");
        }
    }
}
