//! The caller of the API, as far as the connection shows it.
//!
//! Owns how addresses are grouped: an IPv6 network of 64 bits counts as one address.
//!
//! Not here: authentication (`authenticator.rs`), and the credential that a caller used
//! (`audit.rs`).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The other side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A local process, on the Unix socket.
    Process {
        /// Its user id.
        uid: u32,
        /// Its process id, if the system reports it.
        pid: Option<i32>,
    },
    /// A program at this address, over TCP.
    Address(SocketAddr),
}

impl Caller {
    /// The address; a local process has none.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Process { .. } => None,
            Self::Address(address) => Some(address.ip()),
        }
    }

    /// The address that limits apply to: an IPv4 address, or an IPv6 network. Processes have none.
    pub(super) fn network(&self) -> Option<IpAddr> {
        match self {
            Self::Process { .. } => None,
            Self::Address(address) => Some(network(address.ip())),
        }
    }
}

/// The owner of one IPv6 address usually has a whole network of 64 bits.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_version_6_is_its_network_and_a_mapped_one_is_that_of_version_4() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }
}
