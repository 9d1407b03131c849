//! The richer engine: Jinja, as minijinja implements it. The only file that names minijinja.
//!
//! Each text stands alone: it includes no other, and reads no file. An undefined value is a
//! mistake, unless the template asks for it (`is defined`, `default`). A line with only a statement
//! leaves no empty line.
//!
//! Owns the limits of time and memory for a template, where minijinja's fuel is not enough.
//!
//! Not here: the engine with plain placeholders (`placeholders.rs`).

use std::collections::BTreeMap;

use minijinja::{
    Environment, Error, UndefinedBehavior, Value,
    machinery::{Token, tokenize},
    syntax::SyntaxConfig,
    value::Serde,
};

use super::{invalid_template::InvalidTemplate, tags::Tags};

/// The budget of one rendering: one unit for each instruction, and for each 64 bytes of
/// intermediate text. So a rendering takes at most some ten milliseconds and some megabytes.
const FUEL: u64 = 100_000;

/// The most tokens in one statement. minijinja parses some constructs by unbounded recursion on the
/// stack of a daemon thread, so this limit and the one for `elif` bound its depth.
const WORDS_MAX: usize = 256;
const ELIFS_MAX: usize = 64;
/// The most sums in one text. Fuel does not cover the sum of two lists, so a list must not be
/// doubled often. `chain` and `namespace` are removed for the same reason.
const SUMS_MAX: usize = 16;

/// The name of the one text in its environment.
const TEXT: &str = "template";

/// A compiled text.
pub(super) struct Jinja(Environment<'static>);

impl Jinja {
    /// Compiles a text.
    pub(super) fn of(text: &str) -> Result<Self, InvalidTemplate> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        // With this setting an error names the undefined value.
        environment.set_debug(true);
        // It would show values that the template's author does not need.
        environment.remove_global("debug");
        environment.remove_global("namespace");
        environment.remove_filter("chain");
        let unreadable = |error: Error| InvalidTemplate::Jinja(sentence(&error));
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(unreadable)?;
        bounded(text, &syntax)?;
        environment.set_syntax(syntax);
        environment.add_template_owned(TEXT, text.to_owned()).map_err(unreadable)?;
        Ok(Self(environment))
    }

    /// Renders the text with these tags, under their names and as `tags`.
    pub(super) fn fill(&self, tags: &Tags) -> Result<String, String> {
        let whole = Value::from(Serde(tags.all()));
        let mut names: BTreeMap<&str, Value> = BTreeMap::from([("tags", whole)]);
        names.extend(
            tags.all().iter().map(|(name, value)| (name.as_str(), Value::from(Serde(value)))),
        );
        let said = self
            .0
            .get_template(TEXT)
            .and_then(|template| template.render(Value::from_pairs(names)));
        said.map_err(|error| sentence(&error))
    }
}

/// Refuses constructs that fuel does not bound.
fn bounded(text: &str, syntax: &SyntaxConfig) -> Result<(), InvalidTemplate> {
    let (mut words, mut elifs, mut sums) = (0, 0, 0);
    // The parser gives a better message for an invalid token.
    for (token, place) in tokenize(text, false, syntax.clone()).map_while(Result::ok) {
        words += 1;
        match token {
            Token::BlockStart | Token::VariableStart | Token::TemplateData(_) => words = 0,
            Token::Ident("elif") => elifs += 1,
            Token::Plus => sums += 1,
            _ => {}
        }
        let counted = [
            (words, WORDS_MAX, "words and signs in one statement"),
            (elifs, ELIFS_MAX, "elif"),
            (sums, SUMS_MAX, "sums"),
        ];
        if let Some((_, max, what)) = counted.into_iter().find(|(count, max, _)| count > max) {
            return Err(InvalidTemplate::Jinja(format!(
                "line {}: more than {max} {what}",
                place.start_line
            )));
        }
    }
    Ok(())
}

/// The line and the mistake.
fn sentence(error: &Error) -> String {
    let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let kind = error.kind();
    match error.detail() {
        Some(detail) => format!("{line}{kind}: {}", detail.chars().take(300).collect::<String>()),
        None => format!("{line}{kind}"),
    }
}
