//! The daemon: builds every module from the settings, runs broker sessions, drains, stops.
//!
//! Owns the order of start and stop. It is the only module that knows all others.
//!
//! Not here: the path of a message (`pipeline.rs`), and the loop over sessions (`app/sessions.rs`).

mod backoff;
mod open_files;
mod parts;
mod queues;
mod reload;
mod sessions;
mod signals;
mod systemd;

use std::{path::Path, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::{reload::Reload, systemd::Systemd};
use crate::{
    admin::{self, Admin, AdminError, Desk, Explainer, Letters},
    broker::BrokerError,
    clock::Clock,
    config::Config,
    crypto::{KeyError, MasterKey},
    pipeline::Parts,
    private_file::PrivateFileError,
    store::{LedgerError, Store, StoreError},
    telemetry::{LogHandle, Telemetry, TraceError, events},
};

pub use parts::{Beyond, address, admin_token, build, decoder, store_settings, topology_settings};

/// Why the daemon cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The master key cannot be loaded.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger or the journal cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The broker refuses in a way that waiting cannot change.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The admin API cannot listen.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be built")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The export of traces cannot be set up.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A file that holds a secret cannot be read, or is not private.
    #[error(transparent)]
    PrivateFile(#[from] PrivateFileError),
    /// A setting whose mistake is found only when it is used.
    #[error("{0}")]
    Setting(String),
}

/// How often idle robots are evicted, the journal starts a new segment, and gauges are set.
const SWEEP: Duration = Duration::from_secs(5);

/// Runs the daemon until a signal ends it.
///
/// # Errors
///
/// The daemon cannot start, or the first session fails for good.
pub async fn run(config: Config, file: Option<&Path>, logs: LogHandle) -> Result<(), AppError> {
    let stop = CancellationToken::new();
    let (tell_ready, ready) = watch::channel(false);
    let systemd = Systemd::default();
    let telling = tokio::spawn(systemd.clone().keep_told(ready.clone(), stop.clone()));
    let telemetry = Telemetry::new();
    let telemetry = Arc::new(match parts::trace_settings(&config) {
        Some(settings) => telemetry.with_traces(&settings)?,
        None => telemetry,
    });
    let key = MasterKey::load(&config.key.file)?;
    let store = Store::open(&store_settings(&config), &key)?;
    store.rotate_in_background();
    let open_files = open_files::raise_limit(&config);
    let admin_settings = parts::admin_settings(&config, open_files)?;
    let bound = admin::bind(admin_settings).await?;
    let beyond = Beyond {
        subscriptions: Arc::new(store.clone()),
        templates: store.templates(),
        post: Arc::new(parts::courier(&config)?),
        clock: Clock::System,
        telemetry: Arc::clone(&telemetry),
    };
    let parts = build(&config, beyond)?;

    let explainer = Explainer {
        store: store.clone(),
        decoder: parts.decoder.clone(),
        pace: Some(parts.pace.clone()),
        clock: parts.clock.clone(),
    };
    let letters = Letters::new(parts::letters_settings(&config, store.templates(), stop.clone()));
    let (desk, pace, since) = (Desk::new(store), parts.pace.clone(), parts.clock.now());
    let admin = Admin { desk, explainer, letters, pace, telemetry: Arc::clone(&telemetry), ready, since };
    let serving = tokio::spawn(bound.serve(admin, stop.clone()));
    let sweeping = tokio::spawn(sweep(Arc::clone(&parts), stop.clone()));
    let reload = Reload::new(file.map(Path::to_owned), config.clone(), logs, Arc::clone(&parts));
    signals::watch(stop.clone(), reload, systemd);

    let outcome = sessions::run(&config, parts, tell_ready, stop.clone()).await;
    stop.cancel();
    // The API has no work of its own to finish. A panic in these tasks was logged when it happened.
    let _ = tokio::join!(serving, sweeping, telling);
    let _ = tokio::task::spawn_blocking(move || telemetry.finish()).await;
    outcome
}

async fn sweep(parts: Arc<Parts>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
        let (robots, groups) = (parts.pace.sweep(), parts.pace.groups());
        events::PaceSeen { robots: &robots, groups: &groups }.emit(&parts.telemetry);
        events::LinesLeftOut { all: false }.emit(&parts.telemetry);
        let turning = Arc::clone(&parts);
        let turn = move || turning.journal.turn_page(|| turning.pace.restate());
        match tokio::task::spawn_blocking(turn).await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the journal's page was not turned")
            }
            Err(panicked) => {
                tracing::error!(error = &panicked as &dyn std::error::Error, "the journal's page was not turned")
            }
        }
    }
}
