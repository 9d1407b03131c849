//! Templates.
//!
//! Owns the promises of `TemplateStore` without a crash.
//!
//! Not here: rendering and syntax (`fanout/templates/`).

use super::{Harness, OpenStore, open};
use crate::{
    admin::ports::{StoreFailure, StoreRefusal},
    domain::{Audience, Platform, Template, TemplateEngine, Timestamp},
    fanout::TemplateError,
};

pub(super) fn text(name: &str, audience: Audience, text: &str) -> Template {
    Template {
        name: name.parse().unwrap(),
        audience,
        engine: TemplateEngine::Tags,
        format: None,
        text: text.to_owned(),
        written_at: Timestamp::from_unix_millis(0),
    }
}

/// Every text in the registry.
pub(super) fn texts(store: &OpenStore) -> Vec<(String, Audience, String)> {
    let all = store.admin.templates().now();
    all.all()
        .map(|(one, broken)| {
            assert!(broken.is_none() && one.written_at > Timestamp::from_unix_millis(0));
            (one.name.to_string(), one.audience, one.text.clone())
        })
        .collect()
}

pub(in crate::store) async fn a_template_is_in_the_registry_at_once_and_after_reopening<
    H: Harness,
>() {
    let (harness, lark) = (H::new(), Audience::On(Platform::Lark));
    let store = open(&harness).await;
    let held = store.admin.templates().now();
    for one in [
        text("down", Audience::Everybody, "{host} is down"),
        text("down", lark, "# {host}"),
        text("up", Audience::Everybody, &"up again ".repeat(2000)),
    ] {
        assert!(store.admin.add_template(one, false).await.unwrap());
    }
    assert_eq!((held.all().count(), texts(&store).len()), (0, 3), "a held registry stays");
    let same = text("down", lark, "# {host}");
    assert!(!store.admin.add_template(same, false).await.unwrap());
    let other = text("up", Audience::Everybody, "well again");
    let refused = store.admin.add_template(other.clone(), false).await;
    assert!(matches!(
        refused,
        Err(StoreFailure::Refused(StoreRefusal::Template(TemplateError::Exists { .. })))
    ));
    assert!(store.admin.add_template(other, true).await.unwrap());
    let down = "down".parse().unwrap();
    assert_eq!(store.admin.remove_template(&down, Some(lark)).await.unwrap(), 1);
    let again = store.admin.remove_template(&down, Some(lark)).await;
    assert!(matches!(
        again,
        Err(StoreFailure::Refused(StoreRefusal::Template(TemplateError::Missing { .. })))
    ));
    let now = texts(&store);
    let everybody = Audience::Everybody;
    let expected = [("down", "{host} is down"), ("up", "well again")]
        .map(|(name, text)| (name.to_owned(), everybody, text.to_owned()));
    assert_eq!(now, expected);
    drop(store);
    let store = open(&harness).await;
    assert_eq!(texts(&store), expected);
    assert_eq!(store.admin.verify().await.unwrap().templates, 2);
}
