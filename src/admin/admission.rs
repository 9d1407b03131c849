//! Which connections a listener accepts: a limit in total, and a limit for each address.
//!
//! Owns which connection is evicted: at a limit, a new connection evicts the one that is idle
//! longest. A connection with a request in progress is never evicted.
//!
//! Not here: the HTTP on an accepted connection (`connections.rs`).

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::telemetry::{Telemetry, events};

/// The log reports at most this often that there are too many connections.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// How many connections a listener has at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// From all addresses together; at least 1.
    pub all: usize,
    /// From one IPv4 address, or from one IPv6 network; at least 1.
    pub of_one: usize,
}

/// The connections of one listener.
pub(super) struct ConnectionAdmission {
    listener: &'static str,
    limits: ConnectionLimits,
    telemetry: Arc<Telemetry>,
    table: Mutex<ConnectionTable>,
}

#[derive(Default)]
struct ConnectionTable {
    last_id: u64,
    connections: HashMap<u64, Connection>,
    said_at: Option<Instant>,
}

struct Connection {
    from: Option<IpAddr>,
    /// When it began to wait for a request; `None` while a request is in progress.
    idle_since: Option<Instant>,
    /// Whether a request has arrived on it.
    was_used: bool,
    evicted: CancellationToken,
}

impl ConnectionAdmission {
    pub(super) fn new(
        listener: &'static str,
        limits: ConnectionLimits,
        telemetry: Arc<Telemetry>,
    ) -> Arc<Self> {
        events::AdminConnectionsChanged { listener, open: 0 }.emit(&telemetry);
        Arc::new(Self { listener, limits, telemetry, table: Mutex::default() })
    }

    /// Admits a connection, or refuses it with `None`. `from` is its address; callers on the Unix
    /// socket have none.
    pub(super) fn admit(self: &Arc<Self>, from: Option<IpAddr>, now: Instant) -> Option<Admitted> {
        let mut table = self.lock();
        let of_one =
            table.connections.values().filter(|one| from.is_some() && one.from == from).count();
        let full = match () {
            () if of_one >= self.limits.of_one => Some(from),
            () if table.connections.len() >= self.limits.all => Some(None),
            () => None,
        };
        if let Some(of) = full {
            self.refused(&mut table, now);
            table.evict(of)?;
        }
        table.last_id += 1;
        let (id, evicted) = (table.last_id, CancellationToken::new());
        let connection =
            Connection { from, idle_since: Some(now), was_used: false, evicted: evicted.clone() };
        table.connections.insert(id, connection);
        self.changed(&table);
        drop(table);
        Some(Admitted { admission: Arc::clone(self), id, evicted })
    }

    fn refused(&self, table: &mut ConnectionTable, now: Instant) {
        let news = table.said_at.is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL);
        if news {
            table.said_at = Some(now);
        }
        events::AdminConnectionRefused { listener: self.listener, limit: self.limits.all, news }
            .emit(&self.telemetry);
    }

    fn changed(&self, table: &ConnectionTable) {
        let open = table.connections.len();
        events::AdminConnectionsChanged { listener: self.listener, open }.emit(&self.telemetry);
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionTable {
    /// Evicts the connection that is idle longest. Connections that
    /// never carried a request go first.
    fn evict(&mut self, of: Option<IpAddr>) -> Option<()> {
        let there = self.connections.iter().filter(|(_, one)| of.is_none() || one.from == of);
        let idle = there.filter_map(|(id, one)| Some((one.was_used, one.idle_since?, *id)));
        let (_, _, id) = idle.min()?;
        self.connections.remove(&id)?.evicted.cancel();
        Some(())
    }
}

/// The admission of one connection. Dropping it frees the place.
pub(super) struct Admitted {
    admission: Arc<ConnectionAdmission>,
    id: u64,
    evicted: CancellationToken,
}

impl Admitted {
    /// Resolves when another connection takes this one's place.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// A request has arrived. It is in progress until the returned guard is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> ActiveRequest {
        self.with(|one| {
            one.idle_since = None;
            one.was_used = true;
        });
        ActiveRequest(Arc::clone(self))
    }

    /// Whether it waits for a request.
    pub(super) fn is_idle(&self) -> bool {
        self.admission.lock().connections.get(&self.id).is_none_or(|one| one.idle_since.is_some())
    }

    fn with(&self, change: impl FnOnce(&mut Connection)) {
        if let Some(one) = self.admission.lock().connections.get_mut(&self.id) {
            change(one);
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut table = self.admission.lock();
        table.connections.remove(&self.id);
        self.admission.changed(&table);
    }
}

/// A request whose answer is not written yet.
pub(super) struct ActiveRequest(Arc<Admitted>);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.with(|one| one.idle_since = Some(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ConnectionLimits = ConnectionLimits { all: 4, of_one: 2 };

    fn admission() -> (Arc<ConnectionAdmission>, Instant) {
        (ConnectionAdmission::new("tcp", LIMITS, Arc::new(Telemetry::new())), Instant::now())
    }

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn a_newcomer_takes_the_place_of_its_own_addresss_longest_wait_for_a_request() {
        let (admission, now) = admission();
        let other = admission.admit(address(9), now).unwrap();
        let at = |second| now + Duration::from_secs(second);
        let first = Arc::new(admission.admit(address(1), at(1)).unwrap());
        let second = admission.admit(address(1), at(2)).unwrap();
        // A connection that carried a request is evicted after those that carried none.
        drop(first.begin_request());
        let third = admission.admit(address(1), at(3)).unwrap();
        let evicted = [&other, &*first, &second, &third].map(|one| one.evicted.is_cancelled());
        assert_eq!(evicted, [false, false, true, false]);
        drop(second);
        assert_eq!(admission.lock().connections.len(), 3);
    }

    #[test]
    fn a_connection_with_an_open_request_stays_and_the_new_one_is_refused() {
        let (admission, now) = admission();
        let taken: Vec<_> =
            (0..2).map(|_| Arc::new(admission.admit(address(1), now).unwrap())).collect();
        let in_hand: Vec<_> = taken.iter().map(Admitted::begin_request).collect();
        assert!(admission.admit(address(1), now).is_none());
        assert!(
            admission.admit(address(2), now).is_some(),
            "another address has places of its own"
        );
        drop(in_hand);
        assert!(admission.admit(address(1), now).is_some());
    }

    #[test]
    fn there_are_never_more_than_the_limit_whatever_addresses_they_come_from() {
        let (admission, now) = admission();
        let taken: Vec<_> =
            (0..100).map(|last| admission.admit(address(last), now).unwrap()).collect();
        assert_eq!(taken.iter().filter(|one| !one.evicted.is_cancelled()).count(), LIMITS.all);
        assert_eq!(admission.lock().connections.len(), LIMITS.all);
        drop(taken);
        assert!(admission.lock().connections.is_empty());
    }

    #[test]
    fn callers_without_an_address_share_the_whole_limit() {
        let (admission, now) = admission();
        let taken: Vec<_> =
            (0..LIMITS.all).map(|_| Arc::new(admission.admit(None, now).unwrap())).collect();
        let in_hand: Vec<_> = taken.iter().map(Admitted::begin_request).collect();
        assert!(admission.admit(None, now).is_none());
        drop(in_hand);
    }
}
