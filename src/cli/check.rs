//! `roomcast check`: everything `roomcast run` needs, tried without changing anything.

use std::sync::Arc;

use super::{client::Client, exit::Failure, offline, screen::print};
use crate::{
    app, broker,
    broker::Topology,
    config::Config,
    crypto::MasterKey,
    telemetry::{TraceError, with_causes},
};

/// Tries key, store and broker, and says of each how it is. The worst of them is the answer.
pub(super) async fn run(config: &Config) -> Result<(), Failure> {
    print("configuration  ok");
    let mut worst = None;
    let mut report = |what: &str, outcome: Result<String, Failure>| match outcome {
        Ok(fine) => print(&format!("{what:<14} {fine}")),
        Err(failure) => {
            print(&format!("{what:<14} {failure}"));
            worst.get_or_insert(failure);
        }
    };
    let key = MasterKey::load(&config.key.file);
    report("master key", key.map(|_| "ok".to_owned()).map_err(|error| offline::key_failure(&error)));
    let daemon = Client::find(&config.admin.socket).await.is_some();
    let store = if daemon {
        Ok("open in the running daemon".to_owned())
    } else if config.store.dir.exists() {
        offline::open_store(config).map(|_| "ok".to_owned())
    } else {
        Ok(format!("{} does not exist yet; the daemon makes it", config.store.dir.display()))
    };
    report("store", store);
    let topology = Arc::new(Topology::new(app::topology_settings(config)));
    let checked = broker::check(&app::address(config), &topology).await;
    report("broker", checked.map_err(|error| super::broker_failure(&error)));
    match worst {
        None => Ok(()),
        // The line above has said it; the code is what is left to say.
        Some(failure) => Err(failure),
    }
}

/// A failure of the daemon itself.
pub(super) fn daemon_failure(error: &app::AppError) -> Failure {
    let message = with_causes(error);
    match error {
        app::AppError::Key(error) => offline::key_failure(error),
        app::AppError::Store(error) => offline::store_failure(error),
        app::AppError::Broker(error) => super::broker_failure(error),
        app::AppError::Admin(_) => Failure::Unavailable(message),
        app::AppError::Setting(_) | app::AppError::Trace(TraceError::Exporter(_)) => Failure::Usage(message),
        app::AppError::Ledger(_) | app::AppError::Client(_) | app::AppError::Trace(TraceError::Client(_)) => {
            Failure::Internal(message)
        }
    }
}
