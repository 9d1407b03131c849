//! The columns of subscriptions in CSV.
//!
//! Owns their names and their order, and that mentions have three columns.
//!
//! Not here: reading a file (`import_lines.rs`), and writing one (`export.rs`).

use serde_json::Value;

use crate::{
    admin::wire::SubscriptionView,
    domain::{Mentions, PrivateOptions, SubscriptionOptions},
};

/// The columns that an import needs.
pub(super) const REQUIRED: [&str; 3] = ["topic", "platform", "endpoint"];

/// The columns that an import knows.
pub(super) fn of_import() -> Vec<&'static str> {
    [&REQUIRED[..], &["secret"], &of_options(), &["state"]].concat()
}

/// The columns of an export.
pub(super) fn of_export() -> Vec<&'static str> {
    let (before, after) =
        (["id", "topic", "platform", "endpoint", "signed"], ["state", "created_at"]);
    [&before[..], &of_options(), &after].concat()
}

fn of_options() -> Vec<&'static str> {
    let mentions = ["mention_all", "mention_mobiles", "mention_users"];
    let private = PrivateOptions::NAMES.iter().flat_map(|name| match *name {
        "mentions" => mentions.to_vec(),
        name => vec![name],
    });
    private.chain(SubscriptionOptions::NAMES.iter().copied()).collect()
}

/// The cells of a subscription in an export.
pub(super) fn cells(view: &SubscriptionView) -> serde_json::Result<Vec<String>> {
    let Mentions { all, mobiles, users } = &view.private.mentions;
    let fields = serde_json::to_value(view)?;
    let cell = |column| match column {
        "mention_all" => all.to_string(),
        "mention_mobiles" => mobiles.join(";"),
        "mention_users" => users.join(";"),
        column => fields.get(column).map(text).unwrap_or_default(),
    };
    Ok(of_export().into_iter().map(cell).collect())
}

/// A value of an option as people read it; empty for `null`.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_has_the_columns_that_scripts_rely_on() {
        let columns = "id,topic,platform,endpoint,signed,keyword,name,\
            mention_all,mention_mobiles,mention_users,\
            overflow,group,filter,quiet,too_long,language,state,created_at";
        let found = of_export();
        assert!(columns.split(',').all(|column| found.contains(&column)), "{found:?}");
        let json = serde_json::json!({
            "id": "0190a0b0c0d0e0f00112233445566778", "topic": "ops", "platform": "wecom",
            "robot": "5e0c7d21a9b84f36c1d2e3f405162738", "endpoint": "https://a/…/****",
            "signed": true, "keyword": "k", "name": null,
            "mentions": {"all": true, "mobiles": ["1", "2"], "users": []}, "state": "paused",
            "overflow": "latest", "group": "g", "filter": {"a": ["b"]}, "quiet": null,
            "too_long": "cut", "created_at": "2026-01-01T00:00:00Z",
        });
        let cells = cells(&serde_json::from_value(json).unwrap()).unwrap();
        for (column, cell) in [
            ("name", ""),
            ("mention_all", "true"),
            ("mention_mobiles", "1;2"),
            ("filter", r#"{"a":["b"]}"#),
            ("state", "paused"),
        ] {
            let at = found.iter().position(|one| *one == column).unwrap();
            assert_eq!(cells[at], cell, "{column}");
        }
    }
}
