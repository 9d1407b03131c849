//! The shapes of commands on many subscriptions: import, export, removal.
//!
//! Owns their names and forms.
//!
//! Not here: one subscription (`subscription.rs`), and the files that the command line reads and
//! writes (`cli/import.rs`, `cli/export.rs`).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{AddRequest, ListQuery};
use crate::domain::{ListCursor, Secret, SubscriptionId, refused_value, required_credential};

/// `POST /v1/subscriptions/import`: up to some hundred at a time.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// The subscriptions to add.
    pub subscriptions: Vec<ImportItem>,
}

/// One subscription of an import, or why it cannot be read. An unreadable one does not spoil the
/// others.
pub struct ImportItem(pub Result<AddRequest, String>);

impl Serialize for ImportItem {
    /// An unreadable item becomes `null`, which is unreadable again.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().ok().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ImportItem {
    /// The text is borrowed, so that no copy of a credential is left behind.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(json.get()).map_err(|error| {
            refused_value(&error)
                .unwrap_or_else(|| "it is not the JSON of a subscription".to_owned())
        })))
    }
}

/// The result for one subscription of an import: an id, or the reason of its refusal.
#[derive(Debug, Deserialize, Serialize)]
pub struct ImportResult {
    /// The subscription's id.
    pub id: Option<SubscriptionId>,
    /// Whether the same robot was already subscribed to the same topic; then nothing was added.
    pub existed: bool,
    /// Why it was refused.
    pub refused: Option<String>,
}

/// `POST /v1/subscriptions/export`: one page, each sealed for another machine.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// The filter.
    #[serde(default)]
    pub query: ListQuery,
    /// The key file's 64 hexadecimal digits.
    #[serde(with = "required_credential")]
    pub key: Secret,
}

/// One page of an export.
#[derive(Debug, Deserialize, Serialize)]
pub struct ExportPage {
    /// Each subscription, sealed, in base 64.
    pub sealed: Vec<String>,
    /// The cursor of the next page; `null` on the last.
    pub next: Option<ListCursor>,
}

/// `DELETE /v1/topics/{topic}`: some of a topic's subscriptions at a time.
#[derive(Debug, Deserialize, Serialize)]
pub struct BatchRemoved {
    /// How many were removed; 0 when none is left.
    pub removed: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_subscription_says_why_and_does_not_spoil_the_others() {
        let json = r#"{"subscriptions": [
            {"topic": "a b", "platform": "lark", "endpoint": "https://a/SECRET"},
            {"topic": "ops", "platform": "lark", "endpoint": "https://a"},
            {"https://a/SECRET": 1}, null
        ]}"#;
        let read: ImportRequest = serde_json::from_slice(json.as_bytes()).unwrap();
        let said: Vec<_> = read.subscriptions.iter().map(|one| one.0.as_ref().err()).collect();
        assert!(said[0].is_some_and(|why| why.starts_with("the topic's name holds ' '")));
        assert!(said[1].is_none());
        for parser in &said[2..] {
            assert!(parser.is_some_and(|why| why == "it is not the JSON of a subscription"));
        }
    }
}
