//! Each field of an event in each shape of JSON.
//!
//! Owns the table of what is read, and of the sentence of each refusal.
//!
//! Not here: events as a whole (`../tests.rs`).

use super::*;

/// What becomes of an event with this field in each shape of JSON: `null`, `true`, a number, a text
/// of digits, an empty text, other text, a list, an object. The outcome is either what was read, or
/// the sentence of the refusal.
#[test]
fn every_field_in_every_shape_of_json_is_read_by_its_meaning_or_refused_in_one_sentence() {
    let shapes =
        ["null", "true", "7", r#""7""#, r#""""#, r#""x""#, "[]", r#"["x", 7, null]"#, "{}"];
    let read = |field: &str, shape: &str, show: fn(&Event) -> String| {
        // The field is in its place in an event that is otherwise complete.
        let body = match field.split_once('.') {
            Some((outer, inner)) => format!(r#"{{"message":"m","{outer}":{{"{inner}":{shape}}}}}"#),
            None if field == "message" => format!(r#"{{"message":{shape}}}"#),
            None if field == "tags" => {
                format!(r#"{{"message_template_name":"down","tags":{shape},"message":"m"}}"#)
            }
            None => format!(r#"{{"message":"m","{field}":{shape}}}"#),
        };
        match decode_for(Some(Platform::WeCom), "ops", &body) {
            Ok(event) => show(&event),
            Err(refused) => refused.detail,
        }
    };
    let subject = |event: &Event| format!("{:?}", event.content.subject);
    let said = |event: &Event| event.content.message.as_ref().unwrap().text.clone();
    let format = |event: &Event| event.content.format.to_string();
    let at = |event: &Event| {
        let mentions = event.content.mentions_on(Platform::Lark);
        format!("{} {:?} {:?}", mentions.all, mentions.mobiles, mentions.users)
    };
    let life = |event: &Event| event.expires_at.since(event.received_at).as_secs().to_string();
    let attributes = |event: &Event| event.content.attributes.named.len().to_string();
    let none = "false [] []";
    let list = "an object: it must be a list of texts";
    let text = |place: &str, kind: &str| format!("{place} is {kind}: it must be text");
    let object = |place: &str, kind: &str| {
        format!("{place} is {kind}: it must be an object, or one as JSON in text")
    };
    let not_json = |place: &str| {
        format!(
            "{place} is text that is not JSON: line 1 column 1: \
             a value is missing, or is not written as JSON writes it"
        )
    };
    let holds = |place: &str| object(place, "text that holds a number");
    let truth = |place: &str| format!("{place} must be true or false");
    let seconds = "time_to_live must be a whole number of seconds, 1 or more";
    let blank = "the message has only blanks: a member would see nothing of it";
    let attribute = concat!(
        "message_attributes[0] is text: it must be an object, ",
        r#"such as {"name": "severity", "type": "STRING", "value": "critical"}"#
    );
    let attribute_list = |kind: &str| {
        format!(
            "message_attributes is {kind}: it must be a list, \
             such as [{{\"name\": \"severity\", \"type\": \"STRING\", \"value\": \"critical\"}}]"
        )
    };
    let unknown = |name: &str| format!("there is no template {name}");
    let table: Vec<FieldRow> = vec![
        (
            "subject",
            subject,
            [
                "None".into(),
                "Some(\"true\")".into(),
                "Some(\"7\")".into(),
                "Some(\"7\")".into(),
                "None".into(),
                "Some(\"x\")".into(),
                text("subject", "a list"),
                text("subject", "a list"),
                text("subject", "an object"),
            ],
        ),
        (
            "message",
            said,
            [
                "neither message nor message_structure nor a template says anything".into(),
                "true".into(),
                "7".into(),
                "7".into(),
                blank.into(),
                "x".into(),
                text("message", "a list"),
                text("message", "a list"),
                text("message", "an object"),
            ],
        ),
        (
            "format",
            format,
            [
                "text".into(),
                "format is \"true\": use text or markdown".into(),
                "format is \"7\": use text or markdown".into(),
                "format is \"7\": use text or markdown".into(),
                "text".into(),
                "format is \"x\": use text or markdown".into(),
                text("format", "a list"),
                text("format", "a list"),
                text("format", "an object"),
            ],
        ),
        (
            "message_structure",
            said,
            [
                "m".into(),
                object("message_structure", "a boolean"),
                object("message_structure", "a number"),
                holds("message_structure"),
                "m".into(),
                not_json("message_structure"),
                object("message_structure", "a list"),
                object("message_structure", "a list"),
                "m".into(),
            ],
        ),
        (
            "message_template_name",
            said,
            [
                "m".into(),
                unknown("true"),
                unknown("7"),
                unknown("7"),
                "m".into(),
                unknown("x"),
                text("message_template_name", "a list"),
                text("message_template_name", "a list"),
                text("message_template_name", "an object"),
            ],
        ),
        (
            "tags",
            said,
            [
                " is down".into(),
                object("tags", "a boolean"),
                object("tags", "a number"),
                holds("tags"),
                " is down".into(),
                not_json("tags"),
                object("tags", "a list"),
                object("tags", "a list"),
                " is down".into(),
            ],
        ),
        (
            "time_to_live",
            life,
            [
                "60".into(),
                seconds.into(),
                "7".into(),
                "7".into(),
                "60".into(),
                seconds.into(),
                seconds.into(),
                seconds.into(),
                seconds.into(),
            ],
        ),
        (
            "at",
            at,
            [
                none.into(),
                object("at", "a boolean"),
                object("at", "a number"),
                holds("at"),
                none.into(),
                not_json("at"),
                object("at", "a list"),
                object("at", "a list"),
                none.into(),
            ],
        ),
        (
            "at.all",
            at,
            [
                none.into(),
                "true [] []".into(),
                truth("at.all"),
                truth("at.all"),
                none.into(),
                truth("at.all"),
                "at.all is a list: it must be true or false".into(),
                "at.all is a list: it must be true or false".into(),
                "at.all is an object: it must be true or false".into(),
            ],
        ),
        (
            "at.mobiles",
            at,
            [
                none.into(),
                "at.mobiles is a boolean: it must be a list of texts".into(),
                "false [\"7\"] []".into(),
                "false [\"7\"] []".into(),
                none.into(),
                "false [\"x\"] []".into(),
                none.into(),
                "false [\"x\", \"7\"] []".into(),
                format!("at.mobiles is {list}"),
            ],
        ),
        (
            "at.users",
            at,
            [
                none.into(),
                "at.users is a boolean: it must be a list of texts".into(),
                "false [] [\"7\"]".into(),
                "false [] [\"7\"]".into(),
                none.into(),
                "false [] [\"x\"]".into(),
                none.into(),
                "false [] [\"x\", \"7\"]".into(),
                none.into(),
            ],
        ),
        (
            "message_attributes",
            attributes,
            [
                "0".into(),
                attribute_list("a boolean"),
                attribute_list("a number"),
                attribute_list("text"),
                attribute_list("text"),
                attribute_list("text"),
                "0".into(),
                attribute.into(),
                attribute_list("an object"),
            ],
        ),
    ];
    for (field, show, expected) in table {
        for (shape, expected) in shapes.iter().zip(expected) {
            assert_eq!(read(field, shape, show), expected, "{field}: {shape}");
        }
    }
}
