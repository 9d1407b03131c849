//! What a setting is, and how a room declares its own: each one in one place, by `section!`.
//!
//! A declaration states the key, the type, what the setting means, how it is written, its default,
//! and when a change takes effect. From it follow the field, the reading, the variable of the
//! environment, the effect of a reload, `deploy/roomcast.toml` and `docs/CONFIG.md`.
//!
//! Owns the declaration, and what is derived from it without reading a file.
//!
//! Not here: the settings (each in the room that uses it), file and environment (`config/`), and
//! the written forms (`settings/form.rs`).

mod form;

pub use form::{
    Form, Parsed, duration, http_address, not_a_host_name, number, number_of, one_of, path, ratio,
    secret_file, some_duration, switch, text,
};

/// When a changed setting takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakesEffect {
    /// At the next SIGHUP.
    AtReload,
    /// At the next start of the daemon.
    AtStart,
}

/// The default of a setting, written as in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// One value.
    One(String),
    /// The values of a list.
    Many(Vec<String>),
    /// The setting is not set; a value that it may have.
    Unset(String),
}

impl DefaultValue {
    /// The default of a single value.
    #[must_use]
    pub fn one(text: &str) -> Self {
        Self::One(text.to_owned())
    }

    /// The default of a list.
    #[must_use]
    pub fn many(texts: &[&str]) -> Self {
        Self::Many(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    /// A setting that need not be set, with an example.
    #[must_use]
    pub fn optional(example: &str) -> Self {
        Self::Unset(example.to_owned())
    }
}

/// A setting as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key in the section.
    pub key: &'static str,
    /// What it means, for operators.
    pub meaning: String,
    /// What a value is, with its unit.
    pub kind: String,
    /// Which values are possible; empty if the kind says so.
    pub range: String,
    /// Its default.
    pub default: DefaultValue,
    /// When a change takes effect.
    pub takes_effect: TakesEffect,
}

impl Setting {
    /// The setting that a declaration describes.
    #[must_use]
    pub fn new<T>(
        key: &'static str,
        meaning: &[&str],
        form: &Form<T>,
        default: DefaultValue,
        takes_effect: TakesEffect,
    ) -> Self {
        Self {
            key,
            meaning: joined(meaning),
            kind: form.kind.clone(),
            range: form.range.clone(),
            default,
            takes_effect,
        }
    }

    /// The same setting, with its default in one place: that of a platform, or of this machine.
    #[must_use]
    pub fn with_default_from(mut self, defaults: &[(&str, DefaultValue)]) -> Self {
        if let Some((_, default)) = defaults.iter().find(|(key, _)| *key == self.key) {
            self.default = default.clone();
        }
        self
    }

    /// The values that the default stands for.
    ///
    /// # Errors
    ///
    /// The declaration is wrong: its default has another form.
    pub fn default_values<T>(&self, form: &Form<T>) -> Parsed<Vec<T>> {
        let texts = match &self.default {
            DefaultValue::One(text) => std::slice::from_ref(text),
            DefaultValue::Many(texts) => texts.as_slice(),
            DefaultValue::Unset(_) => &[],
        };
        texts.iter().map(|text| form.parse(text)).collect()
    }
}

/// The lines of a comment as one text.
#[must_use]
pub fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Gives the values of settings. `None` means that a mistake was found, and is reported elsewhere.
pub trait SettingSource {
    /// A single value.
    fn one<T>(&mut self, section: &str, setting: &Setting, form: &Form<T>) -> Option<T>;
    /// A single value, if it is set.
    fn optional<T>(
        &mut self,
        section: &str,
        setting: &Setting,
        form: &Form<T>,
    ) -> Option<Option<T>>;
    /// The values of a list.
    fn many<T>(&mut self, section: &str, setting: &Setting, form: &Form<T>) -> Option<Vec<T>>;
}

/// The declared defaults, for a section that no file describes.
struct DeclaredDefaults;

impl SettingSource for DeclaredDefaults {
    fn one<T>(&mut self, _: &str, setting: &Setting, form: &Form<T>) -> Option<T> {
        setting.default_values(form).ok()?.into_iter().next()
    }

    fn optional<T>(&mut self, _: &str, _: &Setting, _: &Form<T>) -> Option<Option<T>> {
        Some(None)
    }

    fn many<T>(&mut self, _: &str, setting: &Setting, form: &Form<T>) -> Option<Vec<T>> {
        setting.default_values(form).ok()
    }
}

/// A section of the configuration: the settings of a room about one subject.
pub trait Section: Sized {
    /// Its name in the file. A part in angle brackets stands for any name: one section for each.
    const NAME: &'static str;

    /// What it is about, for operators.
    fn about() -> String;

    /// Its settings, in the order of their declaration.
    fn settings() -> Vec<Setting>;

    /// Defaults of this machine that replace those declared.
    #[must_use]
    fn defaults() -> Vec<(&'static str, DefaultValue)> {
        Vec::new()
    }

    /// It with all declared defaults. `None` means that a declaration is wrong, which a test finds.
    #[must_use]
    fn by_default() -> Option<Self> {
        Self::read(&mut DeclaredDefaults, Self::NAME, &[])
    }

    /// Reads it from the section called `section`. `defaults` replace those declared. All settings
    /// are read, so that all mistakes are found.
    fn read(
        source: &mut impl SettingSource,
        section: &str,
        defaults: &[(&str, DefaultValue)],
    ) -> Option<Self>;

    /// These settings after a reload of `new`: each from `new` if it takes effect at a reload.
    #[must_use]
    fn reloaded(&self, new: &Self) -> Self;
}

/// Declares a section: a struct with one public field for each setting, and its `Section`.
///
/// A setting is its documentation, then `key: Type = shape(form, default), TakesEffect;`. The shape
/// is `one`, `many` (with a list of defaults) or `optional` (with an example). `with` names a
/// function of the defaults that depend on the machine.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $(#[derive($($derived:ident),+)])?
        pub struct $name:ident in $section:literal $(with $defaults:path)? {
            $(
                $(#[doc = $meaning:literal])+
                $key:ident: $type:ty = $shape:ident($form:expr, $default:expr), $effect:ident;
            )+
        }
    ) => {
        $(#[doc = $about])+
        $(#[derive($($derived),+)])?
        #[derive(Clone, Debug)]
        pub struct $name {
            $($(#[doc = $meaning])+ pub $key: $type,)+
        }

        impl $crate::settings::Section for $name {
            const NAME: &'static str = $section;

            fn about() -> String {
                $crate::settings::joined(&[$($about),+])
            }

            fn settings() -> Vec<$crate::settings::Setting> {
                vec![$($crate::settings::Setting::new(
                    stringify!($key),
                    &[$($meaning),+],
                    &$form,
                    $crate::settings::DefaultValue::$shape($default),
                    $crate::settings::TakesEffect::$effect,
                )),+]
            }

            $(fn defaults() -> Vec<(&'static str, $crate::settings::DefaultValue)> {
                $defaults()
            })?

            fn read(
                source: &mut impl $crate::settings::SettingSource,
                section: &str,
                defaults: &[(&str, $crate::settings::DefaultValue)],
            ) -> Option<Self> {
                let mut settings = Self::settings().into_iter();
                $(let $key = source.$shape(
                    section,
                    &settings.next()?.with_default_from(defaults),
                    &$form,
                );)+
                Some(Self { $($key: $key?),+ })
            }

            fn reloaded(&self, new: &Self) -> Self {
                Self {
                    $($key: match $crate::settings::TakesEffect::$effect {
                        $crate::settings::TakesEffect::AtReload => new.$key.clone(),
                        $crate::settings::TakesEffect::AtStart => self.$key.clone(),
                    }),+
                }
            }
        }
    };
}

pub(crate) use section;
