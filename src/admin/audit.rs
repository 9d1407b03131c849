//! The audit log: one line for each change through the API or the console.
//!
//! Owns which requests count as changes. It wraps all routes, so a new route is logged unless
//! `READ_ONLY` names it. The line is written however the request ends, also if the caller hangs up
//! or the route panics.
//!
//! Not here: the text of the line (`telemetry::events`).

use axum::{
    extract::{MatchedPath, RawPathParams, Request, rejection::RawPathParamsRejection},
    middleware::Next,
    response::Response,
};
use sha2::{Digest, Sha256};

use super::caller::Caller;
use crate::{
    domain::{RobotId, SubscriptionId, TemplateName, TopicName},
    telemetry::events::{AdminActor, AdminChange},
};

/// Routes that change nothing although their HTTP method may. Paths are relative to one of `ROOTS`.
const READ_ONLY: [&str; 3] = ["/explain", "/store/verify", "/templates/{name}/render"];

/// Where the API and the console have their routes.
const ROOTS: [&str; 2] = ["/v1", "/console/api"];

/// How a caller over TCP was authenticated.
#[derive(Clone)]
pub(super) enum Credential {
    /// The admin token.
    Token,
    /// A session of the console, named by a tag that grants no access.
    Session(String),
}

/// The tag by which the log tells sessions apart: 8 hexadecimal digits of a hash.
pub(super) fn session_tag(id: &str) -> String {
    hex::encode(Sha256::digest(id)).chars().take(8).collect()
}

/// Details that a route adds to its line, as an extension of its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AuditedChange {
    /// How many things were changed.
    pub(super) count: Option<u64>,
    /// The changed object, if the path does not name it.
    pub(super) object: Option<String>,
    /// Whether the request was a dry run, which changes nothing and is not logged.
    pub(super) is_dry_run: bool,
}

impl AuditedChange {
    pub(super) fn count(count: impl TryInto<u64>) -> Self {
        Self { count: count.try_into().ok(), ..Self::default() }
    }

    pub(super) fn of(self, object: impl Into<String>) -> Self {
        Self { object: Some(object.into()), ..self }
    }
}

/// Logs each request that changes something.
pub(super) async fn log_changes(
    path: MatchedPath,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    if request.method().is_safe() || is_read_only(path.as_str()) {
        return next.run(request).await;
    }
    let mut line = AuditRecord {
        actor: actor(&request),
        action: format!("{} {}", request.method(), path.as_str()),
        object: parameters
            .ok()
            .and_then(|all| all.iter().find_map(|(name, value)| object(name, value))),
        count: None,
        outcome: "unknown: the caller hung up, or the daemon failed",
        is_change: true,
    };
    let response = next.run(request).await;
    line.answered(&response);
    response
}

fn is_read_only(path: &str) -> bool {
    let rest = ROOTS.iter().find_map(|root| path.strip_prefix(root));
    rest.is_some_and(|rest| READ_ONLY.contains(&rest))
}

fn actor(request: &Request) -> AdminActor {
    let (process, from) = match request.extensions().get::<Caller>() {
        Some(Caller::Process { uid, pid }) => (Some((*uid, *pid)), None),
        caller => (None, caller.and_then(Caller::ip)),
    };
    let (kind, session) = match request.extensions().get::<Credential>() {
        None => ("socket", None),
        Some(Credential::Token) => ("token", None),
        Some(Credential::Session(tag)) => ("session", Some(tag.clone())),
    };
    AdminActor {
        kind,
        uid: process.map(|(uid, _)| uid),
        pid: process.and_then(|(_, pid)| pid),
        from,
        session,
    }
}

/// The object that a path names. Only a valid name is logged: a user may have
/// pasted a webhook in its place.
fn object(name: &str, value: &str) -> Option<String> {
    let good = match name {
        "id" => value.parse::<SubscriptionId>().is_ok() || value.parse::<RobotId>().is_ok(),
        "topic" => value.parse::<TopicName>().is_ok(),
        "name" => value.parse::<TemplateName>().is_ok(),
        _ => false,
    };
    good.then(|| value.to_owned())
}

/// A log line, written when it is dropped.
struct AuditRecord {
    actor: AdminActor,
    action: String,
    object: Option<String>,
    count: Option<u64>,
    outcome: &'static str,
    is_change: bool,
}

impl AuditRecord {
    fn answered(&mut self, response: &Response) {
        let status = response.status();
        self.outcome = match () {
            () if status.is_success() => "done",
            () if status.is_client_error() => "refused",
            () => "failed",
        };
        if let Some(changed) = response.extensions().get::<AuditedChange>() {
            self.count = changed.count;
            self.object = changed.object.clone().or(self.object.take());
            self.is_change = !changed.is_dry_run;
        }
    }
}

impl Drop for AuditRecord {
    fn drop(&mut self) {
        if self.is_change {
            let (action, outcome) = (self.action.as_str(), self.outcome);
            AdminChange {
                actor: &self.actor,
                action,
                object: self.object.as_deref(),
                count: self.count,
                outcome,
            }
            .emit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_nothing_is_known_by_its_whole_path() {
        for (path, read_only) in [
            ("/v1/explain", true),
            ("/console/api/explain", true),
            ("/v1/store/verify", true),
            ("/v1/store/backup", false),
            ("/v1/templates/{name}/render", true),
            ("/v1/templates/{name}", false),
            ("/explain", false),
        ] {
            assert_eq!(is_read_only(path), read_only, "{path}");
        }
    }

    #[test]
    fn only_a_valid_name_is_logged() {
        let id = "0".repeat(32);
        assert_eq!(object("id", &id), Some(id.clone()));
        assert_eq!(object("topic", "alerts.db").as_deref(), Some("alerts.db"));
        assert_eq!(object("name", "welcome").as_deref(), Some("welcome"));
        for name in ["id", "topic", "name", "other"] {
            assert_eq!(
                object(name, "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1"),
                None,
                "{name}"
            );
        }
    }

    #[test]
    fn the_tag_of_a_session_is_not_the_session() {
        let tag = session_tag("abc");
        assert_eq!((tag.len(), tag.contains("abc")), (8, false));
        assert_ne!(tag, session_tag("abd"));
    }
}
