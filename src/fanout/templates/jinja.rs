//! The richer engine, Jinja as minijinja speaks it. The only file that names minijinja.
//!
//! One text at a time: nothing is included, no file is read. What is undefined is a mistake, unless the template asks for it (`is defined`,
//! `default`). A line that has only a statement leaves no line behind.

use std::collections::BTreeMap;

use minijinja::{
    Environment, Error, UndefinedBehavior, Value,
    machinery::{Token, tokenize},
    syntax::SyntaxConfig,
    value::Serde,
};

use super::{compiled::Unreadable, tags::Tags};

/// What one rendering may cost: one for each instruction and each 64 bytes that come to be on the way, so that it neither takes more than some ten
/// milliseconds nor more than some megabytes.
const FUEL: u64 = 100_000;

/// minijinja reads some things by recursion without a bound, and its stack is that of a thread of the daemon: so no expression or statement may have
/// more words and signs than this, and no text more `elif`s.
const WORDS_MAX: usize = 256;
const ELIFS_MAX: usize = 64;
/// The sum of two lists is not paid for with fuel, so no list may be doubled often: hence few sums, and neither `chain` nor `namespace`.
const SUMS_MAX: usize = 16;

/// Under which name an environment holds its one text.
const TEXT: &str = "template";

/// A text that was read.
pub(super) struct Jinja(Environment<'static>);

impl Jinja {
    /// Reads a text.
    pub(super) fn of(text: &str) -> Result<Self, Unreadable> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        // With this an error names what is undefined.
        environment.set_debug(true);
        // It would show what a template may know and its author does not need.
        environment.remove_global("debug");
        environment.remove_global("namespace");
        environment.remove_filter("chain");
        let unreadable = |error: Error| Unreadable::Jinja(sentence(&error));
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(unreadable)?;
        bounded(text, &syntax)?;
        environment.set_syntax(syntax);
        environment.add_template_owned(TEXT, text.to_owned()).map_err(unreadable)?;
        Ok(Self(environment))
    }

    /// Says it with these tags, by their names and as `tags`.
    pub(super) fn fill(&self, tags: &Tags) -> Result<String, String> {
        let whole = Value::from(Serde(tags.all()));
        let mut names: BTreeMap<&str, Value> = BTreeMap::from([("tags", whole)]);
        names.extend(tags.all().iter().map(|(name, value)| (name.as_str(), Value::from(Serde(value)))));
        let said = self.0.get_template(TEXT).and_then(|template| template.render(Value::from_pairs(names)));
        said.map_err(|error| sentence(&error))
    }
}

/// Refuses what fuel does not bound.
fn bounded(text: &str, syntax: &SyntaxConfig) -> Result<(), Unreadable> {
    let (mut words, mut elifs, mut sums) = (0, 0, 0);
    // What is no token is a mistake that the parser says better.
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
            return Err(Unreadable::Jinja(format!("line {}: more than {max} {what}", place.start_line)));
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
