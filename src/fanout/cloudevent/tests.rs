//! Tests of CloudEvents: which body is one, and what an event takes from it.
//!
//! Owns the table of forms, and the refusals.
//!
//! Not here: the events of roomcast itself (`decode/tests.rs`).

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

fn read(published: &PublishedMessage) -> Result<Unwrapped, String> {
    let text = text_of(published, 1000).unwrap();
    unwrap(published, &text).map_err(|undecodable| undecodable.detail)
}

fn unwrapped(published: &PublishedMessage) -> (Option<String>, Vec<(String, String)>, String) {
    let Unwrapped::CloudEvent(event) = read(published).unwrap() else { panic!("no CloudEvent") };
    let data = match event.data {
        Data::Event(fields) => format!("json {}", Value::Object(fields)),
        Data::Text(format, text) => format!("{format:?} {text}"),
        Data::Template { name, tags } => format!("template {name} {}", Value::Object(tags)),
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
    assert_eq!(unwrapped(&binary(&HEADERS, "application/json", r#"{"message":"x"}"#)), expected);
    assert_eq!(unwrapped(&binary(&HEADERS, "", r#"{"message":"x"}"#)), expected);
    let body = json!({
        "specversion": "1.0", "id": "7", "source": "/db", "type": "db.down", "subject": "db-1",
        "time": "2026-01-01T00:00:00Z", "data": {"message": "x"}
    });
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
        (json!({"data_base64": "77u/e30="}), "json {}"),
        (json!({"data": "{}", "datacontenttype": "application/vnd.x+json"}), "json {}"),
        (json!({"data": "words", "datacontenttype": "application/json"}), "Text words"),
        (json!({"data": "\"words\"", "datacontenttype": "application/json"}), "Text words"),
    ] {
        let mut body = base.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(unwrapped(&whole(&body)).2, data, "{more}");
    }
    assert_eq!(unwrapped(&binary(&HEADERS, "text/markdown", "**x**")).2, "Markdown **x**");
}

#[test]
fn a_cloudevent_is_known_by_its_attributes_whatever_its_content_type_is() {
    let body = json!({
        "specversion": "1.0", "id": "7", "source": "/db", "type": "t", "data": {"message": "x"}
    });
    for kind in ["", "text/plain", "application/json", "application/octet-stream"] {
        let published = binary(&[], kind, &body.to_string());
        assert_eq!(unwrapped(&published).2, r#"json {"message":"x"}"#, "{kind}");
        let named = ensure_message_id(published, 1000);
        assert_eq!(named.message_id.as_deref(), Some("/db#7"), "{kind}");
    }
    for (body, says) in [
        (json!({"specversion": "1.0", "source": "/db", "type": "t", "data": "x"}), "id is missing"),
        (json!({"specversion": "1.0", "id": "7", "source": "/db", "data": "x"}), "type is missing"),
    ] {
        let says = format!("CloudEvent: {says}");
        assert_eq!(read(&binary(&[], "text/plain", &body.to_string())).err(), Some(says));
    }
    // An event that happens to have such fields is an event.
    let event =
        json!({"specversion": "1.0", "id": "7", "source": "/db", "type": "t", "message": "x"});
    assert!(matches!(read(&binary(&[], "", &event.to_string())), Ok(Unwrapped::Event(_))));
}

#[test]
fn data_of_any_shape_is_for_the_template_that_the_cloudevent_names() {
    for (data, kind, says) in [
        (json!({"order": 7}), "application/json", r#"{"order":7}"#),
        (json!([1, 2]), "application/json", r#"{"data":[1,2]}"#),
        (json!(7), "application/json", r#"{"data":7}"#),
        (json!("{\"order\": 7}"), "application/json", r#"{"order":7}"#),
        (json!("words"), "text/plain", r#"{"data":"words"}"#),
        (json!("<a/>"), "application/xml", r#"{"data":"<a/>"}"#),
    ] {
        let body = json!({"specversion": "1.0", "id": "7", "source": "/db", "type": "t",
                          "roomcasttemplate": "orders", "datacontenttype": kind, "data": data});
        let (_, attributes, read) = unwrapped(&whole(&body));
        assert_eq!(read, format!("template orders {says}"), "{body}");
        assert!(attributes.iter().all(|(name, _)| name != TEMPLATE));
    }
    let headers = [&HEADERS[..], &[("cloudEvents:roomcasttemplate", "orders")]].concat();
    let read = unwrapped(&binary(&headers, "application/json", "[1]")).2;
    assert_eq!(read, r#"template orders {"data":[1]}"#);
}

#[test]
fn a_wrong_cloudevent_says_why() {
    let body = |more: Value| {
        let mut body =
            json!({"specversion": "1.0", "id": "7", "source": "/db", "type": "t", "data": "x"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        whole(&body)
    };
    for (published, says) in [
        (body(json!({"specversion": "0.3"})), "CloudEvent: specversion is 0.3: only 1.0 is taken"),
        (body(json!({"id": ""})), "CloudEvent: id is missing"),
        (
            body(json!({"data": [1]})),
            "CloudEvent: its data is a list: it must be an event or text, \
             or the extension roomcasttemplate names a template for it",
        ),
        (
            body(json!({"data": "{\"message\": 1", "datacontenttype": "application/json"})),
            "CloudEvent: data: line 1 column 13: the JSON ends too early",
        ),
        (
            body(json!({"data": null})),
            "CloudEvent: it has no data: it must be an event or text, \
             or the extension roomcasttemplate names a template for it",
        ),
        (
            body(json!({"datacontenttype": "image/png"})),
            "CloudEvent: datacontenttype is image/png: \
             use application/json, text/plain or text/markdown",
        ),
        (binary(&HEADERS[1..], "", "{}"), "CloudEvent: specversion is missing"),
        (binary(&HEADERS[..3], "", "{}"), "CloudEvent: type is missing"),
        (
            binary(&[], "application/cloudevents+json", "{"),
            "CloudEvent: line 1 column 1: the JSON ends too early",
        ),
        (
            binary(&[], "application/cloudevents-batch+json", "[]"),
            "CloudEvent: a batch is not taken: publish each event as a message of its own",
        ),
    ] {
        assert_eq!(read(&published).err().as_deref(), Some(says));
    }
    let plain = binary(&[("traceparent", "x")], "application/json", "{}");
    assert!(matches!(read(&plain), Ok(Unwrapped::Event(_))));
}

#[test]
fn a_cloudevent_without_a_message_id_is_named_by_source_and_id() {
    let name = |published: PublishedMessage| ensure_message_id(published, 1000).message_id;
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
    fn no_bytes_make_the_unwrapping_panic(
        body: Vec<u8>,
        kind in "application/cloudevents[+a-z-]{0,12}",
    ) {
        let published =
            PublishedMessage { body, content_type: Some(kind), ..binary(&HEADERS, "", "") };
        if let Ok(text) = text_of(&published, 1000) {
            let _ = unwrap(&published, &text);
        }
        let _ = ensure_message_id(published, 1000);
    }
}
