//! The guard against calls to private addresses. Without it, a platform's name that resolves to a
//! private address would open the internal network to webhooks.
//!
//! Owns which addresses are public, and the exceptions that an operator makes.
//!
//! Not here: addresses written in place of a name (`http_transport.rs`), and the rules for webhook
//! URLs (`platforms/check_endpoint.rs`).

use std::{
    collections::{HashMap, HashSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A name resolved to private addresses only.
#[derive(Debug, thiserror::Error)]
#[error(
    "the host resolves to a private address, which is not called; \
     platforms.<name>.private_networks allows it for a host in platforms.<name>.hosts, \
     and platforms.<name>.base_url is the way to a gateway inside"
)]
pub(super) struct PrivateAddressError;

/// The hosts that the operator allows to have private addresses.
#[derive(Clone, Debug, Default)]
pub struct PrivateHosts {
    /// Hosts that may have any address: those of gateways and proxies, which are the operator's.
    pub any: HashSet<String>,
    /// The networks in which a host may be, besides the public ones.
    pub networks: HashMap<String, Vec<IpNet>>,
}

impl PrivateHosts {
    /// Whether a host may be called at this address.
    pub(super) fn allow(&self, host: &str, address: IpAddr) -> bool {
        let in_network = |networks: &Vec<IpNet>| {
            networks.iter().any(|network| network.contains(&address.to_canonical()))
        };
        is_global(address)
            || self.any.contains(host)
            || self.networks.get(host).is_some_and(in_network)
    }
}

/// Resolves names to the addresses at which they may be called.
pub(super) struct GuardedResolver(pub(super) Arc<PrivateHosts>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let hosts = Arc::clone(&self.0);
        Box::pin(async move {
            // The caller sets the port.
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.is_empty() {
                return Err(
                    io::Error::new(io::ErrorKind::NotFound, "the name has no address").into()
                );
            }
            let may_be_called = |one: &SocketAddr| hosts.allow(name.as_str(), one.ip());
            let allowed: Vec<_> = found.into_iter().filter(may_be_called).collect();
            if allowed.is_empty() {
                return Err(PrivateAddressError.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is public.
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => v4_is_global(address),
        IpAddr::V6(address) => match contained_v4(address) {
            Some(contained) => v4_is_global(contained),
            None => v6_is_global(address),
        },
    }
}

/// The special-purpose addresses of RFC 6890 and later ones are not public.
fn v4_is_global(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let inside = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        // Carrier-grade NAT.
        || (a == 100 && (64..128).contains(&b))
        // Protocol assignments, benchmarks, reserved.
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240;
    !inside
}

/// The IPv4 address to which an IPv6 address leads: one that is mapped, or one behind the
/// well-known prefix 64:ff9b::/96. On a network with IPv6 alone, NAT64 gives every platform an
/// address behind that prefix.
fn contained_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [first, second, third, fourth, fifth, sixth, high, low] = address.segments();
    let translated = [first, second, third, fourth, fifth, sixth] == [0x64, 0xff9b, 0, 0, 0, 0];
    address
        .to_ipv4_mapped()
        .or_else(|| translated.then(|| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))))
}

fn v6_is_global(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // Global unicast is public, except documentation, and except tunnels, which hide an IPv4
    // address: 6to4 and Teredo.
    let documentation = first == 0x2001 && second == 0xdb8;
    let tunnel = first == 0x2002 || (first == 0x2001 && second == 0);
    (first & 0xe000) == 0x2000 && !documentation && !tunnel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_network_is_open_to_the_hosts_that_may_be_in_it_and_to_no_others() {
        let hosts = PrivateHosts {
            any: HashSet::from(["gateway.test".to_owned()]),
            networks: HashMap::from([(
                "lark.test".to_owned(),
                vec!["10.20.0.0/16".parse().unwrap(), "fd00:1::/32".parse().unwrap()],
            )]),
        };
        for (host, address, expected) in [
            ("lark.test", "10.20.1.2", true),
            ("lark.test", "::ffff:10.20.1.2", true),
            ("lark.test", "fd00:1::7", true),
            ("lark.test", "8.8.8.8", true),
            ("lark.test", "10.21.0.1", false),
            ("lark.test", "127.0.0.1", false),
            ("lark.test", "169.254.169.254", false),
            ("gateway.test", "127.0.0.1", true),
            ("open.feishu.cn", "10.20.1.2", false),
            ("x.lark.test", "10.20.1.2", false),
        ] {
            assert_eq!(hosts.allow(host, address.parse().unwrap()), expected, "{host} {address}");
        }
    }

    #[test]
    fn only_addresses_of_the_public_internet_are_outside() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "240.0.0.1",
            "203.0.113.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2001:0:7f00:1::",
            "64:ff9b::7f00:1",
            "64:ff9b::a01:203",
            "64:ff9b:1::808:808",
            "fec0::1",
        ] {
            assert!(!is_global(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "203.119.204.1",
            "8.8.8.8",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2408:4001:f00::1",
            "100.128.0.1",
            "172.32.0.1",
        ] {
            assert!(is_global(outside.parse().unwrap()), "{outside}");
        }
    }
}
