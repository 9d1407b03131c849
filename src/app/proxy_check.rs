//! `roomcast check`: tries to reach the platforms through their proxies.
//!
//! Owns which hosts are tried, and when a proxy counts as unusable: it leads to none of them. A
//! proxy may forbid a platform that is not used.
//!
//! Not here: the try itself (`send/http_transport.rs`).

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;

use super::{AppError, outgoing};
use crate::{config::Config, domain::Platform, platforms::main_host, send::HttpTransport};

/// The result for one proxy.
#[derive(Debug, PartialEq, Eq)]
pub struct ProxyCheck {
    /// The proxy, without credentials.
    pub proxy: String,
    /// The hosts that can be reached through it.
    pub reached: Vec<String>,
    /// The hosts that cannot, each with the error.
    pub failed: Vec<(String, String)>,
}

impl ProxyCheck {
    /// Whether any host can be reached.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.reached.is_empty()
    }
}

/// Tries each proxy. The result is empty if there is no proxy.
///
/// # Errors
///
/// The HTTP client cannot be built: a file of credentials or certificates is wrong.
pub async fn check_proxies(config: &Config) -> Result<Vec<ProxyCheck>, AppError> {
    let transport = Arc::new(outgoing::http_transport(config)?);
    let tries = hosts(config).into_iter().map(|(proxy, hosts)| {
        let transport = &transport;
        async move {
            let probes = hosts.into_iter().map(|(host, platform)| probe(transport, platform, host));
            let (mut reached, mut failed) = (Vec::new(), Vec::new());
            for (host, error) in join_all(probes).await {
                match error {
                    None => reached.push(host),
                    Some(error) => failed.push((host, error)),
                }
            }
            ProxyCheck { proxy, reached, failed }
        }
    });
    Ok(join_all(tries).await)
}

async fn probe(
    transport: &HttpTransport,
    platform: Platform,
    host: String,
) -> (String, Option<String>) {
    let error = transport.probe(platform, &host).await.err().map(|error| error.detail);
    (host, error)
}

/// The hosts that are called through each proxy, each with a platform: the main host of a platform,
/// and those that the operator allows.
fn hosts(config: &Config) -> BTreeMap<String, BTreeMap<String, Platform>> {
    let mut hosts: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for platform in Platform::ALL {
        let Some((proxy, _)) = outgoing::proxy_of(config, platform) else { continue };
        let section = config.platforms.get(platform);
        let gateway = section.base_url.as_ref().and_then(|url| {
            Some(match url.port() {
                Some(port) => format!("{}:{port}", url.host_str()?),
                None => url.host_str()?.to_owned(),
            })
        });
        let mine = match gateway {
            Some(gateway) => vec![gateway],
            None => [main_host(platform).to_owned()]
                .into_iter()
                .chain(section.hosts.iter().cloned())
                .collect(),
        };
        let known = hosts.entry(proxy.to_string()).or_default();
        known.extend(mine.into_iter().map(|host| (host, platform)));
    }
    hosts
}
