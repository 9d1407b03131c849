//! The settings, read from a TOML file and from environment variables.
//!
//! Owns that all mistakes are reported together, and that a file which other users can read must
//! hold no password. No other module names toml.
//!
//! `docs/CONFIG.md` and `deploy/roomcast.toml` describe each setting. The environment variable
//! `ROOMCAST_<SECTION>_<KEY>` overrides the file; a list in it is separated by commas.
//!
//! Not here: the settings. Each room declares its own with `settings::section!`.

mod cross_field;
mod error;
mod found_key;
mod platforms;
mod reader;
mod sections;
mod values;

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

pub use error::{ConfigError, ConfigErrors, SourceLocation};
pub use platforms::PlatformSettings;
pub use sections::{Config, DeclaredSection, declared_sections};
pub use values::ChangedSetting;

use crate::{
    platforms::WebhookHosts,
    private_file::{self, PrivateFileError},
};

/// The default path of the configuration.
pub const DEFAULT_FILE: &str = "/etc/roomcast/roomcast.toml";

/// A source of environment variables.
pub trait EnvironmentSource {
    /// The value of a variable, if it is set.
    fn var(&self, name: &str) -> Option<String>;
    /// The names of all variables.
    fn names(&self) -> Vec<String>;
}

/// An environment without variables: the file alone counts.
pub struct NoEnvironment;

impl EnvironmentSource for NoEnvironment {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The environment of this process.
pub struct ProcessEnvironment;

impl EnvironmentSource for ProcessEnvironment {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
    }
}

impl Config {
    /// The file that [`Config::load`] reads: the given one, else [`DEFAULT_FILE`] if it exists.
    #[must_use]
    pub fn file(given: Option<&Path>) -> Option<PathBuf> {
        given
            .map(Path::to_owned)
            .or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()))
    }

    /// Reads the configuration: the given file, else [`DEFAULT_FILE`] if
    /// it exists, and the environment.
    ///
    /// # Errors
    ///
    /// All mistakes together, or the error of a file that cannot be read.
    pub fn load(
        file: Option<&Path>,
        environment: &dyn EnvironmentSource,
    ) -> Result<Self, ConfigErrors> {
        let Some(path) = Self::file(file) else {
            return Self::read("the configuration", "", environment);
        };
        let name = path.display().to_string();
        let (text, exposed) = text_of(&path).map_err(|error| {
            let message = format!("the file cannot be read: {error}");
            ConfigErrors(vec![ConfigError { place: SourceLocation::Whole(name.clone()), message }])
        })?;
        Self::read_exposed(&name, &text, exposed, environment)
    }

    /// Reads the configuration from a text. Mistakes call the text `name`.
    ///
    /// # Errors
    ///
    /// All mistakes together.
    pub fn read(
        name: &str,
        text: &str,
        environment: &dyn EnvironmentSource,
    ) -> Result<Self, ConfigErrors> {
        Self::read_exposed(name, text, None, environment)
    }

    /// Like [`Self::read`]. `exposed` says why the text's file is not private; then a password in
    /// it is a mistake.
    fn read_exposed(
        name: &str,
        text: &str,
        exposed: Option<PrivateFileError>,
        environment: &dyn EnvironmentSource,
    ) -> Result<Self, ConfigErrors> {
        let mut reader = reader::Reader::new(name, text, environment);
        let mut config = Self::of(&mut reader);
        if let Some(config) = &mut config {
            cross_field::cross_field(config, &mut reader);
            config.values = reader.values();
        }
        if let Some(exposed) = exposed.filter(|_| reader.holds_password()) {
            reader.whole(&format!(
                "{exposed}; or put the address into a file of its own, broker.url_file"
            ));
        }
        reader.finish(config)
    }

    /// The hosts that webhooks may have besides the platforms' own.
    #[must_use]
    pub fn webhook_hosts(&self) -> WebhookHosts {
        WebhookHosts::new(self.platforms.map(|_, section| section.hosts.clone()))
    }

    /// The settings whose values differ from another configuration, sorted by name.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<ChangedSetting> {
        self.values.differing(&other.values)
    }
}

/// The text of a configuration, and why its file is not private. A pipe, such as a shell's `<(…)`,
/// counts as private.
fn text_of(path: &Path) -> std::io::Result<(String, Option<PrivateFileError>)> {
    let (mut file, mut text) = (File::open(path)?, String::new());
    file.read_to_string(&mut text)?;
    let metadata = file.metadata()?;
    let exposed =
        || private_file::check("the configuration, which holds a password,", path, &metadata).err();
    Ok((text, if metadata.is_file() { exposed() } else { None }))
}

#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod tests;
