//! `roomcast check`: everything `roomcast run` needs, tried without changing anything. What would stop the daemon's start has its exit code here as well.

use std::sync::Arc;

use super::{client::Client, exit::Failure, offline, screen::print};
use crate::{
    admin, app, broker,
    broker::Topology,
    config::Config,
    crypto::MasterKey,
    store::{self, Looked},
    telemetry::{TraceError, with_causes},
};

/// Tries key, store, admin API and broker, and says of each how it is. The first that fails gives the exit code; what is wrong with each, the list says.
pub(super) async fn run(config: &Config) -> Result<(), Failure> {
    print("configuration  ok");
    let (mut failed, mut first) = (Vec::new(), None);
    let mut report = |what: &'static str, outcome: Result<String, Failure>| match outcome {
        Ok(fine) => print(&format!("{what:<14} {fine}")),
        Err(failure) => {
            print(&format!("{what:<14} {failure}"));
            failed.push(what);
            first.get_or_insert(failure);
        }
    };
    let (key, no_key) = match MasterKey::load(&config.key.file) {
        Ok(key) => (Some(key), None),
        Err(error) => (None, Some(offline::key_failure(&error))),
    };
    report("master key", no_key.map_or(Ok("ok".to_owned()), Err));
    let daemon = Client::find(&config.admin.socket).await.is_some();
    report("admin", admin(config, daemon).await);
    report("store", if daemon { Ok("open in the running daemon".to_owned()) } else { store(config, key.as_ref()) });
    let topology = Arc::new(Topology::new(app::topology_settings(config)));
    let checked = broker::check(&app::address(config), &topology, config.broker.declare).await;
    report("broker", checked.map_err(|error| super::broker_failure(&error)));
    match first {
        None => Ok(()),
        Some(failure) => Err(failure.saying(format!("not ready: {}", failed.join(", ")))),
    }
}

/// The admin API: its token, its socket, its address. A running daemon has the latter two.
async fn admin(config: &Config, daemon: bool) -> Result<String, Failure> {
    let token = app::admin_token(config).map_err(|error| daemon_failure(&error))?;
    if daemon {
        return Ok("ok, the running daemon answers".to_owned());
    }
    let (socket, listen) = (&config.admin.socket, config.admin.listen.as_deref());
    let bound = admin::could_bind(socket, listen.filter(|_| token.is_some())).await;
    bound.map_err(|error| daemon_failure(&error.into()))?;
    Ok("ok".to_owned())
}

/// The store as it lies there. It is not opened: that would begin something in it.
fn store(config: &Config, key: Option<&MasterKey>) -> Result<String, Failure> {
    let Some(key) = key else { return Ok("not looked at without its master key".to_owned()) };
    let looked = store::look(&app::store_settings(config), key).map_err(|error| offline::store_failure(&error))?;
    Ok(match looked {
        Looked::Nothing => format!("not there yet; the daemon makes it in {}", config.store.dir.display()),
        Looked::Fits => "key ring and slots ok; `roomcast store verify` looks into its database".to_owned(),
        Looked::Begun => "begun, and nothing was ever added; the daemon makes it whole".to_owned(),
        Looked::NoKeyring => "has no key ring yet; the daemon makes it, if the master key is the right one".to_owned(),
    })
}

/// A failure of the daemon itself.
pub(super) fn daemon_failure(error: &app::AppError) -> Failure {
    let message = with_causes(error);
    match error {
        app::AppError::Key(error) => offline::key_failure(error),
        app::AppError::Store(error) => offline::store_failure(error),
        app::AppError::Broker(error) => super::broker_failure(error),
        app::AppError::Admin(admin::AdminError::NotASocket { .. }) => Failure::Usage(message),
        app::AppError::Admin(_) => Failure::Unavailable(message),
        app::AppError::Setting(_) | app::AppError::PrivateFile(_) | app::AppError::Trace(TraceError::Exporter(_)) => {
            Failure::Usage(message)
        }
        app::AppError::Ledger(_) | app::AppError::Client(_) | app::AppError::Trace(TraceError::Client(_)) => {
            Failure::Internal(message)
        }
    }
}
