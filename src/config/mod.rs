//! Settings: read from a TOML file and the environment, every mistake reported at once with its place. The only room that names toml.
//!
//! Each key is described, with its default, in `deploy/roomcast.toml`. Any key can be set by the environment variable
//! `ROOMCAST_<SECTION>_<KEY>`, which wins over the file; lists are separated by commas there.

mod check;
mod mistake;
mod parse;
mod reader;
mod sections;
mod values;

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

pub use mistake::{ConfigMistakes, Mistake, Place};
pub use sections::{
    AdminSection, BrokerSection, Config, DelaySection, EventSection, KeySection, LogSection, OutcomeSection,
    PaceSection, PlatformSection, RetrySection, SendSection, ShutdownSection, StoreSection,
};

use crate::private_file::{self, PrivateFileError};

/// Where the configuration is looked for if nobody says otherwise.
pub const DEFAULT_FILE: &str = "/etc/roomcast/roomcast.toml";

/// Where environment variables come from.
pub trait Source {
    /// The value of a variable, if it is set.
    fn var(&self, name: &str) -> Option<String>;
    /// The names of all variables.
    fn names(&self) -> Vec<String>;
}

/// The environment of this process.
pub struct ProcessEnvironment;

impl Source for ProcessEnvironment {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
    }
}

impl Config {
    /// Reads the configuration: the given file, or else the one at [`DEFAULT_FILE`] if there is one, and the environment.
    pub fn load(file: Option<&Path>, environment: &dyn Source) -> Result<Self, ConfigMistakes> {
        let path = file.map(Path::to_owned).or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()));
        let Some(path) = path else { return Self::read("the configuration", "", environment) };
        let name = path.display().to_string();
        let (text, exposed) = text_of(&path).map_err(|error| {
            let message = format!("the file cannot be read: {error}");
            ConfigMistakes(vec![Mistake { place: Place::Whole(name.clone()), message }])
        })?;
        Self::read_exposed(&name, &text, exposed, environment)
    }

    /// Reads the configuration from a text; `name` is what the text is called in mistakes.
    pub fn read(name: &str, text: &str, environment: &dyn Source) -> Result<Self, ConfigMistakes> {
        Self::read_exposed(name, text, None, environment)
    }

    /// Reads the configuration from a text of a file that may not be private: `exposed` says why not. A password in it makes that a mistake.
    fn read_exposed(
        name: &str,
        text: &str,
        exposed: Option<PrivateFileError>,
        environment: &dyn Source,
    ) -> Result<Self, ConfigMistakes> {
        let mut reader = reader::Reader::new(name, text, environment);
        let mut config = Self::of(&mut reader);
        check::across(&config, &mut reader);
        config.values = reader.values();
        if let Some(exposed) = exposed.filter(|_| reader.holds_password()) {
            reader.whole(&format!("{exposed}; or put the address into a file of its own, broker.url_file"));
        }
        reader.finish().map(|()| config)
    }

    /// The names of the settings that have other values in another configuration, as `section.key`.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<String> {
        self.values.differing(&other.values)
    }
}

/// The text of a configuration, and why its file is not private, if it is not. A pipe, as from a shell's `<(…)`, is nobody else's.
fn text_of(path: &Path) -> std::io::Result<(String, Option<PrivateFileError>)> {
    let (mut file, mut text) = (File::open(path)?, String::new());
    file.read_to_string(&mut text)?;
    let metadata = file.metadata()?;
    let exposed = || private_file::check("the configuration, which holds a password,", path, &metadata).err();
    Ok((text, if metadata.is_file() { exposed() } else { None }))
}

#[cfg(test)]
mod tests;
