//! The daemon: builds every module from the settings, runs broker sessions, drains, stops.
//!
//! Owns the order of start and stop. It is the only module that knows all others.
//!
//! Not here: the path of a message (`pipeline.rs`), and the loop over sessions (`app/sessions.rs`).

mod backoff;
mod first_lines;
mod history_writer;
mod host_check;
mod open_files;
mod outgoing;
mod proxy_check;
mod queue_monitor;
mod reload;
mod sessions;
mod signals;
mod systemd;
mod topic_watch;
mod wiring;

use std::{path::Path, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::{
    history_writer::HistoryWriter, reload::Reload, systemd::Systemd, topic_watch::TopicWatch,
};
use crate::{
    admin::{
        self, Admin, AdminError, DeadLetterService, Explainer, HistoryService, SubscriptionService,
    },
    broker::BrokerError,
    clock::Clock,
    config::Config,
    crypto::{KeyError, MasterKey},
    history::HistoryBuffer,
    pipeline::{PipelineContext, TestMessages},
    private_file::PrivateFileError,
    send::BuildTransportError,
    store::{LedgerError, Store, StoreError},
    telemetry::{LogHandle, Telemetry, TraceError, events},
};

pub use proxy_check::{ProxyCheck, check_proxies};
pub use wiring::{Dependencies, admin_token, build, decoder, topology_settings};

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
    #[error(transparent)]
    Client(BuildTransportError),
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
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(5);

/// Runs the daemon until a signal ends it.
///
/// # Errors
///
/// The daemon cannot start, or the first session fails for good.
pub async fn run(config: Config, file: Option<&Path>, logs: LogHandle) -> Result<(), AppError> {
    first_lines::log_start(&config, file);
    let stop = CancellationToken::new();
    let (tell_ready, ready) = watch::channel(false);
    let systemd = Systemd::default();
    let telling = tokio::spawn(systemd.clone().notify_until_stopped(ready.clone(), stop.clone()));
    let records = Arc::new(match config.history.keeps_texts() {
        true => HistoryBuffer::with_texts(),
        false => HistoryBuffer::default(),
    });
    let telemetry = Telemetry::new().with_traces(&config.trace)?;
    let telemetry = Arc::new(match config.history.is_on() {
        true => telemetry.with_history(Arc::clone(&records)),
        false => telemetry,
    });
    let (settings, key) = (config.store.clone(), config.key.file.clone());
    let store =
        off_thread(move || Ok(Store::open(&settings, &MasterKey::load(&key)?, Clock::System)?));
    let store = store.await?;
    first_lines::log_store(&store, &config.store.dir).await;
    store.rotate_in_background();
    let open_files = open_files::raise_limit(&config);
    let admin_settings = wiring::admin_settings(&config, open_files)?;
    let bound = admin::bind(admin_settings).await?;
    let transport = {
        let config = config.clone();
        off_thread(move || outgoing::http_transport(&config)).await?
    };
    let beyond = Dependencies {
        subscriptions: Arc::new(store.clone()),
        templates: store.templates(),
        transport: Arc::new(transport),
        clock: Clock::System,
        telemetry: Arc::clone(&telemetry),
    };
    let parts = {
        let config = config.clone();
        off_thread(move || build(&config, beyond)).await?
    };
    let opening = {
        let (config, store, now) = (config.clone(), store.clone(), parts.clock.now());
        move || wiring::history(&config, &store, now)
    };
    let history = history_writer::open(opening).await;
    let history_ended = CancellationToken::new();
    let recording = history.clone().map(|history| {
        let writer = HistoryWriter {
            buffer: Arc::clone(&records),
            history,
            retention: config.history.retention,
            clock: parts.clock.clone(),
            telemetry: Arc::clone(&telemetry),
        };
        tokio::spawn(writer.run(history_ended.clone()))
    });
    outgoing::log_unused_proxy(&config);
    host_check::start(Arc::new(store.clone()), &config, stop.clone());
    let topic_watch = TopicWatch {
        topics: Arc::clone(&parts.topics),
        store: Arc::new(store.clone()),
        clock: parts.clock.clone(),
        telemetry: Arc::clone(&telemetry),
    };
    let watching = tokio::spawn(topic_watch.run(stop.clone()));

    let explainer = Explainer {
        store: Arc::new(store.clone()),
        decoder: parts.decoder.clone(),
        pace: Some(parts.pace.clone()),
        clock: parts.clock.clone(),
    };
    let letters = DeadLetterService::new(wiring::letters_settings(
        &config,
        store.templates(),
        Arc::clone(&telemetry),
        stop.clone(),
    ));
    let subscriptions = SubscriptionService::new(Arc::new(store), config.webhook_hosts());
    let history = HistoryService {
        history,
        subscriptions: subscriptions.clone(),
        clock: parts.clock.clone(),
    };
    let (pace, since) = (parts.pace.clone(), parts.clock.now());
    let admin = Admin {
        subscriptions,
        topics: Arc::clone(&parts.topics),
        tests: Arc::new(TestMessages::new(Arc::clone(&parts), stop.clone())),
        explainer,
        letters,
        history,
        pace,
        telemetry: Arc::clone(&telemetry),
        ready,
        since,
    };
    let serving = tokio::spawn(bound.serve(admin, stop.clone()));
    let sweeping = tokio::spawn(run_maintenance(Arc::clone(&parts), stop.clone()));
    let reload = Reload::new(file.map(Path::to_owned), config.clone(), logs, Arc::clone(&parts));
    signals::watch(stop.clone(), reload, systemd);

    let outcome = sessions::run(&config, parts, tell_ready, stop.clone()).await;
    stop.cancel();
    history_ended.cancel();
    if let Some(recording) = recording {
        let _ = recording.await;
    }
    // The API has no work of its own to finish. A panic in these tasks was logged when it happened.
    let _ = tokio::join!(serving, sweeping, telling, watching);
    let _ = tokio::task::spawn_blocking(move || telemetry.finish()).await;
    outcome
}

/// Runs work on a thread that may wait for the disk.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AppError> + Send + 'static,
) -> Result<T, AppError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

async fn run_maintenance(parts: Arc<PipelineContext>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(MAINTENANCE_INTERVAL)).await.is_some() {
        let (robots, groups) = (parts.pace.evict_idle_and_summarise(), parts.pace.groups());
        events::PaceSampled { robots: &robots, groups: &groups }.emit(&parts.telemetry);
        events::LogLinesSuppressed { all: false }.emit(&parts.telemetry);
        if let Err(error) = parts.pace.rotate_log().await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the journal's page was not turned");
        }
    }
}
