//! Tests of the set of templates: which text serves which platform, and which changes are allowed.
//!
//! Owns the proof that a template always has a text for all platforms.
//!
//! Not here: what a text says (`engine_tests.rs`), and templates that survive a restart
//! (`store/template_tests.rs`).

use serde_json::json;

use super::*;
use crate::domain::{Format, TemplateEngine, Timestamp};

pub(super) fn template(
    name: &str,
    audience: Audience,
    engine: TemplateEngine,
    text: &str,
) -> Template {
    Template {
        name: name.parse().unwrap(),
        audience,
        engine,
        format: None,
        text: text.to_owned(),
        written_at: Timestamp::from_unix_millis(1),
    }
}

#[test]
fn a_platform_gets_its_own_text_and_else_the_default() {
    let (ding, lark) = (Audience::On(Platform::DingTalk), Audience::On(Platform::Lark));
    let markdown = Template {
        format: Some(Format::Markdown),
        ..template("t", lark, TemplateEngine::Jinja, "lark {{ a }}")
    };
    let mut templates = Templates::default();
    for one in [
        template("t", Audience::Everybody, TemplateEngine::Tags, "all {a}"),
        template("t", ding, TemplateEngine::Tags, "ding {a}"),
        markdown.clone(),
    ] {
        templates = templates.with_text(one, false).unwrap().unwrap();
    }
    let tags = Tags::read(json!({"a": 1})).unwrap();
    let heard = |platform| templates.render_for(platform, "t", &tags).unwrap();
    for (platform, audience, says) in [
        (Platform::DingTalk, ding, "ding 1"),
        (Platform::DingTalkInternal, ding, "ding 1"),
        (Platform::Lark, lark, "lark 1"),
        (Platform::WeCom, Audience::Everybody, "all 1"),
    ] {
        let (found, passage) = heard(platform);
        assert_eq!((found, passage.text.as_str()), (audience, says));
        assert_eq!(passage.format, (audience == lark).then_some(Format::Markdown));
    }
    let all = templates.write("t", &tags).unwrap();
    assert!(all.iter().all(|one| one.text.is_ok()));
    let all: Vec<_> = all.into_iter().map(|one| one.audience).collect();
    assert_eq!(all, [Audience::Everybody, ding, lark]);
    assert_eq!(templates.write("u", &tags).unwrap_err().to_string(), "there is no template u");
    assert!(
        templates
            .write("no name", &tags)
            .unwrap_err()
            .to_string()
            .contains("is not a name of a template")
    );
    // A text that fails for one platform does not fail for another.
    let none = Tags::default();
    let all = templates.write("t", &none).unwrap();
    let failed: Vec<_> =
        all.iter().filter(|one| one.text.is_err()).map(|one| one.audience).collect();
    assert_eq!(failed, [lark]);
    let alone =
        Templates::kept([template("t", Audience::Everybody, TemplateEngine::Jinja, "{{ a }}")]);
    assert!(matches!(
        alone.write("t", &none),
        Err(RenderError::Failed { audience: Audience::Everybody, .. })
    ));
    assert!(templates.render_for(Platform::WeCom, "t", &none).is_ok());
    assert!(templates.render_for(Platform::Lark, "t", &none).is_err());
}

#[test]
fn a_template_always_has_a_text_for_everybody_and_is_not_replaced_by_accident() {
    let lark = Audience::On(Platform::Lark);
    let name: TemplateName = "t".parse().unwrap();
    let add = |templates: &Templates, audience, text, replace| {
        templates.with_text(template("t", audience, TemplateEngine::Tags, text), replace)
    };
    let none = Templates::default();
    assert!(matches!(add(&none, lark, "x", false), Err(TemplateError::NoDefault { .. })));
    let one = add(&none, Audience::Everybody, "x", false).unwrap().unwrap();
    let two = add(&one, lark, "y", false).unwrap().unwrap();
    assert!(add(&two, lark, "y", false).unwrap().is_none(), "the same again changes nothing");
    assert!(matches!(add(&two, lark, "z", false), Err(TemplateError::Exists { .. })));
    let three = add(&two, lark, "z", true).unwrap().unwrap();
    let texts = |templates: &Templates| {
        templates.all().map(|(one, _)| one.text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (texts(&two), texts(&three)),
        (vec!["x".to_owned(), "y".to_owned()], vec!["x".to_owned(), "z".to_owned()])
    );

    let needed = three.without(&name, Some(Audience::Everybody)).err().unwrap();
    assert!(matches!(needed, TemplateError::DefaultNeeded { .. }), "{needed}");
    let (left, gone) = three.without(&name, Some(lark)).unwrap();
    assert_eq!((texts(&left), gone), (vec!["x".to_owned()], vec![lark]));
    let missing = left.without(&name, Some(lark)).err().unwrap().to_string();
    assert_eq!(missing, "template t has no text for lark");
    let (left, gone) = three.without(&name, None).unwrap();
    assert_eq!((left.all().count(), gone), (0, vec![Audience::Everybody, lark]));
    assert_eq!(left.without(&name, None).err().unwrap().to_string(), "there is no template t");

    let mut full = none;
    for number in 0..NAMES_MAX {
        let one = template(&format!("t{number}"), Audience::Everybody, TemplateEngine::Tags, "x");
        full = full.with_text(one, false).unwrap().unwrap();
    }
    assert!(matches!(add(&full, Audience::Everybody, "x", false), Err(TemplateError::TooMany)));
    assert!(
        full.with_text(template("t0", lark, TemplateEngine::Tags, "x"), false).is_ok(),
        "a text for a platform is no template"
    );
}

#[test]
fn a_kept_text_that_cannot_be_read_any_more_stays_and_says_so_when_it_is_used() {
    let templates = Templates::kept([
        template("t", Audience::Everybody, TemplateEngine::Jinja, "{% nonsense %}"),
        template("u", Audience::Everybody, TemplateEngine::Tags, "well"),
    ]);
    let broken: Vec<_> = templates
        .all()
        .filter(|(_, broken)| broken.is_some())
        .map(|(one, _)| one.name.as_str())
        .collect();
    assert_eq!(broken, ["t"]);
    let why = templates.render_default("t", &Tags::default()).unwrap_err().to_string();
    assert!(why.contains("line 1: syntax error"), "{why}");
    assert!(templates.render_default("u", &Tags::default()).is_ok());
}
