//! Filters: which events of its topic a subscription receives, decided by their attributes.
//!
//! Owns how each test compares values, and the meaning of an absent attribute.
//!
//! Not here: the JSON form of a filter (`fanout/policy.rs`).

use std::fmt;

use super::{Attributes, Platform};

/// The filter of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterPolicy {
    /// How a rule treats an event that lacks the rule's attribute.
    pub absent: Absent,
    /// All rules have to hold.
    pub rules: Vec<FilterRule>,
}

/// How a rule treats an event that lacks the rule's attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The rule does not apply, as in Huawei Cloud SMN.
    Ignored,
    /// The rule does not hold, unless it tests for the absence, as in Amazon SNS.
    Refused,
}

/// A condition on one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterRule {
    /// The attribute's name.
    pub attribute: String,
    /// At least one value of the attribute has to pass at least one of these tests.
    pub any_of: Vec<AttributeTest>,
}

/// A condition on one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeTest {
    /// Equals this text.
    Equals(String),
    /// Begins with this text.
    Prefix(String),
    /// Equals none of these texts.
    AnythingBut(Vec<String>),
    /// Is a number for which all of these comparisons hold.
    Numeric(Vec<(Comparison, Number)>),
    /// The attribute is present, or absent.
    Exists(bool),
}

/// A comparison of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

impl Comparison {
    /// Every comparison with its sign.
    pub const SIGNS: [(&'static str, Self); 5] = [
        ("=", Self::Equal),
        ("<", Self::Less),
        ("<=", Self::AtMost),
        (">", Self::More),
        (">=", Self::AtLeast),
    ];

    /// Its sign.
    #[must_use]
    pub fn sign(self) -> &'static str {
        Self::SIGNS.iter().find(|(_, one)| *one == self).map_or("", |(sign, _)| sign)
    }

    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Equal => value.total_cmp(&bound).is_eq(),
            Self::Less => value < bound,
            Self::AtMost => value <= bound,
            Self::More => value > bound,
            Self::AtLeast => value >= bound,
        }
    }
}

/// A finite number of a filter.
#[derive(Clone, Copy, Debug)]
pub struct Number(f64);

impl Number {
    /// Takes a finite number; minus zero becomes zero.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self(number + 0.0))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    fn read(text: &str) -> Option<Self> {
        text.trim().parse().ok().and_then(Self::new)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.total_cmp(&other.0).is_eq()
    }
}

impl Eq for Number {}

/// Why a subscription does not receive an event.
#[derive(Debug, PartialEq, Eq)]
pub enum FilterRejection<'a> {
    /// The event is meant for other platforms.
    Platform(Platform),
    /// A rule does not hold.
    Rule {
        /// The rule.
        rule: &'a FilterRule,
        /// The attribute's values; `None` if the event lacks the attribute.
        found: Option<&'a [String]>,
    },
}

impl FilterPolicy {
    /// The names of the attributes that it tests.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.attribute.as_str())
    }

    /// The first rule that does not hold.
    #[must_use]
    pub fn rejection<'a>(&'a self, attributes: &'a Attributes) -> Option<FilterRejection<'a>> {
        self.rules.iter().find_map(|rule| {
            let found = attributes.values(&rule.attribute);
            let holds = match (found, self.absent) {
                (None, Absent::Ignored) => true,
                (None, Absent::Refused) => rule.any_of.contains(&AttributeTest::Exists(false)),
                (Some(values), _) => {
                    values.iter().any(|value| rule.any_of.iter().any(|test| test.passes(value)))
                }
            };
            (!holds).then_some(FilterRejection::Rule { rule, found })
        })
    }
}

impl AttributeTest {
    fn passes(&self, value: &str) -> bool {
        match self {
            Self::Equals(text) => value == text,
            Self::Prefix(beginning) => value.starts_with(beginning),
            Self::AnythingBut(texts) => !texts.iter().any(|text| text == value),
            Self::Numeric(bounds) => Number::read(value).is_some_and(|number| {
                bounds.iter().all(|(comparison, bound)| comparison.holds(number.0, bound.0))
            }),
            Self::Exists(there) => *there,
        }
    }
}

impl fmt::Display for AttributeTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(text) => write!(f, "{text:?}"),
            Self::Prefix(beginning) => write!(f, "a text beginning with {beginning:?}"),
            Self::AnythingBut(texts) => write!(f, "anything but {texts:?}"),
            Self::Numeric(bounds) => {
                f.write_str("a number")?;
                bounds.iter().try_for_each(|(comparison, bound)| {
                    write!(f, " {} {}", comparison.sign(), bound.0)
                })
            }
            Self::Exists(true) => f.write_str("any value"),
            Self::Exists(false) => f.write_str("no such attribute"),
        }
    }
}

impl fmt::Display for FilterRejection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rule, found) = match self {
            Self::Platform(platform) => return write!(f, "the event is not meant for {platform}"),
            Self::Rule { rule, found } => (rule, found),
        };
        match found {
            None => write!(f, "the event has no attribute {:?}", rule.attribute)?,
            Some([value]) => write!(f, "attribute {:?} is {value:?}", rule.attribute)?,
            Some(values) => write!(f, "attribute {:?} is {values:?}", rule.attribute)?,
        }
        for (at, test) in rule.any_of.iter().enumerate() {
            write!(f, "{}{test}", if at == 0 { ": the filter wants " } else { " or " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Attribute;

    fn attributes(named: &[(&str, &[&str])]) -> Attributes {
        let named = named.iter().map(|(name, values)| Attribute {
            name: (*name).to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        });
        Attributes { named: named.collect(), platforms: None }
    }

    fn rule(attribute: &str, any_of: Vec<AttributeTest>) -> FilterRule {
        FilterRule { attribute: attribute.to_owned(), any_of }
    }

    fn equals(text: &str) -> AttributeTest {
        AttributeTest::Equals(text.to_owned())
    }

    #[test]
    fn in_smns_form_all_rules_hold_one_value_suffices_and_an_absent_attribute_passes() {
        let rules = vec![
            rule("week", vec![equals("saturday"), equals("sunday")]),
            rule("time", vec![equals("morning")]),
        ];
        let policy = FilterPolicy { absent: Absent::Ignored, rules };
        for (named, wanted) in [
            (&[("week", &["sunday"][..]), ("time", &["morning"][..])][..], true),
            (&[("week", &["sunday"]), ("time", &["evening"])], false),
            (&[("week", &["monday"]), ("time", &["morning"])], false),
            // As SMN documents it: a message with `week` alone still matches a policy that also has
            // `time`.
            (&[("week", &["sunday"])], true),
            (&[], true),
            (&[("week", &["monday", "sunday"])], true),
            (&[("week", &["Sunday"])], false),
        ] {
            assert_eq!(policy.rejection(&attributes(named)).is_none(), wanted, "{named:?}");
        }
    }

    #[test]
    fn in_snss_form_an_absent_attribute_does_not_match_unless_the_rule_requires_absence() {
        let with =
            |test| FilterPolicy { absent: Absent::Refused, rules: vec![rule("a", vec![test])] };
        let number = |bounds: &[(Comparison, f64)]| {
            AttributeTest::Numeric(
                bounds.iter().map(|(one, bound)| (*one, Number::new(*bound).unwrap())).collect(),
            )
        };
        let between = || number(&[(Comparison::AtLeast, 1.0), (Comparison::Less, 10.0)]);
        for (test, values, wanted) in [
            (equals("x"), Some(&["x"][..]), true),
            (equals("x"), None, false),
            (AttributeTest::Prefix("crit".into()), Some(&["critical"]), true),
            (AttributeTest::Prefix("crit".into()), Some(&["uncritical"]), false),
            (AttributeTest::AnythingBut(vec!["x".into(), "y".into()]), Some(&["z"]), true),
            (AttributeTest::AnythingBut(vec!["x".into(), "y".into()]), Some(&["y"]), false),
            (AttributeTest::AnythingBut(vec!["x".into()]), Some(&["x", "z"]), true),
            (AttributeTest::AnythingBut(vec!["x".into()]), None, false),
            (between(), Some(&["1"]), true),
            (between(), Some(&["9.99"]), true),
            (between(), Some(&["10"]), false),
            (between(), Some(&["many"]), false),
            (number(&[(Comparison::Equal, 0.0)]), Some(&["-0"]), true),
            (number(&[(Comparison::More, 3e2)]), Some(&["300"]), false),
            (number(&[(Comparison::AtMost, 3e2)]), Some(&["300"]), true),
            (AttributeTest::Exists(true), Some(&["x"]), true),
            (AttributeTest::Exists(true), None, false),
            (AttributeTest::Exists(false), Some(&["x"]), false),
            (AttributeTest::Exists(false), None, true),
        ] {
            let named: Vec<_> = values.iter().map(|values| ("a", *values)).collect();
            assert_eq!(
                with(test.clone()).rejection(&attributes(&named)).is_none(),
                wanted,
                "{test:?} {values:?}"
            );
        }
    }

    #[test]
    fn why_an_event_is_unwanted_is_a_sentence() {
        let policy = FilterPolicy {
            absent: Absent::Refused,
            rules: vec![rule(
                "severity",
                vec![equals("critical"), AttributeTest::Prefix("high".into())],
            )],
        };
        let why = |named: &[(&str, &[&str])]| {
            policy.rejection(&attributes(named)).map(|why| why.to_string())
        };
        let wants = "the filter wants \"critical\" or a text beginning with \"high\"";
        assert_eq!(
            why(&[("severity", &["info"])]),
            Some(format!("attribute \"severity\" is \"info\": {wants}"))
        );
        assert_eq!(why(&[]), Some(format!("the event has no attribute \"severity\": {wants}")));
        assert_eq!(why(&[("severity", &["highest"])]), None);
        assert_eq!(
            FilterRejection::Platform(Platform::Lark).to_string(),
            "the event is not meant for lark"
        );
    }

    #[test]
    fn an_event_for_dingtalk_is_for_its_internal_robots_as_well() {
        let mut attributes = Attributes::default();
        assert!(Platform::ALL.into_iter().all(|platform| attributes.are_for(platform)));
        attributes.platforms = Some(vec![Platform::DingTalk]);
        let heard: Vec<_> =
            Platform::ALL.into_iter().filter(|platform| attributes.are_for(*platform)).collect();
        assert_eq!(heard, [Platform::DingTalk, Platform::DingTalkInternal]);
        attributes.platforms = Some(vec![]);
        assert!(!Platform::ALL.into_iter().any(|platform| attributes.are_for(platform)));
    }
}
