//! One text of a template, read by its engine. Owns the bounds of texts and of what they say.

use super::{Tags, Unwritten, jinja::Jinja, placeholders::Placeholders};
use crate::domain::{Engine, Passage, Template};

/// SMN's limit for a template, in bytes.
const TEXT_BYTES_MAX: usize = 256 * 1024;
/// No event says more, so no template does either.
const SAID_BYTES_MAX: usize = 256 * 1024;

/// A text that its engine has read, or has not.
pub(super) struct Compiled {
    template: Template,
    form: Result<Form, Unreadable>,
}

enum Form {
    Tags(Placeholders),
    Jinja(Box<Jinja>),
}

/// Why a text cannot be a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is none.
    #[error("the text is empty")]
    Empty,
    /// It is too long.
    #[error("the text has {0} bytes: at most {TEXT_BYTES_MAX} are possible")]
    TooLong(usize),
    /// It has too many placeholders.
    #[error("it has {found} placeholders: at most {max} are possible")]
    Placeholders {
        /// How many.
        found: usize,
        /// How many are possible.
        max: usize,
    },
    /// Its placeholders name too many tags.
    #[error("its placeholders name {found} tags: at most {max} are possible")]
    Tags {
        /// How many.
        found: usize,
        /// How many are possible.
        max: usize,
    },
    /// It is no Jinja.
    #[error("{0}")]
    Jinja(String),
}

impl Compiled {
    /// Reads a text. If it cannot be read, it says so when it is used.
    pub(super) fn of(template: Template) -> Self {
        let form = read(&template);
        Self { template, form }
    }

    pub(super) const fn template(&self) -> &Template {
        &self.template
    }

    /// What is wrong with it.
    pub(super) fn broken(&self) -> Option<&Unreadable> {
        self.form.as_ref().err()
    }

    /// What it says with these tags.
    pub(super) fn write(&self, tags: &Tags) -> Result<Passage, Unwritten> {
        let Template { name, audience, format, .. } = &self.template;
        let failed = |why| Unwritten::Failed { name: name.clone(), audience: *audience, why };
        let said = match &self.form {
            Ok(Form::Tags(placeholders)) => placeholders.fill(&self.template.text, tags),
            Ok(Form::Jinja(jinja)) => jinja.fill(tags),
            Err(unreadable) => Err(unreadable.to_string()),
        };
        let text = said.map_err(failed)?;
        if text.len() > SAID_BYTES_MAX {
            return Err(failed(format!("it says {} bytes: at most {SAID_BYTES_MAX} are possible", text.len())));
        }
        if text.trim().is_empty() {
            return Err(failed("it says nothing with these tags".to_owned()));
        }
        Ok(Passage { format: *format, ..Passage::from(text.as_str()) })
    }
}

fn read(template: &Template) -> Result<Form, Unreadable> {
    let text = &template.text;
    match template.engine {
        _ if text.trim().is_empty() => Err(Unreadable::Empty),
        _ if text.len() > TEXT_BYTES_MAX => Err(Unreadable::TooLong(text.len())),
        Engine::Tags => Placeholders::of(text).map(Form::Tags),
        Engine::Jinja => Jinja::of(text).map(|jinja| Form::Jinja(Box::new(jinja))),
    }
}
