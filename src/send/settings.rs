//! `[send]`: the settings of the HTTP requests.
//!
//! Owns its keys.
//!
//! Not here: the proxy of a single platform (`config/platforms.rs`), and the clients that follow
//! these settings (`clients.rs`).

use std::{path::PathBuf, time::Duration};

use super::proxy::{ProxyAddress, exception, proxy_address};
use crate::settings::{number, path, section, some_duration};

section! {
    /// The HTTP requests to the platforms.
    pub struct HttpTransportSettings in "send" {
        /// How long opening a connection to a platform may take.
        connect_timeout: Duration = one(some_duration(), "5s"), AtStart;
        /// How long an attempt may take, from the first byte sent to the last byte of the answer.
        deadline: Duration = one(some_duration(), "15s"), AtStart;
        /// How many idle connections to one host are kept open. Fewer than `pace.in_flight_max` for
        /// each platform that is called there means new connections under load.
        pool_idle_per_host: usize = one(number(0..=10_000), "256"), AtStart;
        /// The proxy through which the platforms are called. It resolves their names, except
        /// `socks5://`, where the daemon does. A platform with a `base_url` is called directly.
        /// `HTTPS_PROXY` and its like are not used.
        proxy: Option<ProxyAddress> =
            optional(proxy_address(), "http://proxy.example:3128"), AtStart;
        /// A file with `user:password` for the proxy (chmod 600).
        proxy_auth_file: Option<PathBuf> = optional(path(), "/etc/roomcast/proxy.auth"), AtStart;
        /// Hosts that are called without the proxy, and those below them.
        no_proxy: Vec<String> = many(exception(), &[]), AtStart;
        /// Certificates to trust besides the system's, as PEM, for platforms and proxies.
        ca_file: Option<PathBuf> = optional(path(), "/etc/roomcast/ca.pem"), AtStart;
    }
}
