//! Tests of messages in a platform's own form, as far as all platforms share them.
//!
//! Owns the table of refusals that each platform's tests fill in.
//!
//! Not here: the refusals of one platform (`native_tests.rs` in its folder).

use serde_json::{Value, json};

use super::check_native;
use crate::domain::Platform;

fn verdict(platform: Platform, body: &Value) -> String {
    check_native(platform, body)
        .err()
        .map_or_else(|| "good".to_owned(), |mistake| mistake.to_string())
}

/// The message with one field changed; null removes the field.
fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match body.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        parent => parent[name] = value,
    }
    body
}

/// Checks one valid message, and the refusals of one changed field each.
pub(in crate::platforms) fn table(platform: Platform, good: &Value, bad: &[(&str, Value, &str)]) {
    assert_eq!(verdict(platform, good), "good", "{good}");
    for (pointer, value, says) in bad {
        assert_eq!(verdict(platform, &with(good, pointer, value.clone())), *says, "{pointer}");
    }
}

#[test]
fn a_value_that_is_not_an_object_is_not_a_message() {
    for platform in Platform::ALL {
        assert_eq!(verdict(platform, &json!([])), "is a list: it must be an object");
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z_]{0,8}".prop_map(Value::from),
            prop_oneof![
                Just("text"),
                Just("post"),
                Just("interactive"),
                Just("template_card"),
                Just("2.0")
            ]
            .prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            let name = prop_oneof![
                Just("msgtype"),
                Just("msg_type"),
                Just("text"),
                Just("content"),
                Just("card"),
                Just("post"),
                Just("at"),
                Just("elements"),
                Just("header"),
                Just("template_card"),
                Just("card_type"),
                Just("news"),
                Just("x"),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((name, inner), 0..6).prop_map(|fields| Value::Object(
                    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
                )),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_makes_the_check_panic(body in any_json()) {
            for platform in Platform::ALL {
                let _ = check_native(platform, &body);
            }
        }
    }
}
