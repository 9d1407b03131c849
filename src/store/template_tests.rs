//! Templates across reopening, backup and restoration, and those of the committed store.
//!
//! Owns the proof that a durable template is served again exactly as it was written.
//!
//! Not here: rendering and syntax (`fanout/templates/`), the format of one text (`templates.rs`).

use std::{fs, path::Path};

use super::{
    Store, StoreError, StoreRefusal, StoreSettings, backup::restore,
    conformance::samples::subscription, golden_tests::golden as golden_store, tests::open_with,
};
use crate::{
    domain::{Audience, Format, Platform, Template, TemplateEngine, Timestamp},
    fanout::{Tags, TemplateError},
};

const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);
const LARK: Audience = Audience::On(Platform::Lark);

fn text(name: &str, audience: Audience, engine: TemplateEngine, text: &str) -> Template {
    Template {
        name: name.parse().unwrap(),
        audience,
        engine,
        format: (engine == TemplateEngine::Jinja).then_some(Format::Markdown),
        text: text.to_owned(),
        written_at: Timestamp::from_unix_millis(0),
    }
}

/// Checks the templates of the committed store.
pub(super) fn golden(store: &Store) {
    for one in [
        text("down", Audience::Everybody, TemplateEngine::Tags, "{host} is down"),
        text("down", LARK, TemplateEngine::Jinja, "# {{ host }}"),
        text("up", Audience::Everybody, TemplateEngine::Tags, "up again"),
        text("gone", Audience::Everybody, TemplateEngine::Tags, "gone"),
    ] {
        assert!(store.add_template(one, false).unwrap());
    }
    store.remove_template(&"gone".parse().unwrap(), None).unwrap();
}

fn open(dir: &Path) -> Store {
    open_with(dir, 1).unwrap_or_else(|error| panic!("{error}"))
}

/// Every text in the store: name, audience, rendered text.
fn said(store: &Store) -> Vec<(String, Audience, String)> {
    let tags = Tags::read(serde_json::json!({"host": "db-1"})).unwrap();
    let all = store.templates().now();
    let said = |(one, broken): (&Template, Option<_>)| {
        assert!(broken.is_none() && one.written_at > Timestamp::from_unix_millis(0));
        let texts = all.write(one.name.as_str(), &tags).unwrap();
        let rendered = texts.into_iter().find(|text| text.audience == one.audience).unwrap();
        let passage = rendered.text.unwrap();
        assert_eq!(passage.format, one.format);
        (one.name.to_string(), one.audience, passage.text)
    };
    all.all().map(said).collect()
}

fn golden_texts() -> Vec<(String, Audience, String)> {
    [
        ("down", Audience::Everybody, "db-1 is down"),
        ("down", LARK, "# db-1"),
        ("up", Audience::Everybody, "up again"),
    ]
    .map(|(name, audience, text)| (name.to_owned(), audience, text.to_owned()))
    .to_vec()
}

#[test]
fn the_templates_of_version_3_are_there_and_earlier_stores_have_none_and_take_some() {
    let dir = golden_store(3);
    assert_eq!(said(&open(dir.path())), golden_texts());
    for version in [1, 2] {
        let dir = golden_store(version);
        let store = open(dir.path());
        assert_eq!(said(&store), []);
        golden(&store);
        drop(store);
        assert_eq!(said(&open(dir.path())), golden_texts());
    }
}

#[test]
fn a_change_is_in_the_registry_at_once_and_on_the_disk_when_it_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (registry, before) = (store.templates(), store.templates().now());
    golden(&store);
    assert_eq!(
        (before.all().count(), registry.now().all().count()),
        (0, 3),
        "who took the old ones keeps them"
    );
    assert!(
        !store
            .add_template(text("up", Audience::Everybody, TemplateEngine::Tags, "up again"), false)
            .unwrap()
    );
    let other = text("up", Audience::Everybody, TemplateEngine::Tags, "well again");
    let refused = store.add_template(other.clone(), false);
    assert!(matches!(
        refused,
        Err(StoreError::Refused(StoreRefusal::Template(TemplateError::Exists { .. })))
    ));
    assert!(store.add_template(other, true).unwrap());
    assert_eq!(store.remove_template(&"down".parse().unwrap(), Some(LARK)).unwrap(), 1);
    let refused = store
        .add_template(text("bad", Audience::Everybody, TemplateEngine::Jinja, "{% if %}"), false);
    assert!(matches!(
        refused,
        Err(StoreError::Refused(StoreRefusal::Template(TemplateError::Unreadable { .. })))
    ));
    let now = said(&store);
    assert_eq!(now.len(), 2);
    assert_eq!(now[1].2, "well again");
    drop((store, registry));
    let store = open(dir.path());
    assert_eq!(said(&store), now);
    let verified = store.verify().unwrap();
    assert!(verified.is_sound() && verified.templates == 2, "{verified:?}");
}

#[test]
fn long_texts_are_kept_whole_in_the_synced_file_and_leave_nothing_when_they_become_short() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let long =
        |name: &str| text(name, Audience::Everybody, TemplateEngine::Tags, &"长x".repeat(65_536));
    for number in 0..20 {
        store.add_template(long(&format!("t{number}")), false).unwrap();
    }
    store
        .add_template(text("t7", Audience::Everybody, TemplateEngine::Tags, "short"), true)
        .unwrap();
    store.remove_template(&"t8".parse().unwrap(), None).unwrap();
    let now = said(&store);
    assert_eq!((now.len(), now[0].2.len()), (19, 262_144));
    drop(store);
    let aside = fs::read_dir(dir.path().join("data/db/blobs")).unwrap().count();
    assert_eq!(aside, 0, "sled does not sync what it puts into files of their own");
    let store = open(dir.path());
    assert_eq!(said(&store), now);
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn a_changed_text_is_found_by_a_check_of_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    golden(&store);
    let broken = text("up", Audience::Everybody, TemplateEngine::Jinja, "{% nonsense %}");
    store.0.db.put_template(&broken).unwrap();
    assert_eq!(store.verify().unwrap().broken_templates, ["up for default", "up for default"]);
    drop(store);
    let store = open(dir.path());
    let verified = store.verify().unwrap();
    assert_eq!(
        (verified.templates, &verified.broken_templates[..]),
        (2, &["up for default".to_owned()][..])
    );
    assert!(!verified.is_sound());
    assert!(
        store.templates().now().write("up", &Tags::default()).is_err(),
        "and the store opens all the same"
    );
}

#[test]
fn a_backup_brings_templates_back_and_one_of_an_earlier_version_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    golden(&store);
    let long = text("long", Audience::Everybody, TemplateEngine::Tags, &"x".repeat(256 * 1024));
    store.add_template(long, false).unwrap();
    store.add(subscription("ops", "token-0123456789")).unwrap();
    let (to, new) = (dir.path().join("backup"), dir.path().join("new"));
    let manifest = store.backup(&to).unwrap();
    assert_eq!((manifest.format, manifest.templates), (2, 4));
    let restored = restore(&to, &StoreSettings::at(new.join("data")), &[], NOW).unwrap();
    assert_eq!((restored.subscriptions, restored.templates), (1, 4));
    let all = said(&store);
    assert_eq!(said(&open(&new)), all);

    // The file lacks one text.
    let file = to.join("templates");
    let bytes = fs::read(&file).unwrap();
    let first = usize::try_from(u32::from_be_bytes(bytes[16..20].try_into().unwrap())).unwrap();
    fs::write(&file, [&bytes[..16], &bytes[24 + first..]].concat()).unwrap();
    let refused = restore(&to, &StoreSettings::at(dir.path().join("short/data")), &[], NOW)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("it should hold 4 texts of templates, and has 3"), "{refused}");

    // The backup as an earlier version wrote it.
    fs::remove_file(&file).unwrap();
    let old = serde_json::json!({"format": 1, "subscriptions": 1, "key": manifest.key});
    fs::write(to.join("backup.json"), old.to_string()).unwrap();
    let older = dir.path().join("older");
    let restored = restore(&to, &StoreSettings::at(older.join("data")), &[], NOW).unwrap();
    assert_eq!((restored.subscriptions, restored.templates), (1, 0));
    let store = open_with(&older, 1).unwrap_or_else(|error| panic!("{error}"));
    assert!(store.verify().unwrap().is_sound());
    assert_eq!(said(&store), []);
}
