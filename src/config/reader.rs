//! Reads keys from the TOML file and the environment.
//!
//! Owns how unknown keys are found: the reader records every key that the code asks for, and
//! reports all others with the most similar name.
//!
//! Not here: the settings and the forms of their values, which the rooms declare.

use std::{collections::BTreeSet, hash::Hash};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{
    ConfigError, ConfigErrors, EnvironmentSource, SourceLocation, found_key::FoundKey,
    values::Values,
};
use crate::{
    domain::NearestName,
    settings::{Form, Setting, SettingSource},
};

/// Names, or beginnings of names, of variables that are not settings: one is the command line's,
/// the others are set by Kubernetes for a service called roomcast.
const FOREIGN_VARIABLES: [&str; 3] = ["ROOMCAST_CONFIG", "ROOMCAST_SERVICE_", "ROOMCAST_PORT"];

/// A value from the file or the environment.
struct RawValue {
    place: SourceLocation,
    /// The scalar, or the members of the list.
    members: Vec<(SourceLocation, String)>,
    is_list: bool,
}

pub(super) struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    table: DeTable<'a>,
    environment: &'a dyn EnvironmentSource,
    requested_keys: BTreeSet<String>,
    values: Values,
    mistakes: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        name: &'a str,
        text: &'a str,
        environment: &'a dyn EnvironmentSource,
    ) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Self {
            name,
            text,
            table: table.into_inner(),
            environment,
            requested_keys: BTreeSet::new(),
            values: Values::default(),
            mistakes: Vec::new(),
        };
        for error in errors {
            let place = reader.place(error.span().map_or(0, |span| span.start));
            reader.mistake(place, error.message());
        }
        reader
    }

    /// The value of a setting, if it is given and correct.
    fn read_one<T>(&mut self, section: &str, key: &str, form: &Form<T>) -> Option<T> {
        let given = self.given(section, key, false)?;
        match (given.is_list, given.members.into_iter().next()) {
            (false, Some((place, text))) => self.parsed(section, key, place, &text, form),
            _ => {
                self.mistake(
                    given.place,
                    &format!("{section}.{key}: one value is expected, not a list"),
                );
                None
            }
        }
    }

    /// The correct values of a list, if it is given.
    fn read_many<T>(&mut self, section: &str, key: &str, form: &Form<T>) -> Option<Vec<T>> {
        let given = self.given(section, key, true)?;
        if !given.is_list {
            self.mistake(
                given.place,
                &format!("{section}.{key}: a list is expected, such as [\"…\"]"),
            );
            return None;
        }
        let members = given.members.into_iter();
        Some(
            members
                .filter_map(|(place, text)| self.parsed(section, key, place, &text, form))
                .collect(),
        )
    }

    /// The values of a declared default. They are missing only if the declaration is wrong, which a
    /// test finds.
    fn defaults<T>(&mut self, section: &str, setting: &Setting, form: &Form<T>) -> Vec<T> {
        setting.default_values(form).unwrap_or_else(|message| {
            self.whole(&format!("{section}.{}: the default: {message}", setting.key));
            Vec::new()
        })
    }

    fn keep(&mut self, section: &str, setting: &Setting, fingerprint: &impl Hash) {
        self.values.set(section, setting.key, fingerprint, setting.takes_effect);
    }

    /// The names of the subsections of a section, such as `a` for `[groups.a]`.
    pub(super) fn sections_of(&mut self, section: &str) -> Vec<String> {
        let table = self.table.get(section).and_then(|value| value.get_ref().as_table());
        let inner =
            table.into_iter().flatten().filter(|(_, value)| value.get_ref().as_table().is_some());
        inner.map(|(name, _)| name.get_ref().to_string()).collect()
    }

    /// Adds a mistake about a whole section.
    pub(super) fn across_section(&mut self, section: &str, message: &str) {
        let found = FoundKey::all(&self.table);
        let start = found.iter().find(|key| key.name == section).map_or(0, |key| key.start);
        let place = self.place(start);
        self.mistake(place, &format!("[{section}]: {message}"));
    }

    /// Whether the file or the environment sets a key.
    pub(super) fn sets(&mut self, section: &str, key: &str) -> bool {
        self.given(section, key, false).is_some()
    }

    /// Adds a mistake about a combination of keys.
    pub(super) fn cross_field(&mut self, section: &str, key: &str, message: &str) {
        let place = self
            .given(section, key, false)
            .map_or_else(|| SourceLocation::Whole(self.name.to_owned()), |given| given.place);
        self.mistake(place, &format!("{section}.{key}: {message}"));
    }

    /// The values of all settings that were read.
    pub(super) fn values(&self) -> Values {
        self.values.clone()
    }

    /// Adds a mistake about the whole configuration.
    pub(super) fn whole(&mut self, message: &str) {
        self.mistake(SourceLocation::Whole(self.name.to_owned()), message);
    }

    /// Whether a value in the file is an address with a password.
    pub(super) fn holds_password(&self) -> bool {
        fn holds(value: &DeValue<'_>) -> bool {
            match value {
                DeValue::String(text) => {
                    url::Url::parse(text).is_ok_and(|url| url.password().is_some())
                }
                DeValue::Array(all) => all.iter().any(|one| holds(one.get_ref())),
                DeValue::Table(table) => table.values().any(|one| holds(one.get_ref())),
                _ => false,
            }
        }
        self.table.values().any(|value| holds(value.get_ref()))
    }

    /// Ends the reading. Without a mistake it gives the value that was read.
    ///
    /// # Errors
    ///
    /// All mistakes, including keys and variables that the code did not ask for.
    pub(super) fn finish<T>(mut self, read: Option<T>) -> Result<T, ConfigErrors> {
        self.find_unknown_keys();
        self.find_unknown_variables();
        match read {
            Some(read) if self.mistakes.is_empty() => return Ok(read),
            None if self.mistakes.is_empty() => self.whole("a setting has no value"),
            _ => (),
        }
        self.mistakes.sort_by_key(|mistake| match &mistake.place {
            SourceLocation::File { line, column, .. } => (0, *line, *column),
            SourceLocation::Variable(_) => (1, 0, 0),
            SourceLocation::Whole(_) => (2, 0, 0),
        });
        Err(ConfigErrors(self.mistakes))
    }

    fn parsed<T>(
        &mut self,
        section: &str,
        key: &str,
        place: SourceLocation,
        text: &str,
        form: &Form<T>,
    ) -> Option<T> {
        form.parse(text)
            .map_err(|message| self.mistake(place, &format!("{section}.{key}: {message}")))
            .ok()
    }

    /// The text of a setting. A variable does not show whether it is a list, so the setting does.
    fn given(&mut self, section: &str, key: &str, is_list: bool) -> Option<RawValue> {
        self.requested_keys.insert(format!("{section}.{key}"));
        let variable = variable(section, key);
        if let Some(text) = self.environment.var(&variable) {
            return Some(read_variable(variable, &text, is_list));
        }
        let mut table = &self.table;
        for part in section.split('.') {
            table = table.get(part)?.get_ref().as_table()?;
        }
        let value = table.get(key)?;
        let place = self.place(value.span().start);
        match self.members(value) {
            Some((members, is_list)) => Some(RawValue { place, members, is_list }),
            None => {
                let kind = value.get_ref().type_str();
                self.mistake(place, &format!("{section}.{key}: a {kind} is not possible here"));
                None
            }
        }
    }

    fn members(
        &self,
        value: &Spanned<DeValue<'a>>,
    ) -> Option<(Vec<(SourceLocation, String)>, bool)> {
        let one = |value: &Spanned<DeValue<'a>>| {
            Some((self.place(value.span().start), scalar(value.get_ref())?))
        };
        match value.get_ref() {
            DeValue::Array(list) => Some((list.iter().map(one).collect::<Option<_>>()?, true)),
            _ => Some((vec![one(value)?], false)),
        }
    }

    fn find_unknown_keys(&mut self) {
        let sections: BTreeSet<String> = self
            .requested_keys
            .iter()
            .filter_map(|name| name.rsplit_once('.'))
            .map(|(section, _)| section.to_owned())
            .collect();
        for FoundKey { name, start, is_table } in FoundKey::all(&self.table) {
            let opens = sections
                .iter()
                .any(|section| *section == name || section.starts_with(&format!("{name}.")));
            if self.requested_keys.contains(&name) || (is_table && opens) {
                continue;
            }
            let parent_known = name.rsplit_once('.').is_none_or(|(parent, _)| {
                sections
                    .iter()
                    .any(|section| section == parent || section.starts_with(&format!("{parent}.")))
            });
            // The unknown section itself was already reported.
            if !parent_known {
                continue;
            }
            let message = match (opens, is_table) {
                (true, false) => format!("{name} is a section: write it as [{name}]"),
                (_, true) => {
                    format!("unknown section [{name}]{}", did_you_mean(&name, sections.iter()))
                }
                _ => {
                    format!("unknown key {name}{}", did_you_mean(&name, self.requested_keys.iter()))
                }
            };
            let place = self.place(start);
            self.mistake(place, &message);
        }
    }

    fn find_unknown_variables(&mut self) {
        let known: BTreeSet<String> = self
            .requested_keys
            .iter()
            .filter_map(|name| name.rsplit_once('.'))
            .map(|(section, key)| variable(section, key))
            .collect();
        let mut names = self.environment.names();
        names.sort();
        for name in names {
            let ours = name.starts_with("ROOMCAST_")
                && !FOREIGN_VARIABLES.iter().any(|foreign| name.starts_with(foreign));
            if ours && !known.contains(&name) {
                let message =
                    format!("no setting has this name{}", did_you_mean(&name, known.iter()));
                self.mistake(SourceLocation::Variable(name), &message);
            }
        }
    }

    fn place(&self, offset: usize) -> SourceLocation {
        let before = self.text.get(..offset).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        SourceLocation::File {
            name: self.name.to_owned(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }

    fn mistake(&mut self, place: SourceLocation, message: &str) {
        // Only the first mistake at a position is reported; later ones follow from it.
        if matches!(place, SourceLocation::File { .. })
            && self.mistakes.iter().any(|known| known.place == place)
        {
            return;
        }
        self.mistakes.push(ConfigError { place, message: message.to_owned() });
    }
}

impl SettingSource for Reader<'_> {
    fn one<T>(&mut self, section: &str, setting: &Setting, form: &Form<T>) -> Option<T> {
        let value = match self.read_one(section, setting.key, form) {
            Some(value) => value,
            None => self.defaults(section, setting, form).into_iter().next()?,
        };
        self.keep(section, setting, &form.fingerprint(&value));
        Some(value)
    }

    fn optional<T>(
        &mut self,
        section: &str,
        setting: &Setting,
        form: &Form<T>,
    ) -> Option<Option<T>> {
        let value = self.read_one(section, setting.key, form);
        let fingerprint = value.as_ref().map(|value| form.fingerprint(value));
        self.keep(section, setting, &fingerprint);
        Some(value)
    }

    fn many<T>(&mut self, section: &str, setting: &Setting, form: &Form<T>) -> Option<Vec<T>> {
        let values = match self.read_many(section, setting.key, form) {
            Some(values) => values,
            None => self.defaults(section, setting, form),
        };
        let fingerprints: Vec<_> = values.iter().map(|value| form.fingerprint(value)).collect();
        self.keep(section, setting, &fingerprints);
        Some(values)
    }
}

fn read_variable(variable: String, text: &str, is_list: bool) -> RawValue {
    let place = SourceLocation::Variable(variable);
    let members = if is_list {
        text.split(',')
            .map(str::trim)
            .filter(|one| !one.is_empty())
            .map(|one| (place.clone(), one.to_owned()))
            .collect()
    } else {
        vec![(place.clone(), text.to_owned())]
    };
    RawValue { place, members, is_list }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        _ => None,
    }
}

fn variable(section: &str, key: &str) -> String {
    format!("ROOMCAST_{section}_{key}").replace('.', "_").to_uppercase()
}

fn did_you_mean<'n>(name: &str, known: impl Iterator<Item = &'n String>) -> String {
    let mut nearest = NearestName::new(name);
    known.for_each(|one| nearest.look_at(one));
    nearest.found().map_or_else(String::new, |one| format!("; did you mean {one}?"))
}
