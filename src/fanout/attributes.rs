//! The attributes of an event, from three sources: SMN's `message_attributes`, a CloudEvent around
//! it, and its headers.
//!
//! Owns the order of the sources. If two attributes have one name, the first source wins.
//!
//! Not here: the filters that compare attributes (`policy.rs`), and the attributes of a CloudEvent
//! (`cloudevent.rs`).

use std::collections::HashSet;

use serde_json::Value;

use super::{
    fields::{digits, misshapen},
    undecodable::{Undecodable, mistake},
    wire::{AttributeKind, AttributeWire},
};
use crate::domain::{Attribute, Attributes, HeaderValue, Headers};

/// The longest name, in bytes. SMN allows 32 of `a-z 0-9 _`; names of headers have other forms.
const NAME_BYTES_MAX: usize = 128;
/// The most values of one attribute. SMN allows 10.
const VALUES_MAX: usize = 100;

/// The mistake of a value that is another list, or not a list.
pub(super) const LIST_OF_TEXTS: &str = "must be a list of texts";

/// Reads all attributes: the event's own, then the CloudEvent's, then the headers.
pub(super) fn attributes_of(
    own: &[AttributeWire],
    around: Vec<Attribute>,
    headers: &Headers,
) -> Result<Attributes, Undecodable> {
    let mut attributes = Attributes::default();
    // A message may have tens of thousands of headers, so a set replaces pairwise comparison.
    let mut names = HashSet::new();
    for (at, one) in own.iter().enumerate() {
        let place = format!("message_attributes[{at}]");
        let values = values_of(&format!("{place}.value"), one)?;
        // An empty list is what some languages write for an absent one.
        if values.is_empty() {
            continue;
        }
        if one.kind == AttributeKind::Protocol {
            // Other protocols of SMN (email, sms, …) have no platform here.
            attributes.platforms =
                Some(values.iter().filter_map(|name| name.parse().ok()).collect());
            continue;
        }
        if one.name.is_empty() || one.name.len() > NAME_BYTES_MAX {
            return Err(mistake(format!("{place}.name must have 1 to {NAME_BYTES_MAX} bytes")));
        }
        if !names.insert(one.name.clone()) {
            return Err(mistake(format!("{place}.name is {:?}, which is there already", one.name)));
        }
        attributes.named.push(Attribute { name: one.name.clone(), values });
    }
    for one in around {
        if names.insert(one.name.clone()) {
            attributes.named.push(one);
        }
    }
    for (name, value) in headers {
        let values = values_in(value);
        if !values.is_empty() && names.insert(name.clone()) {
            attributes.named.push(Attribute { name: name.clone(), values });
        }
    }
    Ok(attributes)
}

/// The values of an attribute. Empty and long ones count too, as those of headers do: the
/// description of an alert must not cost the alert.
fn values_of(place: &str, one: &AttributeWire) -> Result<Vec<String>, Undecodable> {
    let values = match (one.kind, &one.value) {
        (AttributeKind::String, value) => return Ok(vec![text_of(place, value)?]),
        (_, Value::Array(values)) => values.as_slice(),
        (_, single) => std::slice::from_ref(single),
    };
    if values.len() > VALUES_MAX {
        return Err(mistake(format!(
            "{place} has {} texts: at most {VALUES_MAX} are possible",
            values.len()
        )));
    }
    let present = values.iter().enumerate().filter(|(_, value)| !value.is_null());
    present.map(|(at, value)| text_of(&format!("{place}[{at}]"), value)).collect()
}

fn text_of(place: &str, value: &Value) -> Result<String, Undecodable> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => digits(place, number),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => Err(misshapen(place, other, "text")),
    }
}

/// The values of a header with text, numbers or booleans; empty for other types.
fn values_in(value: &HeaderValue) -> Vec<String> {
    match value {
        HeaderValue::Text(_) => value.as_text().map(str::to_owned).into_iter().collect(),
        HeaderValue::Int(number) => vec![number.to_string()],
        HeaderValue::Float(number) => vec![number.to_string()],
        HeaderValue::Bool(truth) => vec![truth.to_string()],
        HeaderValue::List(list) => list.iter().flat_map(values_in).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;
    use crate::{domain::Platform, fanout::wire};

    fn read(own: Value, headers: &[(&str, HeaderValue)]) -> Result<Attributes, String> {
        let own = wire::attributes(Some(own)).map_err(|undecodable| undecodable.detail)?;
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        attributes_of(&own, Vec::new(), &headers).map_err(|undecodable| undecodable.detail)
    }

    #[test]
    fn attributes_are_the_events_own_and_then_its_headers() {
        let own = json!([
            {"name": "severity", "type": "STRING", "value": "critical"},
            {"name": "tags", "type": "STRING_ARRAY", "value": ["db", "告警"]},
            {"name": "load", "type": "STRING", "value": 9.5},
        ]);
        let headers = [
            ("severity", HeaderValue::text("info")),
            ("x-team", HeaderValue::Int(7)),
            (
                "flags",
                HeaderValue::List(vec![
                    HeaderValue::Bool(true),
                    HeaderValue::text("a"),
                    HeaderValue::Void,
                ]),
            ),
            ("table", HeaderValue::Table(vec![])),
        ];
        let attributes = read(own, &headers).unwrap();
        let values = |name: &str| attributes.values(name).map(|values| values.join(","));
        assert_eq!(values("severity").as_deref(), Some("critical"));
        assert_eq!(values("tags").as_deref(), Some("db,告警"));
        assert_eq!(values("load").as_deref(), Some("9.5"));
        assert_eq!(values("x-team").as_deref(), Some("7"));
        assert_eq!(values("flags").as_deref(), Some("true,a"));
        assert_eq!(values("table"), None);
        assert_eq!(attributes.platforms, None);
    }

    #[test]
    fn the_first_of_a_name_counts_and_all_keep_their_order() {
        let own = json!([{"name": "b", "type": "STRING", "value": "own"}]);
        let headers = [
            ("b", HeaderValue::Int(1)),
            ("c", HeaderValue::Void),
            ("c", HeaderValue::Int(2)),
            ("c", HeaderValue::Int(3)),
            ("a", HeaderValue::Int(4)),
        ];
        let read: Vec<_> = read(own, &headers)
            .unwrap()
            .named
            .into_iter()
            .map(|one| (one.name, one.values))
            .collect();
        let expected = [("b", "own"), ("c", "2"), ("a", "4")]
            .map(|(name, value)| (name.to_owned(), vec![value.to_owned()]));
        assert_eq!(read, expected);
    }

    #[test]
    fn sixty_thousand_headers_are_read_in_a_moment() {
        let headers =
            (0..60_000).map(|number| (format!("h{number}"), HeaderValue::Int(number))).collect();
        let began = Instant::now();
        let attributes = attributes_of(&[], Vec::new(), &headers).unwrap();
        assert_eq!(attributes.named.len(), 60_000);
        // The set takes a tenth of a second. Comparing each name with all others takes half a
        // minute.
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[test]
    fn protocols_name_the_platforms_and_an_unknown_protocol_names_none() {
        let own = json!([{
            "name": "smn_protocol", "type": "PROTOCOL", "value": ["email", "feishu", "wecom"]
        }]);
        assert_eq!(read(own, &[]).unwrap().platforms, Some(vec![Platform::Lark, Platform::WeCom]));
        for (value, platforms) in [
            (json!(["sms"]), Some(vec![])),
            (json!("feishu"), Some(vec![Platform::Lark])),
            (json!([]), None),
            (json!(null), None),
        ] {
            let own = json!([{"name": "smn_protocol", "type": "PROTOCOL", "value": value}]);
            assert_eq!(read(own, &[]).unwrap().platforms, platforms, "{value}");
        }
        let own = json!([{"name": "smn_protocol", "value": ["wecom"]}]);
        assert_eq!(read(own, &[]).unwrap().platforms, Some(vec![Platform::WeCom]));
    }

    #[test]
    fn every_shape_of_an_attribute_is_read_by_its_meaning_or_refused_in_one_sentence() {
        let one = |kind: &str, value: Value| json!([{"name": "a", "type": kind, "value": value}]);
        for (own, says) in [
            (json!(null), Ok(None)),
            (json!([]), Ok(None)),
            (json!([null]), Ok(None)),
            (one("STRING", json!(null)), Ok(None)),
            (one("STRING_ARRAY", json!([])), Ok(None)),
            (one("STRING_ARRAY", json!(null)), Ok(None)),
            (one("STRING_ARRAY", json!([null, "x"])), Ok(Some("x"))),
            (one("STRING_ARRAY", json!("x")), Ok(Some("x"))),
            (one("STRING_ARRAY", json!([true, 7])), Ok(Some("true,7"))),
            (one("STRING", json!(true)), Ok(Some("true"))),
            (one("STRING", json!("")), Ok(Some(""))),
            (one(" string ", json!(7)), Ok(Some("7"))),
            (json!([{"name": "a", "value": "x"}]), Ok(Some("x"))),
            (json!([{"name": "a", "type": null, "value": ["x", "y"]}]), Ok(Some("x,y"))),
            (
                json!({"a": "x"}),
                Err(concat!(
                    "message_attributes is an object: it must be a list, ",
                    r#"such as [{"name": "severity", "type": "STRING", "value": "critical"}]"#
                )),
            ),
            (
                json!([["a", "STRING", "x"]]),
                Err(concat!(
                    "message_attributes[0] is a list: it must be an object, ",
                    r#"such as {"name": "severity", "type": "STRING", "value": "critical"}"#
                )),
            ),
            (
                json!([{"name": "", "type": "STRING", "value": "x"}]),
                Err("message_attributes[0].name must have 1 to 128 bytes"),
            ),
            (
                json!([{"name": ["a"], "type": "STRING", "value": "x"}]),
                Err("message_attributes[0].name is a list: it must be text"),
            ),
            (
                one("STRING", json!(["x"])),
                Err("message_attributes[0].value is a list: it must be text"),
            ),
            (
                one("STRING_ARRAY", json!([["x"]])),
                Err("message_attributes[0].value[0] is a list: it must be text"),
            ),
            (
                one("STRING_ARRAY", json!(vec!["x"; 101])),
                Err("message_attributes[0].value has 101 texts: at most 100 are possible"),
            ),
            (
                one("NUMBER", json!(1)),
                Err("message_attributes[0].type is \"NUMBER\": \
                     use STRING, STRING_ARRAY or PROTOCOL"),
            ),
            (
                json!([
                    {"name": "a", "type": "STRING", "value": "x"},
                    {"name": "a", "type": "STRING", "value": "y"}
                ]),
                Err("message_attributes[1].name is \"a\", which is there already"),
            ),
        ] {
            let read = read(own.clone(), &[]);
            let values = read.map(|read| read.values("a").map(|values| values.join(",")));
            let values = values.as_ref().map(Option::as_deref).map_err(String::as_str);
            assert_eq!(values, says, "{own}");
        }
        let long = "x".repeat(5000);
        assert_eq!(read(one("STRING", json!(long)), &[]).unwrap().values("a"), Some(&[long][..]));
    }
}
