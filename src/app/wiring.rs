//! The parts that all sessions share, built from the configuration.
//!
//! Owns which section of the configuration reaches which module.
//!
//! Not here: the settings and their defaults (in each module), and the order of start and stop
//! (`app.rs`).

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{AppError, open_files::OpenFiles, outgoing};
use crate::{
    admin::{self, DeadLetterServiceSettings},
    broker::{Topology, TopologySettings},
    clock::Clock,
    config::Config,
    domain::{Secret, Timestamp},
    fanout::{Decoder, Subscriptions, TemplateRegistry},
    history::{DeliveryHistory, HistoryUnavailable},
    pace::{Pace, PaceLog, PaceSettings},
    pipeline::{EarlyBudget, MemoryBudget, PipelineContext, Recovery},
    private_file,
    send::{Sender, Transport},
    store::{FileHistory, FileHistorySettings, FileLedger, Journal, Store},
    telemetry::Telemetry,
};

/// The smallest length of an admin token, in bytes. A shorter token could be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// The settings from which the topology is built.
#[must_use]
pub fn topology_settings(config: &Config) -> TopologySettings {
    config.broker.topology(&config.delay, &config.outcome)
}

/// The settings for queries of dead letters.
pub(super) fn letters_settings(
    config: &Config,
    templates: TemplateRegistry,
    telemetry: Arc<Telemetry>,
    stop: CancellationToken,
) -> DeadLetterServiceSettings {
    DeadLetterServiceSettings {
        address: config.broker.address(),
        topology: Arc::new(Topology::new(topology_settings(config))),
        confirm_timeout: config.broker.confirm_timeout,
        decoder: decoder(config, templates),
        clock: Clock::System,
        telemetry,
        stop,
    }
}

pub(super) fn admin_settings(
    config: &Config,
    open_files: OpenFiles,
) -> Result<admin::ServerSettings, AppError> {
    Ok(admin::ServerSettings {
        admin: config.admin.clone(),
        token: admin_token(config)?,
        socket_limits: open_files.admin_socket(),
        tcp_limits: open_files.admin_tcp(),
    })
}

/// The token that callers over TCP must send; `None` if no token file is configured.
///
/// # Errors
///
/// The file is not private, cannot be read, or holds fewer than 16 bytes.
pub fn admin_token(config: &Config) -> Result<Option<Secret>, AppError> {
    let Some(path) = &config.admin.token_file else { return Ok(None) };
    let text = private_file::read("the admin token", path)?;
    match text.trim() {
        token if token.len() >= TOKEN_BYTES_MIN => Ok(Some(Secret::new(token.to_owned()))),
        _ => Err(AppError::Setting(format!(
            "the admin token in {} has fewer than {TOKEN_BYTES_MIN} characters",
            path.display()
        ))),
    }
}

/// The implementations behind the pipeline's seams to subscriptions and network, with clock and
/// telemetry.
pub struct Dependencies {
    /// Finds the subscriptions of a topic.
    pub subscriptions: Arc<dyn Subscriptions>,
    /// The compiled templates.
    pub templates: TemplateRegistry,
    /// Sends HTTP requests.
    pub transport: Arc<dyn Transport>,
    /// The source of time.
    pub clock: Clock,
    /// Counts and logs.
    pub telemetry: Arc<Telemetry>,
}

/// Builds the parts that all sessions share. Opens the ledger and the journal, and restores the
/// state of the last process. Blocks on the disk.
///
/// # Errors
///
/// The ledger or the journal cannot be opened.
pub fn build(config: &Config, beyond: Dependencies) -> Result<Arc<PipelineContext>, AppError> {
    let Dependencies { subscriptions, templates, transport, clock, telemetry } = beyond;
    let now = clock.now();
    let ledger = FileLedger::open(config.store.ledger(), now)?;
    let journal = config.store.journal(remembered(config));
    let (journal, restored) = Journal::open(journal, clock.clone())?;
    let pace_log: Arc<dyn PaceLog> = Arc::new(journal);
    let pace = Pace::new(pace_settings(config), Arc::clone(&pace_log), restored.timeline);
    pace.restore(restored.records);
    let recovery = (!restored.complete).then(|| Recovery::since(pace.now()));
    Ok(Arc::new(PipelineContext {
        decoder: decoder(config, templates),
        subscriptions,
        pace,
        sender: Sender::new(
            transport,
            config.platforms.map(|_, section| section.base_url.clone()),
            config.webhook_hosts(),
        ),
        ledger: Arc::new(ledger),
        pace_log,
        recovery,
        retry: config.retry.clone(),
        receipts: config.outcome.receipts,
        clock,
        telemetry,
        // The broker's queue accepts one event of the largest size, whatever `prefetch_size` is.
        early: EarlyBudget::new(
            config.broker.prefetch_delivery.into(),
            config.broker.prefetch_size.max(config.event.size_max),
        ),
        memory: MemoryBudget::new(config.pace.held_max),
        topics: Arc::default(),
        without_subscription: config.topics.without_subscription,
    }))
}

/// Opens the history; `None` if it is off. Without texts, it destroys the key of those that an
/// earlier start kept. Blocks on the disk.
pub(super) fn history(
    config: &Config,
    store: &Store,
    now: Timestamp,
) -> Result<Option<Arc<dyn DeliveryHistory>>, HistoryUnavailable> {
    let text_key = if config.history.keeps_texts() {
        store.history_text_key().map(|key| Some(Arc::new(key)))
    } else {
        store.destroy_history_text_key().map(|()| None)
    };
    let text_key = text_key.map_err(|error| HistoryUnavailable(error.into()))?;
    let files = FileHistorySettings { text_key, ..config.store.history(&config.history) };
    let opened: Result<Option<Arc<dyn DeliveryHistory>>, _> = if config.history.is_on() {
        FileHistory::open(files, now).map(|history| Some(Arc::new(history) as _))
    } else {
        FileHistory::clear(&files.dir).map(|()| None)
    };
    opened.map_err(|error| HistoryUnavailable(error.into()))
}

/// The decoder of events, with the given templates.
#[must_use]
pub fn decoder(config: &Config, templates: TemplateRegistry) -> Decoder {
    Decoder::new(config.event.clone(), templates)
}

/// How long the journal must remember a sent message: the robot's longest window, plus the time
/// that an answer may take.
pub(super) fn remembered(config: &Config) -> Duration {
    let spans =
        config.platforms.values().flat_map(|platform| &platform.windows).map(|window| window.span);
    let longest = spans.max().unwrap_or_default();
    longest + config.pace.margin + config.send.deadline + Duration::from_secs(5)
}

pub(super) fn pace_settings(config: &Config) -> PaceSettings {
    let margin = config.pace.margin;
    let quotas = config.platforms.map(|_, platform| platform.quota(margin));
    PaceSettings {
        limits: config.pace.clone(),
        quotas,
        hosts: outgoing::effective_hosts(config),
        health: config.health,
        breaker: config.breaker,
        groups: config.groups.clone(),
    }
}
