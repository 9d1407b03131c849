//! `roomcast check`: checks everything that `roomcast run` needs, without changing anything.
//!
//! Owns the exit codes of a daemon that cannot start; `run` and `check` end with the same code.
//!
//! Not here: the checks themselves (`config`, `crypto`, `store`, `admin`, `broker`).

use std::sync::Arc;

use super::{client::Client, exit::Failure, local_store, output::print};
use crate::{
    admin, app, broker,
    broker::Topology,
    config::Config,
    crypto::MasterKey,
    store::{self, Inspection},
    telemetry::{TraceError, with_causes},
};

/// Checks key, store, admin API, proxies and broker, and prints each result. The first
/// failure decides the exit code.
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
        Err(error) => (None, Some(local_store::key_failure(&error))),
    };
    report("master key", no_key.map_or(Ok("ok".to_owned()), Err));
    let daemon = Client::find(&config.admin.socket).await.is_some();
    report("admin", admin(config, daemon).await);
    report(
        "store",
        if daemon {
            Ok("open in the running daemon".to_owned())
        } else {
            store(config, key.as_ref())
        },
    );
    for proxy in proxies(config).await {
        report("proxy", proxy);
    }
    let topology = Arc::new(Topology::new(app::topology_settings(config)));
    let checked = broker::check(&config.broker.address(), &topology, config.broker.declare).await;
    report("broker", checked.map_err(|error| super::broker_failure(&error)));
    match first {
        None => Ok(()),
        Some(failure) => Err(failure.saying(format!("not ready: {}", failed.join(", ")))),
    }
}

/// The admin API: token, socket, address. A running daemon already uses the last two, so they are
/// not checked then.
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

/// The proxies on the way to the platforms. Without a proxy nothing is tried.
async fn proxies(config: &Config) -> Vec<Result<String, Failure>> {
    let checks = match app::check_proxies(config).await {
        Ok(checks) => checks,
        Err(error) => return vec![Err(daemon_failure(&error))],
    };
    let found = checks.into_iter().map(|check| {
        let failed: Vec<_> =
            check.failed.iter().map(|(host, why)| format!("{host} ({why})")).collect();
        let failed = failed.join(", ");
        if !check.is_usable() {
            return Err(Failure::Unavailable(format!("no platform is reached: {failed}")));
        }
        let reached = format!("ok through {}: {}", check.proxy, check.reached.join(", "));
        Ok(if failed.is_empty() { reached } else { format!("{reached}; not reached: {failed}") })
    });
    found.collect()
}

/// The store's files. The store is not opened, because opening it would change it.
fn store(config: &Config, key: Option<&MasterKey>) -> Result<String, Failure> {
    let Some(key) = key else { return Ok("not checked without its master key".to_owned()) };
    let inspection =
        store::inspect(&config.store, key).map_err(|error| local_store::store_failure(&error))?;
    Ok(match inspection {
        Inspection::Nothing => {
            format!("not there yet; the daemon makes it in {}", config.store.dir.display())
        }
        Inspection::Fits => {
            "key ring and slots ok; `roomcast store verify` checks its database".to_owned()
        }
        Inspection::Begun => {
            "begun, and nothing was ever added; the daemon makes it whole".to_owned()
        }
        Inspection::NoKeyring => {
            "has no key ring yet; the daemon makes it, if the master key is the right one"
                .to_owned()
        }
    })
}

/// The exit code of a daemon that failed.
pub(super) fn daemon_failure(error: &app::AppError) -> Failure {
    let message = with_causes(error);
    match error {
        app::AppError::Key(error) => local_store::key_failure(error),
        app::AppError::Store(error) => local_store::store_failure(error),
        app::AppError::Broker(error) => super::broker_failure(error),
        app::AppError::Admin(admin::AdminError::NotASocket { .. }) => Failure::Usage(message),
        app::AppError::Admin(_) => Failure::Unavailable(message),
        app::AppError::Setting(_)
        | app::AppError::PrivateFile(_)
        | app::AppError::Trace(TraceError::Exporter(_)) => Failure::Usage(message),
        app::AppError::Ledger(_)
        | app::AppError::Client(_)
        | app::AppError::Trace(TraceError::Client(_)) => Failure::Internal(message),
    }
}
