//! The ways to the platforms, from the configuration: hosts, private networks, proxies.
//!
//! Owns which proxy a platform has, and which platforms are called at one host.
//!
//! Not here: the HTTP clients (`send/clients.rs`), and the forms of the settings (`send/proxy.rs`,
//! `config/platforms.rs`).

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use ipnet::IpNet;

use super::AppError;
use crate::{
    config::{Config, PlatformSettings},
    domain::{Platform, PlatformMap},
    private_file,
    send::{
        BuildTransportError, HttpTransport, OutgoingRoutes, PlatformProxy, PrivateHosts,
        ProxyAddress, ProxyCredentials, ProxyRoute,
    },
};

/// Environment variables that other programs take a proxy from.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The HTTP client.
///
/// # Errors
///
/// A file of credentials or certificates cannot be used, or the TLS backend or the resolver cannot
/// be initialised.
pub(super) fn http_transport(config: &Config) -> Result<HttpTransport, AppError> {
    HttpTransport::new(&config.send, &routes(config)?).map_err(|error| match error {
        BuildTransportError::CaFile { .. } => AppError::Setting(error.to_string()),
        BuildTransportError::Client(_) => AppError::Client(error),
    })
}

/// The proxy of a platform, and the file with its credentials; `None` if it is called directly.
pub(super) fn proxy_of(
    config: &Config,
    platform: Platform,
) -> Option<(&ProxyAddress, Option<&Path>)> {
    let section = config.platforms.get(platform);
    match &section.proxy {
        Some(PlatformProxy::Through(address)) => {
            Some((address, section.proxy_auth_file.as_deref()))
        }
        Some(PlatformProxy::Direct) => None,
        // A gateway is the operator's own.
        None if section.base_url.is_some() => None,
        None => config.send.proxy.as_ref().map(|one| (one, config.send.proxy_auth_file.as_deref())),
    }
}

/// Says at the start that a proxy of the environment is not used, if there is one, because other
/// programs would use it.
pub(super) fn log_unused_proxy(config: &Config) {
    if Platform::ALL.into_iter().any(|platform| proxy_of(config, platform).is_some()) {
        return;
    }
    let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if let Some(variable) = PROXY_VARIABLES.into_iter().find(|name| set(name)) {
        tracing::info!(
            variable,
            "the environment names a proxy, which is not used; send.proxy sets one"
        );
    }
}

/// The host that each platform is called at. The address of a robot is sealed, so all hosts of one
/// platform count as one, and so do all platforms that share a host.
pub(super) fn effective_hosts(config: &Config) -> PlatformMap<String> {
    let allowed = config.webhook_hosts();
    let of = |platform| -> Vec<String> {
        let gateway = config.platforms.get(platform).base_url.as_ref();
        match gateway.and_then(|url| url.host_str()) {
            Some(gateway) => vec![gateway.to_owned()],
            None => allowed.of(platform).map(|host| without_port(host).to_owned()).collect(),
        }
    };
    let mut shared: Vec<Vec<String>> = Vec::new();
    for platform in Platform::ALL {
        let mine = of(platform);
        let (joined, apart): (Vec<_>, Vec<_>) = std::mem::take(&mut shared)
            .into_iter()
            .partition(|hosts| hosts.iter().any(|host| mine.contains(host)));
        shared = apart;
        shared.push(joined.into_iter().flatten().chain(mine).collect());
    }
    PlatformMap::from_fn(|platform| {
        let mine = of(platform);
        let found = shared.iter().find(|hosts| hosts.iter().any(|host| mine.contains(host)));
        found.and_then(|hosts| hosts.first()).cloned().unwrap_or_default()
    })
}

fn routes(config: &Config) -> Result<OutgoingRoutes, AppError> {
    let mut proxies: PlatformMap<Option<ProxyRoute>> = PlatformMap::from_fn(|_| None);
    for platform in Platform::ALL {
        if let Some((address, file)) = proxy_of(config, platform) {
            let credentials = file.map(credentials).transpose()?;
            *proxies.get_mut(platform) = Some(ProxyRoute { address: address.clone(), credentials });
        }
    }
    let gateways = config.platforms.values().filter_map(|section| section.base_url.as_ref());
    let gateways = gateways.filter_map(|url| url.host_str()).map(str::to_owned);
    // A proxy is mostly inside. Its address is resolved only if it is a name.
    let is_name = |host: &&str| host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_err();
    let proxy_hosts = proxies.values().flatten().map(|proxy| proxy.address.host());
    let any: HashSet<_> = gateways.chain(proxy_hosts.filter(is_name).map(str::to_owned)).collect();
    let networks = private_networks(config.platforms.values());
    Ok(OutgoingRoutes { private_hosts: PrivateHosts { any, networks }, proxies })
}

fn private_networks<'a>(
    sections: impl Iterator<Item = &'a PlatformSettings>,
) -> HashMap<String, Vec<IpNet>> {
    let mut networks: HashMap<String, Vec<IpNet>> = HashMap::new();
    for section in sections {
        for host in &section.hosts {
            let known = networks.entry(without_port(host).to_owned()).or_default();
            known.extend(&section.private_networks);
        }
    }
    networks
}

fn without_port(host: &str) -> &str {
    host.split(':').next().unwrap_or(host)
}

/// The credentials in a private file.
fn credentials(file: &Path) -> Result<ProxyCredentials, AppError> {
    let text = private_file::read("the proxy's credentials", file)?;
    ProxyCredentials::parse(&text).ok_or_else(|| {
        AppError::Setting(format!(
            "the proxy's credentials in {} are not user:password on one line",
            file.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NoEnvironment;

    fn hosts(text: &str) -> PlatformMap<String> {
        let config = Config::read("a test", text, &NoEnvironment)
            .unwrap_or_else(|mistakes| panic!("{mistakes}"));
        effective_hosts(&config)
    }

    #[test]
    fn platforms_that_are_called_at_one_host_are_known_to_be() {
        let own = hosts("");
        for (platform, host) in own.iter() {
            for (other, others) in own.iter() {
                let same = platform.variant_of().unwrap_or(platform)
                    == other.variant_of().unwrap_or(other);
                assert_eq!(host == others, same, "{platform} and {other}");
            }
        }
        let gateway = hosts(
            "[platforms.lark]\nbase_url = \"http://Gateway.example:8080\"\n\
             [platforms.wecom]\nbase_url = \"https://gateway.example\"\n",
        );
        assert_eq!(gateway.get(Platform::Lark), "gateway.example");
        assert_eq!(gateway.get(Platform::WeCom), "gateway.example");
        assert_eq!(gateway.get(Platform::DingTalk), own.get(Platform::DingTalk));
        let allowed = hosts(
            "[platforms.lark]\nhosts = [\"one.example\", \"chat.example:8443\"]\n\
             [platforms.wecom]\nhosts = [\"Chat.example\"]\n\
             [platforms.dingtalk]\nhosts = [\"other.example\"]\n",
        );
        assert_eq!(allowed.get(Platform::Lark), allowed.get(Platform::WeCom));
        assert_ne!(allowed.get(Platform::Lark), allowed.get(Platform::DingTalk));
        assert_eq!(allowed.get(Platform::DingTalk), allowed.get(Platform::DingTalkInternal));
    }
}
