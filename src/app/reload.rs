//! Reloads the configuration while the daemon runs.
//!
//! Owns the report of each changed setting: it takes effect now, or only at the next start.
//!
//! Not here: which settings take effect now, which their declarations say, and the signal that
//! triggers a reload (`signals.rs`).

use std::{path::PathBuf, sync::Arc};

use super::wiring;
use crate::{
    config::{ChangedSetting, Config, ProcessEnvironment},
    pipeline::PipelineContext,
    settings::TakesEffect,
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
                tracing::error!(
                    %mistakes,
                    "the configuration has mistakes; everything stays as it was"
                );
                return;
            }
        };
        // Settings that take effect at the start stay as they were, wherever the others apply.
        let effective = self.started.reloaded(&config);
        // The log's retention grows first, because a longer window relies on it.
        self.parts.pace_log.remember(wiring::remembered(&effective));
        self.parts.pace.configure(wiring::pace_settings(&effective));
        let changed = named(config.differing(&self.last), TakesEffect::AtReload);
        match self.logs.set_level(&effective.log.level) {
            Ok(()) => tracing::info!(
                level = effective.log.level,
                changed,
                "limits and log level were read anew"
            ),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "limits were read anew; the log level stays as it was"
            ),
        }
        let waiting = named(config.differing(&self.started), TakesEffect::AtStart);
        if !waiting.is_empty() {
            tracing::warn!(
                settings = waiting,
                "some settings that changed count from the next start only"
            );
        }
        self.last = config;
    }
}

/// The names of the settings that take effect then, joined by spaces.
fn named(changed: Vec<ChangedSetting>, when: TakesEffect) -> String {
    let names = changed.into_iter().filter(|one| one.takes_effect == when).map(|one| one.name);
    names.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{NoEnvironment, declared_sections};

    fn config(text: &str) -> Config {
        Config::read("a test", text, &NoEnvironment).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    const BEFORE: &str = "[groups.a]\nmonthly = 1";
    const AFTER: &str = "[broker]\nprefix = \"other\"\n[groups.a]\nmonthly = 2\n\
        [log]\nlevel = \"debug\"\nformat = \"json\"\n[pace]\nhold_max = \"3s\"\nheld_max = 5\n\
        [platforms.wecom]\nbase_url = \"http://gateway.example\"\nwindows = []\n\
        [send]\ndeadline = \"9s\"\n";

    #[test]
    fn of_what_changed_each_setting_is_named_on_one_side() {
        let changed = config(AFTER).differing(&config(BEFORE));
        assert_eq!(
            named(changed.clone(), TakesEffect::AtReload),
            "groups.a.monthly log.level pace.hold_max platforms.wecom.windows"
        );
        assert_eq!(
            named(changed, TakesEffect::AtStart),
            "broker.prefix log.format pace.held_max platforms.wecom.base_url send.deadline"
        );
    }

    #[test]
    fn a_reload_applies_what_it_names_and_leaves_the_rest_until_the_next_start() {
        let (before, after) = (config(BEFORE), config(AFTER));
        let effective = before.reloaded(&after);
        let (pace, old, new) = (
            wiring::pace_settings(&effective),
            wiring::pace_settings(&before),
            wiring::pace_settings(&after),
        );
        assert_eq!(pace.hosts, old.hosts, "the transport keeps its hosts");
        assert_eq!(pace.quotas, new.quotas);
        assert_eq!(pace.limits.hold_max, new.limits.hold_max);
        assert_eq!(pace.limits.held_max, old.limits.held_max);
        assert_eq!(effective.groups.values().next().unwrap().monthly, Some(2));
        assert_eq!(effective.log.level, "debug");
        assert_eq!(effective.log.format, before.log.format);
        assert_eq!(effective.broker.prefix, "roomcast");
        assert_eq!(effective.send.deadline, before.send.deadline);
    }

    /// A room that declares such a setting must be told about it in [`Reload::run`].
    #[test]
    fn settings_that_take_effect_at_a_reload_belong_to_rooms_that_a_reload_reaches() {
        let reached = ["pace", "platforms.<platform>", "health", "breaker", "groups.<name>", "log"];
        let declared: BTreeSet<_> = declared_sections()
            .into_iter()
            .filter(|section| {
                section.settings.iter().any(|one| one.takes_effect == TakesEffect::AtReload)
            })
            .map(|section| section.name)
            .collect();
        assert_eq!(declared, BTreeSet::from(reached));
    }
}
