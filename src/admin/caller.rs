//! Who asks the API, as far as the connection tells.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The other side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A process of this machine, on the Unix socket.
    Process {
        /// Its user.
        uid: u32,
        /// Its number, if the system tells it.
        pid: Option<i32>,
    },
    /// A program behind this address, over TCP.
    Address(SocketAddr),
}

impl Caller {
    /// The address, if callers have one.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Process { .. } => None,
            Self::Address(address) => Some(address.ip()),
        }
    }

    /// The address by which callers are told apart: of IPv6 the network. Processes have none.
    pub(super) fn network(&self) -> Option<IpAddr> {
        match self {
            Self::Process { .. } => None,
            Self::Address(address) => Some(network(address.ip())),
        }
    }
}

/// Who has one address of IPv6 has a whole network of them.
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
