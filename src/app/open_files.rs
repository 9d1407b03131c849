//! The limit of open files and connections, and how it is divided.
//!
//! Owns the invariant that the admin API never takes the connections that the pipeline needs.
//!
//! Not here: how the admin API enforces its part (`admin/admission.rs`).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{admin::ConnectionLimits, config::Config, domain::Platform, telemetry::events};

/// The most files that the store, the journal, the broker, the traces and the libraries have open.
const OTHERS: u64 = 128;

/// The most TCP connections of the admin API, whatever the system allows.
const ADMIN_TCP_MAX: u64 = 256;

/// The most connections of the admin API's Unix socket.
const ADMIN_SOCKET_MAX: u64 = 64;

/// How many files the process may have open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenFiles(u64);

/// Raises the soft limit to the hard limit. Logs a warning if that is less than the settings may
/// need.
pub(super) fn raise_limit(config: &Config) -> OpenFiles {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { before };
    let files = OpenFiles(now.current.unwrap_or(u64::MAX));
    let wanted = files.wanted(u64::from(config.pace.in_flight_max) * Platform::COUNT as u64);
    if files.0 < wanted {
        events::FileLimitTooLow { allowed: files.0, wanted }.emit();
    }
    files
}

impl OpenFiles {
    /// One connection for each attempt in flight on all platforms, the connections of the admin
    /// API, and [`OTHERS`].
    fn wanted(self, in_flight_max: u64) -> u64 {
        let admin = self.admin_tcp().all + self.admin_socket().all;
        in_flight_max.saturating_add(OTHERS).saturating_add(admin as u64)
    }

    /// An eighth is for TCP. One address has half of that, because behind a proxy all callers share
    /// one address.
    pub(super) fn admin_tcp(self) -> ConnectionLimits {
        let all = self.share(8, ADMIN_TCP_MAX);
        ConnectionLimits { all, of_one: (all / 2).max(1) }
    }

    /// A sixteenth is for the Unix socket. TCP connections cannot use this part.
    pub(super) fn admin_socket(self) -> ConnectionLimits {
        let all = self.share(16, ADMIN_SOCKET_MAX);
        ConnectionLimits { all, of_one: all }
    }

    fn share(self, part: u64, max: u64) -> usize {
        usize::try_from((self.0 / part).clamp(1, max)).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_api_has_a_small_part_of_what_may_be_open() {
        for (allowed, tcp, of_one, socket) in [
            (u64::MAX, 256, 128, 64),
            (20_000, 256, 128, 64),
            (1024, 128, 64, 64),
            (256, 32, 16, 16),
            (8, 1, 1, 1),
        ] {
            let files = OpenFiles(allowed);
            assert_eq!(files.admin_tcp(), ConnectionLimits { all: tcp, of_one }, "{allowed}");
            assert_eq!(
                files.admin_socket(),
                ConnectionLimits { all: socket, of_one: socket },
                "{allowed}"
            );
        }
        assert_eq!(OpenFiles(1024).wanted(256), 256 + 128 + 128 + 64);
    }
}
