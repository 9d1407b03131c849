//! Tests of the two engines: accepted and refused texts, and their results.
//!
//! Owns the proof that a hostile template exhausts neither stack nor memory.
//!
//! Not here: which text serves which platform (`tests.rs`).

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{tests::template, *};
use crate::domain::TemplateEngine;

/// The result of this template with these tags, or the error.
fn say(engine: TemplateEngine, text: &str, tags: Value) -> Result<String, String> {
    let templates =
        Templates::default().with_text(template("t", Audience::Everybody, engine, text), false);
    let templates = templates.map_err(|refused| refused.to_string())?.unwrap();
    let tags = Tags::read(tags).map_err(|mistake| mistake.to_string())?;
    templates.render_default("t", &tags).map(|said| said.1.text).map_err(|why| why.to_string())
}

#[test]
fn a_placeholder_is_a_possible_name_in_braces_and_everything_else_stays_as_it_is() {
    let tags = json!({
        "host": "db-1", "a.b": "dot", "0-x_Y": "first", "n": 1.5, "yes": true, "none": null,
        "x2345678901234567890z": "21"
    });
    for (text, says) in [
        ("{host} is down", "db-1 is down"),
        ("{host}{a.b}{0-x_Y}", "db-1dotfirst"),
        ("{n} {yes} [{none}]", "1.5 true []"),
        ("[{unset}]", "[]"),
        ("{{host}}", "{db-1}"),
        ("{x2345678901234567890z}", "21"),
        ("{x2345678901234567890zz}", "{x2345678901234567890zz}"),
        (
            "{} { host} {host } {ho st} {-host} {.a} {主机} {host",
            "{} { host} {host } {ho st} {-host} {.a} {主机} {host",
        ),
        ("{\"msgtype\": \"{host}\"}", "{\"msgtype\": \"db-1\"}"),
        ("{主{host}机}", "{主db-1机}"),
        ("{{ host }} {% if %}", "{{ host }} {% if %}"),
    ] {
        assert_eq!(say(TemplateEngine::Tags, text, tags.clone()), Ok(says.to_owned()), "{text}");
    }
    // The value of a tag is not expanded again.
    assert_eq!(
        say(TemplateEngine::Tags, "{a}", json!({"a": "{b}", "b": "no"})),
        Ok("{b}".to_owned())
    );
}

#[test]
fn a_value_above_a_limit_is_refused_and_the_limit_itself_is_not() {
    let places = |count: usize, distinct: usize| {
        (0..count).map(|n| format!("{{t{}}}", n % distinct)).collect::<String>()
    };
    for (text, refused) in [
        (places(256, 90) + "x", None),
        (places(257, 90), Some("it has 257 placeholders: at most 256 are possible")),
        (places(91, 91), Some("its placeholders name 91 tags: at most 90 are possible")),
        ("x".repeat(256 * 1024), None),
        (
            "x".repeat(256 * 1024 + 1),
            Some("the text has 262145 bytes: at most 262144 are possible"),
        ),
        (" \n".to_owned(), Some("the text is empty")),
    ] {
        let said = say(TemplateEngine::Tags, &text, json!({}));
        assert_eq!(said.err(), refused.map(|why| format!("template t for default: {why}")));
    }
    let long = say(TemplateEngine::Tags, "{a}", json!({"a": "x".repeat(300_000)})).unwrap();
    assert_eq!(long.len(), 256 * 1024, "no platform shows the rest");
}

#[test]
fn tags_are_an_object_whose_names_and_texts_may_be_long() {
    let long = "x".repeat(22);
    for tags in [
        json!({"a": "x".repeat(5000), "list": ["x", {"y": "z".repeat(2000)}]}),
        json!({long.clone(): "v", "": "v", "a b": "v"}),
        json!(r#"{"a": 1}"#),
        json!(" "),
        json!(null),
    ] {
        assert_eq!(say(TemplateEngine::Tags, "x", tags.clone()), Ok("x".to_owned()), "{tags}");
    }
    for (engine, text, says) in [
        (TemplateEngine::Tags, format!("x{{{long}}}"), format!("x{{{long}}}")),
        (
            TemplateEngine::Jinja,
            format!("{{{{ {long} }}}} {{{{ tags['a b'] }}}}"),
            "v w".to_owned(),
        ),
    ] {
        assert_eq!(say(engine, &text, json!({long.clone(): "v", "a b": "w"})), Ok(says));
    }
    let refused = "tags is a list: it must be an object, or one as JSON in text";
    assert_eq!(say(TemplateEngine::Tags, "x", json!(["a"])), Err(refused.to_owned()));
}

#[test]
fn jinja_has_conditions_loops_filters_and_leaves_no_line_of_a_statement() {
    let text = "{% if level == 'critical' %}\n# {{ subject|upper }}\n{% endif %}\n\
        {% for host in hosts %}\n- {{ host.name }} ({{ host.load|round(1) }})\n{% endfor %}\n\
        {{ owner|default('nobody') }} {{ tags['on-call'] }} {{ q|urlencode }}";
    let tags = json!({"level": "critical", "subject": "down", "on-call": "ann", "q": "a b&c",
                      "hosts": [{"name": "db-1", "load": 9.25}, {"name": "db-2", "load": 3}]});
    assert_eq!(
        say(TemplateEngine::Jinja, text, tags).unwrap(),
        "# DOWN\n- db-1 (9.2)\n- db-2 (3)\nnobody ann a%20b%26c"
    );
    // The result is not escaped, and the value of a tag is not expanded again.
    assert_eq!(
        say(TemplateEngine::Jinja, "{{ a }}", json!({"a": "<b>{{ a }}"})),
        Ok("<b>{{ a }}".to_owned())
    );
}

#[test]
fn a_template_that_fails_says_which_tag_or_which_line() {
    for (engine, text, tags, says) in [
        (
            TemplateEngine::Tags,
            "{list}",
            json!({"list": [1]}),
            "template t for default: tag list is a list: \
             only templates of the engine jinja take that",
        ),
        (
            TemplateEngine::Tags,
            "{unset}",
            json!({}),
            "template t for default: it renders nothing with these tags",
        ),
        (TemplateEngine::Jinja, "{% if false %}x{% endif %} ", json!({}), "it renders nothing"),
        (TemplateEngine::Jinja, "{{ x }}", json!({"x": "\u{200b}\u{3000}"}), "it renders nothing"),
        (
            TemplateEngine::Jinja,
            "one\n{{ host }}",
            json!({}),
            "template t for default: line 2: undefined value: `host` is undefined",
        ),
        (
            TemplateEngine::Jinja,
            "\n\n{{ host.name.first }}",
            json!({"host": {}}),
            "line 3: undefined value: `host.name` is undefined",
        ),
        (
            TemplateEngine::Jinja,
            "{% for one in hosts %}{% endfor %}",
            json!({}),
            "line 1: undefined value: `hosts` is undefined",
        ),
        (TemplateEngine::Jinja, "{{ 1 / 0 }}", json!({}), "line 1: invalid operation"),
        (
            TemplateEngine::Jinja,
            "{{ 'a' * 99999999 }}",
            json!({}),
            "line 1: engine ran out of fuel",
        ),
        (
            TemplateEngine::Jinja,
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            json!({}),
            "engine ran out of fuel",
        ),
    ] {
        let said = say(engine, text, tags).unwrap_err();
        assert!(said.contains(says), "{text}: {said}");
    }
    for (text, says) in [
        ("one\n{% if x %}", "line 2: syntax error"),
        ("{{ x|nonsense }}", "unknown filter"),
        ("{% include 'x' %}", "line 1: syntax error"),
        ("{% import 'x' as y %}", "line 1: syntax error"),
        ("{% extends 'x' %}", "line 1: syntax error"),
        ("{% macro m() %}{{ m() }}{% endmacro %}", "line 1: syntax error"),
    ] {
        let said = say(TemplateEngine::Jinja, text, json!({"x": 1})).unwrap_err();
        assert!(said.contains(says), "{text}: {said}");
    }
}

#[test]
fn a_text_that_doubles_itself_runs_out_of_fuel_instead_of_memory() {
    for (first, again, says) in [
        ("'x'", "{% set x = x ~ x %}".repeat(60), "out of fuel"),
        ("'xxxxxxxx'", "{% set x = x|replace('x', x) %}".repeat(20), "out of fuel"),
        ("[1]", "{% set x = x + x %}".repeat(60), "line 1: more than 16 sums"),
        ("[1]", "{% set x = x|chain(x) %}".repeat(60), "unknown filter"),
        ("namespace()", String::new(), "unknown function"),
    ] {
        let said = say(
            TemplateEngine::Jinja,
            &format!("{{% set x = {first} %}}{again}{{{{ x }}}}"),
            json!({}),
        )
        .unwrap_err();
        assert!(said.contains(says), "{said}");
    }
    let sums = "{% set x = x + x %}".repeat(16);
    assert!(
        say(
            TemplateEngine::Jinja,
            &format!("{{% set x = [1] %}}{sums}{{{{ x|length }}}}"),
            json!({})
        )
        .is_ok()
    );
}

#[test]
fn a_text_that_is_nested_without_end_is_refused_on_the_stack_of_a_thread_of_the_daemon() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("not ", ""),
        ("-", ""),
        ("x ~ ", ""),
        ("x.", ""),
        ("x|upper|", "upper"),
        ("x if x else ", ""),
        ("{%if x%}", "{%endif%}"),
        ("{%if x%}{%elif x%}", "{%endif%}"),
    ] {
        for times in [60, 14_000] {
            let expression = format!("{}x{}", open.repeat(times), close.repeat(times));
            let text = match open {
                "{%if x%}{%elif x%}" => {
                    format!("{{%if x%}}{}{{%endif%}}", "{%elif x%}".repeat(times))
                }
                statement if statement.starts_with('{') => expression,
                _ => format!("{{{{ {expression} }}}}"),
            };
            let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
            let said = thread
                .spawn(move || say(TemplateEngine::Jinja, &text, json!({"x": 1})))
                .unwrap()
                .join()
                .unwrap();
            let refused = said.as_ref().is_err_and(|said| said.contains("line 1: "));
            assert!(refused || times == 60, "{open}: {said:?}");
        }
    }
}

/// Texts that are likely to be valid templates of either engine.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{a}".to_owned()),
        Just("{{ a }}".to_owned()),
        Just("{% for x in a %}".to_owned()),
        Just("{% endfor %}".to_owned()),
        Just("{% if a %}".to_owned()),
        Just("{% endif %}".to_owned()),
        Just("{% set a = a ~ a %}".to_owned()),
        Just("{{ a|replace('x', a) * 9 }}".to_owned()),
        "[{}% a|.'\"\\\\(]{0,6}",
        "\\PC{0,9}",
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        Just(Value::from("x".repeat(1024))),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{1,3}", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn rendering_never_panics_and_what_it_says_is_bounded(
        text in texts(),
        a in values(),
        jinja: bool,
    ) {
        let engine = if jinja { TemplateEngine::Jinja } else { TemplateEngine::Tags };
        if let Ok(said) = say(engine, &text, json!({"a": a})) {
            prop_assert!(!said.trim().is_empty() && said.len() <= 256 * 1024);
        }
    }

    #[test]
    fn a_text_without_a_placeholder_says_itself(text in "[^{]{1,60}") {
        prop_assume!(!crate::domain::is_blank(&text));
        prop_assert_eq!(say(TemplateEngine::Tags, &text, json!({})), Ok(text));
    }

    #[test]
    fn every_placeholder_is_replaced_and_nothing_else(
        names in prop::collection::vec("[a-z][a-z0-9._-]{0,20}", 1..30),
    ) {
        let tags: serde_json::Map<_, _> =
            names.iter().map(|name| (name.clone(), json!(format!("<{name}>")))).collect();
        let text: String = names.iter().map(|name| format!("{{{name}}} {{}}")).collect();
        let says: String = names.iter().map(|name| format!("<{name}> {{}}")).collect();
        prop_assert_eq!(say(TemplateEngine::Tags, &text, Value::Object(tags)), Ok(says));
        prop_assert!(names.iter().collect::<HashSet<_>>().len() <= 90);
    }
}
