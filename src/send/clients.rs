//! The HTTP clients: one for each route to the platforms, directly or through a proxy, with each
//! important default set explicitly.
//!
//! Owns that a request is neither redirected nor repeated, and that no proxy is used besides those
//! of the configuration: variables like `HTTPS_PROXY` do not count.
//!
//! Not here: one request (`http_transport.rs`), and the addresses that may be called (`guard.rs`).

use std::{path::PathBuf, sync::Arc, time::Duration};

use reqwest::{Certificate, Client, redirect::Policy};

use super::{
    guard::{GuardedResolver, PrivateHosts},
    proxy::ProxyRoute,
    settings::HttpTransportSettings,
};
use crate::{
    ca_file,
    domain::{Platform, PlatformMap},
};

/// How the platforms are reached.
#[derive(Clone, Default)]
pub struct OutgoingRoutes {
    /// The hosts that may have private addresses.
    pub private_hosts: PrivateHosts,
    /// The proxy of each platform; `None` if it is called directly.
    pub proxies: PlatformMap<Option<ProxyRoute>>,
}

/// Why the HTTP clients cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildTransportError {
    /// `send.ca_file` cannot be used.
    #[error("send.ca_file {path}: {why}")]
    CaFile {
        /// Its path.
        path: PathBuf,
        /// The mistake, as a sentence.
        why: String,
    },
    /// The TLS backend or the resolver cannot be initialised.
    #[error("the HTTP client cannot be built")]
    Client(#[source] reqwest::Error),
}

/// The clients of all platforms.
pub(super) struct OutgoingClients {
    direct: Client,
    proxied: PlatformMap<Option<ProxiedClient>>,
}

/// The client of a platform that is called through a proxy.
struct ProxiedClient {
    client: Client,
    proxy: ProxyRoute,
}

impl OutgoingClients {
    /// Builds the clients. Platforms with one way share a client.
    pub(super) fn build(
        settings: &HttpTransportSettings,
        routes: &OutgoingRoutes,
        hosts: &Arc<PrivateHosts>,
    ) -> Result<Self, BuildTransportError> {
        let trusted = trusted(settings)?;
        let client = |route: Option<&ProxyRoute>| {
            client(settings, route, &trusted, hosts)
                .map_err(|error| BuildTransportError::Client(error.without_url()))
        };
        let mut proxied: PlatformMap<Option<ProxiedClient>> = PlatformMap::from_fn(|_| None);
        for (platform, route) in routes.proxies.iter() {
            let Some(route) = route else { continue };
            let built = proxied.values().flatten().find(|built| built.proxy.is(route));
            let client = match built {
                Some(built) => built.client.clone(),
                None => client(Some(route))?,
            };
            *proxied.get_mut(platform) = Some(ProxiedClient { client, proxy: route.clone() });
        }
        Ok(Self { direct: client(None)?, proxied })
    }

    /// The client of a platform, and the proxy on its way.
    pub(super) fn of(&self, platform: Platform) -> (&Client, Option<&ProxyRoute>) {
        match self.proxied.get(platform) {
            Some(ProxiedClient { client, proxy }) => (client, Some(proxy)),
            None => (&self.direct, None),
        }
    }
}

/// The certificates of `send.ca_file`.
fn trusted(settings: &HttpTransportSettings) -> Result<Vec<Certificate>, BuildTransportError> {
    let Some(path) = &settings.ca_file else { return Ok(Vec::new()) };
    let text = ca_file::read(path)
        .map_err(|why| BuildTransportError::CaFile { path: path.clone(), why })?;
    Certificate::from_pem_bundle(text.as_bytes()).map_err(BuildTransportError::Client)
}

fn client(
    settings: &HttpTransportSettings,
    route: Option<&ProxyRoute>,
    trusted: &[Certificate],
    hosts: &Arc<PrivateHosts>,
) -> reqwest::Result<Client> {
    let client = Client::builder()
        .user_agent(concat!("roomcast/", env!("CARGO_PKG_VERSION")))
        // Besides the proxy that is added below.
        .no_proxy()
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(settings.connect_timeout)
        .pool_max_idle_per_host(settings.pool_idle_per_host)
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_nodelay(true)
        .tls_certs_merge(trusted.iter().cloned())
        .dns_resolver(Arc::new(GuardedResolver(Arc::clone(hosts))));
    match route {
        Some(route) => client.proxy(route.for_client(&settings.no_proxy)?).build(),
        None => client.build(),
    }
}
