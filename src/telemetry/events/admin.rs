//! What happens at the admin API: connections, tokens, sessions of the console.

use std::net::IpAddr;

use crate::telemetry::{labels::OnListener, lines::Kind, registry::Telemetry};

/// A connection has come or gone.
pub struct AdminConnectionsChanged {
    /// `unix` or `tcp`.
    pub listener: &'static str,
    /// How many are open now.
    pub open: usize,
}

impl AdminConnectionsChanged {
    /// Counts it.
    pub fn emit(&self, telemetry: &Telemetry) {
        let open = i64::try_from(self.open).unwrap_or(i64::MAX);
        telemetry.admin_connections.get_or_create(&OnListener { listener: self.listener }).set(open);
    }
}

/// There was no room for a connection: it was not taken, or another one was ended for it.
pub struct AdminConnectionRefused {
    /// `unix` or `tcp`.
    pub listener: &'static str,
    /// How many connections the listener takes.
    pub limit: usize,
    /// Whether it was not said a short time ago.
    pub news: bool,
}

impl AdminConnectionRefused {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        let listener = self.listener;
        telemetry.admin_connections_refused.get_or_create(&OnListener { listener }).inc();
        if self.news {
            let limit = self.limit;
            tracing::warn!(
                listener,
                limit,
                "there are more connections to the admin API than it takes; those that wait are ended"
            );
        }
    }
}

/// The system lets the process open fewer files than its settings may need.
pub struct FewFiles {
    /// How many it may open.
    pub allowed: u64,
    /// How many it may need.
    pub wanted: u64,
}

impl FewFiles {
    /// Logs it.
    pub fn emit(&self) {
        let (allowed, wanted) = (self.allowed, self.wanted);
        tracing::warn!(allowed, wanted, "the process may open too few files for its settings");
    }
}

/// Who changed something through the admin API, or signed in.
#[derive(Debug)]
pub struct AdminActor {
    /// `socket`, `token` or `session`.
    pub kind: &'static str,
    /// The user of the process at the other end of the Unix socket.
    pub uid: Option<u32>,
    /// Its number.
    pub pid: Option<i32>,
    /// The address at the other end of a TCP connection.
    pub from: Option<IpAddr>,
    /// The tag of the console's session; it opens nothing.
    pub session: Option<String>,
}

/// Something was changed through the admin API or the console, or was asked for and refused.
pub struct AdminChange<'a> {
    /// Who.
    pub actor: &'a AdminActor,
    /// Method and route.
    pub action: &'a str,
    /// The id or name of what it is about, if there is one.
    pub object: Option<&'a str>,
    /// How many things were changed, where that can be more or less than one.
    pub count: Option<u64>,
    /// `done`, `refused`, `failed`, or `unknown`, with why.
    pub outcome: &'a str,
}

impl AdminChange<'_> {
    /// Logs it.
    pub fn emit(&self) {
        let AdminActor { kind, uid, pid, from, session } = self.actor;
        let (from, session) = (from.map(tracing::field::display), session.as_deref());
        let Self { action, object, count, outcome, .. } = *self;
        tracing::info!(
            actor = kind,
            uid,
            pid,
            from,
            session,
            action,
            object,
            count,
            outcome,
            "a change through the admin API"
        );
    }
}

/// Somebody has shown the admin token to the console.
pub struct SignedIn<'a> {
    /// From where.
    pub from: Option<IpAddr>,
    /// The tag of the session that was opened; it opens nothing.
    pub session: &'a str,
}

impl SignedIn<'_> {
    /// Logs it.
    pub fn emit(&self) {
        let (from, session) = (self.from.map(tracing::field::display), self.session);
        tracing::info!(from, session, "somebody signed in to the console");
    }
}

/// Somebody has shown another token than the admin token.
pub struct WrongToken {
    /// To what.
    pub place: &'static str,
    /// From where; of IPv6 the network.
    pub from: IpAddr,
    /// Whether no token from there is looked at any more for a while.
    pub last: bool,
}

impl WrongToken {
    /// Logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        if telemetry.lines.allow(Kind::WrongToken) {
            tracing::warn!(from = %self.from, "somebody showed a wrong token to {}", self.place);
        }
        if self.last {
            tracing::warn!(from = %self.from, "too many wrong tokens: none from there is looked at for up to a minute");
        }
    }
}
