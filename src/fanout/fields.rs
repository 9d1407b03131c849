//! The fields of an event, read from JSON of any shape.
//!
//! Owns which other shapes mean the same: `null` is an absent field, and texts, numbers and
//! booleans stand for one another where the meaning is plain. A list is never read by position.
//!
//! Not here: which fields there are (`wire.rs`).

use serde_json::{Map, Number, Value};

use super::{
    json,
    undecodable::{Undecodable, mistake},
};
use crate::platforms::kind_of;

/// A mistake in the field at this place.
pub(super) fn wrong(place: &str, what: &str) -> Undecodable {
    mistake(format!("{place} {what}"))
}

/// A field whose value has another shape than `needed`.
pub(super) fn misshapen(place: &str, value: &Value, needed: &str) -> Undecodable {
    wrong(place, &format!("is {}: it must be {needed}", kind_of(value)))
}

/// A text. A number or a boolean is written as in JSON.
pub(super) fn text(place: &str, value: Option<Value>) -> Result<Option<String>, Undecodable> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Bool(truth)) => Ok(Some(truth.to_string())),
        Some(Value::Number(number)) => digits(place, &number).map(Some),
        Some(other) => Err(misshapen(place, &other, "text")),
    }
}

/// A number as text. One that has lost digits in reading would be another number.
pub(super) fn digits(place: &str, number: &Number) -> Result<String, Undecodable> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(inexact) if number.is_f64() && inexact.abs() > EXACT_MAX => {
            Err(wrong(place, "is a number with too many digits: write it as text"))
        }
        _ => Ok(number.to_string()),
    }
}

/// A truth value: as such, as 0 or 1, or one of these as text.
pub(super) fn truth(place: &str, value: Option<Value>) -> Result<Option<bool>, Undecodable> {
    let said = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Bool(truth)) => return Ok(Some(truth)),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.trim().to_ascii_lowercase(),
        Some(other) => return Err(misshapen(place, &other, "true or false")),
    };
    match said.as_str() {
        "" => Ok(None),
        "true" | "1" => Ok(Some(true)),
        "false" | "0" => Ok(Some(false)),
        _ => Err(wrong(place, "must be true or false")),
    }
}

/// Texts: a list of them, or a single one. What is `null` or empty is left out.
pub(super) fn texts(place: &str, value: Option<Value>) -> Result<Vec<String>, Undecodable> {
    let values = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(values)) => values,
        Some(one @ (Value::String(_) | Value::Number(_))) => vec![one],
        Some(other) => return Err(misshapen(place, &other, "a list of texts")),
    };
    let mut all = Vec::with_capacity(values.len());
    for (at, one) in values.into_iter().enumerate() {
        let place = format!("{place}[{at}]");
        if one.is_boolean() {
            return Err(misshapen(&place, &one, "text"));
        }
        let one = text(&place, Some(one))?;
        all.extend(one.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()));
    }
    Ok(all)
}

/// A whole number of seconds, 1 or more.
pub(super) fn seconds(place: &str, value: Option<Value>) -> Result<Option<u64>, Undecodable> {
    let read = match &value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => {
            serde_json::from_str(text.trim()).ok().and_then(|it| whole(&it))
        }
        Some(Value::Number(number)) => whole(number),
        Some(_) => None,
    };
    let refused = || wrong(place, "must be a whole number of seconds, 1 or more");
    read.filter(|seconds| *seconds > 0).map(Some).ok_or_else(refused)
}

/// The number, if it has no fraction.
fn whole(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let digits = number.to_string();
        digits.strip_suffix(".0")?.parse().ok()
    })
}

/// An object, or one as JSON in text. `null` and an empty text are an absent field.
pub(super) fn object(
    place: &str,
    value: Option<Value>,
) -> Result<Option<Map<String, Value>>, Undecodable> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(value) => json::object(place, value).map(Some).map_err(mistake),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said<T: std::fmt::Debug>(read: Result<T, Undecodable>) -> String {
        match read {
            Ok(value) => format!("{value:?}"),
            Err(refused) => refused.detail,
        }
    }

    /// What becomes of each shape of JSON. The shapes: `null`, `true`, numbers, texts, a list, an
    /// object.
    #[test]
    fn every_shape_of_json_is_read_by_its_meaning_or_refused_in_one_sentence() {
        let shapes = [
            json!(null),
            json!(true),
            json!(7),
            json!(7.5),
            json!(7.0),
            json!(1e30),
            json!(""),
            json!(" 1 "),
            json!("True"),
            json!("x"),
            json!("{\"a\": 1}"),
            json!([]),
            json!(["x", 7, null, ""]),
            json!({"a": 1}),
        ];
        let table = [
            (
                "text",
                (|value| said(text("f", Some(value)))) as fn(Value) -> String,
                [
                    "None",
                    "Some(\"true\")",
                    "Some(\"7\")",
                    "Some(\"7.5\")",
                    "Some(\"7.0\")",
                    "f is a number with too many digits: write it as text",
                    "Some(\"\")",
                    "Some(\" 1 \")",
                    "Some(\"True\")",
                    "Some(\"x\")",
                    "Some(\"{\\\"a\\\": 1}\")",
                    "f is a list: it must be text",
                    "f is a list: it must be text",
                    "f is an object: it must be text",
                ],
            ),
            (
                "truth",
                |value| said(truth("f", Some(value))),
                [
                    "None",
                    "Some(true)",
                    "f must be true or false",
                    "f must be true or false",
                    "f must be true or false",
                    "f must be true or false",
                    "None",
                    "Some(true)",
                    "Some(true)",
                    "f must be true or false",
                    "f must be true or false",
                    "f is a list: it must be true or false",
                    "f is a list: it must be true or false",
                    "f is an object: it must be true or false",
                ],
            ),
            (
                "texts",
                |value| said(texts("f", Some(value))),
                [
                    "[]",
                    "f is a boolean: it must be a list of texts",
                    "[\"7\"]",
                    "[\"7.5\"]",
                    "[\"7.0\"]",
                    "f[0] is a number with too many digits: write it as text",
                    "[]",
                    "[\"1\"]",
                    "[\"True\"]",
                    "[\"x\"]",
                    "[\"{\\\"a\\\": 1}\"]",
                    "[]",
                    "[\"x\", \"7\"]",
                    "f is an object: it must be a list of texts",
                ],
            ),
            (
                "seconds",
                |value| said(seconds("f", Some(value))),
                [
                    "None",
                    "f must be a whole number of seconds, 1 or more",
                    "Some(7)",
                    "f must be a whole number of seconds, 1 or more",
                    "Some(7)",
                    "f must be a whole number of seconds, 1 or more",
                    "None",
                    "Some(1)",
                    "f must be a whole number of seconds, 1 or more",
                    "f must be a whole number of seconds, 1 or more",
                    "f must be a whole number of seconds, 1 or more",
                    "f must be a whole number of seconds, 1 or more",
                    "f must be a whole number of seconds, 1 or more",
                    "f must be a whole number of seconds, 1 or more",
                ],
            ),
            (
                "object",
                |value| said(object("f", Some(value))),
                [
                    "None",
                    "f is a boolean: it must be an object, or one as JSON in text",
                    "f is a number: it must be an object, or one as JSON in text",
                    "f is a number: it must be an object, or one as JSON in text",
                    "f is a number: it must be an object, or one as JSON in text",
                    "f is a number: it must be an object, or one as JSON in text",
                    "None",
                    "f is text that holds a number: it must be an object, or one as JSON in text",
                    "f is text that is not JSON: line 1 column 1: \
                     a value is missing, or is not written as JSON writes it",
                    "f is text that is not JSON: line 1 column 1: \
                     a value is missing, or is not written as JSON writes it",
                    "Some({\"a\": Number(1)})",
                    "f is a list: it must be an object, or one as JSON in text",
                    "f is a list: it must be an object, or one as JSON in text",
                    "Some({\"a\": Number(1)})",
                ],
            ),
        ];
        for (name, read, expected) in table {
            for (shape, expected) in shapes.iter().zip(expected) {
                assert_eq!(read(shape.clone()), expected, "{shape} as {name}");
            }
        }
    }
}
