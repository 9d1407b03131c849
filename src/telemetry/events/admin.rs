//! Occurrences at the admin API: connections, tokens, sessions of the console.
//!
//! Owns their metrics and log lines, including the audit line of each change.
//!
//! Not here: which requests are audited (`admin/audit.rs`).

use std::net::IpAddr;

use crate::telemetry::{labels::ListenerLabel, log_limit::LimitedLine, registry::Telemetry};

/// A connection opened or closed.
pub struct AdminConnectionsChanged {
    /// `unix` or `tcp`.
    pub listener: &'static str,
    /// The number of open connections.
    pub open: usize,
}

impl AdminConnectionsChanged {
    /// Sets the gauge.
    pub fn emit(&self, telemetry: &Telemetry) {
        let open = i64::try_from(self.open).unwrap_or(i64::MAX);
        telemetry
            .admin_connections
            .get_or_create(&ListenerLabel { listener: self.listener })
            .set(open);
    }
}

/// A listener is at its limit of connections. It refused the new connection, or closed another one
/// for it.
pub struct AdminConnectionRefused {
    /// `unix` or `tcp`.
    pub listener: &'static str,
    /// The limit of the listener.
    pub limit: usize,
    /// Whether it was not reported recently.
    pub news: bool,
}

impl AdminConnectionRefused {
    /// Counts and logs the refusal.
    pub fn emit(&self, telemetry: &Telemetry) {
        let listener = self.listener;
        telemetry.admin_connections_refused.get_or_create(&ListenerLabel { listener }).inc();
        if self.news {
            let limit = self.limit;
            tracing::warn!(
                listener,
                limit,
                "there are more connections to the admin API than it takes; \
                 those that wait are ended"
            );
        }
    }
}

/// The system's limit of open files is lower than the settings may need.
pub struct FileLimitTooLow {
    /// The limit.
    pub allowed: u64,
    /// The number of files that may be needed.
    pub wanted: u64,
}

impl FileLimitTooLow {
    /// Logs the limit.
    pub fn emit(&self) {
        let (allowed, wanted) = (self.allowed, self.wanted);
        tracing::warn!(allowed, wanted, "the process may open too few files for its settings");
    }
}

/// The author of a change through the admin API, or of a login.
#[derive(Debug)]
pub struct AdminActor {
    /// `socket`, `token` or `session`.
    pub kind: &'static str,
    /// The user of the peer process on the Unix socket.
    pub uid: Option<u32>,
    /// The id of the peer process.
    pub pid: Option<i32>,
    /// The peer address of a TCP connection.
    pub from: Option<IpAddr>,
    /// The tag of the console session. It is not a credential.
    pub session: Option<String>,
}

/// A change through the admin API or the console, or a refused attempt at one.
pub struct AdminChange<'a> {
    /// The author.
    pub actor: &'a AdminActor,
    /// Method and route.
    pub action: &'a str,
    /// The id or name of the changed object, if any.
    pub object: Option<&'a str>,
    /// The number of changed objects, where it can differ from one.
    pub count: Option<u64>,
    /// `done`, `refused`, `failed` or `unknown`, with the reason.
    pub outcome: &'a str,
}

impl AdminChange<'_> {
    /// Logs the change.
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

/// A user logged in to the console with the admin token.
pub struct SignedIn<'a> {
    /// The peer address.
    pub from: Option<IpAddr>,
    /// The tag of the new session. It is not a credential.
    pub session: &'a str,
}

impl SignedIn<'_> {
    /// Logs the login.
    pub fn emit(&self) {
        let (from, session) = (self.from.map(tracing::field::display), self.session);
        tracing::info!(from, session, "somebody signed in to the console");
    }
}

/// A request had a wrong admin token.
pub struct WrongToken {
    /// The interface that refused it.
    pub place: &'static str,
    /// The peer address; for IPv6 its network.
    pub from: IpAddr,
    /// Whether tokens from this address are now rejected unchecked for a while.
    pub last: bool,
}

impl WrongToken {
    /// Logs the attempt.
    pub fn emit(&self, telemetry: &Telemetry) {
        if telemetry.lines.allow(LimitedLine::WrongToken) {
            tracing::warn!(from = %self.from, "somebody showed a wrong token to {}", self.place);
        }
        if self.last {
            tracing::warn!(
                from = %self.from,
                "too many wrong tokens: none from there is looked at for up to a minute"
            );
        }
    }
}
