//! Reads the configuration anew while the daemon runs. Owns what is then said of each setting that changed: that it
//! counts, or that it counts from the next start only.

use std::{path::PathBuf, sync::Arc};

use super::parts;
use crate::{
    config::{Config, ProcessEnvironment},
    pipeline::Parts,
    telemetry::LogHandle,
};

/// What a reload reads, and what it changes.
pub(super) struct Reload {
    file: Option<PathBuf>,
    /// With which settings the daemon was started.
    started: Config,
    /// Which settings were read last.
    last: Config,
    logs: LogHandle,
    parts: Arc<Parts>,
}

impl Reload {
    pub(super) fn new(file: Option<PathBuf>, config: Config, logs: LogHandle, parts: Arc<Parts>) -> Self {
        Self { file, started: config.clone(), last: config, logs, parts }
    }

    /// Reads the settings, and lets those count that can.
    pub(super) fn run(&mut self) {
        let config = match Config::load(self.file.as_deref(), &ProcessEnvironment) {
            Ok(config) => config,
            Err(mistakes) => {
                tracing::error!(%mistakes, "the configuration has mistakes; everything stays as it was");
                return;
            }
        };
        // First it is remembered for longer, then a longer window may rely on it.
        self.parts.journal.remember(parts::remembered(&config));
        self.parts.pace.configure(parts::pace_settings(&config));
        let changed = named(config.differing(&self.last), true);
        match self.logs.set_level(&config.log.level) {
            Ok(()) => tracing::info!(level = config.log.level, changed, "limits and log level were read anew"),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "limits were read anew; the log level stays as it was"
            ),
        }
        let waiting = named(config.differing(&self.started), false);
        if !waiting.is_empty() {
            tracing::warn!(settings = waiting, "some settings that changed count from the next start only");
        }
        self.last = config;
    }
}

/// Those that count at once, or those that do not, in one text.
fn named(names: Vec<String>, at_once: bool) -> String {
    let names = names.into_iter().filter(|name| parts::counts_at_once(name) == at_once);
    names.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_changed_each_setting_is_named_on_one_side() {
        let names = || ["groups.a.monthly", "log.format", "log.level", "pace.held_max", "pace.hold_max"];
        let platforms = ["platforms.wecom.base_url", "platforms.wecom.windows"];
        let all: Vec<_> = names().into_iter().chain(platforms).map(str::to_owned).collect();
        assert_eq!(named(all.clone(), true), "groups.a.monthly log.level pace.hold_max platforms.wecom.windows");
        assert_eq!(named(all, false), "log.format pace.held_max platforms.wecom.base_url");
    }
}
