//! Filters in JSON, in two forms that publishers know: a list is SMN's form, an object is that of
//! Amazon SNS.
//!
//! Owns the limits of filters, and how each form treats an absent attribute.
//!
//! Not here: the evaluation of a filter (`domain/filter.rs`).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::attributes::LIST_OF_TEXTS;
use crate::domain::{
    Absent, AttributeTest, Comparison, FilterPolicy, FilterRule, Number, invalid_value,
};

/// The longest filter, in bytes. Filters are part of the rows' heads, which stay in memory.
const FILTER_BYTES_MAX: usize = 16 * 1024;
/// The most rules of one filter.
const RULES_MAX: usize = 10;
/// The most values of one rule.
const VALUES_MAX: usize = 50;
/// The longest text in a filter, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// The text is not a filter: the place and the mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter: {0}")]
pub struct InvalidPolicy(pub String);

/// Reads a filter in one of these forms:
///
/// - SMN: `[{"name": "severity", "string_equals": ["critical"]}]`
/// - SNS: `{"severity": ["critical", {"prefix": "high"}, {"anything-but": ["info"]}, {"numeric":
///   [">=", 3, "<", 5]}, {"exists": true}]}`
///
/// # Errors
///
/// The filter is invalid or too large.
pub fn read_policy(filter: &Value) -> Result<FilterPolicy, InvalidPolicy> {
    let bytes = filter.to_string().len();
    if bytes > FILTER_BYTES_MAX {
        return Err(mistake(format!(
            "it has {bytes} bytes: at most {FILTER_BYTES_MAX} are possible"
        )));
    }
    let policy = match filter {
        Value::Array(policies) => {
            let rules = policies.iter().enumerate().map(|(at, policy)| rule_of_smn(at, policy));
            FilterPolicy { absent: Absent::Ignored, rules: rules.collect::<Result<_, _>>()? }
        }
        Value::Object(rules) => {
            let rules = rules.iter().map(|(name, tests)| rule_of_sns(name, tests));
            FilterPolicy { absent: Absent::Refused, rules: rules.collect::<Result<_, _>>()? }
        }
        _ => {
            return Err(mistake("it must be a list of SMN's policies, or an object of attributes"));
        }
    };
    match policy.rules.len() {
        0 => Err(mistake("it has no rule")),
        1..=RULES_MAX => Ok(policy),
        many => Err(mistake(format!("it has {many} rules: at most {RULES_MAX} are possible"))),
    }
}

/// Writes the filter in the form from which it was read.
#[must_use]
pub fn write_policy(policy: &FilterPolicy) -> Value {
    let tests = |rule: &FilterRule| rule.any_of.iter().map(test_in_json).collect::<Vec<_>>();
    match policy.absent {
        Absent::Ignored => policy
            .rules
            .iter()
            .map(|rule| json!({"name": rule.attribute, "string_equals": tests(rule)}))
            .collect(),
        Absent::Refused => Value::Object(
            policy.rules.iter().map(|rule| (rule.attribute.clone(), tests(rule).into())).collect(),
        ),
    }
}

impl Serialize for FilterPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_policy(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FilterPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_policy(&Value::deserialize(deserializer)?).map_err(invalid_value)
    }
}

fn rule_of_smn(at: usize, policy: &Value) -> Result<FilterRule, InvalidPolicy> {
    let name = policy.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| mistake(format!("[{at}].name must be text")))?;
    if name.starts_with("smn_") {
        return Err(mistake(format!("[{at}].name must not begin with smn_")));
    }
    let values = policy.get("string_equals").and_then(Value::as_array);
    let values = values.ok_or_else(|| mistake(format!("[{at}].string_equals {LIST_OF_TEXTS}")))?;
    let place = format!("[{at}].string_equals");
    let tests = values.iter().map(|value| match value {
        Value::String(text) => Ok(AttributeTest::Equals(text_of(&place, text)?)),
        _ => Err(mistake(format!("{place} {LIST_OF_TEXTS}"))),
    });
    rule(name, &place, tests.collect::<Result<_, _>>()?)
}

fn rule_of_sns(name: &str, tests: &Value) -> Result<FilterRule, InvalidPolicy> {
    let tests = tests.as_array().ok_or_else(|| mistake(format!("{name} must be a list")))?;
    let tests = tests.iter().map(|test| test_of_sns(name, test)).collect::<Result<_, _>>()?;
    rule(name, name, tests)
}

fn rule(name: &str, place: &str, any_of: Vec<AttributeTest>) -> Result<FilterRule, InvalidPolicy> {
    match any_of.len() {
        0 => Err(mistake(format!("{place} is empty"))),
        1..=VALUES_MAX => Ok(FilterRule { attribute: text_of("name", name)?, any_of }),
        many => {
            Err(mistake(format!("{place} has {many} values: at most {VALUES_MAX} are possible")))
        }
    }
}

fn test_of_sns(name: &str, test: &Value) -> Result<AttributeTest, InvalidPolicy> {
    let unknown =
        || mistake(format!("{name}: use texts, numbers, prefix, anything-but, numeric or exists"));
    match test {
        Value::String(text) => Ok(AttributeTest::Equals(text_of(name, text)?)),
        Value::Number(_) => {
            Ok(AttributeTest::Numeric(vec![(Comparison::Equal, number(name, test)?)]))
        }
        Value::Object(operator) => {
            let (1, Some((operator, value))) = (operator.len(), operator.iter().next()) else {
                return Err(unknown());
            };
            match (operator.as_str(), value) {
                ("prefix", Value::String(text)) => Ok(AttributeTest::Prefix(text_of(name, text)?)),
                ("anything-but", Value::String(text)) => {
                    Ok(AttributeTest::AnythingBut(vec![text_of(name, text)?]))
                }
                ("anything-but", Value::Array(texts))
                    if (1..=VALUES_MAX).contains(&texts.len()) =>
                {
                    let texts =
                        texts.iter().map(|text| text_of(name, text.as_str().ok_or_else(unknown)?));
                    Ok(AttributeTest::AnythingBut(texts.collect::<Result<_, _>>()?))
                }
                ("numeric", Value::Array(bounds)) => numeric(name, bounds),
                ("exists", Value::Bool(there)) => Ok(AttributeTest::Exists(*there)),
                _ => Err(unknown()),
            }
        }
        _ => Err(unknown()),
    }
}

/// `["=", 1]`, or a range such as `[">", 1, "<=", 10]`.
fn numeric(name: &str, bounds: &[Value]) -> Result<AttributeTest, InvalidPolicy> {
    let wrong =
        || mistake(format!("{name}: numeric needs one or two of = < <= > >=, each with a number"));
    let pairs = bounds.chunks(2).map(|pair| match pair {
        [Value::String(sign), bound] => {
            let comparison =
                Comparison::SIGNS.iter().find(|(known, _)| known == sign).ok_or_else(wrong)?;
            Ok((comparison.1, number(name, bound)?))
        }
        _ => Err(wrong()),
    });
    let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
    if (1..=2).contains(&pairs.len()) { Ok(AttributeTest::Numeric(pairs)) } else { Err(wrong()) }
}

fn number(name: &str, value: &Value) -> Result<Number, InvalidPolicy> {
    value
        .as_f64()
        .and_then(Number::new)
        .ok_or_else(|| mistake(format!("{name}: {value} is not a number")))
}

fn text_of(place: &str, text: &str) -> Result<String, InvalidPolicy> {
    match text.len() {
        1..=TEXT_BYTES_MAX => Ok(text.to_owned()),
        bytes => Err(mistake(format!(
            "{place} holds a text of {bytes} bytes: 1 to {TEXT_BYTES_MAX} are possible"
        ))),
    }
}

fn test_in_json(test: &AttributeTest) -> Value {
    match test {
        AttributeTest::Equals(text) => json!(text),
        AttributeTest::Prefix(text) => json!({"prefix": text}),
        AttributeTest::AnythingBut(texts) => json!({"anything-but": texts}),
        AttributeTest::Numeric(bounds) => {
            let bounds: Vec<Value> = bounds
                .iter()
                .flat_map(|(sign, bound)| [json!(sign.sign()), json!(bound.get())])
                .collect();
            json!({"numeric": bounds})
        }
        AttributeTest::Exists(there) => json!({"exists": there}),
    }
}

fn mistake(detail: impl Into<String>) -> InvalidPolicy {
    InvalidPolicy(detail.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_are_read_and_written_back() {
        for filter in [
            json!([
                {"name": "week", "string_equals": ["saturday", "sunday"]},
                {"name": "time", "string_equals": ["morning"]}
            ]),
            json!({
                "severity": ["critical", {"prefix": "high"}, {"anything-but": ["info", "debug"]}],
                "load": [{"numeric": [">=", 3.0, "<", 5.5]}], "team": [{"exists": true}],
                "muted": [{"exists": false}]
            }),
        ] {
            assert_eq!(write_policy(&read_policy(&filter).unwrap()), filter);
        }
        let short = read_policy(&json!({"a": [7, {"anything-but": "x"}]})).unwrap();
        assert_eq!(
            write_policy(&short),
            json!({"a": [{"numeric": ["=", 7.0]}, {"anything-but": ["x"]}]})
        );
    }

    #[test]
    fn a_mistake_says_where_it_is() {
        for (filter, says) in [
            (json!("x"), "filter: it must be a list of SMN's policies, or an object of attributes"),
            (json!([]), "filter: it has no rule"),
            (json!({}), "filter: it has no rule"),
            (json!([{"string_equals": ["x"]}]), "filter: [0].name must be text"),
            (
                json!([{"name": "smn_x", "string_equals": ["x"]}]),
                "filter: [0].name must not begin with smn_",
            ),
            (json!([{"name": "x"}]), "filter: [0].string_equals must be a list of texts"),
            (
                json!([{"name": "x", "string_equals": [1]}]),
                "filter: [0].string_equals must be a list of texts",
            ),
            (json!([{"name": "x", "string_equals": []}]), "filter: [0].string_equals is empty"),
            (json!({"x": "y"}), "filter: x must be a list"),
            (json!({"x": []}), "filter: x is empty"),
            (json!({"x": [""]}), "filter: x holds a text of 0 bytes: 1 to 256 are possible"),
            (
                json!({"x": [true]}),
                "filter: x: use texts, numbers, prefix, anything-but, numeric or exists",
            ),
            (
                json!({"x": [{"prefix": "a", "exists": true}]}),
                "filter: x: use texts, numbers, prefix, anything-but, numeric or exists",
            ),
            (
                json!({"x": [{"suffix": "a"}]}),
                "filter: x: use texts, numbers, prefix, anything-but, numeric or exists",
            ),
            (
                json!({"x": [{"numeric": [">"]}]}),
                "filter: x: numeric needs one or two of = < <= > >=, each with a number",
            ),
            (
                json!({"x": [{"numeric": ["~", 1]}]}),
                "filter: x: numeric needs one or two of = < <= > >=, each with a number",
            ),
            (json!({"x": [{"numeric": [">", "1"]}]}), "filter: x: \"1\" is not a number"),
            (json!({"x": vec!["y"; 51]}), "filter: x has 51 values: at most 50 are possible"),
        ] {
            assert_eq!(read_policy(&filter).unwrap_err().to_string(), says, "{filter}");
        }
    }

    proptest! {
        /// A written filter is read back as the same filter.
        #[test]
        fn a_filter_survives_being_written(
            names in prop::collection::vec("[a-z]{1,8}", 1..5),
            bound in any::<f64>(),
            text in "[^\"]{1,20}",
        ) {
            let tests = json!([
                text, {"prefix": text}, {"numeric": ["<=", bound]}, {"anything-but": [text]},
                {"exists": true}
            ]);
            let fields = names.into_iter().map(|name| (name, tests.clone())).collect();
            let filter = Value::Object(fields);
            if let Ok(policy) = read_policy(&filter) {
                prop_assert_eq!(read_policy(&write_policy(&policy)), Ok(policy));
            }
        }
    }
}
