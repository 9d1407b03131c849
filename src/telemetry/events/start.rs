//! The first lines of the daemon: what runs, with which settings, and where it answers.
//!
//! Owns that none of them holds a credential.
//!
//! Not here: the order of the start (`app.rs`).

use std::{net::SocketAddr, path::Path};

/// The daemon starts.
pub struct DaemonStarting<'a> {
    /// The configuration file; `None` if there is none, so that defaults and environment count.
    pub configuration: Option<&'a Path>,
    /// Host and port of the broker.
    pub broker: &'a str,
    /// The virtual host on the broker.
    pub vhost: &'a str,
    /// The prefix of the exchanges and queues.
    pub prefix: &'a str,
}

impl DaemonStarting<'_> {
    /// Logs the start.
    pub fn emit(&self) {
        let Self { broker, vhost, prefix, .. } = self;
        let configuration =
            self.configuration.map_or_else(|| "none".to_owned(), |path| path.display().to_string());
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            configuration,
            broker,
            vhost,
            prefix,
            "roomcast starts"
        );
    }
}

/// The store is open.
pub struct StoreOpened<'a> {
    /// Its folder.
    pub dir: &'a Path,
    /// How many subscriptions it has.
    pub subscriptions: u64,
    /// To how many topics.
    pub topics: u64,
}

impl StoreOpened<'_> {
    /// Logs the numbers.
    pub fn emit(&self) {
        let Self { dir, subscriptions, topics } = self;
        tracing::info!(dir = %dir.display(), subscriptions, topics, "the store is open");
    }
}

/// The admin API is bound.
pub struct AdminBound<'a> {
    /// The Unix socket.
    pub socket: &'a Path,
    /// The TCP address, if there is one.
    pub address: Option<SocketAddr>,
    /// Whether that address has the console.
    pub console: bool,
}

impl AdminBound<'_> {
    /// Logs the addresses.
    pub fn emit(&self) {
        let socket = self.socket.display();
        let Some(address) = self.address else {
            tracing::info!(%socket, "the admin API listens on its socket alone");
            return;
        };
        let console = self.console.then(|| format!("http://{address}/console"));
        let console = console.as_deref().unwrap_or("off");
        tracing::info!(%socket, %address, console, "the admin API listens");
    }
}
