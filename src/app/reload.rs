//! Reloads the configuration while the daemon runs.
//!
//! Owns the report of each changed setting: it takes effect now, or only at the next start.
//!
//! Not here: which settings take effect now (`wiring::counts_at_once`), and the signal that
//! triggers a reload (`signals.rs`).

use std::{path::PathBuf, sync::Arc};

use super::wiring;
use crate::{
    config::{Config, ProcessEnvironment},
    pace::PaceSettings,
    pipeline::PipelineContext,
    telemetry::LogHandle,
};

/// The inputs of a reload, and the parts that it changes.
pub(super) struct Reload {
    file: Option<PathBuf>,
    /// The settings with which the daemon was started.
    started: Config,
    /// The settings of the last successful reload.
    last: Config,
    logs: LogHandle,
    parts: Arc<PipelineContext>,
}

impl Reload {
    pub(super) fn new(
        file: Option<PathBuf>,
        config: Config,
        logs: LogHandle,
        parts: Arc<PipelineContext>,
    ) -> Self {
        Self { file, started: config.clone(), last: config, logs, parts }
    }

    /// Reads the configuration and applies the settings that may change at run time. A
    /// configuration with mistakes changes nothing.
    pub(super) fn run(&mut self) {
        let config = match Config::load(self.file.as_deref(), &ProcessEnvironment) {
            Ok(config) => config,
            Err(mistakes) => {
                tracing::error!(%mistakes, "the configuration has mistakes; everything stays as it was");
                return;
            }
        };
        // The journal's retention grows first, because a longer window relies on it.
        self.parts.journal.remember(wiring::remembered(&config));
        let started = wiring::pace_settings(&self.started);
        let PaceSettings { hosts, in_flight_max, .. } = started;
        // The transport keeps its hosts, and the process its limit of open files.
        self.parts.pace.configure(PaceSettings {
            hosts,
            in_flight_max,
            ..wiring::pace_settings(&config)
        });
        let changed = named(config.differing(&self.last), true);
        match self.logs.set_level(&config.log.level) {
            Ok(()) => tracing::info!(
                level = config.log.level,
                changed,
                "limits and log level were read anew"
            ),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "limits were read anew; the log level stays as it was"
            ),
        }
        let waiting = named(config.differing(&self.started), false);
        if !waiting.is_empty() {
            tracing::warn!(
                settings = waiting,
                "some settings that changed count from the next start only"
            );
        }
        self.last = config;
    }
}

/// The settings that take effect now (`at_once`), or the others, joined by spaces.
fn named(names: Vec<String>, at_once: bool) -> String {
    let names = names.into_iter().filter(|name| wiring::counts_at_once(name) == at_once);
    names.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_changed_each_setting_is_named_on_one_side() {
        let names =
            || ["groups.a.monthly", "log.format", "log.level", "pace.held_max", "pace.hold_max"];
        let platforms = ["platforms.wecom.base_url", "platforms.wecom.windows"];
        let all: Vec<_> = names().into_iter().chain(platforms).map(str::to_owned).collect();
        assert_eq!(
            named(all.clone(), true),
            "groups.a.monthly log.level pace.hold_max platforms.wecom.windows"
        );
        assert_eq!(named(all, false), "log.format pace.held_max platforms.wecom.base_url");
    }
}
