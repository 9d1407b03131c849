//! Log lines on standard error: text for people, or JSON for programs.
//!
//! Owns the format, and the changes of the level at run time.
//!
//! Not here: which lines are written (`events.rs`).

use std::sync::Arc;

use tracing_subscriber::{
    EnvFilter, Registry, filter::ParseError, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::settings::{one_of, section, text};

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

section! {
    /// The log, on standard error.
    pub struct LogSettings in "log" {
        /// The format of the lines.
        format: LogFormat =
            one(one_of(&[("text", LogFormat::Text), ("json", LogFormat::Json)]), "text"), AtStart;
        /// `error`, `warn`, `info`, `debug` or `trace`. Parts can differ:
        /// `info,roomcast::pace=debug`.
        level: String = one(text("level"), "info"), AtReload;
    }
}

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is invalid.
    #[error(
        "log.level {level:?} is not a level: \
         write it like \"info\" or \"info,roomcast::pace=debug\""
    )]
    Level {
        /// The given level.
        level: String,
        /// The cause.
        #[source]
        source: ParseError,
    },
    /// Logging is already set up, or has ended.
    #[error("the log cannot be changed")]
    Fixed,
}

/// Changes the log level of a running daemon.
#[derive(Clone)]
pub struct LogHandle {
    set: Arc<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>,
}

impl LogHandle {
    /// Sets the level.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        (self.set)(filter(level)?).map_err(|_| LogError::Fixed)
    }
}

/// Sets up logging for the whole process.
pub fn install_logs(settings: &LogSettings) -> Result<LogHandle, LogError> {
    let (filter, handle) = reload::Layer::<EnvFilter, Registry>::new(filter(&settings.level)?);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let installed = match settings.format {
        LogFormat::Text => registry.with(lines.with_ansi(false)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    installed.map_err(|_| LogError::Fixed)?;
    Ok(LogHandle { set: Arc::new(move |filter| handle.reload(filter)) })
}

/// Disables lapin's lines, unless the level names lapin. At `warn` it logs returned messages with
/// their payload. At `error` it repeats errors that roomcast logs itself: refused permissions, lost
/// connections.
fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let directives =
        if level.contains("lapin") { level.to_owned() } else { format!("{level},lapin=off") };
    EnvFilter::try_new(directives)
        .map_err(|source| LogError::Level { level: level.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Mutex, PoisonError},
    };

    use super::*;
    use crate::{
        domain::{EventId, FilterRejection, Platform, SubscriptionId},
        telemetry::{Telemetry, events::DeliveryFiltered},
    };

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_name_of_an_event_begins_no_line_of_the_log_and_commands_no_terminal() {
        let written = Written::default();
        let writer = written.clone();
        let lines =
            tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let event = EventId::new("e-1\nWARN a delivery is given up\u{1b}[2J");
        let subscription = SubscriptionId::from_bytes([1; 16]);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            DeliveryFiltered {
                event: &event,
                subscription,
                why: FilterRejection::Platform(Platform::Lark),
            }
            .emit(&Telemetry::new());
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            !include_str!("events.rs").contains("event.id = %"),
            "none of the lines has the name as it is"
        );
        assert!(text.contains("event.id=\"e-1\\nWARN") && !text.contains('\u{1b}'), "{text}");
    }
}
